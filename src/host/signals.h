/* host/signals.h - what a run does with signals, and undoes at its end */
#ifndef CALM_HOST_SIGNALS_H
#define CALM_HOST_SIGNALS_H

#include "core/sched.h"

#include <stdbool.h>

/* A run's share; the rest is the process's. */
struct calm__signals {
    bool interrupts;   /* SIGINT, perhaps SIGTERM, are this run's */
    void *fault_stack; /* that the handler of faults runs on; NULL if the
                        * thread had one already */
};

/* Takes the signals: SIGPIPE is ignored, faults are looked at, and with
 * INTERRUPTS, in the process's main thread, SIGINT cancels the main task of
 * LOOP; so does SIGTERM with TERMINATES. */
void calm__signals_begin(struct calm__signals *signals, struct calm__loop *loop,
    bool interrupts, bool terminates);

/* Gives them back. Returns the signal that interrupted the run, which is to
 * be raised again when nothing is left of it, or 0. The loop still lives. */
int calm__signals_end(struct calm__signals *signals);

#endif
