/* sender_script.h - a server that follows a script, for the tests of what sends
 * requests to an API
 *
 * calm_http_send() is replaced: it gives the answers that a server would, one
 * after the other, and the last one for ever. So all runs in virtual time. One
 * file of a program includes this, and is linked with --wrap.
 */
#ifndef TEST_SENDER_SCRIPT_H
#define TEST_SENDER_SCRIPT_H

#include "test.h"

#include "base/random.h"
#include "ml/sender.h"

/* ---- the server ---- */

struct turn {
    int rc; /* what the call returns; 0 with an answer */
    int status;
    const char *name, *value; /* a header */
    const char *body;
    int64_t takes;
};

static struct {
    const struct turn *turns;
    size_t count, next;
    int busy, most_busy;
    struct turn away[2];           /* in place of the turns, while it is away */
    int64_t away_from, away_until; /* ms since the test began */
    calm_http_header header;       /* of the last answer */
    int64_t times[2000];           /* ms since the test began */
} server;

static int64_t began;

int __wrap_calm_http_send(calm_http *http, const calm_http_request *request,
    calm_http_response *response);

int __wrap_calm_http_send(calm_http *http, const calm_http_request *request,
    calm_http_response *response)
{
    size_t number =
        server.next < server.count - 1 ? server.next : server.count - 1;
    const struct turn *turn = &server.turns[number];
    int64_t now = ms_since(began);
    if (now >= server.away_from && now < server.away_until)
        turn = &server.away[server.next % 2];
    server.times[server.next++ % 2000] = ms_since(began);
    if (++server.busy > server.most_busy)
        server.most_busy = server.busy;
    int rc = calm_sleep(turn->takes);
    server.busy--;
    if (rc < 0)
        return rc;
    response->sent = turn->rc != -ECONNREFUSED && turn->rc != -EAGAIN &&
                     turn->rc != -EHOSTUNREACH && turn->rc != -ENOENT;
    if (turn->rc < 0)
        return calm_fail(turn->rc, "cannot send: %s", calm_message(turn->rc));
    response->status = turn->status;
    server.header = (calm_http_header){turn->name, turn->value};
    if (turn->body)
        rc = calm_bytes_append_text(&response->body, turn->body);
    return rc;
}

bool __wrap_calm_http_header_at(const calm_http_response *response,
    size_t index, calm_http_header *ret_header);

bool __wrap_calm_http_header_at(const calm_http_response *response,
    size_t index, calm_http_header *ret_header)
{
    if (index > 0 || !server.header.name)
        return false;
    *ret_header = server.header;
    return true;
}

/* ---- the client ---- */

struct client {
    struct calm__sender sender;
    struct calm__sending sending;
    int reads;      /* answers that were looked at */
    int unreadable; /* the first so many */
    double tokens;
};

static inline int read_answer(
    void *ctx, const calm_http_response *response, double *ret_tokens)
{
    struct client *client = ctx;
    *ret_tokens = client->tokens;
    if (client->reads++ < client->unreadable)
        return calm_fail(CALM_EFORMAT, "1 result instead of 2");
    return 0;
}

static inline int client_send(struct client *client)
{
    client->sending = (struct calm__sending){.url = "http://server/",
        .body = "{}",
        .len = 2,
        .read = read_answer,
        .ctx = client};
    return calm__sender_send(&client->sender, &client->sending);
}

static inline struct client *client_new(const struct turn *turns, size_t count)
{
    static struct client client;
    client = (struct client){.tokens = -1};
    calm__sender_init(&client.sender, 10);
    /* As if it had been reached before: else a dead server ends the run. */
    client.sender.reached = true;
    memset(&server, 0, sizeof server);
    server.turns = turns;
    server.count = count;
    began = calm_now();
    calm__random_seed(7);
    return &client;
}

#define client_of(turns) client_new(turns, sizeof(turns) / sizeof *(turns))

/* Sends once, and frees what came. */
static inline enum calm__fate fate_of(struct client *client)
{
    check_equal(client_send(client), 0);
    enum calm__fate fate = client->sending.fate;
    calm__sending_clear(&client->sending);
    return fate;
}

static inline int send_one(void *arg)
{
    struct client copy = {.tokens = -1}, *shared = arg;
    copy.sending = (struct calm__sending){
        .url = "http://server/", .read = read_answer, .ctx = &copy};
    int rc = calm__sender_send(&shared->sender, &copy.sending);
    calm__sending_clear(&copy.sending);
    return rc;
}

static inline int send_many(struct client *client, int count)
{
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < count; i++)
        calm_spawn(&group, send_one, client);
    return calm_group_end(&group, 0);
}

/* Until the run is stopped. */
static inline int send_until_the_end(void *arg)
{
    int rc = send_one(arg);
    return rc == CALM_EREMOTE ? 0 : rc;
}

static inline int stop_later(void *arg)
{
    struct client *client = arg;
    int rc = calm_sleep(CALM_S);
    calm__sender_stop(&client->sender, calm_fail(-ESHUTDOWN, "enough"));
    return rc;
}

#endif
