/* host/wake.h - how other threads and signal handlers end a loop's wait
 *
 * An eventfd that the backend watches, and beside it a word that says whether
 * the loop sleeps at all: a wake of a loop that is awake costs one exchange
 * and no system call.
 *
 *     AWAKE --sleep--> ASLEEP --rise--> AWAKE
 *       |                 |
 *       ring              ring, and a write to the eventfd
 *       v                 v
 *     WOKEN <-------------+        the next sleep returns at once
 */
#ifndef CALM_HOST_WAKE_H
#define CALM_HOST_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>

struct calm__wake {
    int fd;
    atomic_int state;
};

/* Returns 0 or a negative errno. */
int calm__wake_open(struct calm__wake *wake);
void calm__wake_close(struct calm__wake *wake);

/* The loop is about to wait. False when it was woken meanwhile and must not. */
bool calm__wake_sleep(struct calm__wake *wake);

/* The loop's wait is over. */
void calm__wake_rise(struct calm__wake *wake);

/* Any thread, also a signal handler. */
void calm__wake_ring(struct calm__wake *wake);

#endif
