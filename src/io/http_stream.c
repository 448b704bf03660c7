/* http_stream.c - bodies that come and go piece by piece
 *
 * libcurl calls back on the loop's stack, where nothing may suspend; the
 * request's own functions run on the stack of the task that sends it. Between
 * the two lies a buffer in each direction. When the one of what came is full
 * libcurl is told to pause, which stops reading from the connection, and so the
 * server in the end; when the one of what goes is empty, it pauses sending.
 *
 * There are two ways to say so, and a version of libcurl for which each is
 * wrong. When a piece is refused, version 7 keeps all that it has decoded, and
 * copies it anew at every further pause. When it is told by curl_easy_pause()
 * within the callback, version 8 takes what it still holds for work, and wants
 * to be called again and again, without end.
 *
 *     libcurl -> inbox -> told -> on_body        swapped, never copied twice
 *     libcurl <- outbox <- read_body
 */
#include "io/http.h"

#include <errno.h>
#include <string.h>

enum { OUTBOX = 64 << 10 };

/* ---- the loop's side ---- */

size_t calm__http_stream_data(
    struct calm__http_exchange *exchange, const char *data, size_t len)
{
    calm_bytes *inbox = &exchange->inbox;
    if (inbox->len > CALM__HTTP_AHEAD && exchange->client->refuses) {
        exchange->in_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (calm_bytes_append(inbox, data, len) < 0) {
        calm__http_because(exchange, -ENOMEM, "no memory");
        return len + 1;
    }
    calm__http_wake(exchange);
    if (inbox->len > CALM__HTTP_AHEAD && !exchange->in_paused &&
        !exchange->client->refuses) {
        exchange->in_paused = true;
        curl_easy_pause(exchange->handle->easy,
            CURLPAUSE_RECV | (exchange->out_paused ? CURLPAUSE_SEND : 0));
    }
    return len;
}

size_t calm__http_on_read(char *data, size_t size, size_t count, void *ctx)
{
    struct calm__http_handle *handle = ctx;
    struct calm__http_exchange *exchange = handle->exchange;
    calm_bytes *outbox = &exchange->outbox;
    size_t len = outbox->len - exchange->out_at;
    exchange->last = calm__loop_time(exchange->client->loop);
    if (len > size * count)
        len = size * count;
    if (len == 0 && exchange->out_over)
        return 0;
    if (len == 0) {
        exchange->out_paused = true;
        calm__http_wake(exchange);
        return CURL_READFUNC_PAUSE;
    }
    memcpy(data, outbox->data + exchange->out_at, len);
    exchange->out_at += len;
    if (exchange->out_at == outbox->len)
        calm__http_wake(exchange); /* to fill it, while this is sent */
    return len;
}

/* ---- the task's side ---- */

static int tell(struct calm__http_exchange *exchange)
{
    const calm_http_request *request = exchange->request;
    calm_bytes full = exchange->inbox;
    exchange->inbox = exchange->told;
    exchange->told = full;
    if (exchange->in_paused && exchange->state == CALM__HTTP_RUNNING)
        calm__http_ask(exchange, CALM__HTTP_RESUME);
    int rc =
        request->on_body(request->ctx, exchange->told.data, exchange->told.len);
    calm_bytes_reset(&exchange->told);
    return rc < 0 ? rc : 1;
}

static int size_check(struct calm__http_exchange *exchange, ssize_t got)
{
    size_t size = exchange->request->body_len;
    if (size > 0 && exchange->out_total > size)
        return calm_fail(-EINVAL,
            "a request's body is longer than the %zu bytes announced", size);
    if (size > 0 && got == 0 && exchange->out_total < size)
        return calm_fail(-EINVAL,
            "a request's body is shorter than the %zu bytes announced", size);
    return 0;
}

static int fill(struct calm__http_exchange *exchange)
{
    const calm_http_request *request = exchange->request;
    calm_bytes *outbox = &exchange->outbox;
    calm_bytes_reset(outbox);
    exchange->out_at = 0;
    int rc = calm_bytes_reserve(outbox, OUTBOX);
    if (rc < 0)
        return calm_fail(rc, "no memory for a request's body");
    /* Meanwhile libcurl finds nothing, and pauses. */
    ssize_t got = request->read_body(request->ctx, outbox->data, OUTBOX);
    if (got < 0)
        return (int)got;
    if (got > OUTBOX)
        return calm_fail(-EINVAL, "read_body returned more than was asked");
    calm_bytes_advance(outbox, (size_t)got);
    exchange->out_total += (size_t)got;
    rc = size_check(exchange, got);
    if (rc < 0)
        return rc;
    exchange->out_over = got == 0;
    if (exchange->out_paused && exchange->state == CALM__HTTP_RUNNING)
        calm__http_ask(exchange, CALM__HTTP_RESUME);
    return 1;
}

int calm__http_stream_turn(struct calm__http_exchange *exchange)
{
    const calm_http_request *request = exchange->request;
    if (exchange->inbox.len > 0)
        return tell(exchange);
    if (request->read_body && !exchange->out_over &&
        exchange->out_at == exchange->outbox.len &&
        exchange->state == CALM__HTTP_RUNNING)
        return fill(exchange);
    return 0;
}
