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
 */
#include "base/fault.h"
#include "io/server_inside.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADER_MOST = 1 << 20 };

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
    if (opts->bodies_most < opts->body_most)
        opts->bodies_most = opts->body_most;
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
        rc = calm__server_daemon(server);
    }
    if (rc < 0) {
        calm_server_close(server);
        return rc;
    }
    *ret_server = server;
    return 0;
}

/* libmicrohttpd must have no suspended connection when it is stopped. There
 * should be none any more, as all handlers have ended. */
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
            calm__request_drop(server->phases[CALM__HANDLING].first);
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
