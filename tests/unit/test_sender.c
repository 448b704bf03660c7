/* test_sender.c - a request to an API, sent until it has its fate */
#include "sender_script.h"

/* ---- what is tried again ---- */

static int passing_troubles_are_tried_again(void *arg)
{
    static const struct turn troubles[] = {{-ECONNREFUSED}, {-ECONNRESET},
        {-ETIMEDOUT}, {-EAGAIN}, {-ENODATA}, {0, 408}, {0, 425}, {0, 429},
        {0, 500}, {0, 502}, {0, 503}, {0, 504}};
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        struct turn turns[] = {troubles[i], {0, 200}};
        struct client *client = client_of(turns);
        check_equal(fate_of(client), CALM__ANSWERED);
        /* What could not even be sent is no attempt of the rows. */
        bool unsent =
            troubles[i].rc == -ECONNREFUSED || troubles[i].rc == -EAGAIN;
        check_equal(client->sending.attempts, unsent ? 1 : 2);
        check_equal(client->sender.retries, 1);
        check(ms_since(began) <= 500);
    }
    return 0;
}

static int what_is_wrong_for_good_is_not(void *arg)
{
    static const int refused[] = {400, 413, 422};
    static const int failed[] = {
        301, 307, 404, 405, 409, 410, 411, 414, 415, 431, 501, 505, 599};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct turn turns[] = {{0, refused[i]}};
        struct client *client = client_of(turns);
        check_equal(fate_of(client), CALM__REFUSED);
        check_equal(client->sending.attempts, 1);
    }
    for (size_t i = 0; i < sizeof failed / sizeof *failed; i++) {
        struct turn turns[] = {{0, failed[i]}};
        struct client *client = client_of(turns);
        check_equal(fate_of(client), CALM__FAILED);
        check_equal(client->sending.attempts, 1);
    }
    static const struct turn unknown[] = {{-ENOENT}}, large[] = {{CALM_ELIMIT}};
    struct client *client = client_of(unknown);
    client->sender.reached = false;
    check_equal(client_send(client), CALM_EREMOTE);
    check_equal(client->sending.attempts, 1);
    calm__sending_clear(&client->sending);
    client = client_of(large);
    client->sender.reached = false;
    check_equal(fate_of(client), CALM__REFUSED);
    check_equal(client->sending.attempts, 1);
    return 0;
}

static int what_is_no_http_is_asked_for_once_more(void *arg)
{
    static const struct turn turns[] = {{CALM_EHTTP}};
    struct client *client = client_of(turns);
    client->sender.reached = false;
    check_equal(fate_of(client), CALM__REFUSED);
    check_equal(client->sending.attempts, 2);
    return 0;
}

static int five_attempts_with_growing_waits_and_the_cause(void *arg)
{
    static const struct turn turns[] = {
        {0, 503, .body = "{\"error\": \"over\\nloaded\"}"}};
    struct client *client = client_of(turns);
    client->sender.retry.no_jitter = true;
    check_equal(fate_of(client), CALM__FAILED);
    check_equal(client->sending.attempts, 5);
    check_contains(client->sending.cause, "status 503: over");
    check(!strchr(client->sending.cause, '\n'));
    /* 0.5 + 1 + 2 + 4 s at most, and not always that. */
    check(ms_since(began) <= 7500);
    check(ms_since(began) > 500);
    return 0;
}

static int unreadable_answer_is_asked_for_once_more(void *arg)
{
    static const struct turn turns[] = {{0, 200}};
    struct client *client = client_of(turns);
    client->unreadable = 1;
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(client->sending.attempts, 2);
    client = client_of(turns);
    client->unreadable = 100;
    check_equal(fate_of(client), CALM__REFUSED);
    check_equal(client->sending.attempts, 2);
    check_contains(client->sending.cause, "1 result instead of 2");
    return 0;
}

static int server_decides_by_its_header(void *arg)
{
    static const struct turn no[] = {{0, 503, "x-should-retry", "false"}};
    struct client *client = client_of(no);
    check_equal(fate_of(client), CALM__FAILED);
    check_equal(client->sending.attempts, 1);
    static const struct turn yes[] = {
        {0, 409, "X-Should-Retry", "true"}, {0, 200}};
    client = client_of(yes);
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(client->sending.attempts, 2);
    static const struct turn good[] = {{0, 200, "x-should-retry", "true"}};
    client = client_of(good);
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(client->sending.attempts, 1);
    static const struct turn bad[] = {{0, 400, "x-should-retry", "true"}};
    client = client_of(bad);
    check_equal(fate_of(client), CALM__REFUSED);
    check_equal(client->sending.attempts, 5);
    return 0;
}

static int rows_are_not_tried_for_longer_than_their_time(void *arg)
{
    static const struct turn turns[] = {{0, 503, "Retry-After", "250"}};
    struct client *client = client_of(turns);
    check_equal(fate_of(client), CALM__FAILED);
    check_equal(client->sending.attempts, 3);
    check(ms_since(began) < 600000);
    return 0;
}

static int silent_server_is_left_and_tried_again(void *arg)
{
    static const struct turn turns[] = {
        {0, 200, .takes = CALM_FOREVER}, {0, 200}};
    struct client *client = client_of(turns);
    client->sender.request_timeout = 5 * CALM_S;
    check_equal(fate_of(client), CALM__ANSWERED);
    check(ms_since(began) >= 5000 && ms_since(began) <= 5500);
    return 0;
}

/* ---- waits ---- */

static int wait_that_is_asked_for_is_a_lower_bound(void *arg)
{
    static const struct {
        const char *name, *value;
        int64_t least;
    } cases[] = {{"Retry-After", "7", 7000}, {"retry-after", "1.5", 1500},
        {"retry-after-ms", "20", 20}};
    for (size_t i = 0; i < 3; i++) {
        struct turn turns[] = {
            {0, 429, cases[i].name, cases[i].value}, {0, 200}};
        struct client *client = client_of(turns);
        check_equal(fate_of(client), CALM__ANSWERED);
        check(server.times[1] >= cases[i].least);
        check(server.times[1] <= cases[i].least + 500);
    }
    return 0;
}

static int pause_is_shared_by_all(void *arg)
{
    static const struct turn turns[] = {
        {0, 429, "Retry-After", "60", .takes = CALM_MS},
        {0, 200, .takes = 10 * CALM_MS}};
    struct client *client = client_of(turns);
    check_equal(send_many(client, 100), 0);
    check_equal((long long)server.next, 101);
    /* Ten were under way; nobody else came before the minute was over. */
    for (size_t i = 0; i < server.next; i++)
        check(server.times[i] < 1 || server.times[i] >= 60000 || i < 10);
    check(server.times[10] >= 60000);
    return 0;
}

static int place_is_given_back_while_waiting(void *arg)
{
    static const struct turn turns[] = {{0, 503}, {0, 200}};
    struct client *client = client_of(turns);
    client->sender.limit.most = 1;
    client->sender.retry.first_wait = 100 * CALM_S;
    client->sender.retry.longest_wait = 100 * CALM_S;
    check_equal(send_many(client, 2), 0);
    check_equal(server.times[1], 0);
    check_equal(server.most_busy, 1);
    check(server.times[2] > 1000);
    return 0;
}

static int wait_over_the_most_stops_the_run(void *arg)
{
    static const struct turn turns[] = {{0, 429, "Retry-After", "3600"}};
    struct client *client = client_of(turns);
    check_equal(client_send(client), CALM_EREMOTE);
    check_contains(calm_message(CALM_EREMOTE), "3600 s");
    calm__sending_clear(&client->sending);
    check_equal(client_send(client), CALM_EREMOTE);
    check_contains(calm_message(CALM_EREMOTE), "3600 s");
    check_equal((long long)server.next, 1);
    return 0;
}

static int budget_used_up_for_too_long_stops_the_run(void *arg)
{
    static const struct turn turns[] = {
        {0, 200, "RateLimit", "\"api\";r=0;t=7200"}};
    struct client *client = client_of(turns);
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(client_send(client), CALM_EREMOTE);
    check_contains(calm_message(CALM_EREMOTE), "7200 s");
    check_equal(ms_since(began), 0);
    calm__sending_clear(&client->sending);
    return 0;
}

static int uncounted_failures_end_no_run(void *arg)
{
    static const struct turn turns[] = {{0, 404}};
    struct client *client = client_of(turns);
    client->sender.failures.most = 1;
    client->sending =
        (struct calm__sending){.url = "http://server/", .uncounted = true};
    check_equal(calm__sender_send(&client->sender, &client->sending), 0);
    check_equal(client->sending.fate, CALM__FAILED);
    calm__sending_clear(&client->sending);
    return 0;
}

/* ---- the run ends ---- */

static int locked_doors_stop_the_run(void *arg)
{
    static const struct turn doors[] = {{0, 401}, {0, 403}, {CALM_ETLS},
        {0, 429,
            .body = "{\"error\": {\"message\": \"pay\", "
                    "\"code\": \"insufficient_quota\"}}"}};
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        struct client *client = client_new(&doors[i], 1);
        check_equal(client_send(client), CALM_EREMOTE);
        check_equal((long long)server.next, 1);
        calm__sending_clear(&client->sending);
    }
    return 0;
}

static int nobody_there_stops_the_run(void *arg)
{
    static const struct turn turns[] = {{-ECONNREFUSED}};
    struct client *client = client_of(turns);
    client->sender.reached = false;
    check_equal(client_send(client), CALM_EREMOTE);
    check_equal(client->sending.attempts, 5);
    calm__sending_clear(&client->sending);
    return 0;
}

static int send_and_stop(void *arg)
{
    check_equal(send_one(arg), CALM_EREMOTE);
    return 0;
}

/* The budget does not give many each their attempts; one has them all. */
static int nobody_there_is_found_out_by_one_for_many(void *arg)
{
    static const struct turn turns[] = {{-ECONNREFUSED}};
    struct client *client = client_of(turns);
    client->sender.reached = false;
    client->sender.limit.most = 100;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 100; i++)
        calm_spawn(&group, send_and_stop, client);
    int rc = calm_group_end(&group, 0);
    check(ms_since(began) > 1000);
    check(server.next <= 100 + 100 / 5 + 10 + 4);
    return rc;
}

static int server_that_comes_late_serves_all(void *arg)
{
    static const struct turn turns[] = {{0, 200}};
    struct client *client = client_of(turns);
    client->sender.reached = false;
    client->sender.limit.most = 100;
    server.away[0] = server.away[1] = (struct turn){-ECONNREFUSED};
    server.away_until = 3000;
    check_equal(send_many(client, 100), 0);
    check(server.next <= 200 + 30);
    check(client->sender.reached);
    check_equal((long long)client->sender.failures.answered, 100);
    check_equal((long long)client->sender.failures.total, 100);
    return 0;
}

static int half_of_a_hundred_failures_stop_the_run(void *arg)
{
    static const struct turn turns[] = {{0, 404}};
    struct client *client = client_of(turns);
    for (int i = 0; i < 49; i++)
        check_equal(fate_of(client), CALM__FAILED);
    check_equal(client_send(client), CALM_EREMOTE);
    check_contains(calm_message(CALM_EREMOTE), "50 of the last 100");
    calm__sending_clear(&client->sending);
    return 0;
}

/* A bad row that stands alone after its batch was split is one of as many. */
static int rows_of_a_split_batch_count_each(void *arg)
{
    static const struct turn turns[] = {{0, 200}, {0, 404}};
    struct client *client = client_of(turns);
    for (int i = 0; i < 30; i++)
        for (int bad = 0; bad < 2; bad++) {
            client->sending = (struct calm__sending){
                .url = "http://server/", .weight = bad ? 1 : 9};
            server.next = (size_t)bad;
            check_equal(
                calm__sender_send(&client->sender, &client->sending), 0);
            calm__sending_clear(&client->sending);
        }
    check_equal(client->sender.failures.failed, 10);
    return 0;
}

static int trouble_of_this_machine_is_not_the_servers(void *arg)
{
    static const struct turn troubles[] = {{-ENOMEM}, {-EMFILE}, {-EINVAL}};
    for (size_t i = 0; i < 3; i++) {
        struct client *client = client_new(&troubles[i], 1);
        check_equal(client_send(client), troubles[i].rc);
        check_equal((long long)server.next, 1);
        calm__sending_clear(&client->sending);
    }
    return 0;
}

static int send_until_stopped(void *arg)
{
    int rc = send_one(arg);
    check_equal(rc, -ESHUTDOWN);
    check_text(calm_message(rc), "enough");
    check_equal(ms_since(began), 1000);
    return 0;
}

static int stop_ends_all_waits(void *arg)
{
    static const struct turn turns[] = {{0, 503, "Retry-After", "100"}};
    struct client *client = client_of(turns);
    client->sender.limit.most = 1;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 5; i++)
        calm_spawn(&group, send_until_stopped, client);
    calm_spawn(&group, stop_later, client);
    return calm_group_end(&group, 0);
}

static int cancel_during_each_step_gives_the_place_back(void *arg)
{
    static const struct turn turns[] = {{0, 503, .takes = 300 * CALM_MS}};
    for (int ms = 0; ms < 3000; ms += 50) {
        struct client *client = client_of(turns);
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, send_one, client);
        calm_sleep(ms * CALM_MS);
        calm_cancel(task);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(client->sender.limit.in_use, 0);
    }
    return 0;
}

/* ---- tokens ---- */

static int tokens_really_used_count(void *arg)
{
    static const struct turn turns[] = {{0, 200}};
    struct client *client = client_of(turns);
    calm_rate_init(&client->sender.limit.tokens, 100, CALM_S, 100);
    client->tokens = 300;
    check_equal(fate_of(client), CALM__ANSWERED);
    check(calm_rate_wait(&client->sender.limit.tokens, 100) >= 3 * CALM_S);
    return 0;
}

static int budget_in_the_headers_is_kept(void *arg)
{
    static const struct turn turns[] = {
        {0, 200, "x-ratelimit-remaining-requests", "0"}, {0, 200}};
    struct client *client = client_of(turns);
    check_equal(fate_of(client), CALM__ANSWERED);
    check(client->sender.limit.request_budget.known);
    static const struct turn both[] = {
        {0, 200, "RateLimit", "\"api\";r=0;t=55"}, {0, 200}};
    client = client_of(both);
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(server.times[1], 55000);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(passing_troubles_are_tried_again),
        virtual_test(what_is_wrong_for_good_is_not),
        virtual_test(what_is_no_http_is_asked_for_once_more),
        virtual_test(five_attempts_with_growing_waits_and_the_cause),
        virtual_test(unreadable_answer_is_asked_for_once_more),
        virtual_test(server_decides_by_its_header),
        virtual_test(rows_are_not_tried_for_longer_than_their_time),
        virtual_test(silent_server_is_left_and_tried_again),
        virtual_test(wait_that_is_asked_for_is_a_lower_bound),
        virtual_test(pause_is_shared_by_all),
        virtual_test(place_is_given_back_while_waiting),
        virtual_test(wait_over_the_most_stops_the_run),
        virtual_test(budget_used_up_for_too_long_stops_the_run),
        virtual_test(uncounted_failures_end_no_run),
        virtual_test(locked_doors_stop_the_run),
        virtual_test(nobody_there_stops_the_run),
        virtual_test(nobody_there_is_found_out_by_one_for_many),
        virtual_test(server_that_comes_late_serves_all),
        virtual_test(half_of_a_hundred_failures_stop_the_run),
        virtual_test(rows_of_a_split_batch_count_each),
        virtual_test(trouble_of_this_machine_is_not_the_servers),
        virtual_test(stop_ends_all_waits),
        virtual_test(cancel_during_each_step_gives_the_place_back),
        virtual_test(tokens_really_used_count),
        virtual_test(budget_in_the_headers_is_kept),
    };
    return run_list("sender", tests, sizeof tests / sizeof *tests);
}
