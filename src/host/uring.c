/* uring.c - the backend "io_uring"
 *
 * Operations become entries of the submission queue, which start() fills and
 * poll() hands over in one system call, together with the wait. The ring
 * belongs to the loop's thread alone, so completions need no lock and, since
 * Linux 6.1, are only worked on when that thread asks (DEFER_TASKRUN): the
 * kernel raises a flag in shared memory, which makes a poll that need not
 * wait cost a few loads. Never SQPOLL: it burns a processor.
 *
 *     start() -> HELD -------> FLYING -------------> FINISHED -> done()
 *                  |   space     |      completion      ^
 *                  |    cancel() v                      |
 *                  |      CANCEL_HELD --> CANCELLING ---+
 *                  +---------------- cancel() ----------+
 *
 * One entry of the queue is kept back for cancels, so that a queue full of
 * reads that hang can still be told to stop. Where even that one is taken and
 * the kernel accepts nothing, what is to be done is noted in the operation
 * (HELD, CANCEL_HELD) and done in a later poll.
 *
 * Completed operations are first collected, then told: a done() that starts,
 * cancels or forgets others finds the lists and the ring in order.
 */
#include "base/fault.h"
#include "host/backends.h"
#include "host/lifetime.h"
#include "host/op_list.h"
#include "host/ready.h"
#include "host/ticker.h"
#include "host/wake.h"

#include <calm/time.h>

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ENTRIES = 256,
    COMPLETIONS = 4096,   /* what comes beyond waits in the kernel's own list */
    LARGEST = 0x7ffff000, /* bytes: what one read or write takes on Linux */
};

/* user_data of what is not an operation. */
enum {
    IGNORED,
    WAKE,
};

enum op_state {
    HELD,        /* in uring.held: the ring had no room yet */
    FLYING,      /* in uring.flying: the kernel's, or soon so */
    CANCEL_HELD, /* flying; its cancel found no room yet */
    CANCELLING,  /* flying; the kernel was asked to end it */
    FINISHED,    /* in uring.finished: result set, done() comes next */
};

struct uring {
    struct calm__backend backend; /* first: the two are cast to each other */
    struct io_uring ring;
    struct calm__wake wake;
    bool wake_watched;
    bool cancels_held;
    struct calm__ready ready;
    struct calm__op_list held, flying, finished;
};

/* Kernel: 6.1; 5.19; 5.13. Each mode is tried when the one before it is not
 * known, which the kernel tells by -EINVAL. */
static const struct {
    unsigned flags;
    const char *text;
} modes[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
            IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
        "single issuer, deferred task work"},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_SUBMIT_ALL,
        "cooperative task work"},
    {0, "plain"},
};

static int set_up(struct io_uring *ring, const char **ret_mode)
{
    int rc = calm__fault("io_uring") ? -ENOMEM : -EINVAL;
    for (size_t i = 0; rc == -EINVAL && i < sizeof modes / sizeof *modes; i++) {
        struct io_uring_params params = {
            .flags = modes[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = COMPLETIONS,
        };
        rc = io_uring_queue_init_params(ENTRIES, ring, &params);
        *ret_mode = modes[i].text;
    }
    if (rc < 0)
        return rc;
    /* Waits with a time, completions that are never dropped, polls that stay:
     * RSRC_TAGS came with the last of them, in Linux 5.13. */
    unsigned needed =
        IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_RSRC_TAGS;
    if ((ring->features & needed) == needed)
        return 0;
    io_uring_queue_exit(ring);
    return -ENOSYS;
}

/* A place in the submission queue that leaves RESERVE others free, or NULL
 * when the kernel takes nothing now: its completion list has overflown
 * (-EBUSY) or it has no memory (-EAGAIN). */
static struct io_uring_sqe *take_entry(struct uring *uring, unsigned reserve)
{
    if (io_uring_sq_space_left(&uring->ring) <= reserve)
        io_uring_submit(&uring->ring);
    if (io_uring_sq_space_left(&uring->ring) <= reserve)
        return NULL;
    return io_uring_get_sqe(&uring->ring);
}

static void finish(struct uring *uring, struct calm__op *op, int64_t result)
{
    op->result = result;
    op->state = FINISHED;
    calm__op_list_append(&uring->finished, op);
}

static void prepare(struct io_uring_sqe *sqe, const struct calm__op *op)
{
    unsigned size = op->size < LARGEST ? (unsigned)op->size : LARGEST;
    switch (op->kind) {
    case CALM__OP_READ:
        io_uring_prep_read(sqe, op->fd, op->buffer, size, (uint64_t)op->offset);
        break;
    case CALM__OP_WRITE:
        io_uring_prep_write(
            sqe, op->fd, op->buffer, size, (uint64_t)op->offset);
        break;
    case CALM__OP_FSYNC:
        io_uring_prep_fsync(
            sqe, op->fd, op->offset == 1 ? IORING_FSYNC_DATASYNC : 0);
        break;
    case CALM__OP_READABLE:
        io_uring_prep_poll_add(sqe, op->fd, POLLIN | POLLRDHUP);
        break;
    case CALM__OP_WRITABLE:
        io_uring_prep_poll_add(sqe, op->fd, POLLOUT);
        break;
    }
}

/* Puts OP, which is in no list, into the queue. False when there is no room. */
static bool launch(struct uring *uring, struct calm__op *op)
{
    struct io_uring_sqe *sqe = take_entry(uring, /* reserve= */ 1);
    if (!sqe)
        return false;
    prepare(sqe, op);
    io_uring_sqe_set_data(sqe, op);
    op->state = FLYING;
    calm__op_list_append(&uring->flying, op);
    return true;
}

/* The order in the queue is the order in which the kernel works, so a cancel
 * always finds its own operation and never a later one at the same address. */
static bool launch_cancel(struct uring *uring, struct calm__op *op)
{
    struct io_uring_sqe *sqe = take_entry(uring, /* reserve= */ 0);
    if (!sqe) {
        op->state = CANCEL_HELD;
        uring->cancels_held = true;
        return false;
    }
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data64(sqe, IGNORED);
    op->state = CANCELLING;
    return true;
}

static void watch_wake(struct uring *uring)
{
    struct io_uring_sqe *sqe = take_entry(uring, /* reserve= */ 1);
    if (!sqe)
        return;
    io_uring_prep_poll_multishot(sqe, uring->wake.fd, POLLIN);
    io_uring_sqe_set_data64(sqe, WAKE);
    uring->wake_watched = true;
}

/* What found no room before. */
static void launch_held(struct uring *uring)
{
    if (!uring->wake_watched)
        watch_wake(uring);
    if (uring->cancels_held) {
        uring->cancels_held = false;
        struct calm__op *op = uring->flying.first;
        while (op && (op->state != CANCEL_HELD || launch_cancel(uring, op)))
            op = op->next;
    }
    struct calm__op *op;
    while ((op = uring->held.first)) {
        calm__op_list_remove(&uring->held, op);
        if (launch(uring, op))
            continue;
        /* Back to the front, where it came from. */
        op->next = uring->held.first;
        *(op->next ? &op->next->previous : &uring->held.last) = op;
        uring->held.first = op;
        return;
    }
}

static void uring_start(struct calm__backend *backend, struct calm__op *op)
{
    struct uring *uring = (struct uring *)backend;
    ++*calm__op_counter(backend, op);
    op->result = 0;
    int rc = calm__forked() ? -ECHILD : 0;
    if (rc == 0 && calm__op_is_wait(op))
        rc = calm__ready_add(&uring->ready, op);
    if (rc < 0) {
        finish(uring, op, rc);
    } else if (uring->held.first || !launch(uring, op)) {
        op->state = HELD;
        calm__op_list_append(&uring->held, op);
    }
}

static void uring_cancel(struct calm__backend *backend, struct calm__op *op)
{
    struct uring *uring = (struct uring *)backend;
    if (op->state == FLYING) {
        launch_cancel(uring, op);
    } else if (op->state == HELD) {
        calm__op_list_remove(&uring->held, op);
        calm__ready_remove(&uring->ready, op);
        finish(uring, op, -ECANCELED);
    }
}

/* The kernel has ended OP with RESULT. A result that is there already is the
 * verdict of forget() and stands. */
static void complete(struct uring *uring, struct calm__op *op, int64_t result)
{
    calm__op_list_remove(&uring->flying, op);
    if (calm__op_is_wait(op)) {
        calm__ready_remove(&uring->ready, op);
        if (result > 0)
            result = 0;
    }
    if (result == -EINTR && op->state == CANCELLING)
        result = -ECANCELED;
    finish(uring, op, op->result ? op->result : result);
}

static void reap(struct uring *uring)
{
    unsigned head, count = 0;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        count++;
        if (cqe->user_data == WAKE)
            uring->wake_watched = cqe->flags & IORING_CQE_F_MORE;
        else if (cqe->user_data != IGNORED)
            complete(uring, io_uring_cqe_get_data(cqe), cqe->res);
    }
    io_uring_cq_advance(&uring->ring, count);
}

/* Hands over what is queued and waits for the first completion. The wait is
 * always bounded: liburing goes back to sleep after a signal otherwise. */
static int submit_and_wait(struct uring *uring, int64_t timeout)
{
    if (!calm__wake_sleep(&uring->wake))
        return io_uring_submit_and_get_events(&uring->ring);
    if (timeout > 3600 * CALM_S)
        timeout = 3600 * CALM_S;
    struct __kernel_timespec time = {
        .tv_sec = timeout / CALM_S,
        .tv_nsec = timeout % CALM_S,
    };
    struct io_uring_cqe *cqe;
    calm__ticker_rest();
    int rc = io_uring_submit_and_wait_timeout(
        &uring->ring, &cqe, /* wait_nr= */ 1, &time, /* sigmask= */ NULL);
    calm__ticker_rise();
    calm__wake_rise(&uring->wake);
    return rc;
}

/* Whether memory alone shows that there is nothing to do. */
static bool quiet(const struct uring *uring)
{
    const struct io_uring *ring = &uring->ring;
    return !uring->finished.first && io_uring_sq_ready(ring) == 0 &&
           io_uring_cq_ready(ring) == 0 && !uring->held.first &&
           (IO_URING_READ_ONCE(*ring->sq.kflags) &
               (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0;
}

static int uring_poll(struct calm__backend *backend, int64_t timeout)
{
    struct uring *uring = (struct uring *)backend;
    if (timeout == 0 && quiet(uring))
        return 0;
    if (calm__forked())
        return -ECHILD;
    if (uring->held.first || uring->cancels_held || !uring->wake_watched)
        launch_held(uring);
    int rc;
    if (timeout <= 0 || uring->finished.first)
        rc = io_uring_submit_and_get_events(&uring->ring);
    else
        rc = submit_and_wait(uring, timeout);
    reap(uring);
    calm__op_list_run(&uring->finished, backend);
    /* -EAGAIN and -EBUSY: the kernel could not take all of the queue; the
     * rest stays in it until the next poll. */
    if (rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN ||
        rc == -EBUSY)
        return 0;
    return rc;
}

static void uring_wake(struct calm__backend *backend)
{
    calm__wake_ring(&((struct uring *)backend)->wake);
}

/* The ring holds on to the file, not to its number, so it must have seen the
 * wait and its cancel before the number is closed: they are handed over here
 * and now. The waiter leaves the table at once, because the number may be
 * another file's when its completion comes. */
static void uring_forget(struct calm__backend *backend, int fd)
{
    struct uring *uring = (struct uring *)backend;
    struct calm__ready_entry *entry = calm__ready_find(&uring->ready, fd);
    if (!entry || calm__forked())
        return;
    bool flying = false;
    for (int i = 0; i < 2; i++) {
        struct calm__op *op = entry->waiting[i];
        if (!op)
            continue;
        uring_cancel(backend, op);
        entry->waiting[i] = NULL;
        op->result = -EBADF;
        flying |= op->state != FINISHED;
    }
    if (flying)
        io_uring_submit(&uring->ring);
}

/* The loop has nothing in flight when it closes; should it have given up half
 * way, the kernel must still be done with the buffers before they go. */
static void drain(struct uring *uring)
{
    struct calm__backend *backend = &uring->backend;
    while (backend->certain + backend->possible + backend->idle > 0) {
        struct calm__op *op = uring->held.first;
        for (struct calm__op *next; op; op = next) {
            next = op->next;
            uring_cancel(backend, op);
        }
        for (op = uring->flying.first; op; op = op->next)
            uring_cancel(backend, op);
        if (uring_poll(backend, CALM_S) < 0)
            return;
    }
}

static void uring_close(struct calm__backend *backend)
{
    struct uring *uring = (struct uring *)backend;
    drain(uring);
    io_uring_queue_exit(&uring->ring);
    calm__wake_close(&uring->wake);
    calm__ready_clear(&uring->ready);
    free(uring);
}

static int uring_open(
    struct calm__loop *loop, struct calm__backend **ret_backend)
{
    struct uring *uring = calm__alloc(sizeof *uring);
    if (!uring)
        return -ENOMEM;
    *uring = (struct uring){
        .backend = {.methods = &calm__uring_methods, .loop = loop},
    };
    int rc = calm__wake_open(&uring->wake);
    if (rc < 0)
        goto failed;
    const char *mode;
    rc = set_up(&uring->ring, &mode);
    if (rc < 0)
        goto failed;
    /* Saves a look-up in each system call; where it fails nothing is lost. */
    io_uring_register_ring_fd(&uring->ring);
    watch_wake(uring);
    *ret_backend = &uring->backend;
    return 0;

failed:
    calm__wake_close(&uring->wake);
    free(uring);
    return rc;
}

const struct calm__backend_methods calm__uring_methods = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .start = uring_start,
    .cancel = uring_cancel,
    .poll = uring_poll,
    .wake = uring_wake,
    .forget = uring_forget,
};

void calm__uring_describe(struct calm__uring_report *ret_report)
{
    struct io_uring ring;
    const char *mode;
    int rc = set_up(&ring, &mode);
    *ret_report = (struct calm__uring_report){.code = rc};
    if (rc < 0) {
        ret_report->hint = calm__uring_hint(rc);
        return;
    }
    ret_report->mode = mode;
    io_uring_queue_exit(&ring);
}

const char *calm__uring_hint(int code)
{
    switch (code) {
    case -EPERM:
    case -EACCES:
        return "a container's filter of system calls or the setting "
               "kernel.io_uring_disabled forbids it";
    case -ENOSYS:
        return "it needs Linux 5.13 or newer, built with CONFIG_IO_URING, and "
               "no filter of system calls that hides it";
    case -ENOMEM:
        return "no memory for the ring; before Linux 5.12 raise 'ulimit -l'";
    case -EMFILE:
    case -ENFILE:
        return "too many open files; raise 'ulimit -n'";
    default:
        return NULL;
    }
}
