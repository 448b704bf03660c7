/* core/await.h - who is told when a task ends */
#ifndef CALM_CORE_AWAIT_H
#define CALM_CORE_AWAIT_H

#include "core/sched.h"

/* Lives with the one who waits, in a list of the task. done() is called once,
 * after the task has become ENDED; the awaiter has left the list then. */
struct calm__awaiter {
    struct calm__awaiter *next, *previous;
    void (*done)(struct calm__awaiter *awaiter, struct calm_task *task);

    /* Takes the result, and with it the name: the record may be freed once
     * all who are told have been. */
    bool takes;
};

void calm__awaiter_add(struct calm_task *task, struct calm__awaiter *awaiter);
void calm__awaiter_remove(
    struct calm_task *task, struct calm__awaiter *awaiter);

#endif
