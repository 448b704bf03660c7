/* both_backends.h - one list of tests, run on io_uring and on epoll
 *
 * The choice goes through the environment, as a user's would. Where the kernel
 * has no ring the first half is left out, and says so.
 */
#ifndef CALM_TESTS_BOTH_BACKENDS_H
#define CALM_TESTS_BOTH_BACKENDS_H

#include "unit.h"

#include "host/backends.h"

#include <stdio.h>
#include <stdlib.h>

static const struct calm__backend_methods *methods_now;

static inline int choose_uring(void **state)
{
    methods_now = &calm__uring_methods;
    return setenv("CALM_BACKEND", "io_uring", 1);
}

static inline int choose_epoll(void **state)
{
    methods_now = &calm__epoll_methods;
    return setenv("CALM_BACKEND", "epoll", 1);
}

#define RUN_ON_BOTH_BACKENDS(tests)                                            \
    (run_if_uring_is_there()                                                   \
            ? cmocka_run_group_tests_name(                                     \
                  #tests " on io_uring", tests, choose_uring, NULL)            \
            : 0) +                                                             \
        cmocka_run_group_tests_name(                                           \
            #tests " on epoll", tests, choose_epoll, NULL)

static inline int run_if_uring_is_there(void)
{
    struct calm__uring_report report;
    calm__uring_describe(&report);
    if (report.code < 0)
        printf("io_uring is not available here: left out\n");
    return report.code == 0;
}

#endif
