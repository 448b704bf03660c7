/* random.c - random numbers for jitter, not for secrets
 *
 * splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
 * Generators", 2014): eight bytes of state, no weak seeds.
 */
#include "base/random.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/random.h>

static CALM__THREAD uint64_t state;
static CALM__THREAD bool seeded;

void calm__random_seed(uint64_t seed)
{
    state = seed;
    seeded = true;
}

uint64_t calm__random(void)
{
    if (!seeded) {
        uint64_t seed;
        if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
            seed = (uint64_t)calm__clock_now() ^ (uintptr_t)&state;
        calm__random_seed(seed);
    }
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t calm__random_upto(int64_t limit)
{
    /* The high half of a product spreads 64 bits evenly enough for waits. */
    unsigned __int128 product =
        (unsigned __int128)calm__random() * ((uint64_t)limit + 1);
    return (int64_t)(product >> 64);
}
