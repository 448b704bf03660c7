/* process_request.c - an item's way to a worker and back: the loop's side
 *
 * A task takes a place and with it the worker, puts the item into the shared
 * memory, and waits for the answer: first awake for some microseconds, in
 * which other tasks run, if the last answers came as fast as that; then asleep
 * on the worker's pipe, which also tells of its end.
 *
 *              START                           ENDED, REFUSED
 *     NONE ------------> ALIVE  . . . . . . . . . . . . . . . . > NONE
 *                          | cancelled: KILL                      ^
 *                          +------------> DYING . . . . . . . . . +
 *
 * Each START is followed by one ENDED or REFUSED and by no other. A request is
 * published before its START, so a new worker cannot find an older one, which
 * was given up. A place that is DYING is written to by nobody before its
 * worker is known to be dead.
 */
#include "host/process_pool.h"

#include "base/clock.h"
#include "core/sched.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    QUICK = 20000,  /* ns that an answer is waited for awake */
    BEGINNINGS = 3, /* of a worker, for one item that it never begins */
};

int calm__pool_order(calm_process_pool *pool, enum calm__order_kind kind,
    const struct calm__worker *to)
{
    struct calm__order order = {.kind = (char)kind,
        .place = to ? (unsigned char)(to - pool->workers) : 0};
    ssize_t sent;
    do
        sent = send(pool->orders, &order, sizeof order, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* ---- a worker's end ---- */

/* Both ends of its pipe are gone: the template was killed, and with it all
 * workers. */
int calm__pool_lost(calm_process_pool *pool)
{
    pool->broken = true;
    if (pool->template > 0 && waitpid(pool->template, NULL, WNOHANG) > 0)
        pool->template = 0;
    return calm_fail(-EPIPE,
        "the process pool has ended: the process that its workers come from "
        "was killed");
}

/* Reads the news of a pipe. Returns CALM__NEWS_ENDED or CALM__NEWS_REFUSED if
 * that was among them, 0 if not, -EPIPE when nobody is left to write. */
static int read_news(calm_process_pool *pool, struct calm__worker *worker)
{
    char news[16];
    int found = 0;
    for (;;) {
        ssize_t got = read(worker->pipe, news, sizeof news);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return found ? found : calm__pool_lost(pool);
        if (got < 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            if (news[i] != CALM__NEWS_ANSWERED)
                found = news[i];
    }
    if (found)
        worker->state = CALM__WORKER_NONE;
    return found;
}

static int wait_readable(struct calm__worker *worker)
{
    struct calm__op op = {.kind = CALM__OP_READABLE, .fd = worker->pipe};
    /* The answer is certain to come, as far as a virtual clock can know. */
    calm__loop_expect(calm__loop_here, 1);
    int rc = calm__op_wait(&op, "a worker process");
    calm__loop_expect(calm__loop_here, -1);
    return rc;
}

static int wait_until_dead(calm_process_pool *pool, struct calm__worker *worker)
{
    int rc = 0;
    while (worker->state == CALM__WORKER_DYING) {
        rc = read_news(pool, worker);
        if (rc == 0 && (rc = wait_readable(worker)) == 0)
            continue;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int crashed(const struct calm__worker *worker)
{
    int status = atomic_load(&worker->place->status);
    if (WIFSIGNALED(status))
        return calm_fail(-EPROTO,
            "the worker process was ended by SIG%s while it worked on the item",
            sigabbrev_np(WTERMSIG(status)) ?: "?");
    return calm_fail(-EPROTO,
        "the worker process exited with status %d while it worked on the item",
        WEXITSTATUS(status));
}

static int refused(const struct calm__worker *worker)
{
    errno = atomic_load(&worker->place->status);
    return calm_fail(-errno, "cannot start a worker process: %m\n"
                             "hint: raise the limit of processes, 'ulimit -u'");
}

/* ---- a request ---- */

static bool is_answered(const struct calm__worker *worker, uint32_t request)
{
    return atomic_load_explicit(&worker->place->answer, memory_order_acquire) ==
           request;
}

/* For some microseconds, in which the others run, also those that poll. */
static bool answered_soon(const calm_process_pool *pool,
    struct calm__worker *worker, uint32_t request)
{
    if (!worker->quick || !pool->looks_out ||
        worker->state != CALM__WORKER_ALIVE)
        return is_answered(worker, request);
    int64_t end = calm__clock_now() + QUICK;
    while (!is_answered(worker, request) && calm__clock_now() < end)
        if (calm_checkpoint() < 0)
            break;
    return is_answered(worker, request);
}

static int give_up(calm_process_pool *pool, struct calm__worker *worker,
    uint32_t request, int rc)
{
    if (is_answered(worker, request))
        return 0;
    if (worker->state == CALM__WORKER_ALIVE) {
        worker->state = CALM__WORKER_DYING;
        calm__pool_order(pool, CALM__ORDER_KILL, worker);
    }
    return rc;
}

/* Publishes the request to the worker, or has a new one started for it. */
static int hand_over(
    calm_process_pool *pool, struct calm__worker *worker, uint32_t request)
{
    struct calm__place *place = worker->place;
    atomic_store(&place->request, request);
    if (worker->state == CALM__WORKER_ALIVE) {
        if (atomic_load(&place->sleeping))
            syscall(SYS_futex, &place->request, FUTEX_WAKE, 1, NULL, NULL, 0);
        return 0;
    }
    if (calm__pool_order(pool, CALM__ORDER_START, worker) < 0)
        return calm__pool_lost(pool);
    worker->state = CALM__WORKER_ALIVE;
    worker->quick = false; /* it takes its time to come */
    return 0;
}

/* The worker has ended: after the answer, before it began, or at work. */
static int after_end(calm_process_pool *pool, struct calm__worker *worker,
    uint32_t request, int news)
{
    if (is_answered(worker, request))
        return 0;
    if (news == CALM__NEWS_REFUSED)
        return refused(worker);
    if (atomic_load(&worker->place->begun) == request)
        return crashed(worker);
    return hand_over(pool, worker, request);
}

/* Returns 0 once the answer is there. */
static int wait_for_answer(
    calm_process_pool *pool, struct calm__worker *worker, uint32_t request)
{
    struct calm__place *place = worker->place;
    int beginnings = 0;
    for (;;) {
        if (answered_soon(pool, worker, request))
            return 0;
        /* It writes the answer and then looks at this; we the other way
         * round. */
        atomic_store(&place->waiting, 1);
        if (is_answered(worker, request))
            return 0;
        int rc = wait_readable(worker);
        if (rc < 0)
            return give_up(pool, worker, request, rc);
        rc = read_news(pool, worker);
        if (rc > 0 && beginnings++ == BEGINNINGS)
            return calm_fail(
                -EPROTO, "worker processes end before they begin an item");
        if (rc > 0)
            rc = after_end(pool, worker, request, rc);
        if (rc < 0)
            return rc;
    }
}

int calm__pool_request(calm_process_pool *pool, struct calm__worker *worker,
    calm_fn *fn, void *item, size_t size)
{
    int rc = wait_until_dead(pool, worker);
    if (rc < 0)
        return rc;
    struct calm__place *place = worker->place;
    uint32_t number = atomic_load(&place->request) + 1;
    place->fn = fn;
    memcpy(place->item, item, size);
    atomic_store(&place->waiting, 0);
    rc = hand_over(pool, worker, number);
    if (rc == 0)
        rc = wait_for_answer(pool, worker, number);
    if (rc < 0)
        return rc;
    worker->quick = place->worked < QUICK;
    memcpy(item, place->item, size);
    return place->code < 0 ? calm_fail(place->code, "%s", place->message)
                           : place->code;
}
