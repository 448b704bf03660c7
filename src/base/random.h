/* base/random.h - random numbers for jitter, not for secrets */
#ifndef CALM_BASE_RANDOM_H
#define CALM_BASE_RANDOM_H

#include <stdint.h>

/* 64 random bits from a generator of this thread, seeded by the kernel. */
uint64_t calm__random(void);

/* Evenly from 0 to LIMIT, both included; LIMIT is not negative. */
int64_t calm__random_upto(int64_t limit);

/* Makes this thread's numbers repeat: for tests. */
void calm__random_seed(uint64_t seed);

#endif
