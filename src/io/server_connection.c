/* server_connection.c - the way of a connection, as libmicrohttpd tells it
 *
 * io/server.h draws the phases. All of this runs on the turn task, inside of
 * MHD_run(), except what a handler's task does; nothing here waits.
 */
#include "base/error.h"
#include "base/fault.h"
#include "core/group.h"
#include "io/server_inside.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    /* A connection's memory is a head of the largest size, and this for the
     * list of its headers and for the answer's head. All of it is zeroed
     * between requests, at the price of a microsecond for 48 KiB. */
    POOL_MARGIN = 4 << 10,

    /* The limit is ours to keep: libmicrohttpd, which may count one that ends
     * for longer, would close the newcomer. */
    LIMIT_MARGIN = 64,
};

/* ---- phases ---- */

void calm__phase_leave(calm_request *request)
{
    struct calm__phase_list *list = &request->server->phases[request->phase];
    if (request->previous)
        request->previous->next = request->next;
    else
        list->first = request->next;
    if (request->next)
        request->next->previous = request->previous;
    else
        list->last = request->previous;
    list->count--;
}

void calm__phase_enter(calm_request *request, enum calm__phase phase)
{
    struct calm__phase_list *list = &request->server->phases[phase];
    request->phase = phase;
    request->since = calm_now();
    request->next = NULL;
    request->previous = list->last;
    if (list->last)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
    list->count++;
}

size_t calm_server_requests(const calm_server *server)
{
    return server->phases[CALM__BODY].count +
           server->phases[CALM__HANDLING].count +
           server->phases[CALM__SENDING].count;
}

static void quiet_look(calm_server *server)
{
    if (calm_server_requests(server) == 0)
        calm_event_set(&server->quiet);
    else
        calm_event_clear(&server->quiet);
}

/* The one place where a connection changes its phase. */
static void phase_move(calm_request *request, enum calm__phase phase)
{
    static const bool allowed[CALM__PHASES][CALM__PHASES] = {
        [CALM__IDLE] = {[CALM__BODY] = true, [CALM__DROPPING] = true},
        [CALM__BODY] = {[CALM__HANDLING] = true,
            [CALM__DROPPING] = true,
            [CALM__SENDING] = true,
            [CALM__IDLE] = true},
        [CALM__HANDLING] = {[CALM__SENDING] = true},
        [CALM__SENDING] = {[CALM__IDLE] = true},
        [CALM__DROPPING] = {[CALM__IDLE] = true},
    };
    assert(allowed[request->phase][phase]);
    calm__phase_leave(request);
    calm__phase_enter(request, phase);
    quiet_look(request->server);
}

/* ---- bodies ---- */

static void body_release(calm_request *request)
{
    request->server->bodies_held -= request->held;
    request->held = 0;
}

/* Takes a part of the body. Returns 0, or the status to refuse it with. */
static int body_append(calm_request *request, const char *data, size_t len)
{
    calm_server *server = request->server;
    if (len > server->opts.body_most - request->body.len)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    if (len > server->opts.bodies_most - server->bodies_held)
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    if (calm_bytes_append(&request->body, data, len) < 0)
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    request->held += len;
    server->bodies_held += len;
    return 0;
}

/* ---- heads ---- */

static void answer_error(calm_request *request, int status, const char *text)
{
    calm_bytes body = {0};
    calm_bytes_append_text(&body, text);
    calm_bytes_append_text(&body, "\n");
    if (calm_respond_bytes(request, status, "text/plain", &body) < 0)
        calm_bytes_clear(&body);
}

/* The answer that was left is sent at once; what still comes is dropped. */
static void refuse(calm_request *request)
{
    calm__request_push(request);
    phase_move(request, CALM__DROPPING);
    calm_bytes_clear(&request->body);
    body_release(request);
}

static void refuse_because(
    calm_request *request, int status, const char *reason)
{
    calm__respond_reason(request, status, reason);
    refuse(request);
}

/* An answer that comes before the body. Without one to come it goes the way
 * of all others, and the connection lives on. */
static void answer_early(calm_request *request, bool has_body)
{
    if (has_body) {
        refuse(request);
        return;
    }
    phase_move(request, CALM__BODY);
    request->answered = true;
}

static void head_done(calm_request *request, const char *version)
{
    const calm_server_opts *opts = &request->server->opts;
    request->begun = true;
    struct calm__head head = calm__head_check(request, version);
    if (head.status) {
        refuse_because(request, head.status, head.reason);
        return;
    }
    int rc = opts->head ? opts->head(request, opts->ctx) : 0;
    if (rc < 0)
        answer_error(request, 500, calm_message(rc));
    if (rc != 0 && request->status == 0)
        request->status = MHD_HTTP_NO_CONTENT;
    if (rc == 0)
        phase_move(request, CALM__BODY);
    else
        answer_early(request, head.has_body);
    calm_error_clear();
}

static void body_more(calm_request *request, const char *data, size_t len)
{
    int status = body_append(request, data, len);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        refuse_because(request, status, "no memory for the body");
    else if (status)
        refuse_because(request, status, "the body is too large");
}

/* ---- handling ---- */

void calm__request_drop(calm_request *request)
{
    calm_server *server = request->server;
    body_release(request);
    calm__phase_leave(request);
    calm__request_free(request);
    quiet_look(server);
}

static int handle(void *arg)
{
    calm_request *request = arg;
    const calm_server_opts *opts = &request->server->opts;
    int rc = opts->handler(request, opts->ctx);
    if (rc == -ECANCELED)
        answer_error(request, 503, "the server ends");
    else if (rc < 0)
        answer_error(request, 500, calm_message(rc));
    else if (request->status == 0)
        request->status = MHD_HTTP_NO_CONTENT;
    return 0;
}

/* Also when its task has never run, without memory for a stack. */
static void handled(struct calm__awaiter *awaiter, struct calm_task *task)
{
    calm_request *request =
        (void *)((char *)awaiter - offsetof(calm_request, handling));
    calm_server *server = request->server;
    /* Then this runs in the context of another, whose sentence is not ours. */
    struct calm__error *error =
        request->status == 0 ? calm__error_take() : NULL;
    if (request->status == 0)
        calm__respond_reason(request, 503, "no memory for the request");
    if (error)
        calm__error_set(error);
    request->answered = true;
    if (request->orphan && request->closed)
        calm__request_drop(request);
    else if (request->suspended)
        MHD_resume_connection(request->connection);
    calm_event_set(&server->work);
}

static enum MHD_Result handler_start(calm_request *request)
{
    calm_server *server = request->server;
    phase_move(request, CALM__HANDLING);
    if (!server->handlers) {
        request->answered = true; /* nobody else will */
        return MHD_NO;
    }
    struct calm_task *task =
        calm__spawn_slot(server->handlers, handle, request, &server->unhandled);
    request->handling = (struct calm__awaiter){.done = handled, .takes = true};
    if (task)
        calm__awaiter_add(task, &request->handling);
    else
        handled(&request->handling, NULL);
    return MHD_YES;
}

/* Is asked again: many a handler has its answer by now. A suspended connection
 * costs two system calls, and when it goes on, libmicrohttpd first reads: it
 * would take the end of what a client says, in the same turn as the request,
 * for the client's leaving. */
static enum MHD_Result handler_wait(calm_request *request)
{
    request->suspended = true;
    MHD_suspend_connection(request->connection);
    return MHD_YES;
}

/* On Linux connecting to nothing dissolves a connection, with a reset. */
static enum MHD_Result reset(calm_request *request)
{
    struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    connect(calm__request_fd(request), &nothing, sizeof nothing);
    return MHD_NO;
}

static enum MHD_Result answer_send(calm_request *request)
{
    if (request->misdeed == CALM__RESET)
        return reset(request);
    struct MHD_Response *response =
        calm__request_response(request, request->server->draining);
    if (!response)
        return MHD_NO;
    body_release(request);
    /* A client may take its time with the answer. */
    if (request->body.capacity > CALM__BODY_KEPT)
        calm_bytes_clear(&request->body);
    phase_move(request, CALM__SENDING);
    enum MHD_Result result = MHD_queue_response(
        request->connection, (unsigned)request->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- what libmicrohttpd calls, on the turn task ---- */

/* Is called once with the head, for each part of the body, once when all is
 * there, and once more after a resume. Every call up to the last must take all
 * of the body that it is given. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version,
    const char *upload, size_t *upload_len, void **context)
{
    calm_request *request = *context;
    if (!request || request->shut || !request->target)
        return MHD_NO;
    if (!request->begun) {
        snprintf(request->method, sizeof request->method, "%s", method);
        head_done(request, version);
        return MHD_YES;
    }
    if (request->phase == CALM__DROPPING) {
        bool all = *upload_len == 0;
        *upload_len = 0;
        return all ? MHD_NO : MHD_YES;
    }
    if (*upload_len > 0) {
        body_more(request, upload, *upload_len);
        *upload_len = 0;
        return MHD_YES;
    }
    if (request->answered)
        return answer_send(request);
    return request->phase == CALM__HANDLING ? handler_wait(request)
                                            : handler_start(request);
}

static calm_request *of_connection(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* The target as it came; later calls give it decoded, in which an encoded
 * slash is one. A proxy may be given a whole URL: what counts is its path. */
static void *on_target(
    void *cls, const char *target, struct MHD_Connection *connection)
{
    calm_request *request = of_connection(connection);
    if (!request)
        return NULL;
    if (strncasecmp(target, "http://", 7) == 0) {
        target = strchr(target + 7, '/');
        if (!target)
            target = "/";
    }
    calm__request_reset(request);
    request->target = strdup(target);
    if (request->target) {
        char *mark = strchr(request->target, '?');
        request->query = mark ? mark + 1 : NULL;
        if (mark)
            *mark = '\0';
    }
    return request;
}

static void on_completed(void *cls, struct MHD_Connection *connection,
    void **context, enum MHD_RequestTerminationCode code)
{
    calm_request *request = *context;
    *context = NULL;
    if (!request)
        return;
    if (request->phase == CALM__HANDLING && !request->answered) {
        request->orphan = true;
        request->connection = NULL;
        return;
    }
    body_release(request);
    calm__request_reset(request);
    if (request->phase == CALM__HANDLING)
        phase_move(request, CALM__SENDING);
    if (request->phase != CALM__IDLE)
        phase_move(request, CALM__IDLE);
}

static void connection_opened(
    calm_server *server, struct MHD_Connection *connection, void **context)
{
    server->connections++;
    calm_request *request = calm__alloc(sizeof *request);
    *context = request;
    if (!request)
        return; /* its first request is then refused */
    *request = (calm_request){.server = server, .connection = connection};
    calm__phase_enter(request, CALM__IDLE);
    calm_event_set(&server->some);
}

static void on_connection(void *cls, struct MHD_Connection *connection,
    void **context, enum MHD_ConnectionNotificationCode code)
{
    calm_server *server = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_opened(server, connection, context);
        return;
    }
    calm_request *request = *context;
    *context = NULL;
    server->connections--;
    calm_event_set(&server->room);
    if (request && request->orphan && !request->answered)
        request->closed = true;
    else if (request)
        calm__request_drop(request);
}

/* Paths are decoded by those who know what a slash in a name means. */
static size_t leave_encoded(
    void *cls, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

/* ---- its daemon ---- */

int calm__server_daemon(calm_server *server)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO |
                           MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        server->opts.header_most + POOL_MARGIN,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)(4 << 10),
        MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->opts.connections_most + LIMIT_MARGIN,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        server->daemon
            ? MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)
            : NULL;
    if (!info)
        return calm_fail(-ENOMEM, "libmicrohttpd does not start");
    server->epoll_fd = info->epoll_fd;
    return 0;
}
