/* lifetime.c - what all runs of the process share, from first to last
 *
 * The pools and the ticker live as long as any run does. The last run ends
 * and joins them rather than leaving them to the exit of the process: a
 * program that forks, unloads or looks for leaks between two runs finds
 * nothing left of calm, and idle threads cost a few microseconds to join.
 */
#include "host/lifetime.h"

#include "core/loop.h"
#include "host/pool.h"
#include "host/ticker.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { HEAP_LESSON = 8 << 20 }; /* bytes */

atomic_bool calm__forked_child;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t first_begun = PTHREAD_ONCE_INIT;
static atomic_int runs;

/* In the child of a fork. Without a run the child may begin its own. During
 * one it is a copy of a loop whose other half, in the kernel and in threads,
 * stayed behind: its task is a task no more, so that calls that wait fail. */
static void forked(void)
{
    if (atomic_load(&runs) == 0)
        return;
    atomic_store(&calm__forked_child, true);
    calm__context = NULL;
    if (calm__loop_here) /* should the child return to it, it must end */
        atomic_store(&calm__loop_here->posting, 0);
    calm__loop_here = NULL;
}

/* Tasks read files and answers into buffers of their own, which come and go
 * together. When they lie at the end of the heap glibc gives them back to the
 * kernel each time, and the page faults of the next ones cost several times
 * what reading does (measured: 200 files of 64 KiB at once in 47 ms, and in 9
 * ms without; a request in 100 us more). From a large block that is freed it
 * learns that such come and go, and keeps twice its size. A program that has
 * set glibc's limits itself is not taught. */
void calm__heap_teach(void)
{
    void *volatile block = malloc(HEAP_LESSON); /* or gcc leaves it out */
    free(block);
}

static void first_begin(void)
{
    /* Fails only without memory: then a child that misbehaves is on its own. */
    pthread_atfork(NULL, NULL, forked);
    calm__heap_teach();
}

int calm__lifetime_begin(void)
{
    pthread_once(&first_begun, first_begin);
    if (calm__forked())
        return calm_fail(-ECHILD,
            "the process was forked while calm was running\nhint: in the "
            "child call only exec or _exit, or fork before calm_run()");
    pthread_mutex_lock(&lock);
    if (atomic_fetch_add(&runs, 1) == 0)
        calm__ticker_open();
    pthread_mutex_unlock(&lock);
    calm__ticker_rise();
    return 0;
}

void calm__lifetime_end(void)
{
    if (calm__forked())
        return;
    calm__ticker_rest();
    pthread_mutex_lock(&lock);
    if (atomic_fetch_sub(&runs, 1) == 1) {
        calm__pool_close(&calm__blocking_pool);
        calm__pool_close(&calm__cpu_pool);
        calm__ticker_close();
    }
    pthread_mutex_unlock(&lock);
}

/* ---- alone ---- */

enum { LEAVING = 200 }; /* times 100 us */

static int thread_count(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    if (!folder)
        return 1; /* without /proc nobody can tell */
    for (struct dirent *entry; (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* A thread that was joined may be on its way out of the kernel still. */
int calm__lifetime_alone(const char *what)
{
    const struct timespec pause = {.tv_nsec = 100000};
    int count = thread_count();
    for (int i = 0; count > 1 && !calm__loop_here && i < LEAVING; i++) {
        nanosleep(&pause, NULL);
        count = thread_count();
    }
    if (count == 1 && !calm__loop_here)
        return 0;
    return calm_fail(-EBUSY,
        "%s cannot be begun beside other threads, and there are %d\n"
        "hint: begin it in main(), before calm_run() and before libraries "
        "start threads",
        what, count);
}
