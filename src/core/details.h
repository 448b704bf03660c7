/* core/details.h - what most tasks do not have: a name and local values */
#ifndef CALM_CORE_DETAILS_H
#define CALM_CORE_DETAILS_H

#include "core/sched.h"

/* Both return NULL without memory; a child then has no values. */
struct calm__details *calm__details_new(void);
struct calm__details *calm__details_inherit(struct calm__details *parent);

void calm__details_free(struct calm__details *details);

#endif
