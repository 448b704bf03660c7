/* host/process_pool.h - what the loop, the template and the workers share
 *
 *     the program                the template               a worker
 *     process_pool.c, _request.c process_template.c         process_worker.c
 *         |-- START, KILL, QUIT ----->| fork, kill              |
 *         |                           |------------------------>|
 *         |== the place: item, number of the request ==========>| futex
 *         |<========================= the answer, its number ===|
 *         |<-- ENDED, REFUSED --------|         ANSWERED -------|
 *
 * The places lie in memory that all three share. A pipe for each worker wakes
 * the loop; the template and the worker write to it. It comes to its end when
 * both are dead, so the loop cannot wait in vain for either. The processes
 * copy nothing but bytes: functions have the same address in all of them.
 */
#ifndef CALM_HOST_PROCESS_POOL_H
#define CALM_HOST_PROCESS_POOL_H

#include <calm/error.h>
#include <calm/process_pool.h>
#include <calm/sync.h>
#include <calm/task.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A worker's place in the shared memory. The item's bytes follow it. Requests
 * are numbered from 1; a request is the loop's to write until its number is
 * published, then the worker's until the answer's is, or the worker is dead. */
struct calm__place {
    _Atomic uint32_t request;  /* the worker sleeps on this one */
    _Atomic uint32_t sleeping; /* the worker does, or is about to */
    _Alignas(64) _Atomic uint32_t answer;
    _Atomic uint32_t begun;   /* the request that the worker has begun */
    _Atomic uint32_t waiting; /* the loop waits for the pipe */
    _Atomic int32_t id;       /* the worker's process, 0: there is none */
    _Atomic int32_t status;   /* of waitpid(), or the errno of the fork */

    _Alignas(64) calm_fn *fn;
    int64_t worked; /* ns, by the worker */
    int code;
    char message[CALM_MESSAGE_MAX];
    _Alignas(64) char item[];
};

/* Bytes on a worker's pipe. */
enum calm__place_news {
    CALM__NEWS_ANSWERED = 'A', /* only when the loop waits for it */
    CALM__NEWS_ENDED = 'E',    /* the worker was reaped; status says how */
    CALM__NEWS_REFUSED = 'R',  /* no worker could be forked; status says why */
};

/* Orders to the template. A worker that ended is not replaced before START. */
enum calm__order_kind {
    CALM__ORDER_START = 'S',
    CALM__ORDER_KILL = 'K',
    CALM__ORDER_QUIT = 'Q',
};

struct calm__order {
    char kind;
    unsigned char place;
};

/* What the template is given at its birth. */
struct calm__template {
    int orders;  /* a socket; its end means that the program has gone */
    int program; /* a pidfd, -1 if there is none */
    int *pipes;  /* the ends to write to, one for each place */
    int count;
    char *places;    /* the shared memory */
    size_t distance; /* from one place to the next */
    bool looks_out;  /* workers wait awake for a while: there are processors */
};

static inline struct calm__place *calm__place_at(
    char *places, size_t distance, int index)
{
    return (struct calm__place *)(void *)(places + distance * (size_t)index);
}

/* ---- the loop's side ---- */

enum calm__worker_state {
    CALM__WORKER_NONE,
    CALM__WORKER_ALIVE,
    CALM__WORKER_DYING,
};

struct calm__worker {
    enum calm__worker_state state;
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
    struct calm__worker *workers;
    pid_t owner;    /* who opened it; a fork of that only closes its ends */
    pid_t template; /* 0 once it was reaped */
    int orders;
    bool broken; /* the template has ended */
    bool looks_out;

    struct calm__loop *loop; /* whose tasks use it now */
    int users;
    calm_semaphore free;
};

/* process_request.c: sends an order about a worker, which QUIT does not need.
 * Returns 0 or an errno. */
int calm__pool_order(calm_process_pool *pool, enum calm__order_kind kind,
    const struct calm__worker *to);

/* process_request.c: fn(item) in WORKER, which the caller has taken. */
int calm__pool_request(calm_process_pool *pool, struct calm__worker *worker,
    calm_fn *fn, void *item, size_t size);

/* process_request.c: the template was killed: -EPIPE with a sentence. */
int calm__pool_lost(calm_process_pool *pool);

/* ---- the others' ---- */

/* process_template.c: serves until the program has gone, then ends all. */
_Noreturn void calm__template_main(struct calm__template *template);

/* process_worker.c: works until it is killed. */
_Noreturn void calm__worker_main(
    struct calm__place *place, int pipe, bool looks_out);

#endif
