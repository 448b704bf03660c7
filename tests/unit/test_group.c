/* test_group.c - no task outlives its group; the first failure cancels */
#include "test.h"

struct log {
    char text[256];
};

static void note(struct log *log, const char *word)
{
    size_t len = strlen(log->text);
    snprintf(log->text + len, sizeof log->text - len, "%s ", word);
}

struct worker {
    struct log *log;
    calm_group *group;
    const char *word;
    int code; /* of its clean-up; 0: passes on */
    int ms;
};

static int work(void *arg)
{
    struct worker *worker = arg;
    int rc = calm_sleep(worker->ms ? worker->ms * CALM_MS : CALM_FOREVER);
    note(worker->log, worker->word);
    return worker->code ? calm_fail(worker->code, "%s", worker->word) : rc;
}

static int empty_group_returns_the_code_of_its_body(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    check_equal(calm_group_size(&group), 0);
    check_equal(calm_group_end(&group, 12), 12);
    calm_group_begin(&group);
    check_equal(
        calm_group_end(&group, calm_fail(-EPROTO, "the body")), -EPROTO);
    check_text(calm_message(-EPROTO), "the body");
    check_equal(calm_error_count(), 1);
    calm_error_clear();
    calm_group_begin(&group);
    check_equal(calm_group_end(&group, -ECANCELED), -ECANCELED);
    return 0;
}

static int spawn_sibling(void *arg)
{
    struct worker *worker = arg;
    calm_sleep(5 * CALM_MS);
    check(calm_spawn(worker->group, work, worker) != NULL);
    return 0;
}

static int spawn_by_a_child_into_its_own_group_is_awaited(void *arg)
{
    struct log log = {""};
    calm_group group;
    struct worker worker = {&log, &group, "late", 0, 20};
    calm_group_begin(&group);
    calm_spawn(&group, spawn_sibling, &worker);
    int rc = calm_group_end(&group, 0);
    check_text(log.text, "late ");
    return rc;
}

static int first_failure_cancels_siblings_and_body(void *arg)
{
    struct log log = {""};
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, work, &(struct worker){&log, &group, "sleeper"});
    calm_spawn(
        &group, work, &(struct worker){&log, &group, "failed", -EIO, 10});
    int rc = calm_sleep(CALM_S);
    check_equal(rc, -ECANCELED);
    note(&log, "body");
    rc = calm_group_end(&group, rc);
    check_equal(rc, -EIO);
    check_text(calm_message(rc), "failed");
    check_equal(calm_error_count(), 1);
    check_text(log.text, "failed sleeper body ");
    check_equal(ms_since(start), 10);
    check(!calm_cancelled());
    calm_error_clear();
    return 0;
}

static int clean_up_and_fail(void *arg)
{
    struct worker *worker = arg;
    check_equal(calm_sleep(CALM_FOREVER), -ECANCELED);
    calm_shield shield;
    calm_shield_begin(&shield);
    check_equal(calm_sleep(worker->ms * CALM_MS), 0);
    calm_shield_end(&shield);
    return calm_fail(worker->code, "%s", worker->word);
}

static int later_failures_stay_behind_the_first_in_order(void *arg)
{
    struct log log = {""};
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, clean_up_and_fail,
        &(struct worker){&log, &group, "third", -EPIPE, 30});
    calm_spawn(&group, clean_up_and_fail,
        &(struct worker){&log, &group, "second", -ENOSPC, 20});
    calm_spawn(&group, work, &(struct worker){&log, &group, "first", -EIO, 10});
    int rc = calm_group_end(&group, 0);
    check_equal(rc, -EIO);
    check_equal(ms_since(start), 40);
    check_equal(calm_error_count(), 3);
    static const struct {
        int code;
        const char *text;
    } expected[] = {{-EIO, "first"}, {-ENOSPC, "second"}, {-EPIPE, "third"}};
    for (size_t i = 0; i < 3; i++) {
        const char *text = "";
        check_equal(calm_error_get(i, &text), expected[i].code);
        check_text(text, expected[i].text);
    }
    check_equal(calm_error_get(3, NULL), 0);
    calm_error_clear();
    return 0;
}

static int two_failures_inside(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, fail_saying, "inner one");
    calm_spawn(&group, fail_saying, "inner two");
    return calm_while(calm_group_end(&group, 0), "inner");
}

/* What a child has kept of several failures goes up with it. */
static int failures_of_a_nested_group_come_up_together(void *arg)
{
    struct log log = {""};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, clean_up_and_fail,
        &(struct worker){&log, &group, "outer", -EPIPE, 5});
    calm_spawn(&group, two_failures_inside, NULL);
    int rc = calm_group_end(&group, 0);
    check_equal(rc, -EIO);
    check_text(calm_message(rc), "inner: inner one");
    check_equal(calm_error_count(), 3);
    const char *text = "";
    check_equal(calm_error_get(1, &text), -EIO);
    check_text(text, "inner two");
    check_equal(calm_error_get(2, &text), -EPIPE);
    check_text(text, "outer");
    calm_error_clear();
    return 0;
}

static int failure_of_the_body_comes_before_those_it_causes(void *arg)
{
    struct log log = {""};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, clean_up_and_fail,
        &(struct worker){&log, &group, "child", -EPIPE, 5});
    calm_checkpoint();
    int rc = calm_group_end(&group, calm_fail(-EPROTO, "body"));
    check_equal(rc, -EPROTO);
    check_text(calm_message(rc), "body");
    check_equal(calm_error_count(), 2);
    calm_error_clear();
    return 0;
}

static int thousands_of_failures_are_kept_in_order(void *arg)
{
    static char names[100000][8];
    int64_t start = calm_now();
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 100000; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        calm_release(calm_spawn(&group, fail_saying, names[i]));
    }
    check_equal(calm_group_end(&group, 0), -EIO);
    check_equal(calm_error_count(), 100000);
    const char *text = "";
    check_equal(calm_error_get(99999, &text), -EIO);
    check_text(text, "99999");
    check(calm_now() - start < 5 * CALM_S); /* quadratic: 20 s */
    calm_error_clear();
    return 0;
}

static int code_without_a_sentence_gets_the_general_text(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, return_number, number(-ENOSPC));
    int rc = calm_group_end(&group, 0);
    check_equal(rc, -ENOSPC);
    check_text(calm_message(rc), "No space left on device");
    calm_error_clear();
    return 0;
}

static int other_sentence_than_the_code(void *arg)
{
    calm_fail(-ENOENT, "about something else");
    return -ENOSPC;
}

static int sentence_of_another_code_is_not_taken(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, other_sentence_than_the_code, NULL);
    int rc = calm_group_end(&group, 0);
    check_equal(rc, -ENOSPC);
    check_text(calm_message(rc), "No space left on device");
    calm_error_clear();
    return 0;
}

/* ---- cancel of a group ---- */

static int cancelled_group_has_not_failed(void *arg)
{
    struct log log = {""};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, work, &(struct worker){&log, &group, "child"});
    calm_checkpoint();
    calm_group_cancel(&group);
    calm_group_cancel(&group);
    check(calm_cancelled());
    check_equal(calm_sleep(1), -ECANCELED);
    check(calm_spawn(&group, return_number, NULL) == NULL);
    check_equal(calm_group_end(&group, -ECANCELED), 0);
    check_text(log.text, "child ");
    check(!calm_cancelled());
    return 0;
}

static int cancel_of_one_child_leaves_the_group(void *arg)
{
    struct log log = {""};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task =
        calm_spawn(&group, work, &(struct worker){&log, &group, "cancelled"});
    calm_spawn(&group, work, &(struct worker){&log, &group, "other", 0, 20});
    calm_sleep(CALM_MS);
    calm_cancel(task);
    check_equal(calm_sleep(CALM_MS), 0);
    check_equal(calm_group_size(&group), 1);
    check_equal(calm_group_end(&group, 3), 3);
    check_text(log.text, "cancelled other ");
    return 0;
}

/* Nobody cancelled it: saying so is a failure as any other. */
static int cancel_without_a_cause_is_a_failure(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, return_number, number(-ECANCELED));
    check_equal(calm_sleep(CALM_S), -ECANCELED);
    check_equal(calm_group_end(&group, -ECANCELED), -ECANCELED);
    check(!calm_cancelled());
    calm_error_clear();
    return 0;
}

struct breeder {
    calm_group *group;
    int spawned, refused, ended;
};

static int breed(void *arg)
{
    struct breeder *breeder = arg;
    for (int i = 0; i < 4; i++) {
        if (calm_spawn(breeder->group, breed, breeder))
            breeder->spawned++;
        else
            breeder->refused++;
        calm_checkpoint();
    }
    breeder->ended++;
    return calm_sleep(CALM_S);
}

static int fail_after_5_ms(void *arg)
{
    calm_sleep(5 * CALM_MS);
    return calm_fail(-EIO, "enough");
}

static int spawn_for_ever(void *arg)
{
    struct breeder *breeder = arg;
    while (calm_sleep(CALM_MS) == 0)
        if (calm_spawn(breeder->group, spawn_for_ever, breeder))
            breeder->spawned++;
    /* Aborting: more attempts are refused. */
    for (int i = 0; i < 10; i++)
        if (!calm_spawn(breeder->group, spawn_for_ever, breeder))
            breeder->refused++;
    breeder->ended++;
    return 0;
}

static int storm_of_spawns_while_aborting_is_refused(void *arg)
{
    calm_group group;
    struct breeder breeder = {&group};
    calm_group_begin(&group);
    calm_spawn(&group, spawn_for_ever, &breeder);
    calm_spawn(&group, fail_after_5_ms, NULL);
    check_equal(calm_group_end(&group, 0), -EIO);
    check_equal(breeder.ended, breeder.spawned + 1);
    check_equal(breeder.refused, 10 * breeder.ended);
    check(breeder.spawned >= 15);
    calm_error_clear();
    return 0;
}

static int storm_of_spawns_after_a_cancel_is_refused(void *arg)
{
    calm_group group;
    struct breeder breeder = {&group};
    calm_group_begin(&group);
    calm_spawn(&group, breed, &breeder);
    calm_group_cancel(&group);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(breeder.spawned, 0);
    check_equal(breeder.refused, 4);
    return 0;
}

static int group_begun_when_cancelled_takes_no_tasks(void *arg)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 0);
    calm_group group;
    calm_group_begin(&group);
    check(calm_spawn(&group, return_number, NULL) == NULL);
    int rc = calm_group_end(&group, 0);
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    return 0;
}

static int group_in_an_expired_timeout_ends_its_tasks(void *arg)
{
    struct log log = {""};
    int64_t start = calm_now();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 10 * CALM_MS);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, work, &(struct worker){&log, &group, "child"});
    int rc = calm_group_end(&group, 0);
    check_equal(rc, -ECANCELED);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_text(log.text, "child ");
    check_equal(ms_since(start), 10);
    return 0;
}

static int timeout_inside_of_the_body_leaves_the_tasks(void *arg)
{
    struct log log = {""};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, work, &(struct worker){&log, &group, "child", 0, 50});
    check_equal(
        calm_with_timeout(10 * CALM_MS, sleep_ms, number(20)), -ETIMEDOUT);
    check_equal(calm_group_size(&group), 1);
    check_equal(calm_group_end(&group, 0), 0);
    check_text(log.text, "child ");
    return 0;
}

static int failure_and_expiry_in_one_tick_is_the_failure(void *arg)
{
    struct log log = {""};
    for (int ms = 9; ms <= 10; ms++) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, 10 * CALM_MS);
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(
            &group, work, &(struct worker){&log, &group, "failed", -EIO, ms});
        int rc = calm_group_end(&group, calm_sleep(CALM_S));
        check_equal(calm_timeout_end(&timeout, rc), -EIO);
        check_text(calm_message(-EIO), "failed");
        calm_error_clear();
    }
    return 0;
}

static int nested_groups_abort_from_the_inside_only(void *arg)
{
    struct log log = {""};
    calm_group outer, inner;
    calm_group_begin(&outer);
    calm_spawn(&outer, work, &(struct worker){&log, &outer, "outer", 0, 20});
    calm_group_begin(&inner);
    calm_spawn(&inner, fail_saying, "inner");
    check_equal(calm_group_end(&inner, calm_sleep(CALM_S)), -EIO);
    calm_error_clear();
    check_equal(calm_sleep(CALM_MS), 0);
    check_equal(calm_group_end(&outer, 0), 0);
    check_text(log.text, "outer ");
    return 0;
}

static int failure_in_the_outer_group_cancels_the_inner(void *arg)
{
    struct log log = {""};
    calm_group outer, inner;
    calm_group_begin(&outer);
    calm_spawn(&outer, fail_after_5_ms, NULL);
    calm_group_begin(&inner);
    calm_spawn(&inner, work, &(struct worker){&log, &inner, "inner"});
    int rc = calm_group_end(&inner, 0);
    check_equal(rc, -ECANCELED);
    check_equal(calm_group_end(&outer, rc), -EIO);
    check_text(log.text, "inner ");
    calm_error_clear();
    return 0;
}

/* The body is told of the end of the last task, then cancelled: it is over. */
static int end_and_cancel_in_one_tick_the_end_wins(void *arg);

struct ending {
    int rc;
    bool cancelled_after;
};

static int end_a_group(void *arg)
{
    struct ending *ending = arg;
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, sleep_ms, number(10));
    ending->rc = calm_group_end(&group, 5);
    ending->cancelled_after = calm_cancelled();
    return 0;
}

static int end_and_cancel_in_one_tick_the_end_wins(void *arg)
{
    struct ending ending = {0};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, end_a_group, &ending);
    calm_checkpoint();        /* it spawns */
    calm_checkpoint();        /* the child sleeps, its timer before ours */
    calm_sleep(10 * CALM_MS); /* the child is ready, before us */
    calm_cancel(task);        /* it ended: the body is ready, not running */
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(ending.rc, 5);
    check(ending.cancelled_after);
    return 0;
}

static int spawn_after_10_ms(void *arg)
{
    struct worker *worker = arg;
    calm_sleep(10 * CALM_MS);
    check_equal(calm_group_size(worker->group), 0);
    check(calm_spawn(worker->group, work, worker) != NULL);
    return 0;
}

/* The last task has ended and the body is ready, but it has not run yet. */
static int spawn_between_the_last_end_and_the_body_is_awaited(void *arg)
{
    struct log log = {""};
    calm_group outer, inner;
    struct worker worker = {&log, &inner, "late", 0, 20};
    calm_group_begin(&outer);
    calm_group_begin(&inner);
    calm_spawn(&inner, sleep_ms, number(10));
    calm_spawn(&outer, spawn_after_10_ms, &worker);
    check_equal(calm_group_end(&inner, 0), 0);
    check_text(log.text, "late ");
    return calm_group_end(&outer, 0);
}

static int group_used_again_begins_anew(void *arg)
{
    calm_group group;
    for (int i = 0; i < 3; i++) {
        calm_group_begin(&group);
        calm_spawn(&group, fail_saying, "again");
        check_equal(calm_group_end(&group, 0), -EIO);
        check_equal(calm_error_count(), 1);
        calm_group_begin(&group);
        calm_spawn(&group, return_number, NULL);
        check_equal(calm_group_end(&group, i), i);
    }
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(empty_group_returns_the_code_of_its_body),
        virtual_test(spawn_by_a_child_into_its_own_group_is_awaited),
        virtual_test(first_failure_cancels_siblings_and_body),
        virtual_test(later_failures_stay_behind_the_first_in_order),
        virtual_test(failures_of_a_nested_group_come_up_together),
        virtual_test(failure_of_the_body_comes_before_those_it_causes),
        real_test(thousands_of_failures_are_kept_in_order),
        virtual_test(code_without_a_sentence_gets_the_general_text),
        virtual_test(sentence_of_another_code_is_not_taken),
        virtual_test(cancelled_group_has_not_failed),
        virtual_test(cancel_of_one_child_leaves_the_group),
        virtual_test(cancel_without_a_cause_is_a_failure),
        virtual_test(storm_of_spawns_while_aborting_is_refused),
        virtual_test(storm_of_spawns_after_a_cancel_is_refused),
        virtual_test(group_begun_when_cancelled_takes_no_tasks),
        virtual_test(group_in_an_expired_timeout_ends_its_tasks),
        virtual_test(timeout_inside_of_the_body_leaves_the_tasks),
        virtual_test(failure_and_expiry_in_one_tick_is_the_failure),
        virtual_test(nested_groups_abort_from_the_inside_only),
        virtual_test(failure_in_the_outer_group_cancels_the_inner),
        virtual_test(end_and_cancel_in_one_tick_the_end_wins),
        virtual_test(spawn_between_the_last_end_and_the_body_is_awaited),
        virtual_test(group_used_again_begins_anew),
    };
    return run_list("group", tests, sizeof tests / sizeof *tests);
}
