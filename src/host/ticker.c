/* ticker.c - a count that goes up every 10 ms while loops are busy
 *
 * An idle process should not wake a hundred times a second, and a loop that
 * wakes should not pay a system call for it. So the thread goes on ticking
 * for a little while after the last loop has gone to rest, and only a loop
 * that finds it paused, after that long a rest, has to start it again.
 */
#include "host/ticker.h"

#include "host/thread.h"

#include <calm/time.h>

#include <stdbool.h>
#include <time.h>

enum {
    PATIENCE = 10, /* ticks without a busy loop until the pause */
};

_Atomic uint32_t calm__ticks;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool started;       /* under the lock of lifetime.c */
static bool ending;        /* under our lock */
static atomic_bool paused; /* written under our lock */
static atomic_int busy;

/* Sequentially consistent with calm__ticker_rise(): it counts before it looks
 * for the pause, we pause before we look at the count. */
static void pause_if_idle(void)
{
    atomic_store(&paused, true);
    while (atomic_load(&busy) == 0 && atomic_load(&paused) && !ending)
        pthread_cond_wait(&changed, &lock);
    atomic_store(&paused, false);
}

/* A tick may be late but never wakes early: with CLOCK_REALTIME, the default
 * of conditions, a clock that is set makes one tick long or short. */
static void tick(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    int64_t nanoseconds = time.tv_nsec + 10 * CALM_MS;
    time.tv_sec += nanoseconds / CALM_S;
    time.tv_nsec = nanoseconds % CALM_S;
    pthread_cond_timedwait(&changed, &lock, &time);
    atomic_fetch_add_explicit(&calm__ticks, 1, memory_order_relaxed);
}

static void *ticker_main(void *arg)
{
    int idle_ticks = 0;
    pthread_mutex_lock(&lock);
    while (!ending) {
        tick();
        idle_ticks = atomic_load(&busy) ? 0 : idle_ticks + 1;
        if (idle_ticks >= PATIENCE)
            pause_if_idle();
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void calm__ticker_open(void)
{
    ending = false;
    started =
        calm__thread_start(&thread, "calm-ticker", 0, ticker_main, NULL) == 0;
}

void calm__ticker_close(void)
{
    if (!started)
        return;
    pthread_mutex_lock(&lock);
    ending = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    started = false;
}

void calm__ticker_rest(void)
{
    atomic_fetch_sub(&busy, 1);
}

void calm__ticker_rise(void)
{
    atomic_fetch_add(&busy, 1);
    if (!atomic_load(&paused))
        return;
    pthread_mutex_lock(&lock);
    atomic_store(&paused, false);
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}
