/* post.c - what other threads hand to the loop
 *
 * A stack that threads push onto by one compare-and-swap and the loop takes
 * whole by one exchange, then turns around: that keeps the order of each
 * thread. What is posted by a post comes with the next round, so that one
 * that posts itself again cannot starve the tasks. Also signal handlers post.
 */
#include "core/loop.h"

void calm__loop_post(struct calm__loop *loop, struct calm__post *post)
{
    /* The loop may run the post and end before we have looked whether it
     * sleeps; it stays until nobody is in here. */
    atomic_fetch_add(&loop->posting, 1);
    struct calm__post *head = atomic_load(&loop->posts);
    do
        post->next = head;
    while (!atomic_compare_exchange_weak(&loop->posts, &head, post));
    /* Sequentially consistent with the loop, which says that it sleeps before
     * it looks for posts: one of the two sees the other. */
    if (atomic_exchange(&loop->sleeping, false))
        loop->backend->methods->wake(loop->backend);
    atomic_fetch_sub(&loop->posting, 1);
}

bool calm__posts_run(struct calm__loop *loop)
{
    if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
        return false;
    struct calm__post *newest = atomic_exchange(&loop->posts, NULL);
    struct calm__post *oldest = NULL;
    while (newest) {
        struct calm__post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct calm__post *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
    return true;
}

void calm__loop_expect(struct calm__loop *loop, int change)
{
    loop->expected += (size_t)change;
}

void calm__loop_open_door(struct calm__loop *loop, int change)
{
    loop->doors += (size_t)change;
}
