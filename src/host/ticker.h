/* host/ticker.h - a count that goes up every 10 ms while loops are busy
 *
 * Loops look at it after each step: a load from memory, where asking for the
 * time would cost ten times as much as the switch itself.
 */
#ifndef CALM_HOST_TICKER_H
#define CALM_HOST_TICKER_H

#include <stdatomic.h>
#include <stdint.h>

/* Starts and joins the thread. Under the lock of lifetime.c. Where no thread
 * can be had nothing ticks, and slow steps go unnoticed. */
void calm__ticker_open(void);
void calm__ticker_close(void);

extern _Atomic uint32_t calm__ticks;

/* A loop, on its own thread, is going to wait, and is back: while all wait
 * the thread pauses. The begin of a run is a rise too, and its end a rest. */
void calm__ticker_rest(void);
void calm__ticker_rise(void);

#endif
