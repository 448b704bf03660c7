/* fail_alloc.h - makes the N-th allocation fail
 *
 * The test is linked with --wrap for malloc, calloc and realloc. A loop over N
 * = 1, 2, ... runs some code until it passes with fewer than N allocations:
 *
 *     for (int n = 1; fail_alloc_begin(n); n++)
 *         code under test, must return -ENOMEM and lose nothing
 */
#ifndef TEST_FAIL_ALLOC_H
#define TEST_FAIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

static int fail_alloc_countdown;
static bool fail_alloc_hit = true;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool fail_alloc_now(void)
{
    if (fail_alloc_countdown == 0 || --fail_alloc_countdown > 0)
        return false;
    return fail_alloc_hit = true;
}

void *__wrap_malloc(size_t size)
{
    return fail_alloc_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fail_alloc_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fail_alloc_now() ? NULL : __real_realloc(memory, size);
}

/* Arms the N-th allocation from now; false when the N-1-th was not reached. */
static inline bool fail_alloc_begin(int n)
{
    bool again = n == 1 || fail_alloc_hit;
    fail_alloc_hit = false;
    fail_alloc_countdown = again ? n : 0;
    return again;
}

/* Back to normal; whether an allocation has failed since the begin. */
static inline bool fail_alloc_end(void)
{
    fail_alloc_countdown = 0;
    return fail_alloc_hit;
}

#endif
