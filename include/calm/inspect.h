/* calm/inspect.h - what this machine and this build of calm offer, as text */
#ifndef CALM_INSPECT_H
#define CALM_INSPECT_H

#include <calm/bytes.h>
#include <calm/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* calm's own version, "1.2.3". */
const char *calm_version(void);

/* Appends lines of "name: value" for people to read: kernel, backend and why,
 * flags of the ring, guards of stacks, limits, processors, libraries. Does
 * not suspend. Returns 0 or -ENOMEM. */
int calm_inspect(calm_bytes *text);

#ifdef __cplusplus
}
#endif
#endif
