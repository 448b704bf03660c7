/* listen.c - sockets that others connect to
 *
 * A listener waits until it is readable and then accepts. The record of the
 * connection is made before: without memory for it the connection stays in
 * the kernel's queue, and so it does when the accept is cancelled.
 */
#include "io/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 4096, /* the kernel lowers it to net.core.somaxconn */
};

/* Whether the file of a Unix socket is left over from a program that ended. */
static bool nobody_listens(const struct calm__address *address)
{
    struct stat status;
    if (lstat(address->local.sun_path, &status) < 0 ||
        !S_ISSOCK(status.st_mode))
        return false;
    int fd = calm__socket_descriptor(AF_UNIX);
    if (fd < 0)
        return false;
    bool refused =
        connect(fd, &address->any, address->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int bind_fd(int fd, const struct calm__address *address)
{
    if (bind(fd, &address->any, address->len) == 0)
        return 0;
    if (errno != EADDRINUSE || address->any.sa_family != AF_UNIX)
        return -errno;
    if (!nobody_listens(address) || unlink(address->local.sun_path) < 0)
        return -EADDRINUSE;
    return bind(fd, &address->any, address->len) < 0 ? -errno : 0;
}

static int listen_on(
    const struct calm__address *address, calm_socket **ret_listener)
{
    calm_socket *socket = calm__socket_new(-1);
    if (!socket)
        return -ENOMEM;
    int on = 1;
    bool local = address->any.sa_family == AF_UNIX;
    int rc = socket->fd = calm__socket_descriptor(address->any.sa_family);
    if (rc >= 0 && !local)
        setsockopt(socket->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (rc >= 0)
        rc = bind_fd(socket->fd, address);
    if (rc >= 0 && listen(socket->fd, BACKLOG) < 0)
        rc = -errno;
    if (rc >= 0 && local && !(socket->path = strdup(address->local.sun_path)))
        rc = -ENOMEM;
    if (rc < 0) {
        calm_socket_close(socket);
        return rc;
    }
    calm__socket_name_self(socket);
    *ret_listener = socket;
    return 0;
}

static int listen_failed(int rc, const struct calm__address *address)
{
    char text[CALM__ADDRESS_TEXT];
    if (rc >= 0)
        return rc;
    calm__address_text(address, text);
    return calm_fail(rc, "cannot listen on '%s': %s%s", text, strerror(-rc),
        rc == -EADDRINUSE ? "\nhint: another program listens there" : "");
}

int calm_socket_listen(const char *host, int port, calm_socket **ret_listener)
{
    struct calm__address addresses[CALM__ADDRESSES_MOST];
    int count = calm__address_find(host ? host : "127.0.0.1", port, addresses);
    int rc = count;
    for (int i = 0; i < count; i++) {
        rc = listen_failed(
            listen_on(&addresses[i], ret_listener), &addresses[i]);
        if (rc == 0)
            break;
    }
    return rc;
}

int calm_socket_listen_unix(const char *path, calm_socket **ret_listener)
{
    struct calm__address address;
    int rc = calm__address_local(path, &address);
    if (rc < 0)
        return rc;
    return listen_failed(listen_on(&address, ret_listener), &address);
}

/* Connections that went wrong before they were accepted, and errors of the
 * network that Linux passes on: the next one may be good. See accept(2). */
static bool is_the_peers(int error)
{
    static const int errors[] = {ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT,
        EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH, EINTR};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i] == error)
            return true;
    return false;
}

static int accept_fd(calm_socket *listener, calm_socket *socket)
{
    for (;;) {
        struct calm__address peer = {.len = sizeof peer.local};
        int fd = accept4(
            listener->fd, &peer.any, &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            socket->fd = fd;
            calm__socket_send_at_once(fd, peer.any.sa_family);
            if (peer.any.sa_family == AF_UNIX)
                memcpy(socket->name, listener->name, sizeof socket->name);
            else
                calm__address_text(&peer, socket->name);
            return 0;
        }
        if (is_the_peers(errno))
            continue;
        if (errno != EAGAIN)
            return -errno;
        int rc = calm__socket_stay_wait(listener, CALM__OP_READABLE);
        if (rc < 0)
            return rc;
    }
}

int calm_socket_accept(calm_socket *listener, calm_socket **ret_socket)
{
    int rc = calm__socket_stay_begin(listener, &listener->receiving);
    if (rc < 0)
        return rc;
    /* Before the connection: without memory it must not be taken and lost. */
    calm_socket *socket = calm__socket_new(-1);
    rc = socket ? accept_fd(listener, socket) : -ENOMEM;
    rc = calm__socket_described(listener, rc, "accept on");
    calm__socket_stay_end(listener, &listener->receiving);
    if (rc < 0)
        calm_socket_close(socket);
    else
        *ret_socket = socket;
    return rc;
}
