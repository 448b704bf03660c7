/* calm/queue.h - a bounded queue between tasks
 *
 * A put waits while the queue is full and a get while it is empty, so a fast
 * producer is held back and memory stays bounded. Items are copied in and
 * out; what a pointer in them points to is handed over with it.
 *
 *     calm_queue queue;
 *     calm_queue_init(&queue, sizeof(struct row), 128, NULL);
 *     ...                                        producer: put, then close
 *     while ((rc = calm_queue_get(&queue, &row)) == 0)
 *         use(&row);                             consumer: until -ESHUTDOWN
 *     calm_queue_clear(&queue);
 *
 * Getters and putters are served in the order in which they came. An item
 * that woke a getter who is cancelled before it runs is still the first for
 * the next one.
 */
#ifndef CALM_QUEUE_H
#define CALM_QUEUE_H

#include <calm/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

enum calm_queue_order { CALM_FIFO, CALM_LIFO, CALM_PRIORITY };

/* Options of a queue; zero means default. */
typedef struct calm_queue_opts {
    enum calm_queue_order order;

    /* For CALM_PRIORITY: negative when A comes out before B; equal ones come
     * out in the order in which they went in. */
    int (*compare)(const void *a, const void *b);
} calm_queue_opts;

typedef struct calm_queue {
    uint64_t opaque[20];
} calm_queue;

/* Makes a queue of items of ITEM_SIZE bytes that holds up to CAPACITY; 0 is
 * without bound. Memory is taken as it fills. Returns 0, or -EINVAL for no
 * size or a priority queue without compare. */
int calm_queue_init(calm_queue *queue, size_t item_size, size_t capacity,
    const calm_queue_opts *opts);

/* Frees it. Nobody may be waiting; items left in it are forgotten. */
void calm_queue_clear(calm_queue *queue);

/* Puts a copy of *ITEM, waiting for room. Returns 0; -ECANCELED, and the item
 * is still the caller's; -ESHUTDOWN after close; -ENOMEM. */
CALM_SUSPENDS int calm_queue_put(calm_queue *queue, const void *item)
    __attribute__((warn_unused_result));

/* Takes the next item into *RET_ITEM. Returns 0, -ECANCELED, or -ESHUTDOWN
 * when the queue was closed and is drained. */
CALM_SUSPENDS int calm_queue_get(calm_queue *queue, void *ret_item)
    __attribute__((warn_unused_result));

/* The same without waiting: -EAGAIN when it is full or empty. */
int calm_queue_try_put(calm_queue *queue, const void *item)
    __attribute__((warn_unused_result));
int calm_queue_try_get(calm_queue *queue, void *ret_item)
    __attribute__((warn_unused_result));

/* No more puts: waiting and later ones fail with -ESHUTDOWN; getters drain
 * what is there, then get -ESHUTDOWN. Closing twice does nothing. */
void calm_queue_close(calm_queue *queue);

/* Items in the queue now. */
size_t calm_queue_size(const calm_queue *queue);

/* A consumer is done with an item that it got; calm_queue_join() waits until
 * that was said of every item that was put. -EINVAL when said too often. */
int calm_queue_done(calm_queue *queue);
CALM_SUSPENDS int calm_queue_join(calm_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
