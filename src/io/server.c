/* server.c - an HTTP server on the loop, by libmicrohttpd
 *
 *     accept task --+    a new connection
 *     watch task  --+--> turn task: MHD_run()      its descriptor is ready
 *     handler tasks +       |         an answer is left: resume
 *        ^                  |
 *        +------------------+         a request is whole: suspend, spawn
 *     expire task ---> shuts down what takes too long
 *
 * libmicrohttpd never sees a listener: we accept ourselves, so that a limit, a
 * lack of descriptors and the end of accepting are ours to handle. Its own
 * timeouts count from the last byte, which a client that sends one byte every
 * few seconds never reaches; ours count from the begin of a phase. As it
 * offers no call to close a connection, we shut the socket down, which it
 * notices as it would a client that left.
 *
 * Cancelling calm_server_run() must not cancel what it serves. So the service
 * is a child in a shield, and the body only waits for the cancel.
 */
#include "io/server.h"

#include "base/fault.h"
#include "io/socket.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    /* Of a connection: half of it is for reading, and a head of 32 KiB must
     * fit beside the list of its headers. */
    POOL_MARGIN = 16 << 10,
    HEADER_MOST = 1 << 20,
};

#define RETRY_ACCEPT (100 * CALM_MS)
#define REFUSED_TIME (2 * CALM_S) /* to read what we sent */
#define FLUSH_TIME (1 * CALM_S)   /* for answers of handlers that we ended */

struct calm_server {
    calm_server_opts opts;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    calm_socket *listener;
    int port;
    char name[CALM__ADDRESS_TEXT];

    calm_group *handlers; /* while it runs */
    bool draining;
    calm_event stop;  /* to begin the drain */
    calm_event quiet; /* no request has begun */
    calm_event room;  /* for another connection */
    calm_event some;  /* there are connections */
    calm_event work;  /* for the turn task */
    calm_event turned;
    size_t connections;
    size_t bodies_held;
    struct calm__phase_list phases[CALM__PHASES];
};

/* ---- phases ---- */

static int64_t phase_limit(const calm_server *server, enum calm__phase phase)
{
    switch (phase) {
    case CALM__IDLE:
        return server->opts.header_time;
    case CALM__BODY:
        return server->opts.body_time;
    case CALM__SENDING:
        return server->opts.send_time;
    case CALM__REFUSED:
        return REFUSED_TIME;
    default:
        return CALM_FOREVER;
    }
}

static void phase_leave(calm_request *request)
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

static void phase_enter(calm_request *request, enum calm__phase phase)
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
        [CALM__IDLE] = {[CALM__BODY] = true, [CALM__REFUSED] = true},
        [CALM__BODY] = {[CALM__HANDLING] = true,
            [CALM__REFUSED] = true,
            [CALM__SENDING] = true,
            [CALM__IDLE] = true},
        [CALM__HANDLING] = {[CALM__SENDING] = true},
        [CALM__SENDING] = {[CALM__IDLE] = true},
        [CALM__REFUSED] = {[CALM__IDLE] = true},
    };
    assert(allowed[request->phase][phase]);
    phase_leave(request);
    phase_enter(request, phase);
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

/* What the head says of the body's length. */
struct framing {
    int lengths, codings;
    bool unknown_coding;
    uint64_t length;
    bool too_long; /* a length that no number holds, or none at all */
    bool bad_name;
};

static void length_read(struct framing *framing, const char *text)
{
    uint64_t length = 0;
    framing->lengths++;
    framing->too_long |= *text == '\0';
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || length > UINT64_MAX / 10 - 1) {
            framing->too_long = true;
            return;
        }
        length = length * 10 + (uint64_t)(*text - '0');
    }
    framing->length = length;
}

static enum MHD_Result framing_read(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *framing = cls;
    framing->bad_name |= !calm__header_is_name(name);
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        length_read(framing, value ? value : "");
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->codings++;
        framing->unknown_coding |= !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

struct verdict {
    int status; /* 0: good */
    const char *reason;
};

static struct verdict head_check(
    const calm_request *request, const char *version)
{
    const calm_server_opts *opts = &request->server->opts;
    struct framing framing = {0};
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info && info->header_size > opts->header_most)
        return (struct verdict){431, "the head of the request is too large"};
    MHD_get_connection_values(
        request->connection, MHD_HEADER_KIND, framing_read, &framing);
    /* "Content-Length : 5" is a length to some and nothing to others. */
    if (framing.bad_name)
        return (struct verdict){400, "the name of a header is none"};
    if (framing.lengths > 1 || framing.codings > 1 ||
        (framing.lengths && framing.codings))
        return (struct verdict){400, "the length of the body is ambiguous"};
    if (framing.codings && strcmp(version, "HTTP/1.1") != 0)
        return (struct verdict){400, "only HTTP/1.1 has chunks"};
    if (framing.unknown_coding)
        return (struct verdict){501, "this transfer coding is not known"};
    if (framing.too_long || framing.length > opts->body_most)
        return (struct verdict){413, "the body is too large"};
    return (struct verdict){0};
}

static void refuse(calm_request *request, int status, const char *reason)
{
    calm__request_refuse(request, status, reason);
    phase_move(request, CALM__REFUSED);
    calm_bytes_clear(&request->body);
    body_release(request);
}

static void head_done(calm_request *request, const char *version)
{
    request->begun = true;
    struct verdict verdict = head_check(request, version);
    if (verdict.status)
        refuse(request, verdict.status, verdict.reason);
    else
        phase_move(request, CALM__BODY);
}

static void body_more(calm_request *request, const char *data, size_t len)
{
    int status = body_append(request, data, len);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        refuse(request, status, "no memory for the body");
    else if (status)
        refuse(request, status, "the body is too large");
}

/* ---- handling ---- */

static void answer_error(calm_request *request, int status, const char *text)
{
    calm_bytes body = {0};
    calm_bytes_append_text(&body, text);
    calm_bytes_append_text(&body, "\n");
    if (calm_respond_bytes(request, status, "text/plain", &body) < 0)
        calm_bytes_clear(&body);
}

static void record_free(calm_request *request)
{
    calm_server *server = request->server;
    body_release(request);
    phase_leave(request);
    calm__request_free(request);
    quiet_look(server);
}

static int handle(void *arg)
{
    calm_request *request = arg;
    calm_server *server = request->server;
    int rc = server->opts.handler(request, server->opts.ctx);
    if (rc == -ECANCELED)
        answer_error(request, 503, "the server ends");
    else if (rc < 0)
        answer_error(request, 500, calm_message(rc));
    if (request->status == 0)
        request->status = MHD_HTTP_NO_CONTENT;
    calm_error_clear();
    request->answered = true;
    if (request->orphan)
        record_free(request);
    else if (request->suspended)
        MHD_resume_connection(request->connection);
    calm_event_set(&server->work);
    return 0;
}

static enum MHD_Result handler_start(calm_request *request)
{
    calm_server *server = request->server;
    calm_task *task = NULL;
    phase_move(request, CALM__HANDLING);
    if (server->handlers)
        task = calm_spawn(server->handlers, handle, request);
    if (!task) {
        request->answered = true; /* nobody else will */
        return MHD_NO;
    }
    calm_release(task);
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
    if (request->phase == CALM__REFUSED) {
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
    phase_enter(request, CALM__IDLE);
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
    if (request && !request->orphan)
        record_free(request);
}

/* Paths are decoded by those who know what a slash in a name means. */
static size_t leave_encoded(
    void *cls, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

/* ---- tasks ---- */

/* libmicrohttpd may have more to do without any descriptor being ready. */
static bool has_work(calm_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    return MHD_get_timeout(server->daemon, &timeout) == MHD_YES && timeout == 0;
}

static int turn(void *arg)
{
    calm_server *server = arg;
    calm_name("server");
    for (;;) {
        if (MHD_run(server->daemon) != MHD_YES)
            return calm_fail(-EIO, "libmicrohttpd cannot go on");
        bool more = has_work(server);
        if (!more)
            calm_event_set(&server->turned);
        int rc = more ? calm_checkpoint() : calm_event_wait(&server->work);
        calm_event_clear(&server->work);
        if (rc < 0)
            return rc;
    }
}

/* Connections that are new and those that go on are known to libmicrohttpd
 * without a word of its descriptor, so the turn has an event of its own, which
 * this task sets when the descriptor is ready. */
static int watch(void *arg)
{
    calm_server *server = arg;
    calm_name("server's descriptor");
    for (;;) {
        int rc = calm__socket_wait_fd(server->epoll_fd, CALM__OP_READABLE);
        if (rc < 0)
            return rc;
        calm_event_clear(&server->turned);
        calm_event_set(&server->work);
        rc = calm_event_wait(&server->turned);
        if (rc < 0)
            return rc;
    }
}

/* The connection is libmicrohttpd's from here on, also when it refuses. */
static void connection_add(calm_server *server, calm_socket *socket)
{
    struct calm__address peer = {.len = sizeof peer.local};
    int fd = calm__socket_release(socket);
    if (getpeername(fd, &peer.any, &peer.len) < 0)
        close(fd); /* it is gone already */
    else
        MHD_add_connection(server->daemon, fd, &peer.any, peer.len);
    calm_event_set(&server->work);
}

static int accept_next(calm_server *server)
{
    calm_socket *socket;
    while (server->connections >= server->opts.connections_most) {
        calm_event_clear(&server->room);
        int rc = calm_event_wait(&server->room);
        if (rc < 0)
            return rc;
    }
    int rc = calm_socket_accept(server->listener, &socket);
    if (rc == 0)
        connection_add(server, socket);
    return rc;
}

/* Without descriptors or memory for another connection those that there are
 * go on, and the new one waits in the kernel. */
static bool may_pass(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOBUFS;
}

static int accept_all(void *arg)
{
    calm_server *server = arg;
    calm_name("accept");
    for (;;) {
        int rc = accept_next(server);
        if (may_pass(rc)) {
            calm_error_clear();
            rc = calm_sleep(RETRY_ACCEPT);
        }
        if (rc < 0)
            return server->draining ? 0 : rc;
    }
}

/* The client is told where it can tell what is meant: not in the midst of a
 * head, nor of an answer. */
static void expire(calm_request *request)
{
    if (request->phase == CALM__BODY)
        calm__request_refuse(
            request, MHD_HTTP_REQUEST_TIMEOUT, "the body took too long");
    request->shut = true;
    shutdown(calm__request_fd(request), SHUT_RDWR);
    phase_leave(request);
    phase_enter(request, request->phase); /* behind all others */
}

/* Shuts down what is late; returns when to look again. A phase that begins
 * after this lasts for LOOK at least. */
static int64_t expire_due(calm_server *server)
{
    int64_t now = calm_now(), next = now + REFUSED_TIME;
    for (int phase = 0; phase < CALM__PHASES; phase++) {
        int64_t limit = phase_limit(server, phase);
        if (limit == CALM_FOREVER)
            continue;
        if (limit < next - now)
            next = now + limit;
        calm_request *request;
        while ((request = server->phases[phase].first) &&
               request->since <= now - limit)
            expire(request);
        if (request && request->since + limit < next)
            next = request->since + limit;
    }
    return next;
}

static int expire_all(void *arg)
{
    calm_server *server = arg;
    calm_name("time limits");
    for (;;) {
        int rc = 0;
        if (server->connections == 0) {
            calm_event_clear(&server->some);
            rc = calm_event_wait(&server->some);
        } else {
            rc = calm_sleep_until(expire_due(server));
        }
        if (rc < 0)
            return rc;
    }
}

/* ---- running ---- */

/* Waits until no request has begun, or the time is up. */
static void drain(calm_server *server, int64_t time)
{
    calm_timeout timeout;
    calm_timeout_begin(&timeout, time);
    int rc =
        calm_server_requests(server) > 0 ? calm_event_wait(&server->quiet) : 0;
    (void)calm_timeout_end(&timeout, rc);
}

static int serve_shielded(calm_server *server)
{
    calm_group parts, handlers;
    calm_group_begin(&parts);
    calm_spawn(&parts, turn, server);
    calm_spawn(&parts, watch, server);
    calm_spawn(&parts, expire_all, server);
    calm_task *accepting = calm_spawn(&parts, accept_all, server);
    calm_group_begin(&handlers);
    server->handlers = &handlers;
    int rc = calm_event_wait(&server->stop);
    server->draining = true;
    calm_cancel(accepting);
    calm_socket_close(server->listener);
    server->listener = NULL;
    if (rc == 0)
        drain(server, server->opts.drain);
    server->handlers = NULL;
    calm_group_cancel(&handlers);
    rc = calm_group_end(&handlers, rc);
    if (rc == 0)
        drain(server, FLUSH_TIME);
    calm_group_cancel(&parts);
    return calm_group_end(&parts, rc);
}

static int serve(void *arg)
{
    calm_name("service");
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = serve_shielded(arg);
    calm_shield_end(&shield);
    return rc;
}

int calm_server_run(calm_server *server)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, serve, server);
    int rc = calm_sleep(CALM_FOREVER);
    calm_event_set(&server->stop);
    return calm_group_end(&group, rc);
}

/* ---- opening and closing ---- */

static void size_default(size_t *size, size_t value)
{
    if (*size == 0)
        *size = value;
}

static int time_default(int64_t *time, int64_t value)
{
    if (*time == 0)
        *time = value;
    return *time < 0 ? -EINVAL : 0;
}

static int opts_fill(calm_server_opts *opts)
{
    size_default(&opts->header_most, 32 << 10);
    size_default(&opts->body_most, 8 << 20);
    size_default(&opts->bodies_most, 256 << 20);
    size_default(&opts->connections_most, 1024);
    if (time_default(&opts->header_time, 10 * CALM_S) < 0 ||
        time_default(&opts->body_time, 60 * CALM_S) < 0 ||
        time_default(&opts->send_time, 60 * CALM_S) < 0 ||
        time_default(&opts->drain, 10 * CALM_S) < 0)
        return calm_fail(-EINVAL, "a time of a server is negative");
    if (!opts->handler)
        return calm_fail(-EINVAL, "a server needs a handler");
    if (opts->header_most > HEADER_MOST || opts->connections_most > 1 << 20)
        return calm_fail(-EINVAL, "a limit of a server is too high");
    return 0;
}

static int daemon_start(calm_server *server)
{
    const unsigned flags = MHD_USE_EPOLL | MHD_USE_TURBO |
                           MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
    server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        server->opts.header_most + POOL_MARGIN,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)(4 << 10),
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)server->opts.connections_most,
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

int calm_server_open(const calm_server_opts *opts, calm_server **ret_server)
{
    calm_server *server = calm__alloc(sizeof *server);
    if (!server)
        return calm_fail(-ENOMEM, "no memory for a server");
    *server = (calm_server){.opts = *opts, .epoll_fd = -1};
    int rc = opts_fill(&server->opts);
    if (rc == 0)
        rc = calm_socket_listen(opts->host, opts->port, &server->listener);
    if (rc == 0) {
        server->port = calm_socket_port(server->listener);
        snprintf(server->name, sizeof server->name, "%s",
            calm_socket_name(server->listener));
        rc = daemon_start(server);
    }
    if (rc < 0) {
        calm_server_close(server);
        return rc;
    }
    *ret_server = server;
    return 0;
}

/* libmicrohttpd must have no suspended connection when it is stopped. There
 * is none, unless a task for a handler could not be made. */
static void resume_all(calm_server *server)
{
    for (calm_request *request = server->phases[CALM__HANDLING].first; request;
         request = request->next) {
        request->shut = true;
        if (request->suspended && !request->answered)
            MHD_resume_connection(request->connection);
    }
}

void calm_server_close(calm_server *server)
{
    if (!server)
        return;
    calm_socket_close(server->listener);
    if (server->daemon) {
        resume_all(server);
        MHD_run(server->daemon);
        calm_fd_forget(server->epoll_fd);
        MHD_stop_daemon(server->daemon);
        while (server->phases[CALM__HANDLING].first)
            record_free(server->phases[CALM__HANDLING].first);
    }
    free(server);
}

int calm_server_port(const calm_server *server)
{
    return server->port;
}

const char *calm_server_name(const calm_server *server)
{
    return server->name;
}

bool calm_server_draining(const calm_server *server)
{
    return server->draining;
}

size_t calm_server_connections(const calm_server *server)
{
    return server->connections;
}
