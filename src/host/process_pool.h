/* host/process_pool.h - what the loop, the template and the workers share
 *
 *     the program                the template               a worker
 *     process_pool.c             process_template.c         process_worker.c
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

/* process_template.c: serves until the program has gone, then ends all. */
_Noreturn void calm__template_main(struct calm__template *template);

/* process_worker.c: works until it is killed. */
_Noreturn void calm__worker_main(
    struct calm__place *place, int pipe, bool looks_out);

#endif
