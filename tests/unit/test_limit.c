/* test_limit.c - how many requests at once, how many in a time, when not */
#include "test.h"

#include "ml/limit.h"

static int64_t began;

struct entrant {
    struct calm__limit *limit;
    double tokens;
    struct calm__pass pass;
    int rc;
    int64_t at_ms;
};

static int enter(void *arg)
{
    struct entrant *entrant = arg;
    entrant->rc =
        calm__limit_enter(entrant->limit, entrant->tokens, &entrant->pass);
    entrant->at_ms = ms_since(began);
    return 0;
}

static int fixed_limit_lets_as_many_in(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 2);
    began = calm_now();
    struct entrant entrants[4];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 4; i++) {
        entrants[i] = (struct entrant){.limit = &limit, .rc = 1};
        calm_spawn(&group, enter, &entrants[i]);
    }
    calm_sleep(CALM_S);
    check_equal(limit.in_use, 2);
    for (int i = 0; i < 2; i++) {
        calm__limit_leave(&limit, &entrants[i].pass, CALM__PRESSURE_NONE);
        calm_sleep(CALM_S);
        check_equal(entrants[2 + i].rc, 0);
        check_equal(entrants[2 + i].at_ms, 1000 * (1 + i));
    }
    check_equal((long long)limit.most, 2);
    return calm_group_end(&group, 0);
}

static int cancelled_entrant_takes_no_place(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 1);
    began = calm_now();
    struct entrant entrants[3];
    calm_task *tasks[3];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 3; i++) {
        entrants[i] = (struct entrant){.limit = &limit, .rc = 1};
        tasks[i] = calm_spawn(&group, enter, &entrants[i]);
    }
    calm_sleep(CALM_S);
    calm_cancel(tasks[1]);
    calm__limit_leave(&limit, &entrants[0].pass, CALM__PRESSURE_NONE);
    int rc = calm_group_end(&group, 0);
    check_equal(entrants[1].rc, -ECANCELED);
    check_equal(entrants[2].rc, 0);
    check_equal(limit.in_use, 1);
    return rc;
}

/* ---- the automatic limit ---- */

/* Each lasts 100 ms, and is deferred when more than SERVES are at it. */
struct server {
    struct calm__limit *limit;
    int serves;
    int busy;
    int deferred;
    int most_busy;
};

static int ask_server(void *arg)
{
    struct server *server = arg;
    struct calm__pass pass;
    int rc = calm__limit_enter(server->limit, 0, &pass);
    if (rc < 0)
        return rc;
    bool good = ++server->busy <= server->serves;
    server->deferred += !good;
    if (server->busy > server->most_busy)
        server->most_busy = server->busy;
    calm_sleep(good ? 100 * CALM_MS : CALM_MS);
    server->busy--;
    calm__limit_leave(
        server->limit, &pass, good ? CALM__PRESSURE_NONE : CALM__PRESSURE_HIGH);
    return 0;
}

static int ask_much(struct server *server, int count)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < count; i++)
        calm_release(calm_spawn(&group, ask_server, server));
    return calm_group_end(&group, 0);
}

static int automatic_limit_settles_where_the_server_defers(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 0);
    struct server server = {&limit, .serves = 10};
    check_equal(ask_much(&server, 100), 0);
    server.most_busy = server.deferred = 0;
    int64_t start = calm_now();
    check_equal(ask_much(&server, 1000), 0);
    check(limit.most >= 7 && limit.most <= 11);
    check_equal(server.most_busy, 11);
    check(server.deferred > 0 && server.deferred < 60);
    /* Nine at once on average would take 11 s. */
    check(ms_since(start) < 13000);
    return 0;
}

static int automatic_limit_grows_only_while_it_is_reached(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 0);
    struct server server = {&limit, .serves = 1000};
    for (int i = 0; i < 1000; i++)
        check_equal(ask_server(&server), 0);
    check_equal((long long)limit.most, 4);
    check_equal(ask_much(&server, 10000), 0);
    check_equal((long long)limit.most, 128);
    check_equal(server.most_busy, 128);
    return 0;
}

static int requests_under_way_decrease_it_once(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 0);
    limit.most = 40;
    struct calm__pass passes[40];
    for (int i = 0; i < 40; i++)
        check_equal(calm__limit_enter(&limit, 0, &passes[i]), 0);
    for (int i = 0; i < 40; i++)
        calm__limit_leave(&limit, &passes[i], CALM__PRESSURE_HIGH);
    check_equal((long long)limit.most, 30);
    for (int i = 0; i < 100; i++) {
        check_equal(calm__limit_enter(&limit, 0, &passes[0]), 0);
        calm__limit_leave(&limit, &passes[0], CALM__PRESSURE_HIGH);
    }
    check_equal((long long)limit.most, 1);
    return 0;
}

/* ---- time ---- */

static int64_t enter_after_ms(struct calm__limit *limit, double tokens)
{
    struct calm__pass pass;
    int64_t start = calm_now();
    check_equal(calm__limit_enter(limit, tokens, &pass), 0);
    calm__limit_leave(limit, &pass, CALM__PRESSURE_NONE);
    return ms_since(start);
}

static int pause_holds_everybody_back(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 10);
    calm__limit_pause(&limit, calm_now() + 3 * CALM_S);
    calm__limit_pause(&limit, calm_now() + 2 * CALM_S);
    check_equal(enter_after_ms(&limit, 0), 3000);
    check_equal(enter_after_ms(&limit, 0), 0);
    return 0;
}

static int pause_that_comes_later_is_seen_by_who_waits(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 1);
    began = calm_now();
    struct calm__pass pass;
    check_equal(calm__limit_enter(&limit, 0, &pass), 0);
    struct entrant entrant = {.limit = &limit, .rc = 1};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, enter, &entrant);
    calm_sleep(CALM_S);
    calm__limit_pause(&limit, calm_now() + 5 * CALM_S);
    calm__limit_leave(&limit, &pass, CALM__PRESSURE_HIGH);
    int rc = calm_group_end(&group, 0);
    check_equal(entrant.at_ms, 6000);
    return rc;
}

static int rates_hold_requests_and_tokens(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 100);
    calm_rate_init(&limit.requests, 10, CALM_S, 1);
    began = calm_now();
    for (int i = 0; i < 11; i++)
        enter_after_ms(&limit, 0);
    check(ms_since(began) >= 999 && ms_since(began) <= 1010);
    calm__limit_init(&limit, 100);
    calm_rate_init(&limit.tokens, 1000, CALM_S, 100);
    check_equal(enter_after_ms(&limit, 100), 0);
    check_equal(enter_after_ms(&limit, 100), 100);
    return 0;
}

static int tokens_not_used_are_given_back(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 100);
    calm_rate_init(&limit.tokens, 1000, CALM_S, 1000);
    struct calm__pass pass;
    check_equal(calm__limit_enter(&limit, 1000, &pass), 0);
    calm__limit_used(&limit, &pass, 100);
    calm__limit_leave(&limit, &pass, CALM__PRESSURE_NONE);
    check_equal(enter_after_ms(&limit, 900), 0);
    /* 2000 instead of 0: the debt is waited for. */
    check_equal(calm__limit_enter(&limit, 0, &pass), 0);
    calm__limit_used(&limit, &pass, 2000);
    calm__limit_leave(&limit, &pass, CALM__PRESSURE_NONE);
    check_equal(enter_after_ms(&limit, 500), 2500);
    return 0;
}

static int budget_that_is_used_up_waits_for_its_reset(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 10);
    calm__limit_learn(
        &limit, &limit.request_budget, 2, calm_now() + 60 * CALM_S);
    check_equal(enter_after_ms(&limit, 0), 0);
    check_equal(enter_after_ms(&limit, 0), 0);
    check_equal(enter_after_ms(&limit, 0), 60000);
    check_equal(enter_after_ms(&limit, 0), 0);
    calm__limit_learn(&limit, &limit.token_budget, 99, calm_now() + 5 * CALM_S);
    check_equal(enter_after_ms(&limit, 50), 0);
    check_equal(enter_after_ms(&limit, 50), 5000);
    /* Without a reset there is nothing to wait for. */
    calm__limit_learn(&limit, &limit.request_budget, 0, 0);
    check_equal(enter_after_ms(&limit, 0), 0);
    return 0;
}

/* ---- ends ---- */

static int close_tells_all_who_wait(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 1);
    struct calm__pass pass;
    check_equal(calm__limit_enter(&limit, 0, &pass), 0);
    struct entrant entrants[5];
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 5; i++) {
        entrants[i] = (struct entrant){.limit = &limit, .rc = 1};
        calm_spawn(&group, enter, &entrants[i]);
    }
    calm_checkpoint();
    calm__limit_close(&limit, -ESHUTDOWN);
    int rc = calm_group_end(&group, 0);
    for (int i = 0; i < 5; i++)
        check_equal(entrants[i].rc, -ESHUTDOWN);
    check_equal(limit.in_use, 1);
    return rc;
}

static int retries_are_a_fifth_and_ten(void *arg)
{
    struct calm__limit limit;
    calm__limit_init(&limit, 1);
    int given = 0;
    while (calm__limit_retry(&limit))
        given++;
    check_equal(given, 10);
    for (int i = 0; i < 100; i++)
        calm__limit_request(&limit);
    while (calm__limit_retry(&limit))
        given++;
    check_equal(given, 30);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(fixed_limit_lets_as_many_in),
        virtual_test(cancelled_entrant_takes_no_place),
        virtual_test(automatic_limit_settles_where_the_server_defers),
        virtual_test(automatic_limit_grows_only_while_it_is_reached),
        virtual_test(requests_under_way_decrease_it_once),
        virtual_test(pause_holds_everybody_back),
        virtual_test(pause_that_comes_later_is_seen_by_who_waits),
        virtual_test(rates_hold_requests_and_tokens),
        virtual_test(tokens_not_used_are_given_back),
        virtual_test(budget_that_is_used_up_waits_for_its_reset),
        virtual_test(close_tells_all_who_wait),
        virtual_test(retries_are_a_fifth_and_ten),
    };
    return run_list("limit", tests, sizeof tests / sizeof *tests);
}
