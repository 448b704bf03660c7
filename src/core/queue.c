/* queue.c - a bounded queue between tasks: FIFO, LIFO or by priority
 *
 * A put that finds a getter waiting grants it an item: not a certain one, but
 * the right to take one, which newcomers respect. So an item never leaves the
 * queue before its getter runs, and when the getter is cancelled in between,
 * the grant goes on to the next and the item is still the first. Room is
 * granted to putters in the same way.
 */
#include "core/waiters.h"

#include "base/fault.h"

#include <calm/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct queue {
    char *slots;
    size_t item_size;
    size_t slot_size; /* the item and, for priorities, its turn */
    size_t capacity;  /* SIZE_MAX: without bound */
    size_t allocated; /* slots, a power of two */
    size_t head;
    size_t count;
    enum calm_queue_order order;
    bool closed;
    int (*compare)(const void *a, const void *b);
    uint64_t turn;
    calm_waiters getters, putters, joiners;
    size_t get_grants, put_grants;
    size_t unfinished;
};
_Static_assert(sizeof(struct queue) <= sizeof(calm_queue), "opaque");

int calm_queue_init(calm_queue *opaque, size_t item_size, size_t capacity,
    const calm_queue_opts *opts)
{
    struct queue *queue = (void *)opaque;
    calm_queue_opts chosen = opts ? *opts : (calm_queue_opts){CALM_FIFO};
    bool priority = chosen.order == CALM_PRIORITY;
    if (item_size == 0 || item_size > SIZE_MAX / 4)
        return calm_fail(-EINVAL, "a queue of items of %zu bytes", item_size);
    if (priority && !chosen.compare)
        return calm_fail(-EINVAL, "a priority queue without a compare");
    *queue = (struct queue){
        .item_size = item_size,
        .slot_size = priority ? (item_size + 15) / 8 * 8 : item_size,
        .capacity = capacity ? capacity : SIZE_MAX,
        .order = chosen.order,
        .compare = chosen.compare,
    };
    return 0;
}

void calm_queue_clear(calm_queue *opaque)
{
    struct queue *queue = (void *)opaque;
    free(queue->slots);
    queue->slots = NULL;
    queue->allocated = queue->count = 0;
}

/* ---- slots ---- */

static char *slot_at(const struct queue *queue, size_t index)
{
    size_t place = (queue->head + index) & (queue->allocated - 1);
    return queue->slots + place * queue->slot_size;
}

static void item_copy(const struct queue *queue, void *to, const void *from)
{
    if (queue->item_size == sizeof(void *))
        memcpy(to, from, sizeof(void *)); /* inline: pointers are common */
    else
        memcpy(to, from, queue->item_size);
}

static int slots_grow(struct queue *queue)
{
    size_t allocated = queue->allocated ? 2 * queue->allocated : 16;
    size_t size;
    if (__builtin_mul_overflow(allocated, queue->slot_size, &size))
        return -ENOMEM;
    char *slots = calm__alloc(size);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < queue->count; i++)
        memcpy(
            slots + i * queue->slot_size, slot_at(queue, i), queue->slot_size);
    free(queue->slots);
    queue->slots = slots;
    queue->allocated = allocated;
    queue->head = 0;
    return 0;
}

/* ---- priority: a binary heap of slots from head on, which stays 0 ---- */

static uint64_t *slot_turn(const struct queue *queue, char *slot)
{
    return (void *)(slot + queue->slot_size - sizeof(uint64_t));
}

static bool comes_before(const struct queue *queue, size_t a, size_t b)
{
    char *first = slot_at(queue, a), *second = slot_at(queue, b);
    int order = queue->compare(first, second);
    if (order != 0)
        return order < 0;
    return *slot_turn(queue, first) < *slot_turn(queue, second);
}

static void slots_swap(struct queue *queue, size_t a, size_t b)
{
    char *first = slot_at(queue, a), *second = slot_at(queue, b);
    for (size_t i = 0; i < queue->slot_size; i++) {
        char byte = first[i];
        first[i] = second[i];
        second[i] = byte;
    }
}

static void heap_up(struct queue *queue, size_t at)
{
    while (at > 0 && comes_before(queue, at, (at - 1) / 2)) {
        slots_swap(queue, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static void heap_down(struct queue *queue)
{
    size_t at = 0;
    for (;;) {
        size_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < queue->count && comes_before(queue, left, least))
            least = left;
        if (right < queue->count && comes_before(queue, right, least))
            least = right;
        if (least == at)
            return;
        slots_swap(queue, at, least);
        at = least;
    }
}

/* ---- grants ---- */

static void grant_items(struct queue *queue)
{
    while (queue->getters.first && queue->count > queue->get_grants) {
        queue->get_grants++;
        calm__waiters_wake(&queue->getters);
    }
}

static void grant_room(struct queue *queue)
{
    while (queue->putters.first &&
           queue->count + queue->put_grants < queue->capacity) {
        queue->put_grants++;
        calm__waiters_wake(&queue->putters);
    }
}

static void getter_cancel(struct calm_task *task, void *object)
{
    calm__waiters_remove(&((struct queue *)object)->getters, task);
    calm__unpark(task, -ECANCELED);
}

static void getter_revoke(struct calm_task *task, void *object)
{
    struct queue *queue = object;
    task->result = -ECANCELED;
    queue->get_grants--;
    grant_items(queue);
}

static void putter_cancel(struct calm_task *task, void *object)
{
    calm__waiters_remove(&((struct queue *)object)->putters, task);
    calm__unpark(task, -ECANCELED);
}

static void putter_revoke(struct calm_task *task, void *object)
{
    struct queue *queue = object;
    task->result = -ECANCELED;
    queue->put_grants--;
    grant_room(queue);
}

static void joiner_cancel(struct calm_task *task, void *object)
{
    calm__waiters_remove(&((struct queue *)object)->joiners, task);
    calm__unpark(task, -ECANCELED);
}

static const struct calm__wait get_wait = {
    "an item of a queue", getter_cancel, getter_revoke};
static const struct calm__wait put_wait = {
    "room in a queue", putter_cancel, putter_revoke};
static const struct calm__wait join_wait = {
    "the items of a queue to be done", joiner_cancel};

/* ---- close ---- */

static void shut_out(calm_waiters *waiters)
{
    while (waiters->first) {
        struct calm_task *task = waiters->first;
        calm__waiters_remove(waiters, task);
        calm__unpark(task, -ESHUTDOWN);
    }
}

/* A closed queue is drained when it is empty, and not when all its items are
 * granted: a getter that is cancelled yet leaves its item to those who wait. */
static void getters_end(struct queue *queue)
{
    if (queue->closed && queue->count == 0)
        shut_out(&queue->getters);
}

/* ---- put and get ---- */

static int store(struct queue *queue, const void *item)
{
    if (queue->count == queue->allocated && slots_grow(queue) < 0)
        return calm_fail(
            -ENOMEM, "no memory for a queue of %zu items", queue->count + 1);
    char *slot = slot_at(queue, queue->count);
    item_copy(queue, slot, item);
    queue->count++;
    queue->unfinished++;
    if (queue->order == CALM_PRIORITY) {
        *slot_turn(queue, slot) = queue->turn++;
        heap_up(queue, queue->count - 1);
    }
    grant_items(queue);
    return 0;
}

static void take(struct queue *queue, void *ret_item)
{
    size_t last = --queue->count;
    if (queue->order == CALM_LIFO) {
        item_copy(queue, ret_item, slot_at(queue, last));
    } else if (queue->order == CALM_FIFO) {
        item_copy(queue, ret_item, slot_at(queue, 0));
        queue->head = (queue->head + 1) & (queue->allocated - 1);
    } else {
        item_copy(queue, ret_item, slot_at(queue, 0));
        if (last > 0)
            slots_swap(queue, 0, last);
        heap_down(queue);
    }
    grant_room(queue);
    getters_end(queue);
}

int calm_queue_try_put(calm_queue *opaque, const void *item)
{
    struct queue *queue = (void *)opaque;
    if (queue->closed)
        return -ESHUTDOWN;
    if (queue->count + queue->put_grants >= queue->capacity)
        return -EAGAIN;
    return store(queue, item);
}

int calm_queue_try_get(calm_queue *opaque, void *ret_item)
{
    struct queue *queue = (void *)opaque;
    if (queue->count == queue->get_grants)
        return queue->closed && queue->count == 0 ? -ESHUTDOWN : -EAGAIN;
    take(queue, ret_item);
    return 0;
}

int calm_queue_put(calm_queue *opaque, const void *item)
{
    struct queue *queue = (void *)opaque;
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    rc = calm_queue_try_put(opaque, item);
    if (rc != -EAGAIN)
        return rc;
    rc = calm__waiters_park(&queue->putters, &put_wait, queue);
    if (rc < 0)
        return rc;
    queue->put_grants--;
    rc = queue->closed ? -ESHUTDOWN : store(queue, item);
    if (rc < 0)
        grant_room(queue);
    return rc;
}

int calm_queue_get(calm_queue *opaque, void *ret_item)
{
    struct queue *queue = (void *)opaque;
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    rc = calm_queue_try_get(opaque, ret_item);
    if (rc != -EAGAIN)
        return rc;
    rc = calm__waiters_park(&queue->getters, &get_wait, queue);
    if (rc < 0)
        return rc;
    queue->get_grants--;
    take(queue, ret_item);
    return 0;
}

void calm_queue_close(calm_queue *opaque)
{
    struct queue *queue = (void *)opaque;
    queue->closed = true;
    getters_end(queue);
    shut_out(&queue->putters);
}

size_t calm_queue_size(const calm_queue *opaque)
{
    return ((const struct queue *)opaque)->count;
}

int calm_queue_done(calm_queue *opaque)
{
    struct queue *queue = (void *)opaque;
    if (queue->unfinished == 0)
        return calm_fail(-EINVAL, "more items were done than were put");
    if (--queue->unfinished == 0)
        while (calm__waiters_wake(&queue->joiners))
            continue;
    return 0;
}

int calm_queue_join(calm_queue *opaque)
{
    struct queue *queue = (void *)opaque;
    int rc = calm__enter();
    if (rc < 0 || queue->unfinished == 0)
        return rc;
    return calm__waiters_park(&queue->joiners, &join_wait, queue);
}
