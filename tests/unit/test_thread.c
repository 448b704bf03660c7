/* test_thread.c - calm's own threads have a name and no signals */
#include "unit.h"

#include "base/fault.h"
#include "host/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

struct seen {
    char name[16];
    sigset_t mask;
    size_t stack_size;
};

static void *look(void *arg)
{
    struct seen *seen = arg;
    /* The name is given by the thread that made us, perhaps later. */
    for (int i = 0; i < 1000000 && strcmp(seen->name, "calm-test") != 0; i++)
        pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &seen->stack_size);
    pthread_attr_destroy(&attributes);
    return NULL;
}

static void a_thread_has_its_name_its_stack_and_no_signals(void **state)
{
    pthread_t thread;
    struct seen seen = {.name = ""};
    assert_int_equal(
        calm__thread_start(&thread, "calm-test", 1 << 20, look, &seen), 0);
    pthread_join(thread, NULL);
    assert_string_equal(seen.name, "calm-test");
#ifndef __SANITIZE_ADDRESS__
    /* The sanitizer of gcc 14 gives a thread the mask of who made it,
     * whatever its attributes say. */
    assert_true(sigismember(&seen.mask, SIGINT));
    assert_true(sigismember(&seen.mask, SIGTERM));
#endif
    assert_in_range(seen.stack_size, 1 << 20, 2 << 20);
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    assert_false(sigismember(&own, SIGINT));
}

static void what_cannot_be_made_is_an_error(void **state)
{
    pthread_t thread;
    calm__fault_arm("thread", 1);
    assert_int_equal(
        calm__thread_start(&thread, "calm-test", 0, look, NULL), -EAGAIN);
    calm__fault_disarm();
    assert_int_equal(
        calm__thread_start(&thread, "calm-test", 1, look, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_has_its_name_its_stack_and_no_signals),
        cmocka_unit_test(what_cannot_be_made_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
