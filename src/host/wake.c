/* wake.c - how other threads and signal handlers end a loop's wait
 *
 * Nobody reads the eventfd: both backends watch it edge-triggered, for which
 * each write is an event, and its counter lasts for 2^64 of them.
 */
#include "host/wake.h"

#include "base/fault.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    AWAKE,
    ASLEEP,
    WOKEN,
};

int calm__wake_open(struct calm__wake *wake)
{
    atomic_init(&wake->state, AWAKE);
    wake->fd = calm__fault("eventfd") ? (errno = EMFILE, -1)
                                      : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wake->fd < 0 ? -errno : 0;
}

void calm__wake_close(struct calm__wake *wake)
{
    if (wake->fd >= 0)
        close(wake->fd);
    wake->fd = -1;
}

bool calm__wake_sleep(struct calm__wake *wake)
{
    int expected = AWAKE;
    if (atomic_compare_exchange_strong(&wake->state, &expected, ASLEEP))
        return true;
    atomic_store(&wake->state, AWAKE);
    return false;
}

void calm__wake_rise(struct calm__wake *wake)
{
    atomic_store(&wake->state, AWAKE);
}

void calm__wake_ring(struct calm__wake *wake)
{
    if (atomic_exchange(&wake->state, WOKEN) != ASLEEP)
        return;
    /* In a signal handler errno is somebody else's. */
    int saved_errno = errno;
    ssize_t written = write(wake->fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;
    errno = saved_errno;
}
