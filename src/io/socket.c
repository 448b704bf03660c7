/* socket.c - streams between programs
 *
 * A call first tries: with data in the kernel a receive is one system call.
 * Only -EAGAIN leads to a wait for readiness, which carries no buffer, so a
 * cancelled receive has nothing that the kernel could still write to, and the
 * bytes stay where they are. calm__enter() sees to it that a task whose peer
 * is always faster lets the others run.
 *
 * A socket may be closed while tasks wait in it: the record stays, without a
 * descriptor, until the last of them has left. Each looks at the descriptor
 * again after every wait.
 */
#include "base/fault.h"
#include "core/sched.h"
#include "io/socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK = 1 << 20, /* bytes per system call, some 100 us of copying */
    RECV_ALL = 64 << 10,
};

/* ---- making and closing ---- */

void calm_fd_forget(int fd)
{
    if (!calm__loop_here)
        return;
    struct calm__backend *backend = calm__loop_backend(calm__loop_here);
    backend->methods->forget(backend, fd);
}

calm_socket *calm__socket_new(int fd)
{
    calm_socket *socket = calm__alloc(sizeof *socket);
    if (socket)
        *socket = (calm_socket){.fd = fd};
    return socket;
}

int calm__socket_descriptor(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

/* Small messages go out at once: who talks in turns would otherwise wait for
 * the peer's delayed acknowledgement, 40 ms each time. */
void calm__socket_send_at_once(int fd, int family)
{
    int on = 1;
    if (family == AF_INET || family == AF_INET6)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void calm_socket_close(calm_socket *socket)
{
    if (!socket)
        return;
    if (socket->fd >= 0) {
        calm_fd_forget(socket->fd);
        if (socket->path)
            unlink(socket->path);
        close(socket->fd);
        socket->fd = -1;
    }
    if (socket->users > 0)
        return; /* the last one to leave frees it */
    free(socket->path);
    free(socket);
}

int calm__socket_release(calm_socket *socket)
{
    assert(socket->users == 0);
    int fd = socket->fd;
    calm_fd_forget(fd);
    free(socket->path);
    free(socket);
    return fd;
}

/* ---- a task's stay in a socket ---- */

static int closed(void)
{
    return calm_fail(-EBADF, "the socket was closed by another task");
}

int calm__socket_stay_begin(calm_socket *socket, bool *in_use)
{
    if (socket->fd < 0)
        return closed();
    socket->users++;
    int rc = calm__enter();
    if (rc == 0 && socket->fd < 0)
        rc = closed();
    if (rc == 0 && *in_use)
        rc = calm_fail(-EBUSY, "another task %s '%s' already",
            in_use == &socket->sending ? "sends to" : "receives from",
            socket->name);
    if (rc == 0)
        *in_use = true;
    else if (--socket->users == 0 && socket->fd < 0)
        calm_socket_close(socket);
    return rc;
}

void calm__socket_stay_end(calm_socket *socket, bool *in_use)
{
    *in_use = false;
    if (--socket->users == 0 && socket->fd < 0)
        calm_socket_close(socket);
}

/* Being ready is nothing that could be lost, so here a cancel wins: also when
 * the peer sends after it but before the kernel has heard of it. And a cancel
 * is told once, to the wait that it meets: no other wait may follow. */
int calm__socket_wait_fd(int fd, enum calm__op_kind kind)
{
    if (calm_cancelled())
        return -ECANCELED;
    struct calm__op op = {.kind = kind, .fd = fd};
    int rc = calm__op_wait(&op, kind == CALM__OP_READABLE
                                    ? "a descriptor to be readable"
                                    : "a descriptor to be writable");
    return rc == 0 && calm_cancelled() ? -ECANCELED : rc;
}

int calm__socket_stay_wait(const calm_socket *socket, enum calm__op_kind kind)
{
    int rc = calm__socket_wait_fd(socket->fd, kind);
    if (rc != -ECANCELED && socket->fd < 0)
        return -EBADF;
    return rc;
}

int calm__socket_described(const calm_socket *socket, int rc, const char *what)
{
    if (rc >= 0 || rc == -ECANCELED)
        return rc;
    if (socket->fd < 0)
        return closed();
    return calm_fail(rc, "cannot %s '%s': %s%s", what, socket->name,
        strerror(-rc), rc == -EMFILE ? "\nhint: raise 'ulimit -n'" : "");
}

/* ---- from descriptors ---- */

int calm_socket_pair(calm_socket *ret_sockets[2])
{
    int fds[2];
    if (socketpair(
            AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return calm_fail(-errno, "cannot make a pair of sockets: %m");
    calm_socket *first = calm__socket_new(fds[0]),
                *second = calm__socket_new(fds[1]);
    if (!first || !second) {
        free(first);
        free(second);
        close(fds[0]);
        close(fds[1]);
        return calm_fail(-ENOMEM, "no memory for a pair of sockets");
    }
    static const char other[] = "the other of a pair";
    memcpy(first->name, other, sizeof other);
    memcpy(second->name, other, sizeof other);
    ret_sockets[0] = first;
    ret_sockets[1] = second;
    return 0;
}

void calm__socket_name_self(calm_socket *socket)
{
    struct calm__address own = {.len = sizeof own.local};
    if (getsockname(socket->fd, &own.any, &own.len) == 0)
        calm__address_text(&own, socket->name);
}

static void name_from_kernel(calm_socket *socket)
{
    struct calm__address peer = {.len = sizeof peer.local};
    if (socket->pipe)
        snprintf(socket->name, sizeof socket->name, "a pipe");
    else if (getpeername(socket->fd, &peer.any, &peer.len) == 0)
        calm__address_text(&peer, socket->name);
    else
        calm__socket_name_self(socket);
}

int calm_socket_from_fd(int fd, const char *name, calm_socket **ret_socket)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &status) < 0)
        return calm_fail(-errno, "cannot use descriptor %d: %m", fd);
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return calm_fail(-errno, "cannot use descriptor %d: %m", fd);
    calm_socket *socket = calm__socket_new(fd);
    if (!socket)
        return calm_fail(-ENOMEM, "no memory for a socket");
    socket->pipe = !S_ISSOCK(status.st_mode);
    if (name)
        snprintf(socket->name, sizeof socket->name, "%s", name);
    else
        name_from_kernel(socket);
    *ret_socket = socket;
    return 0;
}

/* ---- receiving ---- */

static ssize_t recv_now(const calm_socket *socket, void *buffer, size_t len)
{
    ssize_t got;
    if (len > CHUNK)
        len = CHUNK;
    do {
        got = socket->pipe ? read(socket->fd, buffer, len)
                           : recv(socket->fd, buffer, len, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* One receive of a task that has entered. */
static int recv_some(calm_socket *socket, void *buffer, size_t len)
{
    for (;;) {
        ssize_t got = recv_now(socket, buffer, len);
        if (got == -EAGAIN)
            got = calm__socket_stay_wait(socket, CALM__OP_READABLE);
        else
            return (int)got;
        if (got < 0)
            return (int)got;
    }
}

/* Between two parts of a longer call others may run, and close the socket. */
static int stay_on(const calm_socket *socket)
{
    int rc = calm__enter();
    return rc == 0 && socket->fd < 0 ? -EBADF : rc;
}

ssize_t calm_socket_recv(calm_socket *socket, void *buffer, size_t len)
{
    int rc = calm__socket_stay_begin(socket, &socket->receiving);
    if (rc < 0)
        return rc;
    if (len > 0)
        rc = calm__socket_described(
            socket, recv_some(socket, buffer, len), "receive from");
    calm__socket_stay_end(socket, &socket->receiving);
    return rc;
}

static int recv_parts(calm_socket *socket, char *buffer, size_t len)
{
    size_t done = 0;
    while (done < len) {
        int rc = done > 0 ? stay_on(socket) : 0;
        if (rc == 0)
            rc = recv_some(socket, buffer + done, len - done);
        if (rc < 0)
            return calm__socket_described(socket, rc, "receive from");
        if (rc == 0 && done == 0)
            return 0;
        if (rc == 0)
            return calm_fail(-ENODATA,
                "'%s' ended its stream after %zu of %zu bytes", socket->name,
                done, len);
        done += (size_t)rc;
    }
    return 1;
}

int calm_socket_recv_exactly(calm_socket *socket, void *buffer, size_t len)
{
    int rc = calm__socket_stay_begin(socket, &socket->receiving);
    if (rc < 0)
        return rc;
    rc = recv_parts(socket, buffer, len);
    calm__socket_stay_end(socket, &socket->receiving);
    return rc;
}

static int recv_rest(calm_socket *socket, calm_bytes *bytes, size_t most)
{
    size_t before = bytes->len;
    for (;;) {
        int rc = calm_bytes_reserve(bytes, RECV_ALL);
        if (rc == 0)
            rc = recv_some(socket, bytes->data + bytes->len, RECV_ALL);
        if (rc <= 0)
            return calm__socket_described(socket, rc, "receive from");
        calm_bytes_advance(bytes, (size_t)rc);
        if (bytes->len - before > most)
            return calm_fail(CALM_ELIMIT, "'%s' sent more than %zu bytes",
                socket->name, most);
        rc = stay_on(socket);
        if (rc < 0)
            return calm__socket_described(socket, rc, "receive from");
    }
}

int calm_socket_recv_all(calm_socket *socket, calm_bytes *bytes, size_t most)
{
    int rc = calm__socket_stay_begin(socket, &socket->receiving);
    if (rc < 0)
        return rc;
    rc = recv_rest(socket, bytes, most);
    calm__socket_stay_end(socket, &socket->receiving);
    return rc;
}

/* ---- sending ---- */

static ssize_t send_now(const calm_socket *socket, const void *data, size_t len)
{
    ssize_t sent;
    if (len > CHUNK)
        len = CHUNK;
    do {
        sent = socket->pipe
                   ? write(socket->fd, data, len)
                   : send(socket->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static int send_parts(calm_socket *socket, const char *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        int rc = done > 0 ? stay_on(socket) : 0;
        if (rc < 0)
            return rc;
        ssize_t sent = send_now(socket, data + done, len - done);
        if (sent == -EAGAIN)
            sent = calm__socket_stay_wait(socket, CALM__OP_WRITABLE);
        if (sent < 0)
            return (int)sent;
        done += (size_t)sent;
    }
    return 0;
}

int calm_socket_send(calm_socket *socket, const void *data, size_t len)
{
    int rc = calm__socket_stay_begin(socket, &socket->sending);
    if (rc < 0)
        return rc;
    rc = calm__socket_described(
        socket, send_parts(socket, data, len), "send to");
    calm__socket_stay_end(socket, &socket->sending);
    return rc;
}

int calm_socket_shutdown(calm_socket *socket)
{
    if (socket->fd < 0)
        return closed();
    if (shutdown(socket->fd, SHUT_WR) == 0)
        return 0;
    return calm__socket_described(socket, -errno, "end the stream to");
}

/* ---- helpers ---- */

int calm_socket_port(const calm_socket *socket)
{
    struct calm__address own = {.len = sizeof own.local};
    if (getsockname(socket->fd, &own.any, &own.len) < 0)
        return 0;
    if (own.any.sa_family == AF_INET)
        return ntohs(own.v4.sin_port);
    return own.any.sa_family == AF_INET6 ? ntohs(own.v6.sin6_port) : 0;
}

const char *calm_socket_name(const calm_socket *socket)
{
    return socket->name;
}

int calm_socket_fd(const calm_socket *socket)
{
    return socket->fd;
}

int calm_fd_wait(int fd, enum calm_fd_event event)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    rc = calm__socket_wait_fd(
        fd, event == CALM_FD_WRITABLE ? CALM__OP_WRITABLE : CALM__OP_READABLE);
    if (rc == 0 || rc == -ECANCELED)
        return rc;
    return calm_fail(
        rc, "cannot wait for descriptor %d: %s", fd, strerror(-rc));
}
