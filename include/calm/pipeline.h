/* calm/pipeline.h - items through stages, each with its own concurrency
 *
 *     source -> [queue] -> stage -> [queue] -> stage -> [queue] -> sink
 *
 * Every arrow is a bounded queue: a full one holds back the one before, so
 * memory does not grow with the input. The stages stream; none waits for all
 * items of another. A stage is any C function, on the loop, where it may wait,
 * or on the CPU pool. An item that fails skips the stages behind and takes
 * the same way out, so what goes in comes out, always:
 *
 *     calm_stage stages[] = {
 *         {.name = "preprocess", .fn = preprocess, .concurrency = 4},
 *         {.name = "predict", .fn = predict, .where = CALM_ON_CPU,
 *             .concurrency = calm_cpu_count()},
 *     };
 *     calm_pipeline pipeline = {.source = next_batch, .stages = stages,
 *         .stage_count = 2, .sink = save, .ctx = &work};
 *     rc = calm_pipeline_run(&pipeline);
 */
#ifndef CALM_PIPELINE_H
#define CALM_PIPELINE_H

#include <calm/task.h>
#include <calm/time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum calm_where { CALM_ON_LOOP, CALM_ON_CPU, CALM_ON_BLOCKING };

/* One stage; zero means default. */
typedef struct calm_stage {
    const char *name; /* of its tasks, in reports */

    /* Works on ITEM in place. Returns zero or more, or a negative code by
     * which the item fails; -ECANCELED only when cancelled. */
    int (*fn)(void *item, void *ctx);
    enum calm_where where;
    size_t concurrency; /* calls of FN at once; default 1 */
    size_t queue;       /* items that wait before it; default concurrency */
} calm_stage;

/* What has passed so far; read it at any time from the loop's thread. */
typedef struct calm_pipeline_counts {
    uint64_t items; /* taken from the source */
    uint64_t done;  /* given to the sink, the failed ones included */
    uint64_t failed;
    uint64_t in_flight; /* items - done */
} calm_pipeline_counts;

/* A pipeline; zero means default. It stays the caller's. */
typedef struct calm_pipeline {
    /* Gives the next item: returns 1 with *RET_ITEM, 0 at the end, or a
     * negative code, which ends the run. Called by one task, may suspend. */
    int (*source)(void **ret_item, void *ctx);

    const calm_stage *stages;
    size_t stage_count;

    /* Takes an item back, in the order of the source, with the code of the
     * stage that failed it or what the last one returned; calm_message(code)
     * is the sentence. Called by one task, may suspend. A negative result
     * ends the run, and drop() gets the item. NULL: items are simply done. */
    int (*sink)(void *item, int code, void *ctx);

    /* Frees an item that will not reach the sink, as the run was ended. */
    void (*drop)(void *item, void *ctx);

    /* Is told when the caller was cancelled and the drain begins: a stage may
     * then let items fail by -ECANCELED that it has not begun with. Must not
     * suspend. May be NULL. */
    void (*stop)(void *ctx);
    void *ctx;

    bool unordered;   /* the sink gets items as they are done */
    size_t in_flight; /* most items between source and sink; default: what
                         stages and queues hold */

    /* When the caller is cancelled: the source is not asked again, and what
     * is in flight has so long to reach the sink. Default: no time. */
    int64_t drain;

    calm_pipeline_counts counts; /* the run's, to be read */
} calm_pipeline;

/* Runs the pipeline until the source has ended and the sink has all items.
 * Returns 0, also when items failed (counts tell); the code of a source or
 * sink that ended the run; -ECANCELED when the caller was cancelled, after
 * the drain; -EINVAL, -ENOMEM. */
CALM_SUSPENDS int calm_pipeline_run(calm_pipeline *pipeline);

#ifdef __cplusplus
}
#endif
#endif
