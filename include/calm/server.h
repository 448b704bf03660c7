/* calm/server.h - answering HTTP requests
 *
 *     static int answer(calm_request *request, void *ctx)
 *     {
 *         int rc = calm_sleep(100 * CALM_MS);
 *         if (rc < 0)
 *             return rc;
 *         return calm_respond(request, 200, "text/plain", "ready\n", 6);
 *     }
 *
 *     calm_server_opts opts = {.port = 8080, .handler = answer};
 *     calm_server *server;
 *     int rc = calm_server_open(&opts, &server);
 *     if (rc == 0) {
 *         rc = calm_server_run(server);            until cancelled
 *         calm_server_close(server);
 *     }
 *
 * Every request is handled in a task of its own, which may wait; the others
 * go on meanwhile. A handler gets the request once it is there as a whole and
 * within the bounds, and leaves an answer. It reads no sockets, so a client
 * that is slow or goes away holds up nobody.
 *
 * HTTP/1.1 and 1.0, strictly: what two programs could read differently (two
 * lengths, a length beside chunks) is refused and the connection closed. There
 * is no TLS: put a proxy in front for that.
 */
#ifndef CALM_SERVER_H
#define CALM_SERVER_H

#include <calm/bytes.h>
#include <calm/task.h>
#include <calm/time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_server calm_server;

/* A request and its answer: the server's, good until the handler returns. */
typedef struct calm_request calm_request;

/* Answers one request by calm_respond() and returns 0. Without an answer 204
 * is sent, and for a negative code 500, or 503 for -ECANCELED, with the
 * sentence of the error. It is cancelled when the drain at the end of
 * calm_server_run() takes too long. */
typedef int calm_handler(calm_request *request, void *ctx);

/* Options of a server; zero means default. Texts must live as long as it. */
typedef struct calm_server_opts {
    const char *host; /* to listen on; default 127.0.0.1, see calm/socket.h */
    int port;         /* default: the kernel chooses; see calm_server_port() */
    calm_handler *handler;
    void *ctx; /* the handler's */

    /* Looks at a request whose head has come, before any of its body is taken;
     * NULL for none. Returns 0 to go on, or leaves a short answer and returns
     * 1, or an error as the handler does. Then the body is not taken, and if
     * there is one the connection closes. Must not wait. */
    calm_handler *head;

    size_t header_most;      /* bytes of a request's head; 32 KiB, at most */
    size_t body_most;        /* bytes of its body; 8 MiB */
    size_t bodies_most;      /* bytes of all bodies held at once; 256 MiB */
    size_t connections_most; /* at once, more wait in the kernel; 1024 */
    int64_t header_time;     /* for the head, from the connection's begin or
                              * the last answer on; 10 s in total */
    int64_t body_time;       /* for the body, in total; 60 s */
    int64_t send_time;       /* until the client has taken an answer; 60 s */
    int64_t drain;           /* for what is in flight at the end; 10 s */
} calm_server_opts;

/* ---- the server ---- */

/* Listens. Returns 0 and a server that the caller closes; -EADDRINUSE, -EACCES
 * and what else calm_socket_listen() may say; -EINVAL for options that make no
 * sense; -ENOSYS when calm was built without a server; -ENOMEM. */
CALM_SUSPENDS int calm_server_open(const calm_server_opts *opts,
    calm_server **ret_server) __attribute__((warn_unused_result));

/* Serves until the task is cancelled. Then it accepts no more connections, and
 * waits up to DRAIN for the requests that have begun; answers say that the
 * connection closes. Handlers that are not done then are cancelled. Returns
 * -ECANCELED, or another error when it could not go on. Call it once. */
CALM_SUSPENDS int calm_server_run(calm_server *server);

/* Closes all connections, and frees it; NULL is fine. It must not run. */
void calm_server_close(calm_server *server);

/* The port that it listens on, and where, for people: "127.0.0.1:8080". The
 * server's memory. */
int calm_server_port(const calm_server *server);
const char *calm_server_name(const calm_server *server);

/* Whether it is ending, so that a load balancer can be told. */
bool calm_server_draining(const calm_server *server);

/* Connections that are open, and requests that have begun: a head was read and
 * the answer is not yet sent. */
size_t calm_server_connections(const calm_server *server);
size_t calm_server_requests(const calm_server *server);

/* ---- what was asked; the request's memory ---- */

const char *calm_request_method(const calm_request *request);

/* The path as it came, percent-encoded, and what followed its '?', or "". */
const char *calm_request_path(const calm_request *request);
const char *calm_request_query(const calm_request *request);

/* The first header of that name, in any case, or NULL. */
const char *calm_request_header(const calm_request *request, const char *name);

/* The body, with a NUL behind it. */
const char *calm_request_body(const calm_request *request, size_t *ret_len);

/* Whether the client has closed the connection: nobody wants the answer. */
bool calm_request_gone(const calm_request *request);

/* ---- the answer ---- */

/* Answers with a copy of LEN bytes of TYPE, NULL for none. A second answer
 * replaces the first. Returns 0, -EINVAL for a status that is none (200 to
 * 599), or -ENOMEM. */
int calm_respond(calm_request *request, int status, const char *type,
    const void *data, size_t len) __attribute__((warn_unused_result));

/* The same with a buffer, which on success is the server's and {0} again. */
int calm_respond_bytes(calm_request *request, int status, const char *type,
    calm_bytes *body) __attribute__((warn_unused_result));

/* Adds a header to the answer, before or after calm_respond(). Returns 0,
 * -EINVAL for a name or a value that would break the head, or -ENOMEM. */
int calm_respond_header(calm_request *request, const char *name,
    const char *value) __attribute__((warn_unused_result));

#ifdef __cplusplus
}
#endif
#endif
