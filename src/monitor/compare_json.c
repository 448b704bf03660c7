/* compare_json.c - comparisons as one JSON object, with all that was measured
 */
#include "monitor/compare.h"

#include <calm/inspect.h>
#include <calm/json.h>

#include <errno.h>
#include <sys/utsname.h>

static void put_number(calm_json_writer *json, const char *name, double value)
{
    calm_json_put_key(json, name);
    calm_json_put_double(json, value);
}

static void put_count(calm_json_writer *json, const char *name, uint64_t value)
{
    calm_json_put_key(json, name);
    calm_json_put_uint(json, value);
}

static void put_text(
    calm_json_writer *json, const char *name, const char *value)
{
    calm_json_put_key(json, name);
    calm_json_put_text(json, value);
}

static void put_walls(
    calm_json_writer *json, const calm_compare_figures *figures)
{
    calm_json_put_key(json, "wall");
    calm_json_begin_object(json);
    put_number(json, "median", figures->wall);
    put_number(json, "low", figures->low);
    put_number(json, "high", figures->high);
    calm_json_put_key(json, "all");
    calm_json_begin_array(json);
    for (int i = 0; i < figures->repetitions; i++)
        calm_json_put_double(json, figures->walls[i]);
    calm_json_end_array(json);
    calm_json_end_object(json);
}

static void put_figures(calm_json_writer *json,
    const calm_comparison *comparison, const calm_compare_figures *figures)
{
    const calm_compare_figures *sync = &comparison->approaches[CALM_SYNC];
    put_count(json, "at_once", figures->units);
    put_count(json, "measured_tasks", figures->done);
    calm_json_put_key(json, "estimated");
    calm_json_put_bool(json, figures->done < comparison->tasks);
    put_walls(json, figures);
    if (sync->code == 0)
        put_number(json, "speed_up", sync->wall / figures->wall);
    put_number(
        json, "tasks_per_second", (double)comparison->tasks / figures->wall);
    put_number(json, "p50", figures->p50);
    put_number(json, "p99", figures->p99);
    put_number(json, "mean", figures->mean);
    put_number(json, "cpu_seconds", figures->cpu);
    put_number(json, "peak_memory", figures->memory);
    put_number(json, "context_switches", figures->switches);
    put_number(json, "processors_of_others", figures->others);
}

static void put_approach(calm_json_writer *json,
    const calm_comparison *comparison, enum calm_approach approach)
{
    const calm_compare_figures *figures = &comparison->approaches[approach];
    calm_bytes limit = {0};
    calm_json_begin_object(json);
    put_text(json, "name", calm_approach_name(approach));
    if (figures->code < 0) {
        put_text(json, "error", figures->message);
    } else {
        put_figures(json, comparison, figures);
        if (calm_compare_limit(comparison, approach, &limit) < 0)
            json->error = -ENOMEM;
        put_text(json, "limit", calm_bytes_text(&limit));
    }
    calm_json_end_object(json);
    calm_bytes_clear(&limit);
}

static void put_comparison(
    calm_json_writer *json, const calm_comparison *comparison)
{
    calm_bytes verdict = {0};
    calm_json_begin_object(json);
    put_text(json, "name", calm_work_name(comparison->work));
    put_count(json, "tasks", comparison->tasks);
    put_count(json, "repetitions", (uint64_t)comparison->repeat);
    put_count(json, "warmup", (uint64_t)comparison->warmup);
    if (comparison->work == CALM_WORK_IO)
        put_number(json, "duration", (double)comparison->duration * 1e-9);
    if (comparison->work == CALM_WORK_CPU ||
        comparison->work == CALM_WORK_MIXED)
        put_count(json, "squares", comparison->amount);
    if (comparison->target[0])
        put_text(json, "target", comparison->target);
    calm_json_put_key(json, "approaches");
    calm_json_begin_array(json);
    for (int i = 0; i < CALM_APPROACHES; i++)
        put_approach(json, comparison, i);
    calm_json_end_array(json);
    if (calm_compare_verdict(comparison, &verdict) < 0)
        json->error = -ENOMEM;
    put_text(json, "verdict", calm_bytes_text(&verdict));
    calm_json_end_object(json);
    calm_bytes_clear(&verdict);
}

int calm_compare_json(
    const calm_comparison *comparisons, size_t count, calm_bytes *out)
{
    calm_json_writer json = {.out = out};
    struct utsname system;
    calm_json_begin_object(&json);
    put_text(&json, "calm", calm_version());
    if (uname(&system) == 0)
        put_text(&json, "kernel", system.release);
    if (count > 0)
        put_count(&json, "processors", (uint64_t)comparisons[0].processors);
    calm_json_put_key(&json, "workloads");
    calm_json_begin_array(&json);
    for (size_t i = 0; i < count; i++)
        put_comparison(&json, &comparisons[i]);
    calm_json_end_array(&json);
    calm_json_end_object(&json);
    return calm_json_end_line(&json);
}
