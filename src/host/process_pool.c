/* process_pool.c - functions in processes of their own: the loop's side
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
#include "base/fault.h"
#include "core/map.h"
#include "core/sched.h"
#include "host/lifetime.h"
#include "host/process.h"

#include <calm/pool.h>
#include <calm/process_pool.h>
#include <calm/sync.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST = 256,
    LARGEST_DEFAULT = 1 << 20,
    LARGEST_LIMIT = 1 << 30,
    QUICK = 20000,  /* ns that an answer is waited for awake */
    BEGINNINGS = 3, /* of a worker, for one item that it never begins */
};

enum worker_state {
    NONE,
    ALIVE,
    DYING,
};

struct worker {
    enum worker_state state;
    struct calm__place *place;
    int pipe;
    bool taken; /* by a task */
    bool quick; /* it worked for less than QUICK on its last item */
};

struct calm_process_pool {
    int count;
    size_t largest;
    char *places;
    size_t size; /* of the shared memory */
    struct worker *workers;
    pid_t template; /* 0 once it was reaped */
    int orders;
    bool broken; /* the template has ended */
    bool looks_out;

    struct calm__loop *loop; /* whose tasks use it now */
    int users;
    calm_semaphore free;
};

/* ---- open ---- */

static int memory_make(calm_process_pool *pool)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t distance =
        (sizeof(struct calm__place) + pool->largest + page - 1) / page * page;
    pool->size = distance * (size_t)pool->count;
    pool->workers = calm__alloc((size_t)pool->count * sizeof *pool->workers);
    if (!pool->workers)
        return -ENOMEM;
    /* Only what items touch takes memory. */
    pool->places = mmap(NULL, pool->size, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool->places == MAP_FAILED)
        return -errno;
    for (int i = 0; i < pool->count; i++)
        pool->workers[i] = (struct worker){
            .place = calm__place_at(pool->places, distance, i), .pipe = -1};
    return 0;
}

static int pipes_make(calm_process_pool *pool, int *theirs)
{
    for (int i = 0; i < pool->count; i++) {
        int ends[2];
        if (calm__fault("pipe"))
            return -EMFILE;
        if (pipe2(ends, O_CLOEXEC) < 0)
            return -errno;
        pool->workers[i].pipe = ends[0];
        theirs[i] = ends[1];
        int rc = calm__fd_above_streams(&theirs[i]);
        if (rc < 0)
            return rc;
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
            return -errno;
    }
    return 0;
}

/* With all signals blocked, so that no handler of the program runs in the
 * template. */
static pid_t fork_template(struct calm__template *template)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t id = calm__fault("fork") ? (errno = EAGAIN, -1) : fork();
    if (id == 0)
        calm__template_main(template);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return id < 0 ? -error : id;
}

static int template_start(calm_process_pool *pool, int *theirs)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    struct calm__template template = {
        .orders = ends[1],
        .program = pidfd_open(getpid(), 0),
        .pipes = theirs,
        .count = pool->count,
        .places = pool->places,
        .distance = pool->size / (size_t)pool->count,
        .looks_out = pool->looks_out,
    };
    pid_t id = calm__fd_above_streams(&template.orders);
    if (id == 0 && template.program >= 0)
        id = calm__fd_above_streams(&template.program);
    if (id == 0)
        id = fork_template(&template);
    close(template.orders);
    if (template.program >= 0)
        close(template.program);
    pool->orders = ends[0];
    if (id < 0)
        return id;
    pool->template = id;
    return 0;
}

static int open_all(calm_process_pool *pool)
{
    int theirs[MOST];
    for (int i = 0; i < pool->count; i++)
        theirs[i] = -1;
    int rc = memory_make(pool);
    if (rc == 0)
        rc = pipes_make(pool, theirs);
    if (rc == 0)
        rc = template_start(pool, theirs);
    for (int i = 0; i < pool->count; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (rc == 0)
        return 0;
    errno = -rc;
    return calm_fail(rc, "cannot open a process pool: %m%s",
        rc == -EMFILE   ? "\nhint: raise 'ulimit -n'"
        : rc == -EAGAIN ? "\nhint: raise the limit of processes, 'ulimit -u'"
                        : "");
}

static int options_check(const calm_process_pool_opts *opts)
{
    if (opts->processes < 0 || opts->processes > MOST)
        return calm_fail(-EINVAL,
            "a process pool of %d processes\n"
            "hint: 1 to %d",
            opts->processes, MOST);
    if (opts->largest > LARGEST_LIMIT)
        return calm_fail(-EINVAL,
            "a process pool for items of %zu bytes\n"
            "hint: at most 1 GiB",
            opts->largest);
    return 0;
}

int calm_process_pool_open(
    const calm_process_pool_opts *opts, calm_process_pool **ret_pool)
{
    static const calm_process_pool_opts defaults;
    if (!opts)
        opts = &defaults;
    int rc = options_check(opts);
    if (rc == 0)
        rc = calm__lifetime_alone("a process pool");
    if (rc < 0)
        return rc;
    calm_process_pool *pool = calm__alloc(sizeof *pool);
    if (!pool)
        return calm_fail(-ENOMEM, "no memory for a process pool");
    *pool = (calm_process_pool){
        .count = opts->processes ? opts->processes : calm_cpu_count(),
        .largest = opts->largest ? opts->largest : LARGEST_DEFAULT,
        .looks_out = calm_cpu_count() > 1,
        .orders = -1,
    };
    if (pool->count > MOST)
        pool->count = MOST;
    calm_semaphore_init(&pool->free, pool->count);
    rc = open_all(pool);
    if (rc < 0) {
        struct calm__error *error = calm__error_take();
        calm_process_pool_close(pool);
        calm__error_set(error);
        return rc;
    }
    *ret_pool = pool;
    return 0;
}

/* ---- close ---- */

static int order(calm_process_pool *pool, enum calm__order_kind kind,
    const struct worker *to)
{
    struct calm__order order = {.kind = (char)kind,
        .place = to ? (unsigned char)(to - pool->workers) : 0};
    ssize_t sent;
    do
        sent = send(pool->orders, &order, sizeof order, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static void template_end(calm_process_pool *pool)
{
    if (pool->template <= 0)
        return;
    order(pool, CALM__ORDER_QUIT, NULL);
    while (waitpid(pool->template, NULL, 0) < 0 && errno == EINTR)
        continue;
    pool->template = 0;
}

void calm_process_pool_close(calm_process_pool *pool)
{
    if (!pool)
        return;
    if (!calm__forked()) /* else it is the program's that was forked */
        template_end(pool);
    if (pool->orders >= 0)
        close(pool->orders);
    for (int i = 0; pool->workers && i < pool->count; i++)
        if (pool->workers[i].pipe >= 0)
            close(pool->workers[i].pipe);
    if (pool->places && pool->places != MAP_FAILED)
        munmap(pool->places, pool->size);
    free(pool->workers);
    free(pool);
}

/* ---- a worker's end ---- */

/* Both ends of its pipe are gone: the template was killed, and with it all
 * workers. */
static int template_lost(calm_process_pool *pool)
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
static int read_news(calm_process_pool *pool, struct worker *worker)
{
    char news[16];
    int found = 0;
    for (;;) {
        ssize_t got = read(worker->pipe, news, sizeof news);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return found ? found : template_lost(pool);
        if (got < 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            if (news[i] != CALM__NEWS_ANSWERED)
                found = news[i];
    }
    if (found)
        worker->state = NONE;
    return found;
}

static int wait_readable(struct worker *worker)
{
    struct calm__op op = {.kind = CALM__OP_READABLE, .fd = worker->pipe};
    /* The answer is certain to come, as far as a virtual clock can know. */
    calm__loop_expect(calm__loop_here, 1);
    int rc = calm__op_wait(&op, "a worker process");
    calm__loop_expect(calm__loop_here, -1);
    return rc;
}

static int wait_until_dead(calm_process_pool *pool, struct worker *worker)
{
    int rc = 0;
    while (worker->state == DYING) {
        rc = read_news(pool, worker);
        if (rc == 0 && (rc = wait_readable(worker)) == 0)
            continue;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int crashed(const struct worker *worker)
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

static int refused(const struct worker *worker)
{
    errno = atomic_load(&worker->place->status);
    return calm_fail(-errno, "cannot start a worker process: %m\n"
                             "hint: raise the limit of processes, 'ulimit -u'");
}

/* ---- a request ---- */

static bool is_answered(const struct worker *worker, uint32_t request)
{
    return atomic_load_explicit(&worker->place->answer, memory_order_acquire) ==
           request;
}

/* For some microseconds, in which the others run, also those that poll. */
static bool answered_soon(
    const calm_process_pool *pool, struct worker *worker, uint32_t request)
{
    if (!worker->quick || !pool->looks_out || worker->state != ALIVE)
        return is_answered(worker, request);
    int64_t end = calm__clock_now() + QUICK;
    while (!is_answered(worker, request) && calm__clock_now() < end)
        if (calm_checkpoint() < 0)
            break;
    return is_answered(worker, request);
}

static int give_up(
    calm_process_pool *pool, struct worker *worker, uint32_t request, int rc)
{
    if (is_answered(worker, request))
        return 0;
    if (worker->state == ALIVE) {
        worker->state = DYING;
        order(pool, CALM__ORDER_KILL, worker);
    }
    return rc;
}

/* Publishes the request to the worker, or has a new one started for it. */
static int hand_over(
    calm_process_pool *pool, struct worker *worker, uint32_t request)
{
    struct calm__place *place = worker->place;
    atomic_store(&place->request, request);
    if (worker->state == ALIVE) {
        if (atomic_load(&place->sleeping))
            syscall(SYS_futex, &place->request, FUTEX_WAKE, 1, NULL, NULL, 0);
        return 0;
    }
    if (order(pool, CALM__ORDER_START, worker) < 0)
        return template_lost(pool);
    worker->state = ALIVE;
    worker->quick = false; /* it takes its time to come */
    return 0;
}

/* The worker has ended: after the answer, before it began, or at work. */
static int after_end(
    calm_process_pool *pool, struct worker *worker, uint32_t request, int news)
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
    calm_process_pool *pool, struct worker *worker, uint32_t request)
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

static int request(calm_process_pool *pool, struct worker *worker, calm_fn *fn,
    void *item, size_t size)
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

/* ---- the calls ---- */

/* One that is alive, if there is one: the others take time. */
static struct worker *take_worker(calm_process_pool *pool)
{
    struct worker *best = NULL;
    for (int i = 0; i < pool->count; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->taken || (best && best->state == ALIVE))
            continue;
        if (!best || worker->state == ALIVE || best->state == DYING)
            best = worker;
    }
    assert(best); /* the semaphore has counted it */
    best->taken = true;
    return best;
}

static int enter(calm_process_pool *pool, size_t size)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (size > pool->largest)
        return calm_fail(CALM_ELIMIT,
            "an item of %zu bytes for a process pool of at most %zu\n"
            "hint: open it with a larger 'largest'",
            size, pool->largest);
    if (pool->users > 0 && pool->loop != calm__loop_here)
        return calm_fail(
            -EBUSY, "the process pool is used by the loop of another thread");
    return pool->broken ? template_lost(pool) : 0;
}

int calm_process_call(
    calm_process_pool *pool, calm_fn *fn, void *item, size_t size)
{
    int rc = enter(pool, size);
    if (rc < 0)
        return rc;
    pool->loop = calm__loop_here;
    pool->users++;
    rc = calm_semaphore_acquire(&pool->free);
    if (rc == 0) {
        struct worker *worker = take_worker(pool);
        rc = request(pool, worker, fn, item, size);
        worker->taken = false;
        calm_semaphore_release(&pool->free);
    }
    pool->users--;
    return rc;
}

struct process_map {
    calm_process_pool *pool;
    calm_fn *fn;
    size_t size;
};

static int map_item(void *ctx, void *item)
{
    struct process_map *map = ctx;
    return calm_process_call(map->pool, map->fn, item, map->size);
}

int calm_process_map(calm_process_pool *pool, calm_fn *fn, void *items,
    size_t count, size_t size, const calm_map_opts *opts)
{
    struct process_map map = {pool, fn, size};
    calm_map_opts chosen = opts ? *opts : (calm_map_opts){0};
    if (chosen.limit == 0 || chosen.limit > (size_t)pool->count)
        chosen.limit = (size_t)pool->count;
    return calm__map_with(map_item, &map, items, count, size, &chosen);
}

int calm_process_pool_count(const calm_process_pool *pool)
{
    return pool->count;
}

pid_t calm_process_pool_id(const calm_process_pool *pool, int index)
{
    if (index < 0 || index >= pool->count)
        return 0;
    return atomic_load(&pool->workers[index].place->id);
}
