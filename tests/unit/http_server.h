/* http_server.h - a raw HTTP server for tests, on calm's own sockets
 *
 * It runs in the loop of the test, so that time may be virtual. What it says
 * is up to the test: a fixed answer, or a function that has the connection to
 * itself and may break every rule.
 */
#ifndef TEST_HTTP_SERVER_H
#define TEST_HTTP_SERVER_H

#include "test.h"

struct server {
    /* Called for each request, which lies in SERVER->request. Returns 0 to
     * read the next, 1 to close the connection. NULL: sends ANSWER. */
    int (*talk)(struct server *server, calm_socket *socket);
    const char *answer;
    size_t answer_len; /* 0: up to its NUL */
    int port;
    int connections, requests;
    calm_bytes request; /* the last one, head and body */
    size_t body_at;
    int number; /* the test's */
    calm_socket *listener;
    calm_group group;
};

struct server_connection {
    struct server *server;
    calm_socket *socket;
};

/* Receives until the request is whole. Returns 1, or 0 at the end. */
static inline int server_request_recv(
    struct server *server, calm_socket *socket)
{
    calm_bytes *bytes = &server->request;
    char buffer[4096];
    bool begun = false; /* what was there is the test's to look at */
    for (;;) {
        const char *text = begun ? calm_bytes_text(bytes) : "";
        const char *end = strstr(text, "\r\n\r\n");
        if (end) {
            const char *length = strcasestr(text, "\r\nContent-Length:");
            size_t size =
                length && length < end ? strtoul(length + 17, NULL, 10) : 0;
            server->body_at = (size_t)(end - text) + 4;
            bool chunked = strcasestr(text, "\r\nTransfer-Encoding: chunked");
            if (chunked ? strstr(end + 2, "\r\n0\r\n\r\n") != NULL
                        : bytes->len - server->body_at >= size)
                return 1;
        }
        ssize_t got = calm_socket_recv(socket, buffer, sizeof buffer);
        if (got <= 0)
            return (int)got;
        if (!begun)
            calm_bytes_reset(bytes);
        begun = true;
        if (calm_bytes_append(bytes, buffer, (size_t)got) < 0)
            return -ENOMEM;
    }
}

static inline int server_send(calm_socket *socket, const char *text)
{
    return calm_socket_send(socket, text, strlen(text));
}

static inline int server_talk(void *arg)
{
    struct server_connection *connection = arg;
    struct server *server = connection->server;
    calm_socket *socket = connection->socket;
    int rc;
    while ((rc = server_request_recv(server, socket)) > 0) {
        server->requests++;
        if (server->talk)
            rc = server->talk(server, socket);
        else
            rc = calm_socket_send(socket, server->answer,
                server->answer_len ? server->answer_len
                                   : strlen(server->answer));
        if (rc != 0)
            break;
    }
    calm_socket_close(socket);
    free(connection);
    return 0;
}

static inline int server_accept(void *arg)
{
    struct server *server = arg;
    calm_socket *socket;
    int rc;
    while ((rc = calm_socket_accept(server->listener, &socket)) == 0) {
        struct server_connection *connection = malloc(sizeof *connection);
        *connection = (struct server_connection){server, socket};
        server->connections++;
        if (!calm_spawn(&server->group, server_talk, connection)) {
            calm_socket_close(socket);
            free(connection);
        }
    }
    return rc == -ECANCELED || rc == -EBADF ? 0 : rc;
}

/* On a port of 127.0.0.1. The group is the server's until server_end(). */
static inline void server_begin(struct server *server)
{
    check_equal(
        calm_socket_listen("127.0.0.1", server->port, &server->listener), 0);
    server->port = calm_socket_port(server->listener);
    calm_group_begin(&server->group);
    calm_spawn(&server->group, server_accept, server);
}

/* Not one more connection; those that there are are closed. */
static inline void server_end(struct server *server)
{
    calm_group_cancel(&server->group);
    calm_group_end(&server->group, 0);
    calm_socket_close(server->listener);
    calm_bytes_clear(&server->request);
}

#endif
