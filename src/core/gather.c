/* gather.c - many tasks as one call: gather and map
 *
 * Both spawn into a group of their own. A gather lets its tasks run after
 * every 64 spawns: those that end at once give their records and stacks to
 * the next, so a hundred thousand short calls stay within the cache. A map
 * with a limit is that many tasks, each taking the next item, so items that
 * wait for their turn take no memory.
 */
#include "core/details.h"
#include "core/group.h"
#include "core/loop.h"
#include "core/map.h"

#include <errno.h>
#include <string.h>

enum { AT_ONCE = 64 };

static void result_set(calm_result *slot, int code)
{
    slot->code = code;
    const char *text = code < 0 ? calm_message(code) : "";
    size_t len = strnlen(text, sizeof slot->message - 1);
    memcpy(slot->message, text, len);
    slot->message[len] = '\0';
}

/* What the slot holds is the caller's answer, and not that of these. */
static void results_not_started(calm_result *results, size_t from, size_t count)
{
    if (!results)
        return;
    struct calm__error *error = calm__error_take();
    for (size_t i = from; i < count; i++)
        result_set(&results[i], -ECANCELED);
    calm__error_set(error);
}

static void gather_begin(calm_group *group, const calm_result *results)
{
    calm_group_begin(group);
    /* Nobody else has the names, so a child that was cancelled by itself must
     * be told to the caller. */
    ((struct calm__group *)group)->strict = !results;
}

/* Lets those run that were spawned, now and then, and spawns one more. False
 * when the group takes no more: the call was not started. With a slot a call
 * for which there is no memory is one that failed. */
static bool gather_spawn(
    calm_group *group, calm_fn *fn, void *arg, size_t index, calm_result *slot)
{
    if (index % AT_ONCE == AT_ONCE - 1)
        calm__loop_yield(calm__loop_here, calm__self());
    struct calm_task *task = slot ? calm__spawn_slot(group, fn, arg, slot)
                                  : calm_spawn(group, fn, arg);
    if (task)
        task->released = true;
    return task || !((struct calm__group *)group)->aborted;
}

/* Ends a gather of which *STARTED calls have begun at its end. */
static int gather_end(calm_group *group, const size_t *started, size_t count,
    calm_result *results)
{
    int rc = calm_group_end(group, 0);
    results_not_started(results, *started, count);
    return rc;
}

int calm_gather(const calm_call *calls, size_t count, calm_result *ret_results)
{
    int rc = calm__enter();
    if (rc < 0) {
        results_not_started(ret_results, 0, count);
        return rc;
    }
    calm_group group;
    gather_begin(&group, ret_results);
    size_t started = 0;
    while (started < count &&
           gather_spawn(&group, calls[started].fn, calls[started].arg, started,
               ret_results ? &ret_results[started] : NULL))
        started++;
    return gather_end(&group, &started, count, ret_results);
}

/* ---- map ---- */

struct map {
    calm_fn *fn;
    int (*with)(void *ctx, void *item); /* in place of it */
    void *ctx;
    char *items;
    size_t count, size, next;
    calm_result *results;
    struct calm__details *details; /* of the caller, for each item anew */
};

static void item_begin(const struct map *map)
{
    struct calm_task *self = calm__self();
    if (self->details)
        calm__details_free(self->details);
    self->details = map->details ? calm__details_inherit(map->details) : NULL;
    calm_error_clear();
}

static int map_work(void *arg)
{
    struct map *map = arg;
    int rc = 0;
    while (rc == 0 && map->next < map->count && (rc = calm__enter()) == 0) {
        if (map->next >= map->count)
            break; /* another was faster meanwhile */
        size_t index = map->next++;
        item_begin(map);
        char *item = map->items + index * map->size;
        int code = map->with ? map->with(map->ctx, item) : map->fn(item);
        if (map->results)
            result_set(&map->results[index], code);
        else if (code < 0)
            rc = code;
    }
    return rc;
}

/* With results fewer workers do, if there is no memory for all of them. */
static int map_limited(struct map *map, size_t limit)
{
    calm_group group;
    calm_result worker = {0}; /* the last to end */
    gather_begin(&group, map->results);
    size_t workers = 0;
    while (workers < limit && gather_spawn(&group, map_work, map, workers,
                                  map->results ? &worker : NULL))
        workers++;
    int rc = gather_end(&group, &map->next, map->count, map->results);
    if (rc == 0 && worker.code == -ENOMEM && map->next < map->count)
        return calm_fail(-ENOMEM, "%s", worker.message);
    return rc;
}

static int map_all(struct map *map)
{
    calm_group group;
    gather_begin(&group, map->results);
    size_t started = 0;
    while (started < map->count &&
           gather_spawn(&group, map->fn, map->items + started * map->size,
               started, map->results ? &map->results[started] : NULL))
        started++;
    return gather_end(&group, &started, map->count, map->results);
}

static int map_begin(struct map *map)
{
    int rc = calm__enter();
    if (rc < 0)
        results_not_started(map->results, 0, map->count);
    else
        map->details = calm__self()->details;
    return rc;
}

int calm_map(calm_fn *fn, void *items, size_t count, size_t size,
    const calm_map_opts *opts)
{
    struct map map = {.fn = fn,
        .items = items,
        .count = count,
        .size = size,
        .results = opts ? opts->results : NULL};
    int rc = map_begin(&map);
    if (rc < 0)
        return rc;
    size_t limit = opts ? opts->limit : 0;
    if (limit > 0 && limit < count)
        return map_limited(&map, limit);
    return map_all(&map);
}

int calm__map_with(int (*fn)(void *ctx, void *item), void *ctx, void *items,
    size_t count, size_t size, const calm_map_opts *opts)
{
    struct map map = {.with = fn,
        .ctx = ctx,
        .items = items,
        .count = count,
        .size = size,
        .results = opts->results};
    int rc = map_begin(&map);
    if (rc < 0)
        return rc;
    return map_limited(&map, opts->limit < count ? opts->limit : count);
}
