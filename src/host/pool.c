/* pool.c - threads that run jobs for the loops of the process
 *
 * One queue and one lock for each pool. A job may block for ever, so it must
 * never wait behind another while a thread could be had; on the other hand a
 * wake costs more than a tiny job. The rule that gives both: at most one
 * thread at a time is RISING (woken or being made, and not here yet). When it
 * arrives it takes a job, and if there are more it makes the next one rise
 * before it begins its own. So the loop pays one wake for a burst of jobs,
 * threads that are awake take most of them, and a job that blocks holds up
 * nobody.
 *
 *     none --> RISING --> WORKING --> IDLE --> RISING ...
 *                            |          | 5 s, or the pool closes
 *                            +----------+--> none
 *
 * Idle threads are a pile: the last to come is the first to go, its stack is
 * in the cache and those below reach their 5 s. Each sleeps on a semaphore of
 * its own, so that it is the one that is woken.
 */
#include "host/pool.h"

#include "base/clock.h"
#include "host/thread.h"

#include <calm/pool.h>

#include <errno.h>
#include <semaphore.h>
#include <time.h>

enum {
    THREADS = 64,       /* of the blocking pool */
    CPU_THREADS = 1024, /* places; as many are used as there are processors */
    IDLE_SECONDS = 5,
    LOOK_OUT = 30000,   /* ns, the length of a wake or so */
    LOOKS_SKIPPED = 63, /* in a row at most: 0.5 us a job when in vain */
};

struct worker {
    struct calm__pool *pool;
    struct worker *below; /* in the pile of idle ones */
    pthread_t thread;
    sem_t wake;
    bool used; /* a thread lives, or is being made, in this place */
};

struct calm__pool {
    const char *name;
    const char *thread_name;
    size_t stack_size;  /* 0: the system's */
    int (*limit)(void); /* how many threads at most */
    struct worker *workers;
    int places;

    pthread_mutex_t lock;
    struct calm__job *first, *last;
    struct worker *idle;
    int threads; /* alive or being made */
    int rising;
    bool closing;
    int looks_skipped, looks_to_skip; /* what look_out() has learnt */
    atomic_bool called; /* what look_out() looks at: there is a job */
};

static int blocking_limit(void)
{
    return THREADS;
}

static struct worker blocking_workers[THREADS];
static struct worker cpu_workers[CPU_THREADS];

/* Blocking jobs are calls into other libraries: name look-up alone wants tens
 * of kilobytes. A megabyte is address space, not memory. */
struct calm__pool calm__blocking_pool = {
    .name = "blocking pool",
    .thread_name = "calm-blocking",
    .stack_size = 1 << 20,
    .limit = blocking_limit,
    .workers = blocking_workers,
    .places = THREADS,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

struct calm__pool calm__cpu_pool = {
    .name = "CPU pool",
    .thread_name = "calm-cpu",
    .limit = calm_cpu_count,
    .workers = cpu_workers,
    .places = CPU_THREADS,
    .lock = PTHREAD_MUTEX_INITIALIZER,
};

/* ---- who comes to work; all of this under the lock ---- */

static struct worker *free_place(struct calm__pool *pool)
{
    int limit = pool->limit();
    if (limit > pool->places)
        limit = pool->places;
    if (pool->threads >= limit)
        return NULL;
    struct worker *worker = pool->workers;
    while (worker->used)
        worker++;
    return worker;
}

/* The worker that is to rise for the jobs in the queue: NULL when there are
 * none, one is on its way already, or all are at work. *RET_NEW: it has no
 * thread yet. */
static struct worker *choose(struct calm__pool *pool, bool *ret_new)
{
    *ret_new = false;
    if (!pool->first || pool->rising > 0)
        return NULL;
    struct worker *worker = pool->idle;
    if (worker) {
        pool->idle = worker->below;
    } else {
        worker = free_place(pool);
        if (!worker)
            return NULL;
        worker->used = *ret_new = true;
        pool->threads++;
    }
    pool->rising++;
    return worker;
}

/* The chosen one could not be made, or has ended. */
static void leave_place(struct calm__pool *pool, struct worker *worker)
{
    sem_destroy(&worker->wake);
    worker->used = false;
    pool->threads--;
}

static struct calm__job *take(
    struct calm__pool *pool, void (**ret_work)(struct calm__job *job))
{
    struct calm__job *job = pool->first;
    pool->first = job->next;
    *(job->next ? &job->next->previous : &pool->last) = NULL;
    *ret_work = job->work;
    job->work = NULL;
    return job;
}

/* ---- the threads ---- */

static void *worker_main(void *arg);

static int make_thread(struct calm__pool *pool, struct worker *worker)
{
    worker->pool = pool;
    sem_init(&worker->wake, /* pshared= */ 0, 0);
    return calm__thread_start(&worker->thread, pool->thread_name,
        pool->stack_size, worker_main, worker);
}

/* Makes the chosen one rise; outside of the lock, because both ways are
 * system calls. That no thread could be made is no error here: there are
 * others, and they will come to the jobs. */
static void raise_worker(
    struct calm__pool *pool, struct worker *worker, bool new)
{
    if (!new) {
        sem_post(&worker->wake);
    } else if (make_thread(pool, worker) < 0) {
        pthread_mutex_lock(&pool->lock);
        pool->rising--;
        leave_place(pool, worker);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Under the lock, which is given up meanwhile: looks out for a job for some
 * microseconds before it goes to sleep, since a task that makes one call after
 * the other has the next ready by then. Measured on two processors of a
 * virtual machine: such a call takes 3 us and not 35, which is what two wakes
 * cost, and bursts do not suffer. Who looks out counts as rising, so nobody
 * wakes another for the job. Each time in vain doubles the number of rests
 * without a look; it is not made shorter instead, because one that is shorter
 * than a wake could never find out that it would pay again. */
static bool look_out(struct calm__pool *pool)
{
    if (pool->rising > 0 || pool->closing || calm_cpu_count() == 1)
        return false;
    if (pool->looks_skipped < pool->looks_to_skip) {
        pool->looks_skipped++;
        return false;
    }
    pool->looks_skipped = 0;
    pool->rising++;
    atomic_store_explicit(&pool->called, false, memory_order_relaxed);
    pthread_mutex_unlock(&pool->lock);
    int64_t end = calm__clock_now() + LOOK_OUT;
    while (!atomic_load_explicit(&pool->called, memory_order_relaxed) &&
           calm__clock_now() < end)
        continue;
    pthread_mutex_lock(&pool->lock);
    pool->rising--;
    if (pool->first)
        pool->looks_to_skip = 0;
    else if (pool->looks_to_skip < LOOKS_SKIPPED)
        pool->looks_to_skip = 2 * pool->looks_to_skip + 1;
    return pool->first;
}

/* Under the lock, which is given up meanwhile: sleeps until there may be a
 * job. Returns false when the time of idling is over. */
static bool rest(struct calm__pool *pool, struct worker *worker)
{
    worker->below = pool->idle;
    pool->idle = worker;
    pthread_mutex_unlock(&pool->lock);
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += IDLE_SECONDS;
    int rc;
    do
        rc = sem_clockwait(&worker->wake, CLOCK_MONOTONIC, &end);
    while (rc < 0 && errno == EINTR);
    pthread_mutex_lock(&pool->lock);
    struct worker **place = &pool->idle;
    while (*place && *place != worker)
        place = &(*place)->below;
    if (*place) { /* nobody has chosen us */
        *place = worker->below;
        return false;
    }
    if (rc < 0) { /* somebody did, just now: the post is certain to come */
        pthread_mutex_unlock(&pool->lock);
        while (sem_wait(&worker->wake) < 0)
            continue;
        pthread_mutex_lock(&pool->lock);
    }
    pool->rising--;
    return true;
}

/* Under the lock, which is given up meanwhile. */
static void work_one(struct calm__pool *pool)
{
    void (*work)(struct calm__job *);
    struct calm__job *job = take(pool, &work);
    bool new;
    struct worker *next = choose(pool, &new);
    pthread_mutex_unlock(&pool->lock);
    if (next)
        raise_worker(pool, next, new);
    struct calm__loop *loop = job->loop;
    work(job);
    calm__loop_post(loop, &job->post);
    pthread_mutex_lock(&pool->lock);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct calm__pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    pool->rising--;
    do {
        while (pool->first)
            work_one(pool);
    } while (look_out(pool) || (!pool->closing && rest(pool, worker)));
    calm_error_clear();
    if (!pool->closing) { /* else close() joins us */
        pthread_detach(pthread_self());
        leave_place(pool, worker);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- the loop's side ---- */

/* Under the lock. Puts a chain behind the others; returns the one that was
 * the last before. */
static struct calm__job *append(
    struct calm__pool *pool, struct calm__job *first)
{
    struct calm__job *before = pool->last, *previous = before;
    *(before ? &before->next : &pool->first) = first;
    for (struct calm__job *job = first; job; job = job->next) {
        job->previous = previous;
        previous = job;
    }
    pool->last = previous;
    atomic_store_explicit(&pool->called, true, memory_order_relaxed);
    return before;
}

int calm__pool_start(struct calm__pool *pool, struct calm__job *first)
{
    pthread_mutex_lock(&pool->lock);
    struct calm__job *before = append(pool, first);
    bool new;
    int rc = 0;
    struct worker *worker = choose(pool, &new);
    if (new && pool->threads == 1) {
        /* The pool's only thread: without it the jobs would wait for ever,
         * so under the lock, while they can still be taken back. */
        rc = make_thread(pool, worker);
        if (rc < 0) {
            pool->rising--;
            leave_place(pool, worker);
            pool->last = before;
            *(before ? &before->next : &pool->first) = NULL;
        }
        worker = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    if (worker)
        raise_worker(pool, worker, new);
    return rc;
}

bool calm__pool_drop(struct calm__pool *pool, struct calm__job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool queued = job->work != NULL;
    if (queued) {
        *(job->previous ? &job->previous->next : &pool->first) = job->next;
        *(job->next ? &job->next->previous : &pool->last) = job->previous;
    }
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

void calm__pool_close(struct calm__pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    atomic_store_explicit(&pool->called, true, memory_order_relaxed);
    while (pool->idle) {
        struct worker *worker = pool->idle;
        pool->idle = worker->below;
        pool->rising++;
        sem_post(&worker->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->places && pool->threads > 0; i++) {
        if (!pool->workers[i].used)
            continue;
        pthread_join(pool->workers[i].thread, NULL);
        leave_place(pool, &pool->workers[i]);
    }
    pool->closing = false;
}

const char *calm__pool_name(const struct calm__pool *pool)
{
    return pool->name;
}
