/* task.c - the records of tasks: spawn, await, end
 *
 * Records come from slabs that live as long as the loop. A record whose name
 * nobody holds any more is used again, which makes a row of spawns and awaits
 * one record and one stack; the slabs themselves never move, so a stale name
 * meets a record marked FREE and is reported, not memory that is gone.
 */
#include "core/await.h"
#include "core/details.h"
#include "core/group.h"
#include "core/loop.h"

#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* ---- slabs ---- */

enum { SLAB_FIRST = 64 * 1024, SLAB_MOST = 2 * 1024 * 1024 };

struct calm__task_slab {
    struct calm__task_slab *next;
    size_t size;
    size_t used; /* records given out so far; those beyond are untouched */
    size_t count;
    char pad[32];
    struct calm_task tasks[];
};

static struct calm__task_slab *slab_new(struct calm__loop *loop)
{
    struct calm__task_slab *last = loop->task_slabs;
    size_t size = last ? 2 * last->size : SLAB_FIRST;
    if (size > SLAB_MOST)
        size = SLAB_MOST;
    void *memory = calm__fault("memory")
                       ? MAP_FAILED
                       : mmap(NULL, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    struct calm__task_slab *slab = memory;
    slab->next = last;
    slab->size = size;
    slab->count = (size - sizeof *slab) / sizeof *slab->tasks;
    loop->task_slabs = slab;
    return slab;
}

void calm__task_slabs_free(struct calm__loop *loop)
{
    while (loop->task_slabs) {
        struct calm__task_slab *slab = loop->task_slabs;
        loop->task_slabs = slab->next;
        munmap(slab, slab->size);
    }
}

void calm__tasks_visit(struct calm__loop *loop,
    void (*visit)(struct calm_task *task, void *ctx), void *ctx)
{
    for (struct calm__task_slab *slab = loop->task_slabs; slab;
         slab = slab->next)
        for (size_t i = 0; i < slab->used; i++)
            if (slab->tasks[i].state != CALM__FREE)
                visit(&slab->tasks[i], ctx);
}

static struct calm_task *record_get(struct calm__loop *loop)
{
    struct calm_task *task = loop->free_tasks;
    if (task) {
        loop->free_tasks = task->next;
        return task;
    }
    struct calm__task_slab *slab = loop->task_slabs;
    if (!slab || slab->used == slab->count)
        slab = slab_new(loop);
    return slab ? &slab->tasks[slab->used++] : NULL;
}

struct calm_task *calm__task_new(
    struct calm__loop *loop, calm_fn *fn, void *arg)
{
    if (calm__fault("spawn") ||
        !calm__ready_reserve(loop, loop->live_count + 1))
        return NULL;
    struct calm_task *task = record_get(loop);
    if (!task)
        return NULL;
    *task = (struct calm_task){.fn = fn, .arg = arg, .id = loop->next_id++};
    loop->live_count++;
    return task;
}

void calm__task_free(struct calm__loop *loop, struct calm_task *task)
{
    assert(task->state == CALM__ENDED);
    if (task->context.error)
        calm__error_free(task->context.error);
    if (task->details)
        calm__details_free(task->details);
    task->details = NULL; /* a report may ask for the name of a record */
    task->state = CALM__FREE;
    task->next = loop->free_tasks;
    loop->free_tasks = task;
}

/* A name was used after its await or its group's end. */
static void name_check(const struct calm_task *task)
{
    if (task->state == CALM__FREE)
        calm__fatal("calm: a task's name was used after it was awaited");
}

/* ---- spawn ---- */

static void live_add(struct calm__group *group, struct calm_task *task)
{
    task->group = group;
    task->sibling_previous = NULL;
    task->sibling_next = group->live;
    if (group->live)
        group->live->sibling_previous = task;
    group->live = task;
    group->live_count++;
}

static void siblings_remove(struct calm_task **list, struct calm_task *task)
{
    if (task->sibling_next)
        task->sibling_next->sibling_previous = task->sibling_previous;
    if (task->sibling_previous)
        task->sibling_previous->sibling_next = task->sibling_next;
    else
        *list = task->sibling_next;
}

#define NO_MEMORY "no memory for a task"

static struct calm_task *child_new(
    struct calm__group *group, calm_fn *fn, void *arg)
{
    struct calm__loop *loop = calm__loop_here;
    struct calm_task *task = calm__task_new(loop, fn, arg);
    if (!task)
        return NULL;
    struct calm_task *self = calm__self();
    if (self && self->details)
        task->details = calm__details_inherit(self->details);
    live_add(group, task);
    calm__ready_push(loop, task);
    return task;
}

calm_task *calm_spawn(calm_group *opaque, calm_fn *fn, void *arg)
{
    struct calm__group *group = (void *)opaque;
    if (group->aborted)
        return NULL;
    struct calm_task *task = child_new(group, fn, arg);
    if (!task)
        calm__group_fail(group, -ENOMEM, calm__error_new(-ENOMEM, NO_MEMORY));
    return task;
}

struct calm_task *calm__spawn_slot(
    calm_group *opaque, calm_fn *fn, void *arg, calm_result *slot)
{
    struct calm__group *group = (void *)opaque;
    struct calm_task *task = group->aborted ? NULL : child_new(group, fn, arg);
    if (task) {
        task->slot = slot;
        return task;
    }
    *slot = (calm_result){.code = -ECANCELED};
    if (!group->aborted)
        *slot = (calm_result){-ENOMEM, NO_MEMORY};
    return NULL;
}

/* ---- end ---- */

/* The list has the newest first; they are told in the order they came. */
static void awaiters_tell(struct calm_task *task)
{
    struct calm__awaiter *awaiter = task->awaiters;
    while (awaiter && awaiter->next)
        awaiter = awaiter->next;
    while (awaiter) {
        struct calm__awaiter *later = awaiter->previous;
        calm__awaiter_remove(task, awaiter);
        task->released |= awaiter->takes;
        awaiter->done(awaiter, task);
        awaiter = later;
    }
}

/* A task that was cancelled and says so has not failed, except in a gather,
 * unless that is being cancelled itself. */
static bool has_failed(const struct calm_task *task)
{
    if (task->result != -ECANCELED || !task->cancel_requested)
        return task->result < 0;
    return task->group->strict && !task->group->aborted;
}

/* All that its slot holds: the group of the task may have kept several. */
static struct calm__error *error_copy(const struct calm_task *task)
{
    return calm__error_copy(task->context.error, task->result);
}

static void slot_fill(const struct calm_task *task)
{
    calm_result *slot = task->slot;
    slot->code = task->result;
    slot->message[0] = '\0';
    if (task->result >= 0)
        return;
    const struct calm__error *error = task->context.error;
    const char *text = error && error->code == task->result
                           ? error->text
                           : calm__code_text(task->result);
    size_t len = strnlen(text, sizeof slot->message - 1);
    memcpy(slot->message, text, len);
    slot->message[len] = '\0';
}

/* The task has returned. Those who wait for it are told before its group is
 * aborted: they get the result, and the cancel with their next call. */
void calm__task_end(struct calm__loop *loop, struct calm_task *task, int rc)
{
    struct calm__group *group = task->group;
    if (task->scope)
        calm__fatal("calm: task '%s' returned inside of a scope that it began",
            calm_task_name(task));
    task->result = rc;
    task->state = CALM__ENDED;
    loop->live_count--;
    if (group) {
        siblings_remove(&group->live, task);
        task->sibling_previous = NULL;
        task->sibling_next = group->ended;
        if (group->ended)
            group->ended->sibling_previous = task;
        group->ended = task;
    }
    awaiters_tell(task);
    if (!group)
        return;
    if (task->slot)
        slot_fill(task);
    else if (has_failed(task))
        calm__group_fail(group, rc, error_copy(task));
    if (task->released) {
        siblings_remove(&group->ended, task);
        calm__task_free(loop, task);
    }
    calm__group_child_ended(group);
}

/* ---- await ---- */

void calm__awaiter_add(struct calm_task *task, struct calm__awaiter *awaiter)
{
    awaiter->previous = NULL;
    awaiter->next = task->awaiters;
    if (task->awaiters)
        task->awaiters->previous = awaiter;
    task->awaiters = awaiter;
}

void calm__awaiter_remove(struct calm_task *task, struct calm__awaiter *awaiter)
{
    if (awaiter->next)
        awaiter->next->previous = awaiter->previous;
    if (awaiter->previous)
        awaiter->previous->next = awaiter->next;
    else
        task->awaiters = awaiter->next;
}

struct await {
    struct calm__awaiter awaiter; /* first */
    struct calm_task *waiting;
    struct calm_task *target;
    struct calm__error *error;
    int result;
    bool cancelled;
};

static void await_done(struct calm__awaiter *awaiter, struct calm_task *task)
{
    struct await *await = (void *)awaiter;
    await->result = task->result;
    if (task->result < 0)
        await->error = error_copy(task);
    calm__unpark(await->waiting, 0);
}

/* The awaiter goes on only after the task has ended. */
static void await_cancel(struct calm_task *task, void *object)
{
    struct await *await = object;
    await->cancelled = true;
    calm_cancel(await->target);
}

static struct calm_task *await_whom(struct calm_task *task, void *object)
{
    return ((struct await *)object)->target;
}

static const struct calm__wait await_wait = {.what = "the end of",
    .cancel = await_cancel,
    .whom = await_whom,
    .for_end = true};

static int await_ended(struct calm_task *task)
{
    int result = task->result;
    if (result < 0) {
        calm__error_set(task->context.error);
        task->context.error = NULL;
    }
    struct calm__group *group = task->group;
    siblings_remove(&group->ended, task);
    calm__task_free(calm__loop_here, task);
    return result;
}

int calm_await(calm_task *task, int *ret_result)
{
    int rc = calm__enter();
    if (rc < 0 && rc != -ECANCELED)
        return rc;
    int result = -ECANCELED;
    if (task == calm__self())
        return calm_fail(-EDEADLK, "a task cannot await itself");
    if (task)
        name_check(task);
    if (task && rc == -ECANCELED)
        calm_cancel(task);
    if (task && task->state == CALM__ENDED) {
        result = await_ended(task);
    } else if (task) {
        struct await await = {{.done = await_done, .takes = true}, calm__self(),
            task, NULL, 0, rc == -ECANCELED};
        calm__awaiter_add(task, &await.awaiter);
        calm__park(&await_wait, &await);
        result = await.result;
        if (result < 0)
            calm__error_set(await.error);
        rc = await.cancelled ? -ECANCELED : 0;
    }
    if (ret_result)
        *ret_result = result;
    return rc;
}

void calm_release(calm_task *task)
{
    if (!task)
        return;
    name_check(task);
    if (task->state == CALM__ENDED) {
        siblings_remove(&task->group->ended, task);
        calm__task_free(calm__loop_here, task);
    } else {
        task->released = true;
    }
}

bool calm_task_done(const calm_task *task)
{
    if (task)
        name_check(task);
    return !task || task->state == CALM__ENDED;
}

int calm_task_result(const calm_task *task)
{
    if (!task)
        return -ECANCELED;
    name_check(task);
    return task->state == CALM__ENDED ? task->result : -EINPROGRESS;
}

calm_task *calm_self(void)
{
    return calm__self();
}
