/* core/backend.h - what the loop needs from the kernel, as a table of functions
 *
 * The loop (core/loop.c) knows no system call. A backend, in src/host, starts
 * operations, says when they have completed, and waits. There are two, and
 * every promise below holds for both.
 *
 * The life of an operation:
 *
 *     the caller fills it -> start() -> in flight -> done(op), result set
 *                                 cancel() |             ^
 *                                          +-------------+
 *
 * From start() to done() the operation and its buffer belong to the backend,
 * also after cancel(): the caller must not return before done() was called
 * (rule 9: the kernel may write to the buffer until then). done() is called
 * exactly once, from poll(), on the loop's own stack, never from start() or
 * cancel().
 */
#ifndef CALM_CORE_BACKEND_H
#define CALM_CORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calm__loop;

enum calm__op_kind {
    CALM__OP_READ,     /* pread(fd, buffer, size, offset) of a file */
    CALM__OP_WRITE,    /* pwrite(fd, buffer, size, offset) of a file */
    CALM__OP_FSYNC,    /* fsync(fd), fdatasync when offset is 1 */
    CALM__OP_READABLE, /* wait until fd is readable, or has an error or end */
    CALM__OP_WRITABLE, /* the same for writing */
};

struct calm__op {
    enum calm__op_kind kind;
    int fd;
    void *buffer;
    size_t size;
    int64_t offset;

    /* What the system call returned, or a negative errno: -ECANCELED when it
     * was cancelled before it took effect, -EBUSY when another operation
     * already waits for the same direction of fd, -EBADF when forget() took
     * the descriptor away. READABLE and WRITABLE give 0. */
    int64_t result;

    /* A READABLE that nobody waits for: a connection that is kept for later
     * is watched for its end. See calm__op_set_idle(). */
    bool idle;
    void (*done)(struct calm__op *op);

    /* The one who waits; core's. */
    struct calm_task *task;

    /* The backend's own, while in flight. */
    struct calm__op *next, *previous;
    void *own[6];
    int state;
};

struct calm__backend {
    const struct calm__backend_methods *methods;
    struct calm__loop *loop;

    /* Operations in flight that will complete by themselves (files): the
     * virtual clock waits for these. Kept by the backend. */
    size_t certain;

    /* READABLE and WRITABLE in flight: may complete, or never. While there
     * are any a run is not deadlocked. Kept by the backend. */
    size_t possible;

    /* Those of them that are idle: they do not keep a run from being
     * deadlocked. Kept by the backend. */
    size_t idle;

    /* How many operations have been done so far. Kept by the backend. */
    size_t done;
};

struct calm__backend_methods {
    /* The name that CALM_BACKEND chooses it by. */
    const char *name;

    /* Creates one. -EPERM, -ENOSYS, -ENOMEM and the like mean that this
     * kernel or container does not offer it. */
    int (*open)(struct calm__loop *loop, struct calm__backend **ret_backend);

    /* Frees it; nothing is in flight any more. */
    void (*close)(struct calm__backend *backend);

    /* Starts an operation. Never fails: what goes wrong is the operation's
     * result. May keep it until poll() to hand over several at once. */
    void (*start)(struct calm__backend *backend, struct calm__op *op);

    /* Asks for an end. The operation still completes through done(), with
     * its own result if that was first. May be called twice. */
    void (*cancel)(struct calm__backend *backend, struct calm__op *op);

    /* Hands over what was started, calls done() for all that has completed,
     * and, when nothing has, waits up to TIMEOUT nanoseconds (0: not at all,
     * CALM_FOREVER: as long as it takes), precise to the kernel's timers.
     * Returns early after wake() and after a signal. With TIMEOUT 0 it is
     * called every 61 steps and must cost next to nothing when nothing is in
     * flight. Returns 0, or a negative errno when the kernel's object broke. */
    int (*poll)(struct calm__backend *backend, int64_t timeout);

    /* Makes a poll() that waits now, or else the next one that would wait,
     * return. Any thread, also a signal handler. */
    void (*wake)(struct calm__backend *backend);

    /* The descriptor is about to be closed: operations that wait for it end
     * with -EBADF (in the next poll), and nothing of it is remembered. */
    void (*forget)(struct calm__backend *backend, int fd);
};

#endif
