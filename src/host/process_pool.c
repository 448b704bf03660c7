/* process_pool.c - functions in processes of their own: the pool
 *
 * Opens the pool, which forks the template, hands the workers to the tasks
 * that ask for them, in turn, and closes it. What happens between a task and
 * its worker is process_request.c's.
 */
#include "host/process_pool.h"

#include "base/fault.h"
#include "core/map.h"
#include "core/sched.h"
#include "host/lifetime.h"
#include "host/process.h"

#include <calm/pool.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST = 256,
    LARGEST_DEFAULT = 1 << 20,
    LARGEST_LIMIT = 1 << 30,
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
    for (int i = 0; i < pool->count; i++)
        pool->workers[i] = (struct calm__worker){.pipe = -1};
    /* Only what items touch takes memory. */
    pool->places = mmap(NULL, pool->size, PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pool->places == MAP_FAILED)
        return -errno;
    for (int i = 0; i < pool->count; i++)
        pool->workers[i].place = calm__place_at(pool->places, distance, i);
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
        .owner = getpid(),
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

static void template_end(calm_process_pool *pool)
{
    if (pool->template <= 0)
        return;
    calm__pool_order(pool, CALM__ORDER_QUIT, NULL);
    while (waitpid(pool->template, NULL, 0) < 0 && errno == EINTR)
        continue;
    pool->template = 0;
}

void calm_process_pool_close(calm_process_pool *pool)
{
    if (!pool)
        return;
    if (pool->owner == getpid()) /* else it is the one's that was forked */
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

/* ---- the calls ---- */

/* One that is alive, if there is one: the others take time. */
static struct calm__worker *take_worker(calm_process_pool *pool)
{
    struct calm__worker *best = NULL;
    for (int i = 0; i < pool->count; i++) {
        struct calm__worker *worker = &pool->workers[i];
        if (worker->taken || (best && best->state == CALM__WORKER_ALIVE))
            continue;
        if (!best || worker->state == CALM__WORKER_ALIVE ||
            best->state == CALM__WORKER_DYING)
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
    return pool->broken ? calm__pool_lost(pool) : 0;
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
        struct calm__worker *worker = take_worker(pool);
        rc = calm__pool_request(pool, worker, fn, item, size);
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
