/* test_process_pool.c - work in other processes, and what ends there */
#include "test.h"

#include "base/fault.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void nothing_is_left(int descriptors)
{
    check_equal(waitpid(-1, NULL, WNOHANG), -1);
    check_equal(errno, ECHILD);
    check_equal(open_descriptors(), descriptors);
}

/* Opens a pool of COUNT, runs FN with it, closes it, and looks for remains. */
static int with_pool(int count, calm_fn *fn)
{
    int descriptors = open_descriptors();
    calm_process_pool *pool;
    const calm_process_pool_opts opts = {.processes = count};
    if (!check_equal(calm_process_pool_open(&opts, &pool), 0))
        return -1;
    int rc = run_real(fn, pool);
    calm_process_pool_close(pool);
    nothing_is_left(descriptors);
    return rc;
}

/* The state in /proc, and whose child it is; 0 if there is no such process. */
static int process_state(pid_t id, pid_t *ret_parent)
{
    char name[64], state = 0;
    int parent = 0;
    snprintf(name, sizeof name, "/proc/%d/stat", (int)id);
    FILE *file = fopen(name, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %c %d", &state, &parent) != 2)
        state = 0;
    fclose(file);
    if (ret_parent)
        *ret_parent = parent;
    return state;
}

/* Another process needs a moment to die; a test that waits is a test that
 * hangs when it does not. */
static bool is_gone(pid_t id)
{
    for (int i = 0; i < 2000; i++) {
        int state = process_state(id, NULL);
        if (state == 0 || state == 'Z')
            return true;
        usleep(1000);
    }
    return false;
}

/* ---- what workers do ---- */

static int twice(void *item)
{
    *(int *)item *= 2;
    return 0;
}

static int misbehave(void *item)
{
    int number = *(int *)item;
    if (number == 3)
        raise(SIGKILL);
    if (number == 5)
        _exit(4);
    if (number == 7)
        return calm_fail(-EDOM, "seven is bad, in process %d", 7);
    return number * 10;
}

static int hang(void *item)
{
    while (pause() != 0)
        continue;
    return 0;
}

static int count_calls(void *item)
{
    static int calls;
    *(int *)item = ++calls;
    return 0;
}

static int tell_id(void *item)
{
    *(int *)item = (int)getpid();
    usleep(2000);
    return 0;
}

static int look_around(void *item)
{
    int descriptors = open_descriptors();
    char byte;
    *(int *)item = read(STDIN_FILENO, &byte, 1) == 0;
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGTERM) ? -1 : descriptors;
}

static int run_inside(void *item)
{
    return calm_run(twice, item);
}

static int wait_in_vain(void *item)
{
    return calm_sleep(1);
}

static int fill(void *item)
{
    memset(item, 'x', 1 << 20);
    return 0;
}

/* ---- the plain way ---- */

static int items_main(void *pool)
{
    int items[1000];
    for (int i = 0; i < 1000; i++)
        items[i] = i;
    check_equal(
        calm_process_map(pool, twice, items, 1000, sizeof *items, NULL), 0);
    for (int i = 0; i < 1000; i++)
        check_equal(items[i], 2 * i);
    check_equal(calm_process_map(pool, twice, NULL, 0, 4, NULL), 0);
    check_equal(calm_process_pool_count(pool), 2);
    return 0;
}

static int items_come_back_changed(void *arg)
{
    return with_pool(2, items_main);
}

static int sentences_main(void *pool)
{
    int item = 7;
    check_equal(calm_process_call(pool, misbehave, &item, sizeof item), -EDOM);
    check_text(calm_message(-EDOM), "seven is bad, in process 7");
    item = 2;
    check_equal(calm_process_call(pool, misbehave, &item, sizeof item), 20);
    check_equal(calm_process_call(pool, wait_in_vain, &item, 4), -EPERM);
    check_contains(calm_message(-EPERM), "outside a task");
    return 0;
}

static int code_and_sentence_travel_back(void *arg)
{
    return with_pool(1, sentences_main);
}

static int static_main(void *pool)
{
    int item = 0;
    for (int i = 1; i <= 3; i++) {
        check_equal(calm_process_call(pool, count_calls, &item, 4), 0);
        check_equal(item, i);
    }
    check_equal(calm_process_pool_id(pool, 1), 0);
    check(calm_process_pool_id(pool, 0) > 0);
    check_equal(calm_process_pool_id(pool, 2), 0);
    check_equal(calm_process_pool_id(pool, -1), 0);
    return 0;
}

static int a_worker_stays_and_no_more_start_than_are_needed(void *arg)
{
    return with_pool(2, static_main);
}

static int both_work_main(void *pool)
{
    int items[8] = {0};
    check_equal(calm_process_map(pool, tell_id, items, 8, 4, NULL), 0);
    bool both = false;
    for (int i = 0; i < 8; i++) {
        check(items[i] != (int)getpid());
        both |= items[i] != items[0];
    }
    check(both);
    return 0;
}

static int several_workers_share_the_items(void *arg)
{
    return with_pool(2, both_work_main);
}

static int around_main(void *pool)
{
    int item = 0;
    /* Three streams, the pipe, and the folder that is read, "." and "..". */
    check_equal(calm_process_call(pool, look_around, &item, 4), 7);
    check_equal(item, 1);
    item = 21;
    check_equal(calm_process_call(pool, run_inside, &item, 4), 0);
    check_equal(item, 42);
    return 0;
}

static int a_worker_has_nothing_of_the_program_and_may_run_its_own(void *arg)
{
    return with_pool(1, around_main);
}

static int large_main(void *pool)
{
    char *item = calloc(1, 1 << 20);
    check_equal(calm_process_call(pool, fill, item, 1 << 20), 0);
    check_equal(item[(1 << 20) - 1], 'x');
    check_equal(
        calm_process_call(pool, fill, item, (1 << 20) + 1), CALM_ELIMIT);
    check_contains(calm_message(CALM_ELIMIT), "hint: open it with a larger");
    free(item);
    return 0;
}

static int an_item_beyond_the_largest_is_refused(void *arg)
{
    return with_pool(1, large_main);
}

struct call {
    calm_process_pool *pool;
    calm_fn *fn;
    int item;
};

static int call(void *arg)
{
    struct call *call = arg;
    return calm_process_call(call->pool, call->fn, &call->item, 4);
}

static int order_main(void *pool)
{
    struct call calls[5];
    calm_call all[5];
    for (int i = 0; i < 5; i++) {
        calls[i] = (struct call){pool, count_calls, 0};
        all[i] = (calm_call){call, &calls[i]};
    }
    check_equal(calm_gather(all, 5, NULL), 0);
    for (int i = 0; i < 5; i++)
        check_equal(calls[i].item, i + 1);
    return 0;
}

static int who_waits_for_a_worker_gets_one_in_turn(void *arg)
{
    return with_pool(1, order_main);
}

static int sleep_and_count(void *arg)
{
    int rc = 0;
    while (rc == 0 && (rc = calm_sleep(CALM_MS)) == 0)
        ++*(int *)arg;
    return rc;
}

static int aside_main(void *pool)
{
    int count = 0, item = 0;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, sleep_and_count, &count);
    check_equal(calm_process_map(pool, tell_id, &item, 1, 4, NULL), 0);
    for (int i = 0; i < 10; i++)
        calm_process_call(pool, tell_id, &item, 4);
    calm_cancel(task);
    check(count > 0);
    return calm_group_end(&group, 0);
}

static int other_tasks_run_while_a_worker_works(void *arg)
{
    return with_pool(1, aside_main);
}

static int virtual_main(void *pool)
{
    int item = 0;
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_S);
    return calm_timeout_end(
        &timeout, calm_process_call(pool, tell_id, &item, 4));
}

static int a_virtual_clock_waits_for_the_answer(void *arg)
{
    calm_process_pool *pool;
    if (!check_equal(calm_process_pool_open(NULL, &pool), 0))
        return -1;
    check_equal(run_virtual(virtual_main, pool), 0);
    calm_process_pool_close(pool);
    return 0;
}

/* ---- ends ---- */

static int crash_main(void *pool)
{
    int items[10];
    calm_result results[10];
    for (int i = 0; i < 10; i++)
        items[i] = i;
    check_equal(calm_process_map(pool, misbehave, items, 10, sizeof *items,
                    &(calm_map_opts){.results = results}),
        0);
    for (int i = 0; i < 10; i++)
        if (i != 3 && i != 5 && i != 7)
            check_equal(results[i].code, i * 10);
    check_equal(results[3].code, -EPROTO);
    check_text(results[3].message,
        "the worker process was ended by SIGKILL while it worked on the item");
    check_equal(results[5].code, -EPROTO);
    check_text(results[5].message,
        "the worker process exited with status 4 while it worked on the item");
    check_equal(results[7].code, -EDOM);
    return 0;
}

static int a_crash_is_the_error_of_its_item_alone(void *arg)
{
    check_equal(with_pool(1, crash_main), 0);
    return with_pool(3, crash_main);
}

static int hang_main(void *pool)
{
    int item = 1;
    pid_t first;
    check_equal(calm_process_call(pool, twice, &item, 4), 0);
    first = calm_process_pool_id(pool, 0);
    for (int i = 0; i < 3; i++) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, i * 5 * CALM_MS);
        int rc = calm_process_call(pool, hang, &item, 4);
        check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    }
    check_equal(calm_process_call(pool, twice, &item, 4), 0);
    check_equal(item, 4);
    check(calm_process_pool_id(pool, 0) != first);
    check(is_gone(first));
    return 0;
}

static int a_worker_that_hangs_is_killed_and_replaced(void *arg)
{
    return with_pool(1, hang_main);
}

static int cancelled_main(void *pool)
{
    int items[6] = {1, 2, 3, 4, 5, 6};
    calm_result results[6];
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 5 * CALM_MS);
    int rc = calm_process_map(pool, hang, items, 6, sizeof *items,
        &(calm_map_opts){.results = results});
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    for (int i = 0; i < 6; i++) {
        check_equal(results[i].code, -ECANCELED);
        check_equal(items[i], i + 1);
    }
    check_equal(calm_process_map(pool, twice, items, 6, 4, NULL), 0);
    check_equal(items[5], 12);
    return 0;
}

static int a_cancelled_map_leaves_its_items_as_they_were(void *arg)
{
    return with_pool(2, cancelled_main);
}

static int idle_main(void *pool)
{
    int item = 1;
    for (int i = 0; i < 3; i++) {
        check_equal(calm_process_call(pool, twice, &item, 4), 0);
        pid_t id = calm_process_pool_id(pool, 0);
        if (!check(id > 0))
            return -1;
        kill(id, SIGTERM);
        check(is_gone(id));
    }
    check_equal(calm_process_call(pool, twice, &item, 4), 0);
    check_equal(item, 16);
    return 0;
}

static int a_worker_that_ends_between_items_is_replaced_unseen(void *arg)
{
    return with_pool(1, idle_main);
}

static int template_main(void *pool)
{
    int item = 1;
    pid_t template = 0;
    check_equal(calm_process_call(pool, twice, &item, 4), 0);
    pid_t id = calm_process_pool_id(pool, 0);
    if (!check(process_state(id, &template) != 0))
        return -1;
    kill(template, SIGKILL);
    check(is_gone(id));
    check_equal(calm_process_call(pool, twice, &item, 4), -EPIPE);
    check_contains(calm_message(-EPIPE), "the process pool has ended");
    check_equal(calm_process_call(pool, twice, &item, 4), -EPIPE);
    check_equal(item, 2);
    return 0;
}

static int a_killed_template_is_an_error_and_no_hang(void *arg)
{
    return with_pool(1, template_main);
}

static int refused_main(void *pool)
{
    int item = 1;
    check_equal(calm_process_call(pool, twice, &item, 4), -EAGAIN);
    check_contains(calm_message(-EAGAIN), "cannot start a worker process");
    check_equal(calm_process_call(pool, twice, &item, 4), 0);
    check_equal(item, 2);
    return 0;
}

static int a_worker_that_cannot_be_forked_is_an_error(void *arg)
{
    calm__fault_arm("worker", 1); /* the template inherits it */
    int rc = with_pool(1, refused_main);
    calm__fault_disarm();
    return rc;
}

static int unknown_main(void *pool)
{
    int item = 1;
    void *address =
        mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    calm_fn *fn;
    memcpy(&fn, &address, sizeof fn);
    check_equal(calm_process_call(pool, fn, &item, 4), -EINVAL);
    check_contains(calm_message(-EINVAL), "does not know the function");
    munmap(address, 4096);
    return 0;
}

static int a_function_that_workers_do_not_have_is_refused(void *arg)
{
    return with_pool(1, unknown_main);
}

/* ---- opening, and the program's own end ---- */

static int open_inside(void *arg)
{
    calm_process_pool *pool;
    check_equal(calm_process_pool_open(NULL, &pool), -EBUSY);
    check_contains(calm_message(-EBUSY), "before calm_run()");
    return 0;
}

static void *rest(void *arg)
{
    pause();
    return NULL;
}

static int it_is_opened_before_any_thread_is_there(void *arg)
{
    check_equal(run_real(open_inside, NULL), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, rest, NULL);
    open_inside(NULL);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    calm_process_pool *pool;
    check_equal(calm_process_pool_open(
                    &(calm_process_pool_opts){.processes = 257}, &pool),
        -EINVAL);
    check_equal(calm_process_pool_open(
                    &(calm_process_pool_opts){.largest = SIZE_MAX}, &pool),
        -EINVAL);
    return 0;
}

static int what_fails_while_opening_leaves_nothing(void *arg)
{
    static const char *const names[] = {"memory", "pipe", "fork"};
    int descriptors = open_descriptors();
    for (size_t i = 0; i < 3; i++)
        for (size_t nth = 1; nth <= 2; nth++) {
            calm_process_pool *pool = NULL;
            calm__fault_arm(names[i], nth);
            int rc = calm_process_pool_open(NULL, &pool);
            calm__fault_disarm();
            check(rc == (i == 0      ? -ENOMEM
                            : i == 1 ? -EMFILE
                                     : -EAGAIN) ||
                  nth == 2);
            if (rc == 0)
                calm_process_pool_close(pool);
            nothing_is_left(descriptors);
        }
    calm_process_pool_close(NULL);
    return 0;
}

static int told[2];

static int orphan_main(void *pool)
{
    struct call calls[2] = {{pool, hang, 0}, {pool, twice, 0}};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, call, &calls[0]);
    calm_spawn(&group, call, &calls[1]);
    while (!calm_process_pool_id(pool, 0) || !calm_process_pool_id(pool, 1))
        calm_sleep(CALM_MS);
    pid_t ids[3] = {
        calm_process_pool_id(pool, 0), calm_process_pool_id(pool, 1)};
    process_state(ids[0], &ids[2]);
    if (write(told[1], ids, sizeof ids) < 0)
        _exit(1);
    kill(getpid(), SIGKILL);
    return calm_group_end(&group, 0);
}

static void die_with_workers(void)
{
    calm_process_pool *pool;
    if (calm_process_pool_open(
            &(calm_process_pool_opts){.processes = 2}, &pool) == 0)
        run_real(orphan_main, pool);
}

static int workers_die_with_a_program_that_is_killed(void *arg)
{
    char text[256];
    pid_t ids[3];
    check_equal(pipe(told), 0);
    int status = run_child(die_with_workers, text, sizeof text);
    check(WIFSIGNALED(status));
    if (check_equal(read(told[0], ids, sizeof ids), sizeof ids))
        for (int i = 0; i < 3; i++)
            check(is_gone(ids[i]));
    close(told[0]);
    close(told[1]);
    return 0;
}

static int say(void *item)
{
    fputs("worker ", stdout);
    return 0;
}

static int say_main(void *pool)
{
    int item = 0;
    return calm_process_call(pool, say, &item, 4);
}

static void print_around_workers(void)
{
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    fputs("before ", stdout);
    calm_process_pool *pool;
    if (calm_process_pool_open(NULL, &pool) == 0)
        run_real(say_main, pool);
    calm_process_pool_close(pool);
    fputs("after", stdout);
    fflush(stdout);
}

static int text_that_is_not_written_yet_is_written_once(void *arg)
{
    char text[256];
    check_equal(run_child(print_around_workers, text, sizeof text), 0);
    check_text(text, "worker before after");
    return 0;
}

static void without_streams(void)
{
    int errors = dup(STDERR_FILENO);
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    calm_process_pool *pool;
    int rc = calm_process_pool_open(NULL, &pool);
    if (rc == 0)
        rc = run_real(say_main, pool);
    calm_process_pool_close(pool);
    dprintf(errors, "%d", rc);
}

static int a_program_without_standard_streams_has_workers_too(void *arg)
{
    char text[256];
    check_equal(run_child(without_streams, text, sizeof text), 0);
    check_text(text, "0");
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        plain_test(items_come_back_changed),
        plain_test(code_and_sentence_travel_back),
        plain_test(a_worker_stays_and_no_more_start_than_are_needed),
        plain_test(several_workers_share_the_items),
        plain_test(a_worker_has_nothing_of_the_program_and_may_run_its_own),
        plain_test(an_item_beyond_the_largest_is_refused),
        plain_test(who_waits_for_a_worker_gets_one_in_turn),
        plain_test(other_tasks_run_while_a_worker_works),
        plain_test(a_virtual_clock_waits_for_the_answer),
        plain_test(a_crash_is_the_error_of_its_item_alone),
        plain_test(a_worker_that_hangs_is_killed_and_replaced),
        plain_test(a_cancelled_map_leaves_its_items_as_they_were),
        plain_test(a_worker_that_ends_between_items_is_replaced_unseen),
        plain_test(a_killed_template_is_an_error_and_no_hang),
        plain_test(a_worker_that_cannot_be_forked_is_an_error),
        plain_test(a_function_that_workers_do_not_have_is_refused),
        plain_test(it_is_opened_before_any_thread_is_there),
        pure_test(what_fails_while_opening_leaves_nothing),
        plain_test(workers_die_with_a_program_that_is_killed),
        plain_test(text_that_is_not_written_yet_is_written_once),
        plain_test(a_program_without_standard_streams_has_workers_too),
    };
    return run_list("process_pool", tests, sizeof tests / sizeof *tests);
}
