/* server_run.c - the tasks of a server, from its begin to the end of its drain
 *
 * Cancelling calm_server_run() must not cancel what it serves. So the service
 * is a child in a shield, and the body only waits for the cancel.
 */
#include "io/server_inside.h"

#include <errno.h>
#include <microhttpd.h>
#include <unistd.h>

#define RETRY_ACCEPT (100 * CALM_MS)
#define DROPPING_TIME (2 * CALM_S) /* to read what we sent */
#define FLUSH_TIME (1 * CALM_S)    /* for answers of handlers that we ended */

/* ---- turning ---- */

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

/* ---- accepting ---- */

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

/* ---- time limits ---- */

static int64_t phase_limit(const calm_server *server, enum calm__phase phase)
{
    switch (phase) {
    case CALM__IDLE:
        return server->opts.header_time;
    case CALM__BODY:
        return server->opts.body_time;
    case CALM__SENDING:
        return server->opts.send_time;
    case CALM__DROPPING:
        return DROPPING_TIME;
    default:
        return CALM_FOREVER;
    }
}

/* The client is told where it can tell what is meant: not in the midst of a
 * head, nor of an answer. */
static void expire(calm_request *request)
{
    if (request->phase == CALM__BODY) {
        calm__respond_reason(
            request, MHD_HTTP_REQUEST_TIMEOUT, "the body took too long");
        calm__request_push(request);
    }
    request->shut = true;
    shutdown(calm__request_fd(request), SHUT_RDWR);
    calm__phase_leave(request);
    calm__phase_enter(request, request->phase); /* behind all others */
}

/* Shuts down what is late; returns when to look again. A phase that begins
 * after this lasts until then at least. */
static int64_t expire_due(calm_server *server)
{
    int64_t now = calm_now(), next = now + DROPPING_TIME;
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
