/* core/waiters.h - a list of parked tasks, served in the order they came */
#ifndef CALM_CORE_WAITERS_H
#define CALM_CORE_WAITERS_H

#include "core/sched.h"

#include <calm/sync.h>

void calm__waiters_add(struct calm_waiters *waiters, struct calm_task *task);
void calm__waiters_remove(struct calm_waiters *waiters, struct calm_task *task);

/* Parks the running task at the end of the list. */
int calm__waiters_park(
    struct calm_waiters *waiters, const struct calm__wait *wait, void *object);

/* Takes the first out and unparks it with 0; NULL when there is none. */
struct calm_task *calm__waiters_wake(struct calm_waiters *waiters);

#endif
