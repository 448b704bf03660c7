/* test_op.c - a task that waits for an operation of the kernel */
#include "test.h"

#include "core/sched.h"

#include <calm/file.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct reader {
    int fd;
    char buffer[64];
    int rc;
};

static int read_file(void *arg)
{
    struct reader *reader = arg;
    struct calm__op op = {.kind = CALM__OP_READ,
        .fd = reader->fd,
        .buffer = reader->buffer,
        .size = sizeof reader->buffer};
    return reader->rc = calm__op_wait(&op, "a read");
}

static int wait_readable(void *arg)
{
    struct reader *reader = arg;
    struct calm__op op = {.kind = CALM__OP_READABLE, .fd = reader->fd};
    return reader->rc = calm__op_wait(&op, "a descriptor");
}

static int temporary_file(const char *text)
{
    char path[] = "/tmp/calm-test-op-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    check_equal(write(fd, text, strlen(text)), (long long)strlen(text));
    return fd;
}

static int read_gives_what_the_call_would(void *arg)
{
    struct reader reader = {.fd = temporary_file("twelve bytes")};
    check_equal(read_file(&reader), 12);
    check(memcmp(reader.buffer, "twelve bytes", 12) == 0);
    close(reader.fd);
    reader.fd = -1;
    check_equal(read_file(&reader), -EBADF);
    return 0;
}

static int readable_comes_when_the_peer_has_written(void *arg)
{
    int ends[2];
    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct reader reader = {ends[0]};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, wait_readable, &reader);
    calm_checkpoint();
    check(!calm_task_done(task));
    check_equal(write(ends[1], "x", 1), 1);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(reader.rc, 0);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static int cancelled_wait_leaves_the_descriptor_free(void *arg)
{
    int ends[2];
    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct reader reader = {ends[0]}, second = {ends[0]};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, wait_readable, &reader);
    calm_checkpoint();
    calm_cancel(task);
    int result = 1;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(write(ends[1], "x", 1), 1);
    check_equal(wait_readable(&second), 0);
    close(ends[0]);
    close(ends[1]);
    return calm_group_end(&group, 0);
}

/* A read that is under way ends with its own result, or took no effect. */
/* A pipe through calm_file: a cancel and data in one tick. */
static int read_pipe(void *arg)
{
    char byte = 'z';
    int rc = (int)calm_file_read(arg, &byte, 1);
    check_equal(byte, 'z');
    check_equal((int)calm_file_read(arg, &byte, 1), -ECANCELED);
    return rc;
}

static int cancelled_wait_for_a_pipe_leaves_the_bytes(void *arg)
{
    int ends[2], result = 0;
    char byte = 0;
    calm_file *file;
    check_equal(pipe(ends), 0);
    check_equal(calm_file_from_fd(ends[0], "pipe", &file), 0);
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, read_pipe, file);
    check_equal(calm_sleep(CALM_MS), 0);
    calm_cancel(task);
    check_equal(write(ends[1], "x", 1), 1);
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(calm_file_read(file, &byte, 1), 1);
    check_equal(byte, 'x');
    calm_file_close(file);
    close(ends[0]);
    close(ends[1]);
    return calm_group_end(&group, 0);
}

static int cancelled_read_says_what_happened(void *arg)
{
    struct reader reader = {.fd = temporary_file("twelve bytes")};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, read_file, &reader);
    calm_checkpoint();
    calm_cancel(task);
    check_equal(calm_group_end(&group, 0), 0);
    if (reader.rc == 12)
        check(memcmp(reader.buffer, "twelve bytes", 12) == 0);
    else
        check_equal(reader.rc, -ECANCELED);
    close(reader.fd);
    return 0;
}

static int descriptor_keeps_the_virtual_clock_from_no_jump(void *arg)
{
    int ends[2];
    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct reader reader = {ends[0]};
    int64_t start = calm_now();
    check_equal(calm_with_timeout(CALM_S, wait_readable, &reader), -ETIMEDOUT);
    check_equal(calm_now() - start, CALM_S);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* ---- idle ones ---- */

static struct calm__op idle_op;
static int idle_ends[2], idle_done;

static void idle_is_done(struct calm__op *op)
{
    idle_done++;
}

static void idle_begin(void)
{
    check_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, idle_ends), 0);
    struct calm__backend *backend = calm__loop_backend(calm__loop_here);
    idle_op = (struct calm__op){.kind = CALM__OP_READABLE,
        .fd = idle_ends[0],
        .idle = true,
        .done = idle_is_done};
    idle_done = 0;
    backend->methods->start(backend, &idle_op);
}

static int wait_in_vain(void *arg)
{
    calm_event event = {0};
    idle_begin();
    calm__op_set_idle(&idle_op, false);
    calm__op_set_idle(&idle_op, true);
    return calm_event_wait(&event);
}

static int an_idle_wait_does_not_hide_a_deadlock(void *arg)
{
    check_equal(run_virtual(wait_in_vain, NULL), -EDEADLK);
    close(idle_ends[0]);
    close(idle_ends[1]);
    return 0;
}

static int an_idle_wait_is_done_like_any_other(void *arg)
{
    idle_begin();
    check_equal(calm_sleep(CALM_MS), 0);
    check_equal(idle_done, 0);
    check_equal(write(idle_ends[1], "x", 1), 1);
    for (int i = 0; i < 100 && !idle_done; i++)
        check_equal(calm_sleep(CALM_MS), 0);
    check_equal(idle_done, 1);
    calm_fd_forget(idle_ends[0]);
    close(idle_ends[0]);
    close(idle_ends[1]);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(read_gives_what_the_call_would),
        real_test(readable_comes_when_the_peer_has_written),
        virtual_test(cancelled_wait_leaves_the_descriptor_free),
        real_test(cancelled_read_says_what_happened),
        real_test(cancelled_wait_for_a_pipe_leaves_the_bytes),
        virtual_test(descriptor_keeps_the_virtual_clock_from_no_jump),
        plain_test(an_idle_wait_does_not_hide_a_deadlock),
        real_test(an_idle_wait_is_done_like_any_other),
    };
    return run_list("op", tests, sizeof tests / sizeof *tests);
}
