/* pipeline.c - items through stages, each with its own concurrency
 *
 * An item travels in an envelope that remembers its number and its fate. The
 * envelopes are a fixed set: taking one is the bound on what is in flight, and
 * the ring in which the sink restores the order has a place for each. Every
 * stage is as many tasks as its concurrency; the last of them to see the end
 * closes the queue behind it.
 */
#include "base/error.h"
#include "base/fault.h"

#include <calm/pipeline.h>
#include <calm/pool.h>
#include <calm/queue.h>

#include <errno.h>
#include <stdlib.h>

struct envelope {
    void *item;
    struct calm__error *error; /* the sentence of a failure */
    uint64_t number;
    int code;
    bool in_use;
};

struct flow;

struct stage {
    const calm_stage *given;
    struct flow *flow;
    calm_queue queue; /* before it */
    calm_queue *next; /* behind it */
    size_t workers;   /* that have not seen the end */
};

struct flow {
    calm_pipeline *pipeline;
    struct stage *stages;
    calm_queue last; /* before the sink */
    calm_queue free; /* envelopes that are empty */
    struct envelope *envelopes;
    struct envelope **ring; /* of the sink, by number */
    size_t envelope_count;
    calm_timeout patience; /* with what is in flight */
    calm_timeout asking;   /* the source, while ASKS */
    bool asks;
    bool stopping;
    bool ended;
};

/* ---- source ---- */

static calm_queue *first_queue(struct flow *flow)
{
    return flow->pipeline->stage_count ? &flow->stages[0].queue : &flow->last;
}

static int source_call(struct flow *flow, struct envelope **ret_envelope)
{
    int rc = calm_queue_get(&flow->free, ret_envelope);
    if (rc < 0)
        return rc;
    calm_pipeline *pipeline = flow->pipeline;
    return pipeline->source(&(*ret_envelope)->item, pipeline->ctx);
}

/* Asks the source in a scope of its own: to stop is to end the asking, while
 * an item that was taken may still wait for room. Returns as the source, or 0
 * when stopped. */
static int source_ask(struct flow *flow, struct envelope **ret_envelope)
{
    if (flow->stopping)
        return 0;
    calm_timeout_begin(&flow->asking, CALM_FOREVER);
    flow->asks = true;
    int rc = source_call(flow, ret_envelope);
    flow->asks = false;
    rc = calm_timeout_end(&flow->asking, rc);
    return rc == -ETIMEDOUT && flow->stopping ? 0 : rc;
}

/* Takes one item from the source into the pipeline. Returns 1, 0 at the end.
 * A cancel while the item waits for room leaves it to flow_clear(). */
static int source_step(struct flow *flow)
{
    calm_pipeline *pipeline = flow->pipeline;
    struct envelope *envelope;
    int rc = source_ask(flow, &envelope);
    if (rc <= 0)
        return rc;
    envelope->in_use = true;
    envelope->code = 0;
    envelope->number = pipeline->counts.items++;
    pipeline->counts.in_flight++;
    rc = calm_queue_put(first_queue(flow), &envelope);
    return rc < 0 ? rc : 1;
}

static int source_work(void *arg)
{
    struct flow *flow = arg;
    calm_name("source");
    int rc = 1;
    while (rc > 0)
        rc = source_step(flow);
    if (rc == 0)
        calm_queue_close(first_queue(flow));
    return rc;
}

/* ---- stages ---- */

struct job {
    const calm_stage *stage;
    void *item;
    void *ctx;
};

static int job_run(void *arg)
{
    struct job *job = arg;
    return job->stage->fn(job->item, job->ctx);
}

static int stage_call(const calm_stage *stage, void *item, void *ctx)
{
    struct job job = {stage, item, ctx};
    if (stage->where == CALM_ON_CPU)
        return calm_cpu(job_run, &job);
    if (stage->where == CALM_ON_BLOCKING)
        return calm_blocking(job_run, &job);
    return stage->fn(item, ctx);
}

static int stage_step(struct stage *stage)
{
    struct envelope *envelope;
    int rc = calm_queue_get(&stage->queue, &envelope);
    if (rc < 0)
        return rc;
    if (envelope->code >= 0) {
        rc = stage_call(
            stage->given, envelope->item, stage->flow->pipeline->ctx);
        if (rc == -ECANCELED && calm_cancelled())
            return rc;
        envelope->code = rc;
        if (rc < 0)
            envelope->error = calm__error_take();
    }
    return calm_queue_put(stage->next, &envelope);
}

static int stage_work(void *arg)
{
    struct stage *stage = arg;
    calm_name("%s", stage->given->name ? stage->given->name : "stage");
    int rc = 0;
    while (rc >= 0)
        rc = stage_step(stage);
    if (rc != -ESHUTDOWN)
        return rc;
    if (--stage->workers == 0)
        calm_queue_close(stage->next);
    return 0;
}

/* ---- sink ---- */

static int sink_give(struct flow *flow, struct envelope *envelope)
{
    calm_pipeline *pipeline = flow->pipeline;
    int rc = 0;
    calm__error_set(envelope->error);
    envelope->error = NULL;
    if (pipeline->sink)
        rc = pipeline->sink(envelope->item, envelope->code, pipeline->ctx);
    if (rc < 0)
        return rc;
    pipeline->counts.done++;
    pipeline->counts.in_flight--;
    pipeline->counts.failed += envelope->code < 0;
    envelope->in_use = false;
    return calm_queue_put(&flow->free, &envelope);
}

static int sink_work(void *arg)
{
    struct flow *flow = arg;
    calm_name("sink");
    uint64_t next = 0;
    struct envelope *envelope;
    int rc;
    while ((rc = calm_queue_get(&flow->last, &envelope)) == 0) {
        if (flow->pipeline->unordered) {
            rc = sink_give(flow, envelope);
        } else {
            flow->ring[envelope->number % flow->envelope_count] = envelope;
            struct envelope **place;
            while (rc == 0 &&
                   *(place = &flow->ring[next % flow->envelope_count])) {
                rc = sink_give(flow, *place);
                *place = NULL;
                next++;
            }
        }
        if (rc < 0)
            return rc;
    }
    return rc == -ESHUTDOWN ? 0 : rc;
}

/* ---- the run ---- */

static size_t or_one(size_t number)
{
    return number ? number : 1;
}

static size_t stage_queue(const calm_stage *stage)
{
    return stage->queue ? stage->queue : or_one(stage->concurrency);
}

static void flow_clear(struct flow *flow)
{
    calm_pipeline *pipeline = flow->pipeline;
    for (size_t i = 0; flow->envelopes && i < flow->envelope_count; i++) {
        struct envelope *envelope = &flow->envelopes[i];
        calm__error_free(envelope->error);
        if (envelope->in_use && pipeline->drop)
            pipeline->drop(envelope->item, pipeline->ctx);
    }
    for (size_t i = 0; flow->stages && i < pipeline->stage_count; i++)
        calm_queue_clear(&flow->stages[i].queue);
    calm_queue_clear(&flow->last);
    calm_queue_clear(&flow->free);
    free(flow->stages);
    free(flow->envelopes);
    free(flow->ring);
}

static int stages_init(struct flow *flow)
{
    calm_pipeline *pipeline = flow->pipeline;
    size_t count = pipeline->stage_count;
    size_t pointer = sizeof(struct envelope *);
    flow->stages = calloc(or_one(count), sizeof *flow->stages);
    flow->envelope_count = 1;
    if (!flow->stages)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct stage *stage = &flow->stages[i];
        const calm_stage *given = &pipeline->stages[i];
        stage->given = given;
        stage->flow = flow;
        stage->workers = or_one(given->concurrency);
        stage->next = i + 1 < count ? &flow->stages[i + 1].queue : &flow->last;
        calm_queue_init(&stage->queue, pointer, stage_queue(given), NULL);
        flow->envelope_count += stage->workers + stage_queue(given);
    }
    return 0;
}

static int flow_init(struct flow *flow, calm_pipeline *pipeline)
{
    size_t pointer = sizeof(struct envelope *);
    *flow = (struct flow){.pipeline = pipeline};
    calm_queue_init(&flow->last, pointer, 0, NULL);
    calm_queue_init(&flow->free, pointer, 0, NULL);
    if (stages_init(flow) < 0)
        return -ENOMEM;
    if (pipeline->in_flight)
        flow->envelope_count = pipeline->in_flight;
    size_t count = flow->envelope_count;
    flow->envelopes = calloc(count, sizeof *flow->envelopes);
    flow->ring = calloc(count, pointer);
    if (!flow->envelopes || !flow->ring || calm__fault("memory"))
        return -ENOMEM;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct envelope *envelope = &flow->envelopes[i];
        rc = calm_queue_try_put(&flow->free, &envelope);
    }
    return rc;
}

/* Waits for the caller's cancel, outside of the shield that the stages work
 * in, and then lets the pipeline run dry for a while. */
static int stop_work(void *arg)
{
    struct flow *flow = arg;
    calm_name("stop");
    int rc = calm_sleep(CALM_FOREVER);
    if (!flow->ended) {
        flow->stopping = true;
        if (flow->pipeline->stop)
            flow->pipeline->stop(flow->pipeline->ctx);
        if (flow->asks)
            calm_timeout_reset(&flow->asking, 0);
        calm_timeout_reset(&flow->patience, flow->pipeline->drain);
    }
    return rc;
}

static int flow_run(struct flow *flow)
{
    calm_group group;
    calm_group_begin(&group);
    for (size_t i = 0; i < flow->pipeline->stage_count; i++)
        for (size_t n = flow->stages[i].workers; n > 0; n--)
            calm_release(calm_spawn(&group, stage_work, &flow->stages[i]));
    calm_release(calm_spawn(&group, sink_work, flow));
    calm_release(calm_spawn(&group, source_work, flow));
    return calm_group_end(&group, 0);
}

int calm_pipeline_run(calm_pipeline *pipeline)
{
    if (!pipeline->source || pipeline->drain < 0)
        return calm_fail(-EINVAL, "a pipeline needs a source");
    pipeline->counts = (calm_pipeline_counts){0};
    if (calm_cancelled())
        return -ECANCELED;
    struct flow flow;
    int rc = flow_init(&flow, pipeline);
    if (rc < 0) {
        flow_clear(&flow);
        return calm_fail(rc, "no memory for a pipeline");
    }
    calm_group outside;
    calm_group_begin(&outside);
    calm_task *stop = calm_spawn(&outside, stop_work, &flow);
    calm_shield shield;
    calm_shield_begin(&shield);
    calm_timeout_begin(&flow.patience, CALM_FOREVER);
    rc = calm_timeout_end(&flow.patience, flow_run(&flow));
    flow.ended = true;
    calm_shield_end(&shield);
    calm_cancel(stop);
    rc = calm_group_end(&outside, rc);
    flow_clear(&flow);
    if (flow.stopping && (rc == 0 || rc == -ETIMEDOUT))
        return -ECANCELED;
    return rc;
}
