/* base/fault.h - named places where tests make things fail
 *
 * A place asks calm__fault("stack") whether to behave as if the kernel or the
 * allocator had refused. A test arms the N-th question with that name, or
 * with any. Unarmed, a question costs one load of a global.
 */
#ifndef CALM_BASE_FAULT_H
#define CALM_BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

extern bool calm__fault_armed;

bool calm__fault_ask(const char *name);

static inline bool calm__fault(const char *name)
{
    return __builtin_expect(calm__fault_armed, 0) && calm__fault_ask(name);
}

/* Test's side: the NTH question (from 1) for NAME, or for any name when NULL,
 * is answered by yes, once. Returns nothing; calm__fault_disarm() tells how
 * many questions were asked since. One thread at a time. */
void calm__fault_arm(const char *name, size_t nth);
size_t calm__fault_disarm(void);

/* The allocator of the runtime: malloc with the fault point "memory". */
void *calm__alloc(size_t size);
void *calm__realloc(void *memory, size_t size);

#endif
