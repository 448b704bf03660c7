/* test_backend.c - the promises of core/backend.h, kept by both backends */
#include "both_backends.h"

#include "bare_loop.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];

static int open_all(void **state)
{
    bare_open(methods_now);
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
}

static int close_all(void **state)
{
    nothing_is_in_flight();
    bare_close();
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static int temporary(const char *text)
{
    char name[] = "/tmp/calm-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void a_read_gives_the_bytes_at_its_offset(void **state)
{
    int fd = temporary("one two three");
    char buffer[3];
    struct counted read = {.op = {.kind = CALM__OP_READ,
                               .fd = fd,
                               .buffer = buffer,
                               .size = 3,
                               .offset = 4}};
    start(&read);
    assert_int_equal(backend->certain, 1);
    assert_int_equal(finish(&read), 3);
    assert_memory_equal(buffer, "two", 3);
    close(fd);
}

static void a_write_and_a_sync_reach_the_file(void **state)
{
    int fd = temporary("one two");
    struct counted write = {.op = {.kind = CALM__OP_WRITE,
                                .fd = fd,
                                .buffer = "TWO",
                                .size = 3,
                                .offset = 4}};
    start(&write);
    assert_int_equal(finish(&write), 3);
    for (int data_only = 0; data_only < 2; data_only++) {
        struct counted sync = {
            .op = {.kind = CALM__OP_FSYNC, .fd = fd, .offset = data_only}};
        start(&sync);
        assert_int_equal(finish(&sync), 0);
    }
    char buffer[8] = "";
    assert_int_equal(pread(fd, buffer, 7, 0), 7);
    assert_string_equal(buffer, "one TWO");
    close(fd);
}

static void an_offset_below_zero_is_the_current_position(void **state)
{
    int fd = temporary("one two");
    assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
    char buffer[3];
    struct counted read = {.op = {.kind = CALM__OP_READ,
                               .fd = fd,
                               .buffer = buffer,
                               .size = 3,
                               .offset = -1}};
    start(&read);
    assert_int_equal(finish(&read), 3);
    assert_memory_equal(buffer, "two", 3);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
    close(fd);
}

static void a_read_of_more_than_2_gib_is_cut_and_not_refused(void **state)
{
    /* Address space only: the file ends after one byte. */
    size_t size = (size_t)5 << 30;
    void *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffer == MAP_FAILED)
        skip();
    int fd = temporary("x");
    struct counted read = {.op = {.kind = CALM__OP_READ,
                               .fd = fd,
                               .buffer = buffer,
                               .size = size,
                               .offset = 0}};
    start(&read);
    assert_int_equal(finish(&read), 1);
    close(fd);
    munmap(buffer, size);
}

static void a_failing_operation_gives_its_errno(void **state)
{
    char buffer[1];
    struct counted read = {
        .op = {.kind = CALM__OP_READ, .fd = 999, .buffer = buffer, .size = 1}};
    start(&read);
    assert_int_equal(finish(&read), -EBADF);
    struct counted wait = wait_for(CALM__OP_READABLE, 999);
    start(&wait);
    assert_int_equal(finish(&wait), -EBADF);
    wait = wait_for(CALM__OP_WRITABLE, -1);
    start(&wait);
    assert_int_equal(finish(&wait), -EBADF);
}

static void readable_ends_when_there_is_something_to_read(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(backend->possible, 1);
    turn(0);
    turn(CALM_MS);
    assert_int_equal(wait.done, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&wait), 0);
}

static void readable_ends_when_the_peer_has_gone(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    shutdown(pair[1], SHUT_RDWR);
    assert_int_equal(finish(&wait), 0);
}

static void waits_in_both_directions_end_each_for_itself(void **state)
{
    struct counted reader = wait_for(CALM__OP_READABLE, pair[0]);
    struct counted writer = wait_for(CALM__OP_WRITABLE, pair[0]);
    start(&reader);
    start(&writer);
    assert_int_equal(finish(&writer), 0);
    assert_int_equal(reader.done, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&reader), 0);
}

static void an_error_ends_both_directions(void **state)
{
    char chunk[4096] = "";
    while (write(pair[0], chunk, sizeof chunk) > 0)
        continue;
    struct counted reader = wait_for(CALM__OP_READABLE, pair[0]);
    struct counted writer = wait_for(CALM__OP_WRITABLE, pair[0]);
    start(&reader);
    start(&writer);
    turn(0);
    assert_int_equal(reader.done + writer.done, 0);
    close(pair[1]);
    pair[1] = -1;
    assert_int_equal(finish(&reader), 0);
    assert_int_equal(finish(&writer), 0);
}

static void a_wait_can_follow_a_wait_many_times(void **state)
{
    for (int i = 0; i < 1000; i++) {
        char byte = 'x';
        struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
        start(&wait);
        assert_int_equal(write(pair[1], &byte, 1), 1);
        assert_int_equal(finish(&wait), 0);
        assert_int_equal(read(pair[0], &byte, 1), 1);
    }
}

static void data_that_came_without_a_waiter_is_seen_by_the_next(void **state)
{
    char byte = 'x';
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(write(pair[1], &byte, 1), 1);
    assert_int_equal(finish(&wait), 0);
    /* Nobody reads; the other direction makes the backend look again. */
    struct counted other = wait_for(CALM__OP_READABLE, pair[1]);
    start(&other);
    turn(CALM_MS);
    turn(CALM_MS);
    wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(finish(&wait), 0);
    cancel(&other);
    assert_int_equal(finish(&other), -ECANCELED);
}

static void a_regular_file_is_always_ready(void **state)
{
    int fd = temporary("x");
    struct counted wait = wait_for(CALM__OP_READABLE, fd);
    start(&wait);
    assert_int_equal(finish(&wait), 0);
    wait = wait_for(CALM__OP_WRITABLE, fd);
    start(&wait);
    assert_int_equal(finish(&wait), 0);
    close(fd);
}

static void a_second_waiter_in_one_direction_is_busy(void **state)
{
    struct counted first = wait_for(CALM__OP_READABLE, pair[0]);
    struct counted second = wait_for(CALM__OP_READABLE, pair[0]);
    start(&first);
    start(&second);
    assert_int_equal(finish(&second), -EBUSY);
    assert_int_equal(first.done, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&first), 0);
}

static void a_cancelled_wait_ends_and_makes_room_for_another(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    turn(0);
    cancel(&wait);
    cancel(&wait);
    assert_int_equal(wait.done, 0);
    assert_int_equal(finish(&wait), -ECANCELED);
    assert_int_equal(write(pair[1], "x", 1), 1);
    wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    assert_int_equal(finish(&wait), 0);
}

static void a_cancel_before_the_first_poll_works_too(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    cancel(&wait);
    assert_int_equal(finish(&wait), -ECANCELED);
    char buffer[1];
    int fd = temporary("x");
    struct counted read = {
        .op = {.kind = CALM__OP_READ, .fd = fd, .buffer = buffer, .size = 1}};
    start(&read);
    cancel(&read);
    int64_t result = finish(&read);
    assert_true(result == 1 || result == -ECANCELED);
    close(fd);
}

static void forget_ends_waits_with_ebadf(void **state)
{
    struct counted reader = wait_for(CALM__OP_READABLE, pair[0]);
    start(&reader);
    turn(0);
    /* Not yet seen by the kernel when the descriptor is forgotten. */
    char chunk[4096] = "";
    while (write(pair[0], chunk, sizeof chunk) > 0)
        continue;
    struct counted writer = wait_for(CALM__OP_WRITABLE, pair[0]);
    start(&writer);
    backend->methods->forget(backend, pair[0]);
    close(pair[0]);
    assert_int_equal(reader.done + writer.done, 0);
    turn(0);
    assert_int_equal(reader.done, 1);
    assert_int_equal(writer.done, 1);
    assert_int_equal(reader.op.result, -EBADF);
    assert_int_equal(writer.op.result, -EBADF);
    /* And the file is really closed: nothing holds on to it. */
    assert_int_equal(recv(pair[1], chunk, 1, MSG_PEEK), 1);
    while (recv(pair[1], chunk, sizeof chunk, 0) > 0)
        continue;
    assert_int_equal(recv(pair[1], chunk, 1, 0), 0);
    pair[0] = -1;
}

static void a_forgotten_number_serves_the_next_file(void **state)
{
    struct counted first = wait_for(CALM__OP_READABLE, pair[0]);
    start(&first);
    turn(0);
    backend->methods->forget(backend, pair[0]);
    int ends[2];
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(dup2(ends[0], pair[0]), pair[0]);
    struct counted second = wait_for(CALM__OP_READABLE, pair[0]);
    start(&second);
    assert_int_equal(finish(&first), -EBADF);
    turn(CALM_MS);
    assert_int_equal(second.done, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(finish(&second), 0);
    close(ends[0]);
    close(ends[1]);
}

static void forget_of_what_nobody_waits_for_does_nothing(void **state)
{
    backend->methods->forget(backend, pair[0]);
    backend->methods->forget(backend, 12345);
    backend->methods->forget(backend, -1);
    turn(0);
}

static void a_poll_waits_as_long_as_it_is_told(void **state)
{
    int64_t begin = calm__clock_now();
    for (int i = 0; i < 50; i++)
        turn(200 * CALM_US);
    int64_t lasted = calm__clock_now() - begin;
    /* The first turn may end early, when the backend sets itself up. */
    assert_true(lasted >= 48 * 200 * CALM_US);
}

static void a_wake_before_the_wait_ends_it(void **state)
{
    int64_t begin = calm__clock_now();
    for (int i = 0; i < 100; i++) {
        backend->methods->wake(backend);
        backend->methods->wake(backend);
        assert_int_equal(backend->methods->poll(backend, 60 * CALM_S), 0);
    }
    assert_true(calm__clock_now() - begin < 30 * CALM_S);
}

static void *wake_again_and_again(void *arg)
{
    atomic_bool *enough = arg;
    while (!atomic_load(enough)) {
        usleep(1000);
        backend->methods->wake(backend);
    }
    return NULL;
}

static void a_wake_of_another_thread_ends_a_wait(void **state)
{
    pthread_t thread;
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    turn(0);
    atomic_bool enough = false;
    pthread_create(&thread, NULL, wake_again_and_again, &enough);
    /* Endless waits: without the wakes this test would not end. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(backend->methods->poll(backend, CALM_FOREVER), 0);
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    cancel(&wait);
    assert_int_equal(finish(&wait), -ECANCELED);
}

static void wake_in_handler(int number)
{
    backend->methods->wake(backend);
}

static void a_wake_of_a_signal_handler_ends_a_wait(void **state)
{
    signal(SIGALRM, wake_in_handler);
    ualarm(2000, 0);
    assert_int_equal(backend->methods->poll(backend, CALM_FOREVER), 0);
    signal(SIGALRM, SIG_DFL);
}

static void a_wait_survives_a_wake_with_its_descriptor(void **state)
{
    struct counted wait = wait_for(CALM__OP_READABLE, pair[0]);
    start(&wait);
    for (int i = 0; i < 100; i++) {
        backend->methods->wake(backend);
        turn(CALM_S);
    }
    assert_int_equal(wait.done, 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(finish(&wait), 0);
}

static struct counted chained;

static void start_next(struct calm__op *op)
{
    count_done(op);
    chained = wait_for(CALM__OP_WRITABLE, pair[1]);
    start(&chained);
    backend->methods->forget(backend, pair[0]);
}

static void done_may_start_and_forget_others(void **state)
{
    struct counted wait = wait_for(CALM__OP_WRITABLE, pair[0]);
    start(&wait);
    wait.op.done = start_next;
    assert_int_equal(finish(&wait), 0);
    assert_int_equal(finish(&chained), 0);
}

enum {
    MANY = 1000,
};

static void a_thousand_files_are_read_at_once(void **state)
{
    int fd = temporary("0123456789");
    static struct counted reads[MANY];
    static char buffers[MANY];
    for (int i = 0; i < MANY; i++) {
        reads[i] = (struct counted){.op = {.kind = CALM__OP_READ,
                                        .fd = fd,
                                        .buffer = &buffers[i],
                                        .size = 1,
                                        .offset = i % 10}};
        start(&reads[i]);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(finish(&reads[i]), 1);
        assert_int_equal(buffers[i], '0' + i % 10);
    }
    close(fd);
}

static void a_thousand_waits_are_cancelled_at_once(void **state)
{
    static struct counted waits[MANY];
    int fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = dup(pair[0]);
        assert_true(fds[i] >= 0);
        waits[i] = wait_for(CALM__OP_READABLE, fds[i]);
        start(&waits[i]);
    }
    for (int i = 0; i < MANY; i++)
        cancel(&waits[i]);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(finish(&waits[i]), -ECANCELED);
        backend->methods->forget(backend, fds[i]);
        close(fds[i]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
    const struct CMUnitTest backend_tests[] = {
        TEST(a_read_gives_the_bytes_at_its_offset),
        TEST(a_write_and_a_sync_reach_the_file),
        TEST(an_offset_below_zero_is_the_current_position),
        TEST(a_read_of_more_than_2_gib_is_cut_and_not_refused),
        TEST(a_failing_operation_gives_its_errno),
        TEST(readable_ends_when_there_is_something_to_read),
        TEST(readable_ends_when_the_peer_has_gone),
        TEST(waits_in_both_directions_end_each_for_itself),
        TEST(an_error_ends_both_directions),
        TEST(a_wait_can_follow_a_wait_many_times),
        TEST(data_that_came_without_a_waiter_is_seen_by_the_next),
        TEST(a_regular_file_is_always_ready),
        TEST(a_second_waiter_in_one_direction_is_busy),
        TEST(a_cancelled_wait_ends_and_makes_room_for_another),
        TEST(a_cancel_before_the_first_poll_works_too),
        TEST(forget_ends_waits_with_ebadf),
        TEST(a_forgotten_number_serves_the_next_file),
        TEST(forget_of_what_nobody_waits_for_does_nothing),
        TEST(a_poll_waits_as_long_as_it_is_told),
        TEST(a_wake_before_the_wait_ends_it),
        TEST(a_wake_of_another_thread_ends_a_wait),
        TEST(a_wake_of_a_signal_handler_ends_a_wait),
        TEST(a_wait_survives_a_wake_with_its_descriptor),
        TEST(done_may_start_and_forget_others),
        TEST(a_thousand_files_are_read_at_once),
        TEST(a_thousand_waits_are_cancelled_at_once),
    };
    return RUN_ON_BOTH_BACKENDS(backend_tests);
}
