/* epoll.c - the backend "epoll", for kernels and containers without a ring
 *
 * Waits for descriptors go to epoll. A descriptor stays registered after its
 * wait has ended, because the next one mostly follows: the usual turn of
 * read, -EAGAIN, wait then costs no epoll_ctl at all. Registration is
 * level-triggered, so nothing is lost between two waits; an event that finds
 * no waiter lowers the mask, or it would come back for ever.
 *
 * Files are always "ready" for epoll and block all the same, so reads, writes
 * and syncs are jobs of the blocking pool, handed over together by poll().
 *
 *     start() -> BATCHED -> HANDED -> (a thread) -> post -> done()    files
 *     start() -> WAITING -> FINISHED -> done()                        waits
 */
#include "base/fault.h"
#include "core/sched.h"
#include "host/backends.h"
#include "host/lifetime.h"
#include "host/op_list.h"
#include "host/pool.h"
#include "host/ready.h"
#include "host/ticker.h"
#include "host/wake.h"

#include <calm/time.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    EVENTS = 128, /* taken at once */
};

enum op_state {
    BATCHED,  /* in epoll.batch: the next poll hands it to the pool */
    HANDED,   /* the pool's */
    WAITING,  /* in the table of ready.h */
    FINISHED, /* in epoll.finished: result set, done() comes next */
};

struct epoll {
    struct calm__backend backend; /* first: the two are cast to each other */
    int fd;
    int timer_fd; /* where the kernel has no epoll_pwait2; else -1 */
    struct calm__wake wake;
    struct calm__ready ready;
    struct calm__op_list batch, finished;
};

/* What the kernel is asked for in each direction, and what counts. */
static const uint32_t asked[] = {
    [CALM__READING] = EPOLLIN | EPOLLRDHUP,
    [CALM__WRITING] = EPOLLOUT,
};
static const uint32_t always = EPOLLERR | EPOLLHUP;

static void finish(struct epoll *epoll, struct calm__op *op, int64_t result)
{
    op->result = result;
    op->state = FINISHED;
    calm__op_list_append(&epoll->finished, op);
}

/* ---- files: jobs of the blocking pool ---- */

/* The job lives in the operation's own space, the operation knows the job's
 * place, so each leads to the other. */
static_assert(sizeof(struct calm__job) <= sizeof((struct calm__op *)0)->own,
    "a job must fit into an operation");

static struct calm__job *op_job(struct calm__op *op)
{
    return (struct calm__job *)op->own;
}

static struct calm__op *job_op(struct calm__job *job)
{
    return (struct calm__op *)((char *)job - offsetof(struct calm__op, own));
}

static ssize_t transfer(const struct calm__op *op)
{
    switch (op->kind) {
    case CALM__OP_READ:
        return op->offset < 0 ? read(op->fd, op->buffer, op->size)
                              : pread(op->fd, op->buffer, op->size, op->offset);
    case CALM__OP_WRITE:
        return op->offset < 0
                   ? write(op->fd, op->buffer, op->size)
                   : pwrite(op->fd, op->buffer, op->size, op->offset);
    case CALM__OP_FSYNC:
        return op->offset == 1 ? fdatasync(op->fd) : fsync(op->fd);
    default:
        errno = EINVAL;
        return -1;
    }
}

/* In a thread of the pool. */
static void job_work(struct calm__job *job)
{
    struct calm__op *op = job_op(job);
    ssize_t count = transfer(op);
    op->result = count < 0 ? -errno : count;
}

/* Back on the loop's stack. */
static void job_done(struct calm__post *post)
{
    struct calm__job *job = (struct calm__job *)post;
    struct calm__op *op = job_op(job);
    --calm__loop_backend(job->loop)->certain;
    op->done(op);
}

static void hand_over(struct epoll *epoll)
{
    struct calm__job *first = NULL, *last = NULL;
    for (struct calm__op *op = epoll->batch.first; op; op = op->next) {
        struct calm__job *job = op_job(op);
        *job = (struct calm__job){
            .post.run = job_done,
            .work = job_work,
            .loop = epoll->backend.loop,
        };
        *(last ? &last->next : &first) = job;
        last = job;
        op->state = HANDED;
    }
    int rc = calm__pool_start(&calm__blocking_pool, first);
    struct calm__op *op;
    while ((op = epoll->batch.first)) {
        calm__op_list_remove(&epoll->batch, op);
        if (rc < 0)
            finish(epoll, op, rc);
    }
}

/* ---- descriptors ---- */

static int control(struct epoll *epoll, int how, int fd, uint32_t mask)
{
    struct epoll_event event = {.events = mask, .data.fd = fd};
    return epoll_ctl(epoll->fd, how, fd, &event) < 0 ? -errno : 0;
}

/* For the wake and the timer: what counts is that the wait ends, so their
 * events name no descriptor. Each write is an edge, nobody has to read. */
static int watch_own(struct epoll *epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = -1};
    return epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Registers FD for MASK too. The table may be wrong about what the kernel
 * has: a descriptor that was closed behind our back is gone from it, and one
 * that was duplicated is still there. */
static int watch(
    struct epoll *epoll, struct calm__ready_entry *entry, int fd, uint32_t mask)
{
    mask |= entry->registered;
    if (mask == entry->registered)
        return 0;
    int how = entry->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int rc = control(epoll, how, fd, mask);
    if (rc == -ENOENT)
        rc = control(epoll, EPOLL_CTL_ADD, fd, mask);
    else if (rc == -EEXIST)
        rc = control(epoll, EPOLL_CTL_MOD, fd, mask);
    if (rc == 0)
        entry->registered = mask;
    return rc;
}

static void unwatch(
    struct epoll *epoll, struct calm__ready_entry *entry, int fd, uint32_t mask)
{
    mask = entry->registered & ~mask;
    control(epoll, mask ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, mask);
    entry->registered = mask;
}

static void dispatch(struct epoll *epoll, const struct epoll_event *event)
{
    int fd = event->data.fd;
    struct calm__ready_entry *entry = calm__ready_find(&epoll->ready, fd);
    if (!entry) /* the wake or the timer */
        return;
    uint32_t unwanted = 0;
    bool wanted = false;
    for (int i = 0; i < 2; i++) {
        if (!(event->events & (asked[i] | always)))
            continue;
        struct calm__op *op = entry->waiting[i];
        if (op) {
            entry->waiting[i] = NULL;
            finish(epoll, op, 0);
            wanted = true;
        } else {
            unwanted |= entry->registered & asked[i];
        }
    }
    if (unwanted)
        unwatch(epoll, entry, fd, unwanted);
    else if (!wanted) /* an error that nobody asked for comes unmasked */
        unwatch(epoll, entry, fd, entry->registered);
}

/* ---- the wait ---- */

static int wait_by_timer(
    struct epoll *epoll, struct epoll_event *events, int64_t timeout)
{
    struct itimerspec time = {
        .it_value = {timeout / CALM_S, timeout % CALM_S},
    };
    timerfd_settime(epoll->timer_fd, 0, &time, NULL);
    return epoll_wait(epoll->fd, events, EVENTS, -1);
}

/* Linux before 5.11 has no epoll_pwait2, and filters of system calls that are
 * older than it say -EPERM. */
static int timer_open(struct epoll *epoll)
{
    epoll->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (epoll->timer_fd < 0)
        return -errno;
    return watch_own(epoll, epoll->timer_fd);
}

static int wait_for_time(
    struct epoll *epoll, struct epoll_event *events, int64_t timeout)
{
    if (timeout <= 0)
        return epoll_wait(epoll->fd, events, EVENTS, 0);
    if (timeout == CALM_FOREVER)
        return epoll_wait(epoll->fd, events, EVENTS, -1);
    if (epoll->timer_fd < 0) {
        struct timespec time = {timeout / CALM_S, timeout % CALM_S};
        bool absent = calm__fault("epoll_pwait2");
        int count =
            absent ? -1 : epoll_pwait2(epoll->fd, events, EVENTS, &time, NULL);
        if (count >= 0 || (!absent && errno != ENOSYS && errno != EPERM))
            return count;
        if (timer_open(epoll) < 0) {
            int64_t rounded = (timeout + CALM_MS - 1) / CALM_MS;
            return epoll_wait(epoll->fd, events, EVENTS,
                rounded < 1000000 ? (int)rounded : 1000000);
        }
    }
    return wait_by_timer(epoll, events, timeout);
}

static int wait_and_dispatch(struct epoll *epoll, int64_t timeout)
{
    struct epoll_event events[EVENTS];
    bool asleep = timeout > 0 && calm__wake_sleep(&epoll->wake);
    if (asleep)
        calm__ticker_rest();
    int count = wait_for_time(epoll, events, asleep ? timeout : 0);
    int rc = count < 0 && errno != EINTR ? -errno : 0;
    if (asleep) {
        calm__ticker_rise();
        calm__wake_rise(&epoll->wake);
    }
    for (int i = 0; i < count; i++)
        dispatch(epoll, &events[i]);
    return rc;
}

/* ---- the table of functions ---- */

static void epoll_start(struct calm__backend *backend, struct calm__op *op)
{
    struct epoll *epoll = (struct epoll *)backend;
    ++*calm__op_counter(backend, op);
    int rc = calm__forked() ? -ECHILD : 0;
    if (rc == 0 && !calm__op_is_wait(op)) {
        op->state = BATCHED;
        calm__op_list_append(&epoll->batch, op);
        return;
    }
    if (rc == 0)
        rc = calm__ready_add(&epoll->ready, op);
    if (rc == 0) {
        op->state = WAITING;
        rc = watch(epoll, calm__ready_find(&epoll->ready, op->fd), op->fd,
            asked[op->kind == CALM__OP_READABLE ? CALM__READING
                                                : CALM__WRITING]);
        if (rc == 0)
            return;
        calm__ready_remove(&epoll->ready, op);
    }
    /* Files and folders are always ready, says poll(); epoll refuses them. */
    finish(epoll, op, rc == -EPERM ? 0 : rc);
}

static void epoll_cancel(struct calm__backend *backend, struct calm__op *op)
{
    struct epoll *epoll = (struct epoll *)backend;
    if (op->state == BATCHED) {
        calm__op_list_remove(&epoll->batch, op);
    } else if (op->state == WAITING) {
        calm__ready_remove(&epoll->ready, op);
    } else if (op->state == FINISHED ||
               !calm__pool_drop(&calm__blocking_pool, op_job(op))) {
        return;
    }
    finish(epoll, op, -ECANCELED);
}

static int epoll_poll(struct calm__backend *backend, int64_t timeout)
{
    struct epoll *epoll = (struct epoll *)backend;
    if (calm__forked())
        return -ECHILD;
    if (epoll->batch.first)
        hand_over(epoll);
    if (epoll->finished.first)
        timeout = 0;
    int rc = 0;
    if (timeout > 0 || backend->possible > 0)
        rc = wait_and_dispatch(epoll, timeout);
    calm__op_list_run(&epoll->finished, backend);
    return rc;
}

static void epoll_wake(struct calm__backend *backend)
{
    calm__wake_ring(&((struct epoll *)backend)->wake);
}

static void epoll_forget(struct calm__backend *backend, int fd)
{
    struct epoll *epoll = (struct epoll *)backend;
    struct calm__ready_entry *entry = calm__ready_find(&epoll->ready, fd);
    if (!entry || calm__forked())
        return;
    for (int i = 0; i < 2; i++) {
        struct calm__op *op = entry->waiting[i];
        entry->waiting[i] = NULL;
        if (op)
            finish(epoll, op, -EBADF);
    }
    if (entry->registered)
        unwatch(epoll, entry, fd, entry->registered);
}

static void epoll_close(struct calm__backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    /* A file's job that still ran would write to memory that is about to go;
     * the loop has waited for it. */
    assert(backend->certain == 0 || calm__forked());
    if (epoll->timer_fd >= 0)
        close(epoll->timer_fd);
    if (epoll->fd >= 0)
        close(epoll->fd);
    calm__wake_close(&epoll->wake);
    calm__ready_clear(&epoll->ready);
    free(epoll);
}

static int epoll_open(
    struct calm__loop *loop, struct calm__backend **ret_backend)
{
    struct epoll *epoll = calm__alloc(sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    *epoll = (struct epoll){
        .backend = {.methods = &calm__epoll_methods, .loop = loop},
        .timer_fd = -1,
        .wake.fd = -1,
    };
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    int rc = epoll->fd < 0 ? -errno : calm__wake_open(&epoll->wake);
    if (rc == 0)
        rc = watch_own(epoll, epoll->wake.fd);
    if (rc < 0) {
        epoll_close(&epoll->backend);
        return rc;
    }
    *ret_backend = &epoll->backend;
    return 0;
}

const struct calm__backend_methods calm__epoll_methods = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .start = epoll_start,
    .cancel = epoll_cancel,
    .poll = epoll_poll,
    .wake = epoll_wake,
    .forget = epoll_forget,
};
