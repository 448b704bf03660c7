/* test_gate.c - what is done while a server is away: sender.c, the gate */
#include "sender_script.h"

static int dead_server_is_not_hammered(void *arg)
{
    static const struct turn turns[] = {{0, 503}};
    struct client *client = client_of(turns);
    client->sender.failures.most = 1000; /* goes on whatever fails */
    check_equal(send_many(client, 1000), 0);
    check_equal((long long)server.next, 1000 + 1000 / 5 + 10);
    return 0;
}

/* One that answers, but with nothing, fails its rows after a while; where
 * nobody can be connected to they are left. Both are asked now and then. */
static int server_that_stays_away_is_not_waited_for_long(void *arg)
{
    static const struct turn cases[] = {{0, 503}, {0, 502}, {-ECONNRESET},
        {-ECONNREFUSED}, {-EHOSTUNREACH}, {-EAGAIN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct turn turns[] = {cases[i]};
        struct client *client = client_of(turns);
        calm_group group;
        calm_group_begin(&group);
        for (int task = 0; task < 30; task++)
            calm_spawn(&group, send_until_the_end, client);
        check_equal(calm_group_end(&group, 0), 0);
        bool gone = i >= 3;
        check_equal(client->sender.stop, gone ? CALM_EREMOTE : 0);
        check_equal(client->sender.failures.failed, gone ? 0 : 30);
        int64_t took = ms_since(began);
        check(
            gone ? took > 30000 && took < 34000 : took > 8000 && took < 40000);
        check(server.next <= 30 + 30 / 5 + 10 + (gone ? 90 : 40));
    }
    return 0;
}

/* Whatever is left of the budget: nobody fails for a server that is started
 * anew, and it is asked by one at a time meanwhile. */
static int server_that_is_away_for_a_while_fails_nobody(void *arg)
{
    static const struct {
        struct turn away[2];
        int seconds;
        int at_once;
    } cases[] = {{{{-ECONNREFUSED}, {-ECONNREFUSED}}, 3, 1},
        {{{-ECONNREFUSED}, {-ECONNREFUSED}}, 25, 1},
        {{{-ECONNREFUSED}, {-ECONNREFUSED}}, 25, 64},
        {{{0, 502}, {0, 502}}, 3, 64}, {{{0, 502}, {0, 502}}, 8, 64},
        {{{-ECONNRESET}, {-ECONNREFUSED}}, 8, 64},
        {{{0, 503}, {-ETIMEDOUT}}, 6, 64},
        /* It is loading; its name goes with it, as among containers. */
        {{{-ECONNREFUSED}, {0, 503}}, 18, 64}, {{{-ENOENT}, {-ENOENT}}, 5, 10}};
    static const struct turn turns[] = {{0, 200, .takes = 10 * CALM_MS}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int spent = 0; spent < 2; spent++) {
            struct client *client = client_of(turns);
            struct calm__sender *sender = &client->sender;
            sender->limit.most = cases[i].at_once;
            sender->limit.requests_made = 100000;
            sender->limit.retries_made = spent ? 1000000 : 0;
            memcpy(server.away, cases[i].away, sizeof server.away);
            server.away_from = 15;
            server.away_until = 1000 * cases[i].seconds;
            check_equal(send_many(client, 300), 0);
            /* The first few found it out, and had no budget left. */
            int first = cases[i].away[0].rc, second = cases[i].away[1].rc;
            bool refused =
                first == second && (first == -ECONNREFUSED || first == -ENOENT);
            uint64_t few = spent && !refused ? 4 : 0;
            check(sender->failures.answered + few >= 300);
            check_equal((long long)sender->failures.total, 300);
            check(server.next <= 300 + 2 * 64 + 5 + 50);
            check(ms_since(began) < 1000 * cases[i].seconds + 15000);
        }
    return 0;
}

/* For longer than rows are tried otherwise. */
static int patience_may_be_long(void *arg)
{
    static const struct turn turns[] = {{0, 200, .takes = 10 * CALM_MS}};
    for (int minutes = 20; minutes < 40; minutes += 15) {
        struct client *client = client_of(turns);
        client->sender.patience = 30 * 60 * CALM_S;
        server.away[0] = server.away[1] = (struct turn){-ECONNREFUSED};
        server.away_from = 15;
        server.away_until = minutes * 60000;
        calm_group group;
        calm_group_begin(&group);
        for (int task = 0; task < 30; task++)
            calm_spawn(&group, send_until_the_end, client);
        check_equal(calm_group_end(&group, 0), 0);
        bool back = minutes < 30;
        check_equal(client->sender.stop, back ? 0 : CALM_EREMOTE);
        check_equal(client->sender.failures.failed, 0);
        check(!back || client->sender.failures.answered == 30);
        check(back || ms_since(began) < 31 * 60000);
    }
    return 0;
}

/* One that was slow to answer the probe lets all others go first. */
static int gate_opens_for_all_who_wait(void *arg)
{
    static const struct turn turns[] = {{0, 200, .takes = 30 * CALM_S}};
    struct client *client = client_of(turns);
    client->sender.limit.most = 64;
    server.away[0] = server.away[1] = (struct turn){0, 429};
    server.away_until = 2000;
    check_equal(send_many(client, 128), 0);
    check_equal((long long)client->sender.failures.answered, 128);
    check(ms_since(began) < 200000);
    return 0;
}

static int hung_server_that_is_started_anew_is_waited_for(void *arg)
{
    static const struct turn turns[] = {{-ETIMEDOUT, .takes = 30 * CALM_S},
        {-ETIMEDOUT, .takes = 31 * CALM_S}, {-ECONNREFUSED}, {0, 200}};
    struct client *client = client_of(turns);
    check_equal(fate_of(client), CALM__ANSWERED);
    check_equal(client->sending.attempts, 3);
    return 0;
}

static int half_of_a_balancers_servers_may_be_away(void *arg)
{
    static struct turn turns[4000];
    for (int i = 0; i < 4000; i++)
        turns[i] = i % 2 ? (struct turn){0, 200, .takes = 50 * CALM_MS}
                         : (struct turn){-ECONNREFUSED};
    struct client *client = client_of(turns);
    client->sender.limit.most = 16;
    check_equal(send_many(client, 1000), 0);
    check_equal((long long)client->sender.failures.answered, 1000);
    check(ms_since(began) < 15000);
    return 0;
}

/* It answers with nothing for longer than anybody waits, and is then started
 * anew: what cannot be sent does not fail for that, nor is it tried hot. */
static int server_that_hung_and_is_gone_fails_few(void *arg)
{
    static const struct turn turns[] = {
        [0 ... 4] = {-ETIMEDOUT, .takes = 10 * CALM_S}, {0, 200}};
    struct client *client = client_of(turns);
    client->sender.limit.most = 1;
    server.away[0] = server.away[1] = (struct turn){-ECONNREFUSED};
    server.away_from = 50000;
    server.away_until = 65000;
    check_equal(send_many(client, 20), 0);
    check(client->sender.failures.answered >= 18);
    check(server.next <= 20 + 5 + 40);
    return 0;
}

/* Rows that are never served are not waited for by the others, and others
 * that are served keep the run from being stopped. */
static int rows_that_nobody_serves_fail_alone(void *arg)
{
    static struct turn turns[400];
    for (int i = 0; i < 400; i++)
        turns[i] = i % 5 < 2 ? (struct turn){0, 502} : (struct turn){0, 200};
    struct client *client = client_of(turns);
    client->sender.limit.most = 4;
    client->sender.limit.retries_made = 1000000;
    check_equal(send_many(client, 300), 0);
    check_equal((long long)client->sender.failures.total, 300);
    check_equal((long long)client->sender.failures.answered, 180);
    check(ms_since(began) < 1000);
    return 0;
}

/* Rows that the server breaks on are no sign that it is away. */
static int server_that_breaks_on_some_rows_is_not_away(void *arg)
{
    static const struct turn turns[] = {{0, 500}};
    struct client *client = client_of(turns);
    client->sender.limit.retries_made = 1000;
    for (int i = 0; i < 49; i++)
        check_equal(fate_of(client), CALM__FAILED);
    check_equal(ms_since(began), 0);
    check_equal(client_send(client), CALM_EREMOTE);
    calm__sending_clear(&client->sending);
    return 0;
}

static int stopped_at_once;

static int send_until_stopped_or_answered(void *arg)
{
    check_equal(send_one(arg), -ESHUTDOWN);
    stopped_at_once += ms_since(began) == 1000;
    return 0;
}

/* Only what is under way ends by itself, or when it is cancelled. */
static int stop_opens_the_gate(void *arg)
{
    static const struct turn turns[] = {{0, 503}, {0, 503}, {0, 503}, {0, 503},
        {0, 503}, {0, 503, .takes = 60 * CALM_S}};
    struct client *client = client_of(turns);
    client->sender.limit.most = 8;
    stopped_at_once = 0;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 20; i++)
        calm_spawn(&group, send_until_stopped_or_answered, client);
    calm_spawn(&group, stop_later, client);
    int rc = calm_group_end(&group, 0);
    check_equal(client->sender.failures.total, 0);
    check_equal(stopped_at_once, 20 - 4); /* one of them probes */
    return rc;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(dead_server_is_not_hammered),
        virtual_test(server_that_stays_away_is_not_waited_for_long),
        virtual_test(server_that_is_away_for_a_while_fails_nobody),
        virtual_test(patience_may_be_long),
        virtual_test(gate_opens_for_all_who_wait),
        virtual_test(hung_server_that_is_started_anew_is_waited_for),
        virtual_test(half_of_a_balancers_servers_may_be_away),
        virtual_test(server_that_hung_and_is_gone_fails_few),
        virtual_test(rows_that_nobody_serves_fail_alone),
        virtual_test(server_that_breaks_on_some_rows_is_not_away),
        virtual_test(stop_opens_the_gate),
    };
    return run_list("gate", tests, sizeof tests / sizeof *tests);
}
