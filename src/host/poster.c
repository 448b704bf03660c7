/* poster.c - doors to a loop for other threads
 *
 * Posts that were made before the door was closed still run, so the loop has
 * to wait for them: until the close the open door keeps it, after that the
 * number of posts under way does. Who comes last, the close or the last post,
 * frees the door.
 */
#include "base/fault.h"
#include "core/sched.h"

#include <calm/pool.h>

#include <errno.h>
#include <stdlib.h>

struct calm_poster {
    struct calm__loop *loop;
    atomic_size_t posted; /* any thread */
    size_t ran;           /* the loop's thread; so are the others */
    bool closed;
};

struct post {
    struct calm__post post; /* first: the two are cast to each other */
    struct calm_poster *poster;
    void (*fn)(void *arg);
    void *arg;
};

calm_poster *calm_poster_open(void)
{
    struct calm__loop *loop = calm__loop_here;
    if (!loop) {
        calm_fail(-EPERM, "a poster was opened outside of a run");
        return NULL;
    }
    struct calm_poster *poster = calm__alloc(sizeof *poster);
    if (!poster) {
        calm_fail(-ENOMEM, "no memory for a poster");
        return NULL;
    }
    *poster = (struct calm_poster){.loop = loop};
    calm__loop_open_door(loop, 1);
    return poster;
}

void calm_poster_close(calm_poster *poster)
{
    if (!poster)
        return;
    calm__loop_open_door(poster->loop, -1);
    poster->closed = true;
    size_t under_way = atomic_load(&poster->posted) - poster->ran;
    if (under_way > 0)
        calm__loop_expect(poster->loop, (int)under_way);
    else
        free(poster);
}

static void post_run(struct calm__post *base)
{
    struct post *post = (struct post *)base;
    struct calm_poster *poster = post->poster;
    post->fn(post->arg);
    free(post);
    /* fn() may have closed the poster: only now is this post not under way. */
    poster->ran++;
    if (!poster->closed)
        return;
    calm__loop_expect(poster->loop, -1);
    if (poster->ran == atomic_load(&poster->posted))
        free(poster);
}

int calm_post(calm_poster *poster, void (*fn)(void *arg), void *arg)
{
    struct post *post = calm__alloc(sizeof *post);
    if (!post)
        return calm_fail(-ENOMEM, "no memory for a post");
    *post = (struct post){{.run = post_run}, poster, fn, arg};
    atomic_fetch_add(&poster->posted, 1);
    calm__loop_post(poster->loop, &post->post);
    return 0;
}
