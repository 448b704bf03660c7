/* calm/socket.h - streams between programs: TCP, Unix sockets, pipes
 *
 *     calm_socket *socket;
 *     int rc = calm_socket_connect("localhost", 8080, &socket);
 *     if (rc < 0)
 *         return rc;
 *     rc = calm_socket_send(socket, "ping\n", 5);
 *     if (rc == 0)
 *         rc = calm_socket_recv_exactly(socket, answer, sizeof answer);
 *     calm_socket_close(socket);
 *
 * One task at a time may receive (or accept) on a socket, and one may send;
 * they go side by side. A second one in the same direction is told -EBUSY: it
 * would get a random part of the stream. A socket belongs to its thread.
 *
 * Every call that suspends returns -ECANCELED when the task is cancelled, and
 * -EBADF when another task closes the socket meanwhile. Other errors carry a
 * sentence that names the peer. How long a call may take is for a timeout
 * scope of <calm/time.h> to say.
 */
#ifndef CALM_SOCKET_H
#define CALM_SOCKET_H

#include <calm/bytes.h>
#include <calm/task.h>

#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_socket calm_socket;

/* ---- making one ---- */

/* Connects to PORT of HOST: a numeric address, or a name, which is looked up
 * on the blocking pool; its addresses are tried one after the other. Returns 0
 * and a socket that the caller closes, or: -ENOENT when nobody knows the name,
 * -EAGAIN when no name server answers, -ECONNREFUSED, -EHOSTUNREACH, -EMFILE
 * and whatever else connect(2) says of the address tried last, -EINVAL for a
 * port that is none. A cancel does not wait for the name server, but the end
 * of the run does. */
CALM_SUSPENDS int calm_socket_connect(const char *host, int port,
    calm_socket **ret_socket) __attribute__((warn_unused_result));

/* The same with a Unix socket's path; -ENAMETOOLONG beyond 107 bytes. */
CALM_SUSPENDS int calm_socket_connect_unix(const char *path,
    calm_socket **ret_socket) __attribute__((warn_unused_result));

/* The same with an address that was found elsewhere, which is copied. */
CALM_SUSPENDS int calm_socket_connect_address(
    const struct sockaddr *address, socklen_t len, calm_socket **ret_socket)
    __attribute__((warn_unused_result));

/* Listens on PORT of HOST, one of this machine's addresses or names; NULL is
 * 127.0.0.1, which nobody outside can reach, "0.0.0.0" is all of IPv4. PORT 0
 * lets the kernel choose: see calm_socket_port(). Returns 0 and the listener,
 * or -EADDRINUSE, -EACCES and the like, and what a name look-up may say. */
CALM_SUSPENDS int calm_socket_listen(const char *host, int port,
    calm_socket **ret_listener) __attribute__((warn_unused_result));

/* Listens on a Unix socket. A socket file that nobody listens on any more is
 * replaced, anything else gives -EADDRINUSE. Closing removes the file. Does
 * not suspend. */
int calm_socket_listen_unix(const char *path, calm_socket **ret_listener)
    __attribute__((warn_unused_result));

/* Waits for the next connection. Returns 0 and its socket, which the caller
 * closes; -EMFILE and -ENFILE leave the connection waiting; a cancel loses
 * none. */
CALM_SUSPENDS int calm_socket_accept(calm_socket *listener,
    calm_socket **ret_socket) __attribute__((warn_unused_result));

/* Two sockets that are connected to each other. Does not suspend. */
int calm_socket_pair(calm_socket *ret_sockets[2])
    __attribute__((warn_unused_result));

/* Makes a socket of a descriptor: a connected or listening stream socket, or
 * one end of a pipe, which then works in its own direction. On success the
 * descriptor is calm's, to be closed with the socket, and has O_NONBLOCK; on
 * failure it is still the caller's. NAME is for messages, NULL asks the kernel
 * for the peer's address. Does not suspend. */
int calm_socket_from_fd(int fd, const char *name, calm_socket **ret_socket)
    __attribute__((warn_unused_result));

/* Closes; NULL is fine. Tasks that wait in the socket return -EBADF when they
 * run next. Data that was sent still arrives. Does not suspend. */
void calm_socket_close(calm_socket *socket);

/* ---- receiving and sending ---- */

/* Receives what there is, at least one byte and at most LEN, or waits for it.
 * Returns how many, 0 at the end (the peer sends no more, or LEN is 0), or an
 * errno such as -ECONNRESET. When it fails or is cancelled BUFFER is as it
 * was, and no byte is lost: the next reader gets it. */
CALM_SUSPENDS ssize_t calm_socket_recv(calm_socket *socket, void *buffer,
    size_t len) __attribute__((warn_unused_result));

/* Receives LEN bytes, neither fewer nor more. Returns 1, or 0 when the end
 * came before the first byte, or -ENODATA when it came after it, or an errno.
 * A cancel between two parts loses the first: the stream is then of no more
 * use, except to be closed. */
CALM_SUSPENDS int calm_socket_recv_exactly(calm_socket *socket, void *buffer,
    size_t len) __attribute__((warn_unused_result));

/* Appends all that comes until the end to BYTES, which the caller has made
 * and clears. Returns 0, CALM_ELIMIT when it is more than MOST bytes, -ENOMEM
 * or an errno; what was received is in BYTES in any case. */
CALM_SUSPENDS int calm_socket_recv_all(calm_socket *socket, calm_bytes *bytes,
    size_t most) __attribute__((warn_unused_result));

/* Sends all LEN bytes; 0 means that the kernel has them, not the peer. DATA is
 * the caller's again on return. Returns 0, -EPIPE or -ECONNRESET when the peer
 * has gone (never SIGPIPE), or another errno. After a failure or a cancel a
 * part may have been sent. */
CALM_SUSPENDS int calm_socket_send(calm_socket *socket, const void *data,
    size_t len) __attribute__((warn_unused_result));

/* Tells the peer that nothing more will be sent: it receives the end, and may
 * go on sending. Returns 0, -ENOTCONN, or -ENOTSOCK for a pipe, whose end is
 * told by closing it. Does not suspend. */
int calm_socket_shutdown(calm_socket *socket);

/* ---- helpers ---- */

/* The port at this end; 0 where there are none. */
int calm_socket_port(const calm_socket *socket);

/* The other end, or what a listener listens on, for people: "127.0.0.1:80",
 * "[::1]:80", a path. The socket's memory. */
const char *calm_socket_name(const calm_socket *socket);

/* The descriptor, for setsockopt(2) and the like; the socket's. */
int calm_socket_fd(const calm_socket *socket);

/* ---- descriptors of other libraries ---- */

enum calm_fd_event {
    CALM_FD_READABLE = 0, /* there is data, an end or an error to read */
    CALM_FD_WRITABLE = 1,
};

/* Waits until a descriptor is ready; it stays the caller's. Regular files are
 * always ready. Returns 0, -EBUSY when another task waits for the same, -EBADF
 * when it is no descriptor or calm_fd_forget() was called, -ECANCELED. */
CALM_SUSPENDS int calm_fd_wait(int fd, enum calm_fd_event event)
    __attribute__((warn_unused_result));

/* To be called before closing a descriptor that was ever waited for: its
 * number will be another file's. Whoever waits for it gets -EBADF. Does not
 * suspend. */
void calm_fd_forget(int fd);

#ifdef __cplusplus
}
#endif
#endif
