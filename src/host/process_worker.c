/* process_worker.c - a worker process: takes a request, works, answers
 *
 * It sleeps on the number of the request by a futex, after it has looked out
 * for some microseconds: the next item is mostly on its way by then, and two
 * wakes, of the worker and of the loop, would cost 35 us on a virtual machine
 * where a look costs nothing. As in the pool of threads, a look in vain makes
 * the next ones rarer.
 */
#include "host/process_pool.h"

#include "base/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LOOK_OUT = 30000, /* ns */
    LOOKS_SKIPPED = 63,
};

struct worker {
    struct calm__place *place;
    int pipe;
    uint32_t done; /* the last request */
    bool looks_out;
    int looks_skipped, looks_to_skip;
    calm_fn *known; /* is code of this process */
};

static bool is_called(const struct worker *worker)
{
    return atomic_load_explicit(
               &worker->place->request, memory_order_acquire) != worker->done;
}

static bool look_out(struct worker *worker)
{
    if (!worker->looks_out)
        return false;
    if (worker->looks_skipped < worker->looks_to_skip) {
        worker->looks_skipped++;
        return false;
    }
    worker->looks_skipped = 0;
    int64_t end = calm__clock_now() + LOOK_OUT;
    while (!is_called(worker))
        if (calm__clock_now() >= end) {
            worker->looks_to_skip = worker->looks_to_skip < LOOKS_SKIPPED
                                        ? 2 * worker->looks_to_skip + 1
                                        : LOOKS_SKIPPED;
            return false;
        }
    worker->looks_to_skip = 0;
    return true;
}

/* The loop writes the request first and then looks whether the worker sleeps,
 * the worker the other way round: one of them sees the other. */
static void wait_for_call(struct worker *worker)
{
    struct calm__place *place = worker->place;
    if (is_called(worker) || look_out(worker))
        return;
    atomic_store(&place->sleeping, 1);
    while (atomic_load(&place->request) == worker->done)
        syscall(SYS_futex, &place->request, FUTEX_WAIT, worker->done, NULL,
            NULL, 0);
    atomic_store(&place->sleeping, 0);
}

/* A library that the program has loaded after it opened the pool is not here:
 * a sentence says more than the crash. */
static bool is_here(struct worker *worker, calm_fn *fn)
{
    Dl_info info;
    void *address;
    memcpy(&address, &fn, sizeof address);
    if (worker->known != fn && dladdr(address, &info) == 0)
        return false;
    worker->known = fn;
    return true;
}

static int work(struct worker *worker)
{
    struct calm__place *place = worker->place;
    if (!is_here(worker, place->fn))
        return calm_fail(-EINVAL,
            "a worker process does not know the function\nhint: load "
            "libraries before the process pool is opened");
    return place->fn(place->item);
}

static void answer(struct worker *worker, int code)
{
    struct calm__place *place = worker->place;
    place->code = code;
    place->message[0] = '\0';
    if (code < 0)
        snprintf(
            place->message, sizeof place->message, "%s", calm_message(code));
    atomic_store(&place->answer, worker->done);
    if (atomic_exchange(&place->waiting, 0) == 0)
        return;
    char news = CALM__NEWS_ANSWERED;
    while (write(worker->pipe, &news, 1) < 0 && errno == EINTR)
        continue;
}

void calm__worker_main(struct calm__place *place, int pipe, bool looks_out)
{
    /* What its predecessor had answered or left behind is not for this one. */
    struct worker worker = {.place = place,
        .pipe = pipe,
        .done = atomic_load(&place->begun),
        .looks_out = looks_out};
    for (;;) {
        wait_for_call(&worker);
        worker.done = atomic_load(&place->request);
        atomic_store(&place->begun, worker.done);
        calm_error_clear();
        int64_t start = calm__clock_now();
        int code = work(&worker);
        place->worked = calm__clock_now() - start;
        fflush(stdout);
        answer(&worker, code);
    }
}
