/* uring_absent.c - takes the place of uring.c in a build without liburing */
#include "host/backends.h"

#include <errno.h>

static int absent_open(
    struct calm__loop *loop, struct calm__backend **ret_backend)
{
    return -ENOSYS;
}

const struct calm__backend_methods calm__uring_methods = {
    .name = "io_uring",
    .open = absent_open,
};

void calm__uring_describe(struct calm__uring_report *ret_report)
{
    *ret_report = (struct calm__uring_report){
        .code = -ENOSYS,
        .hint = calm__uring_hint(-ENOSYS),
    };
}

const char *calm__uring_hint(int code)
{
    return "this calm was built without liburing; install liburing-dev and "
           "build it again";
}
