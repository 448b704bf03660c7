/* host/thread.h - starting the threads that calm has of its own */
#ifndef CALM_HOST_THREAD_H
#define CALM_HOST_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts fn(arg) as a thread called NAME (at most 15 bytes), with all signals
 * blocked: they are for the program's own threads. STACK_SIZE 0 is the
 * system's default. Returns 0 or a negative errno. */
int calm__thread_start(pthread_t *ret_thread, const char *name,
    size_t stack_size, void *(*fn)(void *arg), void *arg);

#endif
