/* http_send.c - sending a request: the task's side
 *
 * The exchange lies on the stack of the task, which stays until the loop's side
 * has let go of it, cancelled or not. A redirect is a further exchange: where
 * it may lead, and what may go there, is decided here and not by libcurl,
 * which keeps back two headers only that it knows to be secrets.
 */
#include "io/http.h"

#include "host/lifetime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void exchange_cancel(struct calm_task *task, void *object)
{
    calm__http_ask(object, CALM__HTTP_CANCEL);
}

static const struct calm__wait exchange_wait = {
    .what = "an HTTP server", .cancel = exchange_cancel};

/* Until it has ended. What a function of the request returns ends it, too. */
static int exchange_run(struct calm__http_exchange *exchange)
{
    int failure = 0;
    bool told = false;
    exchange->task = calm__self();
    calm__http_ask(exchange, CALM__HTTP_START);
    for (;;) {
        int rc = failure < 0 || told ? 0 : calm__http_stream_turn(exchange);
        if (rc > 0)
            continue;
        if (rc < 0)
            failure = rc;
        if (exchange->state == CALM__HTTP_ENDED)
            break;
        if ((failure < 0 || calm_cancelled()) && !told) {
            told = true;
            calm__http_ask(exchange, CALM__HTTP_CANCEL);
        }
        exchange->parked = true;
        calm__park(&exchange_wait, exchange);
    }
    return failure < 0 ? failure : exchange->result;
}

static int described(const struct calm__http_exchange *exchange, int rc)
{
    char shown[CALM__HTTP_SHOWN];
    if (rc >= 0 || rc == -ECANCELED || rc != exchange->result)
        return rc; /* or it is of the request's own function */
    return calm_fail(rc, "%s '%s': %s", exchange->method,
        calm_http_url_show(exchange->url.text, shown, sizeof shown),
        exchange->reason);
}

static int url_take(struct calm__http_exchange *exchange, const char *text)
{
    const char *reason;
    char shown[CALM__HTTP_SHOWN];
    int rc = calm__http_url_parse(text, &exchange->url, &reason);
    if (rc == 0)
        return 0;
    return calm_fail(rc, "cannot request '%s': %s",
        calm_http_url_show(text ? text : "", shown, sizeof shown), reason);
}

/* Makes EXCHANGE the next one of a row of redirects. *URL_KEPT is the memory
 * of its URL. */
static int redirect(struct calm__http_exchange *exchange, char **url_kept)
{
    struct calm__http_url from = exchange->url;
    const char *reason;
    char shown[CALM__HTTP_SHOWN];
    int status = exchange->response->status;
    calm_http_url_show(from.text, shown, sizeof shown);
    if (exchange->redirects_left-- == 0)
        return calm_fail(CALM_EHTTP, "%s '%s': more than %d redirects",
            exchange->method, shown, exchange->request->redirects);
    bool becomes_get =
        (status == 303 && strcmp(exchange->method, "HEAD") != 0) ||
        (status < 303 && strcmp(exchange->method, "POST") == 0);
    if (exchange->request->read_body)
        return calm_fail(CALM_EHTTP,
            "%s '%s': it redirects a body that cannot be sent again",
            exchange->method, shown);
    if (calm__http_url_parse(exchange->next_url, &exchange->url, &reason) < 0)
        return calm_fail(CALM_EHTTP, "%s '%s': it redirects elsewhere: %s",
            exchange->method, shown, reason);
    exchange->strange |= exchange->url.secure != from.secure ||
                         exchange->url.port != from.port ||
                         strcmp(exchange->url.host, from.host) != 0;
    if (becomes_get) {
        exchange->method = "GET";
        exchange->body = NULL;
        exchange->body_len = 0;
    }
    free(*url_kept);
    *url_kept = exchange->next_url;
    exchange->next_url = NULL;
    return 1;
}

static void exchange_begin(struct calm__http_exchange *exchange)
{
    calm_http_response *response = exchange->response;
    response->status = 0;
    response->reused = response->sent = false;
    calm_bytes_reset(&response->body);
    calm_bytes_reset(&response->headers);
    exchange->state = CALM__HTTP_ASKED;
    exchange->phase = CALM__HTTP_QUEUED;
    exchange->fd = -1;
    exchange->name = NULL;
    exchange->spent_naming = 0;
    exchange->uploaded = 0;
    exchange->result = 0;
    exchange->reason[0] = '\0';
}

/* One exchange after the other, until there is no redirect to follow. */
static int exchanges_run(struct calm__http_exchange *exchange)
{
    char *url_kept = NULL;
    int rc;
    do {
        exchange_begin(exchange);
        rc = calm__enter();
        if (rc == 0 && exchange->client->closing)
            rc = calm_fail(-EBADF, "the client was closed");
        if (rc == 0)
            rc = described(exchange, exchange_run(exchange));
        if (rc == 0 && exchange->drop)
            rc = redirect(exchange, &url_kept);
    } while (rc > 0);
    free(url_kept);
    free(exchange->next_url);
    return rc;
}

int calm_http_send(calm_http *client, const calm_http_request *request,
    calm_http_response *response)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct calm__http_exchange exchange = {
        .client = client,
        .request = request,
        .response = response,
        .redirects_left = request->redirects,
        .method = request->method                       ? request->method
                  : request->body || request->read_body ? "POST"
                                                        : "GET",
        .body = request->body,
        .body_len = request->body_len,
    };
    exchange_begin(&exchange);
    client->senders++; /* between two redirects it may be closed */
    rc = calm__http_request_check(request);
    if (rc == 0)
        rc = url_take(&exchange, request->url);
    if (rc == 0)
        rc = exchanges_run(&exchange);
    if (rc < 0)
        calm_bytes_reset(&response->body);
    calm_bytes_clear(&exchange.inbox);
    calm_bytes_clear(&exchange.told);
    calm_bytes_clear(&exchange.outbox);
    calm__http_leave(client);
    return rc;
}
