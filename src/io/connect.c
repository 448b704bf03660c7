/* connect.c - sockets to those who listen
 *
 * A connect that takes its time is a wait for the socket to be writable, and
 * then a question for what became of it. The addresses of a name are tried one
 * after the other, as the system's configuration orders them.
 */
#include "io/socket.h"

#include <errno.h>
#include <string.h>

/* On loopback the kernel may give a socket that connects to a free port that
 * very port, and the socket is then connected to itself. */
static bool talks_to_itself(int fd)
{
    struct calm__address own = {.len = sizeof own.local};
    struct calm__address peer = {.len = sizeof peer.local};
    return getsockname(fd, &own.any, &own.len) == 0 &&
           getpeername(fd, &peer.any, &peer.len) == 0 &&
           own.any.sa_family != AF_UNIX && own.len == peer.len &&
           memcmp(&own.any, &peer.any, own.len) == 0;
}

/* A Unix socket whose listener has its hands full says -EAGAIN and offers
 * nothing to wait for: it is asked again, at growing intervals. */
static int connect_again(int fd, const struct calm__address *address)
{
    for (int64_t pause = CALM_MS;; pause *= pause < 64 * CALM_MS ? 2 : 1) {
        int rc = calm_sleep(pause);
        if (rc < 0)
            return rc;
        if (connect(fd, &address->any, address->len) == 0)
            return 0;
        if (errno != EAGAIN)
            return -errno;
    }
}

static int connect_fd(int fd, const struct calm__address *address)
{
    if (connect(fd, &address->any, address->len) == 0)
        return 0;
    if (errno == EAGAIN && address->any.sa_family == AF_UNIX)
        return connect_again(fd, address);
    if (errno != EINPROGRESS && errno != EINTR)
        return -errno;
    int rc = calm__socket_wait_fd(fd, CALM__OP_WRITABLE);
    if (rc < 0)
        return rc;
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -errno;
    return error ? -error : talks_to_itself(fd) ? -ECONNREFUSED : 0;
}

static int connect_to(
    const struct calm__address *address, calm_socket **ret_socket)
{
    calm_socket *socket = calm__socket_new(-1);
    if (!socket)
        return -ENOMEM;
    calm__address_text(address, socket->name);
    int rc = socket->fd = calm__socket_descriptor(address->any.sa_family);
    if (rc >= 0) {
        calm__socket_send_at_once(socket->fd, address->any.sa_family);
        rc = connect_fd(socket->fd, address);
    }
    if (rc < 0)
        calm_socket_close(socket);
    else
        *ret_socket = socket;
    return rc;
}

static int connect_failed(
    int rc, const char *name, const struct calm__address *address)
{
    char text[CALM__ADDRESS_TEXT];
    if (rc >= 0 || rc == -ECANCELED)
        return rc;
    calm__address_text(address, text);
    const char *hint = rc == -EMFILE ? "\nhint: raise 'ulimit -n'" : "";
    if (name && strncmp(text, name, strlen(name)) != 0)
        return calm_fail(rc, "cannot connect to '%s' (%s): %s%s", name, text,
            strerror(-rc), hint);
    return calm_fail(
        rc, "cannot connect to '%s': %s%s", text, strerror(-rc), hint);
}

int calm_socket_connect(const char *host, int port, calm_socket **ret_socket)
{
    struct calm__address addresses[CALM__ADDRESSES_MOST];
    int count = calm__address_find(host, port, addresses);
    int rc = count;
    for (int i = 0; i < count; i++) {
        rc = connect_to(&addresses[i], ret_socket);
        if (rc >= 0 || rc == -ECANCELED)
            return rc;
        connect_failed(rc, host, &addresses[i]);
    }
    return rc;
}

int calm_socket_connect_unix(const char *path, calm_socket **ret_socket)
{
    struct calm__address address;
    int rc = calm__enter();
    if (rc == 0)
        rc = calm__address_local(path, &address);
    if (rc < 0)
        return rc;
    return connect_failed(connect_to(&address, ret_socket), NULL, &address);
}

int calm_socket_connect_address(
    const struct sockaddr *given, socklen_t len, calm_socket **ret_socket)
{
    struct calm__address address = {.len = len};
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (len < sizeof given->sa_family || len > sizeof address.local)
        return calm_fail(-EINVAL, "an address of %u bytes", (unsigned)len);
    memcpy(&address.any, given, len);
    return connect_failed(connect_to(&address, ret_socket), NULL, &address);
}
