/* host/backends.h - the backends by name, and what the kernel grants */
#ifndef CALM_HOST_BACKENDS_H
#define CALM_HOST_BACKENDS_H

#include "core/backend.h"

/* Always there; without liburing its open() says -ENOSYS. */
extern const struct calm__backend_methods calm__uring_methods;
extern const struct calm__backend_methods calm__epoll_methods;

/* What a ring would be like here, for reports to people. */
struct calm__uring_report {
    int code;         /* 0, or the negative errno of the set-up */
    const char *mode; /* how the kernel was asked to run it, NULL if failed */
    const char *hint; /* what to do about the failure, NULL if none is known */
};

/* Sets a ring up and takes it down again. */
void calm__uring_describe(struct calm__uring_report *ret_report);

/* What usually stands behind a failed set-up; NULL when nothing is known. */
const char *calm__uring_hint(int code);

#endif
