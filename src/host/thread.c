/* thread.c - starting the threads that calm has of its own
 *
 * The mask is an attribute, so a signal that comes while a thread is being
 * made can reach neither it nor find the caller with everything blocked.
 */
#include "host/thread.h"

#include "base/fault.h"

#include <errno.h>
#include <signal.h>

int calm__thread_start(pthread_t *ret_thread, const char *name,
    size_t stack_size, void *(*fn)(void *arg), void *arg)
{
    if (calm__fault("thread"))
        return -EAGAIN;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return -error;
    sigset_t all;
    sigfillset(&all);
    error = pthread_attr_setsigmask_np(&attributes, &all);
    if (!error && stack_size)
        error = pthread_attr_setstacksize(&attributes, stack_size);
    if (!error)
        error = pthread_create(ret_thread, &attributes, fn, arg);
    pthread_attr_destroy(&attributes);
    if (!error)
        pthread_setname_np(*ret_thread, name);
    return -error;
}
