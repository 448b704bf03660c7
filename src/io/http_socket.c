/* http_socket.c - libcurl's sockets on calm's loop
 *
 * libcurl says which descriptors it waits for, and forgets each when a request
 * is over, to ask for it again in the next. Following it to the letter costs
 * two system calls a request. So a connection's wait for readability stays in
 * flight when libcurl does not want it any more: it is idle then, and on the
 * next request it is there already. That also notices when the server closes
 * an idle connection, which libcurl itself looks at before it uses it again.
 *
 *     wanted, in flight  <-- libcurl -->  idle, in flight
 *            |                                 | the end, or strange data
 *            v done: libcurl reads             v done
 *     in flight again                     not in flight, until wanted
 *
 * Only sockets that libcurl opened by our callback, and so closes by the other
 * one, are treated like this: a descriptor that is closed behind our back must
 * not stay in flight.
 */
#include "io/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN = 1, OUT = 2 };

struct calm__http_socket {
    struct calm_http *client;
    int fd; /* -1: closed */
    bool ours, busy;
    unsigned wanted, flying;
    int64_t last;
    struct calm__op in, out;
};

static struct calm__http_socket *socket_find(
    const struct calm_http *client, int fd)
{
    return fd >= 0 && fd < client->socket_places ? client->sockets[fd] : NULL;
}

static bool places_make(struct calm_http *client, int fd)
{
    int count = client->socket_places ? client->socket_places : 64;
    if (fd < client->socket_places)
        return true;
    while (count <= fd)
        count *= 2;
    struct calm__http_socket **sockets =
        calm__realloc(client->sockets, (size_t)count * sizeof *sockets);
    if (!sockets)
        return false;
    memset(sockets + client->socket_places, 0,
        (size_t)(count - client->socket_places) * sizeof *sockets);
    client->sockets = sockets;
    client->socket_places = count;
    return true;
}

static struct calm__http_socket *socket_make(
    struct calm_http *client, int fd, bool ours)
{
    if (!places_make(client, fd))
        return NULL;
    struct calm__http_socket *socket = calm__alloc(sizeof *socket);
    if (!socket)
        return NULL;
    *socket = (struct calm__http_socket){
        .client = client,
        .fd = fd,
        .ours = ours,
        .last = calm__loop_time(client->loop),
        .in = {.kind = CALM__OP_READABLE, .fd = fd},
        .out = {.kind = CALM__OP_WRITABLE, .fd = fd},
    };
    client->sockets[fd] = socket;
    client->holds++;
    return socket;
}

static void socket_free_if_over(struct calm__http_socket *socket)
{
    if (socket->fd >= 0 || socket->flying || socket->busy)
        return;
    struct calm_http *client = socket->client;
    free(socket);
    calm__http_release(client);
}

/* The descriptor is about to be closed, or was by somebody else. */
static void socket_forget(struct calm__http_socket *socket)
{
    struct calm__backend *backend = calm__loop_backend(socket->client->loop);
    backend->methods->forget(backend, socket->fd);
    socket->client->sockets[socket->fd] = NULL;
    socket->fd = -1;
    socket_free_if_over(socket);
}

void calm__http_sockets_forget(struct calm_http *client)
{
    for (int fd = 0; fd < client->socket_places; fd++)
        if (client->sockets[fd])
            socket_forget(client->sockets[fd]);
}

int64_t calm__http_socket_last(const struct calm_http *client, int fd)
{
    struct calm__http_socket *socket = socket_find(client, fd);
    return socket ? socket->last : INT64_MIN;
}

/* ---- in flight and back ---- */

static void ready(struct calm__http_socket *socket, struct calm__op *op);

static void in_done(struct calm__op *op)
{
    struct calm__http_socket *socket =
        (void *)((char *)op - offsetof(struct calm__http_socket, in));
    socket->flying &= ~(unsigned)IN;
    ready(socket, op);
}

static void out_done(struct calm__op *op)
{
    struct calm__http_socket *socket =
        (void *)((char *)op - offsetof(struct calm__http_socket, out));
    socket->flying &= ~(unsigned)OUT;
    ready(socket, op);
}

static void start(struct calm__http_socket *socket, unsigned direction)
{
    struct calm__backend *backend = calm__loop_backend(socket->client->loop);
    struct calm__op *op = direction == IN ? &socket->in : &socket->out;
    op->done = direction == IN ? in_done : out_done;
    op->idle = !(socket->wanted & direction);
    socket->flying |= direction;
    backend->methods->start(backend, op);
}

/* What is wanted is in flight; what is not wanted any more is idle. */
static void adjust(struct calm__http_socket *socket)
{
    if (socket->flying & IN)
        calm__op_set_idle(&socket->in, !(socket->wanted & IN));
    else if (socket->wanted & IN)
        start(socket, IN);
    if (socket->flying & OUT)
        calm__op_set_idle(&socket->out, !(socket->wanted & OUT));
    else if (socket->wanted & OUT)
        start(socket, OUT);
}

/* On the loop's stack, from its poll. */
static void ready(struct calm__http_socket *socket, struct calm__op *op)
{
    struct calm_http *client = socket->client;
    unsigned direction = op == &socket->in ? IN : OUT;
    if (socket->fd < 0) {
        socket_free_if_over(socket);
        return;
    }
    if (!(socket->wanted & direction))
        return;
    if (op->result < 0) {
        calm__http_descriptor_failed(client, socket->fd, (int)op->result);
        return;
    }
    int running;
    socket->last = calm__loop_time(client->loop);
    socket->busy = true;
    curl_multi_socket_action(client->multi, socket->fd,
        direction == IN ? CURL_CSELECT_IN : CURL_CSELECT_OUT, &running);
    calm__http_settle(client);
    socket->busy = false;
    if (socket->fd >= 0) {
        if (direction == IN && socket->ours && !(socket->flying & IN))
            start(socket, IN);
        adjust(socket);
    }
    socket_free_if_over(socket);
}

/* ---- libcurl's callbacks ---- */

int calm__http_on_socket(
    CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    struct calm_http *client = ctx;
    struct calm__http_socket *socket = socket_find(client, fd);
    char *handle = NULL;
    if (what == CURL_POLL_REMOVE) {
        if (socket)
            socket->wanted = 0;
        if (socket && !socket->ours)
            socket_forget(socket);
        else if (socket)
            adjust(socket);
        return 0;
    }
    if (!socket)
        socket = socket_make(client, fd, /* ours= */ false);
    if (!socket)
        return -1;
    /* The last socket that a request waits for is that of its connection. */
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &handle);
    if (handle && ((struct calm__http_handle *)handle)->exchange)
        ((struct calm__http_handle *)handle)->exchange->fd = fd;
    socket->wanted =
        (what & CURL_POLL_IN ? IN : 0u) | (what & CURL_POLL_OUT ? OUT : 0u);
    /* While libcurl works on a socket that is ready its wishes come and go;
     * what is left of them counts. */
    if (!socket->busy)
        adjust(socket);
    return 0;
}

curl_socket_t calm__http_on_open(
    void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct calm__http_handle *handle = ctx;
    struct calm__http_exchange *exchange = handle->exchange;
    struct calm_http *client = exchange->client;
    errno = EMFILE;
    int fd = calm__fault("http socket")
                 ? -1
                 : socket(address->family, address->socktype | SOCK_CLOEXEC,
                       address->protocol);
    if (fd < 0) {
        int code = errno;
        if (code == EMFILE || code == ENFILE || code == ENOMEM)
            calm__http_because(exchange, -code, "no socket: %s%s",
                strerror(code),
                code == ENOMEM ? "" : "\nhint: raise 'ulimit -n'");
        errno = code;
        return CURL_SOCKET_BAD;
    }
    struct calm__http_socket *stale = socket_find(client, fd);
    if (stale)
        socket_forget(stale);
    if (!socket_make(client, fd, /* ours= */ true)) {
        close(fd);
        calm__http_because(exchange, -ENOMEM, "no memory");
        return CURL_SOCKET_BAD;
    }
    if (exchange->name && handle->addresses)
        exchange->name->loaded = handle->version;
    if (exchange->phase != CALM__HTTP_CONNECTING)
        calm__http_phase_set(exchange, CALM__HTTP_CONNECTING);
    return fd;
}

int calm__http_on_close(void *ctx, curl_socket_t fd)
{
    struct calm__http_socket *socket = socket_find(ctx, fd);
    if (socket)
        socket_forget(socket);
    return close(fd);
}
