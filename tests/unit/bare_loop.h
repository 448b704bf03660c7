/* bare_loop.h - a loop without tasks, to drive a backend by hand */
#ifndef CALM_TESTS_BARE_LOOP_H
#define CALM_TESTS_BARE_LOOP_H

#include "unit.h"

#include "core/loop.h"

/* An operation that counts how often it was done. */
struct counted {
    struct calm__op op; /* first */
    int done;
};

static struct calm__loop *loop;
static struct calm__backend *backend;

static inline void count_done(struct calm__op *op)
{
    ((struct counted *)op)->done++;
}

static inline void bare_open(const struct calm__backend_methods *methods)
{
    loop = calm__loop_open(&(struct calm__loop_config){.stack_size = 64 << 10});
    assert_non_null(loop);
    assert_int_equal(methods->open(loop, &backend), 0);
    loop->backend = backend;
}

static inline void bare_close(void)
{
    while (atomic_load(&loop->posting) > 0)
        continue; /* as the loop does: a thread may be about to wake it */
    backend->methods->close(backend);
    calm__loop_close(loop);
    loop = NULL;
    backend = NULL;
}

/* One turn, as core/loop.c makes it: poll, then what threads have posted. */
static inline void turn(int64_t timeout)
{
    atomic_store(&loop->sleeping, true);
    if (atomic_load(&loop->posts))
        timeout = 0;
    assert_int_equal(backend->methods->poll(backend, timeout), 0);
    atomic_store(&loop->sleeping, false);
    calm__posts_run(loop);
}

static inline void start(struct counted *counted)
{
    counted->op.done = count_done;
    backend->methods->start(backend, &counted->op);
    assert_int_equal(counted->done, 0);
}

static inline void cancel(struct counted *counted)
{
    backend->methods->cancel(backend, &counted->op);
}

static inline int64_t finish(struct counted *counted)
{
    for (int i = 0; i < 100 && !counted->done; i++)
        turn(100 * CALM_MS);
    assert_int_equal(counted->done, 1);
    return counted->op.result;
}

static inline struct counted wait_for(enum calm__op_kind kind, int fd)
{
    return (struct counted){.op = {.kind = kind, .fd = fd}};
}

static inline void nothing_is_in_flight(void)
{
    assert_int_equal(backend->certain, 0);
    assert_int_equal(backend->possible, 0);
}

#endif
