/* test_error.c - codes, sentences, and the chain behind them */
#include "test.h"

#include "base/error.h"
#include "base/fault.h"

#include <limits.h>
#include <pthread.h>

static int fail_returns_its_code_and_keeps_the_sentence(void *arg)
{
    check_equal(calm_fail(-ENOENT, "no file '%s'", "x.csv"), -ENOENT);
    check_text(calm_message(-ENOENT), "no file 'x.csv'");
    check_equal(calm_error_count(), 1);
    check_equal(calm_fail(-EIO, "later"), -EIO);
    check_equal(calm_error_count(), 1);
    check_text(calm_message(-EIO), "later");
    /* The slot explains its own code only. */
    check_text(calm_message(-ENOENT), "No such file or directory");
    errno = EACCES;
    calm_fail(-errno, "cannot open: %m");
    check_text(calm_message(-EACCES), "cannot open: Permission denied");
    calm_error_clear();
    check_equal(calm_error_count(), 0);
    check_equal(calm_error_get(0, NULL), 0);
    return 0;
}

static int sentence_may_be_made_of_the_one_before(void *arg)
{
    calm_fail(-EIO, "inner");
    calm_fail(-EPIPE, "outer (%s)", calm_message(-EIO));
    check_text(calm_message(-EPIPE), "outer (inner)");
    calm_while(-EPIPE, "after %s", calm_message(-EPIPE));
    check_text(calm_message(-EPIPE), "after outer (inner): outer (inner)");
    calm_error_clear();
    return 0;
}

static int while_adds_context_in_front(void *arg)
{
    calm_fail(CALM_EFORMAT, "line 3: no number");
    check_equal(calm_while(CALM_EFORMAT, "'%s'", "a.csv"), CALM_EFORMAT);
    check_text(calm_message(CALM_EFORMAT), "'a.csv': line 3: no number");
    calm_error_clear();
    check_equal(calm_while(-ENOENT, "reading"), -ENOENT);
    check_text(calm_message(-ENOENT), "reading: No such file or directory");
    check_equal(calm_while(0, "nothing"), 0);
    check_equal(calm_while(7, "nothing"), 7);
    check_text(calm_message(-ENOENT), "reading: No such file or directory");
    /* A sentence about another code is not what happened. */
    check_equal(calm_while(-EIO, "writing"), -EIO);
    check_text(calm_message(-EIO), "writing: Input/output error");
    check_equal(calm_error_count(), 1);
    calm_error_clear();
    return 0;
}

static int while_keeps_the_errors_behind(void *arg)
{
    struct calm__error *first = calm__error_new(-EIO, "first");
    first->next = calm__error_new(-EPIPE, "second");
    calm__error_set(first);
    calm_while(-EIO, "both");
    check_equal(calm_error_count(), 2);
    const char *text = "";
    check_equal(calm_error_get(0, &text), -EIO);
    check_text(text, "both: first");
    check_equal(calm_error_get(1, &text), -EPIPE);
    check_text(text, "second");
    check_equal(calm_error_get(2, &text), 0);
    calm_error_clear();
    return 0;
}

static int long_sentences_are_cut(void *arg)
{
    char text[3000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    calm_fail(-EIO, "%s", text);
    check_equal(strlen(calm_message(-EIO)), CALM_MESSAGE_MAX - 1);
    calm_while(-EIO, "%s", text);
    check_equal(strlen(calm_message(-EIO)), CALM_MESSAGE_MAX - 1);
    calm_while(-EIO, "context");
    check_contains(calm_message(-EIO), "context: aaa");
    check_equal(strlen(calm_message(-EIO)), CALM_MESSAGE_MAX - 1);
    calm_error_clear();
    return 0;
}

static int codes_have_names_and_texts(void *arg)
{
    check_text(calm_code_name(-ENOENT), "ENOENT");
    check_text(calm_code_name(CALM_EFORMAT), "CALM_EFORMAT");
    check_text(calm_code_name(CALM_ELIMIT), "CALM_ELIMIT");
    check_text(calm_code_name(CALM_EMODEL), "CALM_EMODEL");
    check_text(calm_code_name(CALM_EROW), "CALM_EROW");
    check_text(calm_code_name(-4711), "E4711");
    check_text(calm_code_name(INT_MIN), "E2147483648");
    check_text(calm_message(CALM_EROW), "the row failed");
    check_text(calm_message(-4711), "unknown error");
    check_text(calm_message(INT_MIN), "unknown error");
    check_text(calm_message(0), "success");
    check_text(calm_message(5), "success");
    return 0;
}

static int sleep_long(void *arg)
{
    return calm_sleep(CALM_S);
}

static int timeouts_and_closed_queues_are_no_talk_of_sockets(void *arg)
{
    int rc = calm_with_timeout(CALM_MS, sleep_long, NULL);
    check_equal(rc, -ETIMEDOUT);
    check_text(calm_message(rc), "the timeout expired");
    check_text(calm_code_name(rc), "ETIMEDOUT");
    calm_queue queue;
    check_equal(calm_queue_init(&queue, sizeof(int), 1, NULL), 0);
    calm_queue_close(&queue);
    rc = calm_queue_put(&queue, &(int){1});
    check_equal(rc, -ESHUTDOWN);
    check_text(calm_message(rc), "the queue was closed");
    calm_queue_clear(&queue);
    /* The kernel's own words stay where a sentence quotes them. */
    errno = ETIMEDOUT;
    calm_fail(-errno, "cannot connect to 'db': %m");
    check_text(calm_message(-ETIMEDOUT),
        "cannot connect to 'db': Connection timed out");
    calm_error_clear();
    return 0;
}

static int without_memory_the_code_travels(void *arg)
{
    calm_fail(-EIO, "an old one");
    calm__fault_arm("memory", 1);
    check_equal(calm_fail(-EIO, "cannot be kept"), -EIO);
    calm__fault_disarm();
    check_text(calm_message(-EIO), "Input/output error");
    calm_fail(-EIO, "sentence");
    calm__fault_arm("memory", 1);
    check_equal(calm_while(-EIO, "context"), -EIO);
    calm__fault_disarm();
    check_text(calm_message(-EIO), "Input/output error");
    calm_error_clear();
    return 0;
}

static int copy_is_of_the_whole_chain(void *arg)
{
    struct calm__error *first = calm__error_new(-EIO, "first");
    first->next = calm__error_new(-EPIPE, "second");
    struct calm__error *copy = calm__error_copy(first, -EIO);
    check(copy && copy != first && copy->next && !copy->next->next);
    check_text(copy->next->text, "second");
    calm__error_free(copy);
    copy = calm__error_copy(first, -ENOSPC);
    check(copy && !copy->next);
    check_text(copy->text, "No space left on device");
    calm__error_free(copy);
    calm__fault_arm("memory", 2);
    copy = calm__error_copy(first, -EIO);
    calm__fault_disarm();
    check(copy && !copy->next);
    calm__error_free(copy);
    calm__error_free(first);
    return 0;
}

static void *other_thread(void *arg)
{
    check_equal(calm_error_count(), 0);
    calm_fail(-EPIPE, "of the thread");
    check_text(calm_message(-EPIPE), "of the thread");
    calm_error_clear();
    return NULL;
}

static int threads_have_slots_of_their_own(void *arg)
{
    calm_fail(-EIO, "of main");
    pthread_t thread;
    check_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    check_text(calm_message(-EIO), "of main");
    calm_error_clear();
    return 0;
}

static int fail_and_wait(void *arg)
{
    calm_fail(-EIO, "task %d", (int)(intptr_t)arg);
    calm_sleep(CALM_MS);
    char expected[20];
    snprintf(expected, sizeof expected, "task %d", (int)(intptr_t)arg);
    check_text(calm_message(-EIO), expected);
    return 0;
}

static int tasks_have_slots_of_their_own(void *arg)
{
    calm_fail(-EIO, "of main");
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 10; i++)
        calm_spawn(&group, fail_and_wait, number(i));
    int rc = calm_group_end(&group, 0);
    check_text(calm_message(-EIO), "of main");
    calm_error_clear();
    return rc;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(fail_returns_its_code_and_keeps_the_sentence),
        pure_test(sentence_may_be_made_of_the_one_before),
        pure_test(while_adds_context_in_front),
        pure_test(while_keeps_the_errors_behind),
        pure_test(long_sentences_are_cut),
        pure_test(codes_have_names_and_texts),
        virtual_test(timeouts_and_closed_queues_are_no_talk_of_sockets),
        pure_test(without_memory_the_code_travels),
        pure_test(copy_is_of_the_whole_chain),
        pure_test(threads_have_slots_of_their_own),
        virtual_test(tasks_have_slots_of_their_own),
    };
    return run_list("error", tests, sizeof tests / sizeof *tests);
}
