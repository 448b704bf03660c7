/* host/processors.h - the quota behind calm_cpu_count(), for its test */
#ifndef CALM_HOST_PROCESSORS_H
#define CALM_HOST_PROCESSORS_H

/* The quota, in processors and rounded up, that the control group files below
 * ROOT set for a process whose groups the file SELF lists; 0 when none. */
int calm__processors_quota(const char *root, const char *self);

#endif
