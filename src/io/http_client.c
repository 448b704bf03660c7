/* http_client.c - a client: the loop's side of all its exchanges
 *
 * Here the moves of an exchange are made (see http.h), and here libcurl is
 * called to go on. None of it runs on a task's stack: tasks hand their wishes
 * to the pump, which the loop runs like a post from another thread, once for
 * all that was asked since the last turn.
 *
 * Two limits of time are the client's own, on calm's clock: one for a
 * connection, one for silence. A single alarm serves them all: it rings at the
 * soonest end, or at what was the soonest once; then it looks at all exchanges
 * and is set anew. In a row of requests that are answered it is hardly moved.
 */
#include "io/http.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 64 }; /* calls that libcurl may want at once; then others run */
static const int64_t look_again = 3600 * CALM_S;

/* ---- lists ---- */

static void ask_add(
    struct calm_http *client, struct calm__http_exchange *exchange)
{
    exchange->ask_next = NULL;
    exchange->ask_previous = client->ask_last;
    *(client->ask_last ? &client->ask_last->ask_next : &client->ask_first) =
        exchange;
    client->ask_last = exchange;
}

static void ask_remove(
    struct calm_http *client, struct calm__http_exchange *exchange)
{
    struct calm__http_exchange *next = exchange->ask_next,
                               *previous = exchange->ask_previous;
    *(previous ? &previous->ask_next : &client->ask_first) = next;
    *(next ? &next->ask_previous : &client->ask_last) = previous;
}

static void live_add(
    struct calm_http *client, struct calm__http_exchange *exchange)
{
    exchange->live_next = NULL;
    exchange->live_previous = client->live_last;
    *(client->live_last ? &client->live_last->live_next : &client->live_first) =
        exchange;
    client->live_last = exchange;
}

static void live_remove(
    struct calm_http *client, struct calm__http_exchange *exchange)
{
    struct calm__http_exchange *next = exchange->live_next,
                               *previous = exchange->live_previous;
    *(previous ? &previous->live_next : &client->live_first) = next;
    *(next ? &next->live_previous : &client->live_last) = previous;
}

/* ---- the task's side ---- */

void calm__http_ask(struct calm__http_exchange *exchange, unsigned what)
{
    struct calm_http *client = exchange->client;
    if (exchange->asked == 0)
        ask_add(client, exchange);
    exchange->asked |= what;
    if (client->posted)
        return;
    client->posted = true;
    calm__loop_post(client->loop, &client->post);
}

void calm__http_wake(struct calm__http_exchange *exchange)
{
    if (!exchange->parked)
        return;
    exchange->parked = false;
    calm__unpark(exchange->task, 0);
}

/* ---- limits of time ---- */

static void limits_expect(struct calm_http *client, int64_t due)
{
    struct calm__timer *timer = &client->limits.timer;
    if (timer->index == 0 || due < timer->deadline)
        calm__alarm_set(&client->limits, due);
}

static int64_t after(int64_t time, int64_t duration)
{
    int64_t due;
    return __builtin_add_overflow(time, duration, &due) ? CALM_FOREVER : due;
}

void calm__http_phase_set(
    struct calm__http_exchange *exchange, enum calm__http_phase phase)
{
    struct calm_http *client = exchange->client;
    int64_t now = calm__loop_time(client->loop), due;
    exchange->phase = phase;
    exchange->last = now;
    if (phase == CALM__HTTP_CONNECTING)
        due = exchange->due =
            after(now, client->connect_timeout - exchange->spent_naming);
    else if (phase == CALM__HTTP_TALKING)
        due = after(now, client->silence);
    else
        due = after(now, look_again);
    limits_expect(client, due);
}

/* Over HTTP/1 the connection is the request's, so what moves on it counts,
 * which libcurl tells only by whole lines of a header. Over TLS it may carry
 * other requests too, and only what libcurl tells counts. */
static int64_t last_byte(struct calm__http_exchange *exchange)
{
    const struct calm_http *client = exchange->client;
    int64_t last = exchange->last;
    if (!exchange->url.secure) {
        int64_t moved = calm__http_socket_last(client, exchange->fd);
        return moved > last ? moved : last;
    }
    curl_off_t uploaded = 0;
    curl_easy_getinfo(
        exchange->handle->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    if (uploaded != exchange->uploaded)
        last = exchange->last = calm__loop_time(client->loop);
    exchange->uploaded = uploaded;
    return last;
}

/* When the exchange is over unless something happens. Who waits for the task
 * itself, or for a free connection, is not at fault. */
static int64_t due_of(struct calm__http_exchange *exchange)
{
    const struct calm_http *client = exchange->client;
    int64_t now = calm__loop_time(client->loop);
    if (exchange->in_paused || exchange->out_paused)
        return CALM_FOREVER;
    switch (exchange->phase) {
    case CALM__HTTP_CONNECTING:
        return exchange->due;
    case CALM__HTTP_TALKING:
        return after(last_byte(exchange), client->silence);
    default:
        return after(now, look_again);
    }
}

static void limit_reached(struct calm__http_exchange *exchange)
{
    const struct calm_http *client = exchange->client;
    bool connecting = exchange->phase == CALM__HTTP_CONNECTING;
    double seconds =
        (double)(connecting ? client->connect_timeout : client->silence) / 1e9;
    calm__http_because(exchange, -ETIMEDOUT,
        exchange->state == CALM__HTTP_NAMING
            ? "no name server has answered for %.3g s"
        : connecting ? "no connection within %.3g s"
                     : "no byte has moved for %.3g s",
        seconds);
    calm__http_end(exchange, -ETIMEDOUT);
}

void calm__http_limits_ring(struct calm__alarm *alarm)
{
    struct calm_http *client =
        (void *)((char *)alarm - offsetof(struct calm_http, limits));
    int64_t now = calm__loop_time(client->loop), soonest = CALM_FOREVER;
    struct calm__http_exchange *each = client->live_first, *next;
    for (; each; each = next) {
        next = each->live_next;
        int64_t due = due_of(each);
        if (due <= now)
            limit_reached(each);
        else if (due < soonest)
            soonest = due;
    }
    if (client->live_first)
        calm__alarm_set(alarm, soonest);
    calm__http_settle(client);
}

/* ---- the moves of an exchange ---- */

int calm__http_because(
    struct calm__http_exchange *exchange, int result, const char *format, ...)
{
    va_list args;
    if (exchange->result < 0)
        return result;
    exchange->result = result;
    va_start(args, format);
    vsnprintf(exchange->reason, sizeof exchange->reason, format, args);
    va_end(args);
    return result;
}

static struct calm__http_handle **pile_of(
    struct calm_http *client, const struct calm__http_exchange *exchange)
{
    bool streams = exchange->request->on_body || exchange->request->read_body;
    return streams ? &client->stream_handles : &client->handles;
}

static void handle_put(struct calm__http_exchange *exchange)
{
    struct calm__http_handle *handle = exchange->handle;
    struct calm__http_handle **pile = pile_of(exchange->client, exchange);
    exchange->handle = NULL;
    handle->exchange = NULL;
    handle->next = *pile;
    *pile = handle;
}

/* Taking it out of libcurl closes the connection of a request that is not
 * over, which calls back for its socket: the exchange is still there. */
void calm__http_end(struct calm__http_exchange *exchange, int result)
{
    struct calm_http *client = exchange->client;
    assert(exchange->state != CALM__HTTP_ENDED);
    if (exchange->state == CALM__HTTP_RUNNING) {
        curl_multi_remove_handle(client->multi, exchange->handle->easy);
        handle_put(exchange);
    }
    if (exchange->state != CALM__HTTP_ASKED)
        live_remove(client, exchange);
    if (exchange->asked)
        ask_remove(client, exchange);
    if (!client->live_first)
        calm__alarm_set(&client->limits, CALM_FOREVER);
    exchange->asked = 0;
    exchange->result = result;
    exchange->state = CALM__HTTP_ENDED;
    calm__http_wake(exchange);
}

/* Into libcurl's hands. */
static int launch(struct calm__http_exchange *exchange)
{
    struct calm_http *client = exchange->client;
    struct calm__http_handle **pile = pile_of(client, exchange);
    struct calm__http_handle *handle = *pile;
    if (handle)
        *pile = handle->next;
    else
        handle = calm__http_handle_new(client);
    if (!handle)
        return -ENOMEM;
    exchange->handle = handle;
    handle->exchange = exchange;
    int rc = calm__http_handle_set(handle, exchange);
    if (rc == 0) {
        calm__http_answer_begin(exchange);
        if (curl_multi_add_handle(client->multi, handle->easy) != CURLM_OK)
            rc = -ENOMEM;
    }
    if (rc < 0) { /* half set: nobody knows to what */
        exchange->handle = NULL;
        calm__http_handle_free(handle);
        return rc;
    }
    exchange->state = CALM__HTTP_RUNNING;
    calm__http_phase_set(exchange, CALM__HTTP_QUEUED);
    return 0;
}

static void launch_or_end(struct calm__http_exchange *exchange)
{
    int rc = launch(exchange);
    if (rc < 0)
        calm__http_end(exchange, calm__http_because(exchange, rc, "no memory"));
}

static void begin(struct calm__http_exchange *exchange)
{
    struct calm_http *client = exchange->client;
    exchange->proxy = client->unix_path ? NULL
                                        : calm__http_proxy_for(
                                              &client->proxies, &exchange->url);
    int rc = calm__http_name_find(exchange);
    if (rc < 0) {
        calm__http_end(exchange, rc);
        return;
    }
    exchange->state = CALM__HTTP_NAMING;
    live_add(client, exchange);
    if (rc > 0)
        launch_or_end(exchange);
    else
        calm__http_phase_set(exchange, CALM__HTTP_CONNECTING);
}

void calm__http_named(
    struct calm__http_name *name, int result, const char *reason)
{
    struct calm_http *client = name->client;
    struct calm__http_exchange *each = client->live_first, *next;
    int64_t now = calm__loop_time(client->loop);
    for (; each; each = next) {
        next = each->live_next;
        if (each->name != name || each->state != CALM__HTTP_NAMING)
            continue;
        each->spent_naming = now - each->last;
        if (result == 0)
            launch_or_end(each);
        else
            calm__http_end(each,
                calm__http_because(each, result,
                    "cannot find the address of '%s': %s", name->host, reason));
    }
    calm__http_settle(client);
}

void calm__http_descriptor_failed(struct calm_http *client, int fd, int result)
{
    struct calm__http_exchange *each = client->live_first, *next;
    for (; each; each = next) {
        next = each->live_next;
        if (each->fd != fd && !(each->fd < 0 && each->url.secure))
            continue;
        if (each->state != CALM__HTTP_RUNNING)
            continue;
        calm__http_because(
            each, result, "cannot wait for it: %s", strerror(-result));
        calm__http_end(each, result);
    }
    calm__http_settle(client);
}

static void resume(struct calm__http_exchange *exchange)
{
    if (exchange->state != CALM__HTTP_RUNNING)
        return;
    exchange->in_paused = exchange->out_paused = false;
    calm__http_phase_set(exchange, exchange->phase);
    /* What was held back is told in here; when that is refused nobody else
     * will hear of it. */
    CURLcode code = curl_easy_pause(exchange->handle->easy, CURLPAUSE_CONT);
    if (code != CURLE_OK)
        calm__http_end(exchange, exchange->result < 0
                                     ? exchange->result
                                     : calm__http_code(exchange, code));
}

/* ---- libcurl ---- */

static void message_take(struct calm_http *client, const CURLMsg *message)
{
    char *private;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    struct calm__http_handle *handle = (void *)private;
    struct calm__http_exchange *exchange = handle->exchange;
    long connects = 0;
    curl_easy_getinfo(handle->easy, CURLINFO_NUM_CONNECTS, &connects);
    exchange->response->reused = connects == 0;
    int result = exchange->result;
    if (result == 0 && code != CURLE_OK)
        result = calm__http_code(exchange, code);
    if (result == 0 && !exchange->headers_over) /* which libcurl lets pass */
        result = calm__http_because(
            exchange, -ENODATA, "the answer ended in its head");
    if (result == 0 && exchange->drop)
        result = calm__http_redirect(exchange);
    calm__http_end(exchange, result);
}

void calm__http_settle(struct calm_http *client)
{
    int running, left;
    CURLMsg *message;
    for (int round = 0; round < ROUNDS; round++) {
        while ((message = curl_multi_info_read(client->multi, &left)))
            if (message->msg == CURLMSG_DONE)
                message_take(client, message);
        if (!client->kick)
            return;
        client->kick = false;
        curl_multi_socket_action(
            client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    client->kick = true; /* others first */
    /* At the time itself it would ring again in this turn. */
    calm__alarm_set(&client->timer, calm__loop_time(client->loop) + 1);
}

/* The alarm is left alone when it rings sooner than libcurl wants: it is then
 * set anew. Beside a virtual clock libcurl's goes on, and its timers (the next
 * address is tried, ...) would ring at random: there calm's limits do, but a
 * millisecond is what libcurl says, too, when it means at once. */
int calm__http_on_timer(CURLM *multi, long timeout, void *ctx)
{
    struct calm_http *client = ctx;
    bool virtual = calm__loop_is_virtual(client->loop);
    client->kick = timeout == 0 || (virtual && timeout == 1);
    if (timeout <= 0 || virtual) {
        client->timer_due = CALM_FOREVER;
        if (client->timer.timer.index)
            calm__alarm_set(&client->timer, CALM_FOREVER);
        return 0;
    }
    client->timer_due = calm_now() + timeout * CALM_MS;
    if (!client->timer.timer.index ||
        client->timer.timer.deadline > client->timer_due)
        calm__alarm_set(&client->timer, client->timer_due);
    return 0;
}

void calm__http_timer_ring(struct calm__alarm *alarm)
{
    struct calm_http *client =
        (void *)((char *)alarm - offsetof(struct calm_http, timer));
    if (!client->kick && client->timer_due > calm__loop_time(client->loop)) {
        calm__alarm_set(alarm, client->timer_due);
        return;
    }
    client->kick = true;
    calm__http_settle(client);
}

/* ---- the pump ---- */

void calm__http_pump(struct calm__post *post)
{
    struct calm_http *client = (struct calm_http *)post;
    struct calm__http_exchange *exchange;
    client->posted = false;
    while ((exchange = client->ask_first) && !client->closing) {
        unsigned asked = exchange->asked;
        ask_remove(client, exchange);
        exchange->asked = 0;
        if (asked & CALM__HTTP_CANCEL)
            calm__http_end(exchange, -ECANCELED);
        else if (asked & CALM__HTTP_START)
            begin(exchange);
        else
            resume(exchange);
    }
    if (client->closing)
        calm__http_shut(client);
    else
        calm__http_settle(client);
}
