/* powers.c - the powers of ten with 128 bits of significand
 *
 * 10^e and 5^e have the same significand, so the table holds powers of five.
 * It is computed at first use, in some 50 us, which is why there are no 667
 * lines of constants here to be taken on trust:
 *
 *   e >= 0   5^e is at most 753 bits: it is computed exactly, and its top 128
 *            bits are the entry;
 *   e < 0    2^1023 is divided by five -e times, dropping the remainders.
 *            floor(floor(x / 5) / 5) = floor(x / 25), so each quotient is
 *            floor(2^1023 / 5^-e); 228 bits of the last one are left, and
 *            its top 128 bits are again the exact value, cut.
 *
 * No lock guards the making, since a fork or a thread that is never scheduled
 * again could hold one for ever. Threads that meet here all compute, and store
 * the same values; READY is stored after them, with release, and read with
 * acquire. On x86-64 and aarch64 these are plain moves.
 */
#include "io/number.h"

#include <stdatomic.h>

#define COUNT (CALM__POWER_MAX - CALM__POWER_MIN + 1)
#define WORDS 16

static _Atomic uint64_t powers[COUNT][2];
static _Atomic bool ready;

/* A whole number of WORDS words, the least significant first. */
struct big {
    uint64_t word[WORDS];
};

static void multiply_by_five(struct big *big)
{
    unsigned __int128 carry = 0;
    for (int i = 0; i < WORDS; i++) {
        carry += (unsigned __int128)big->word[i] * 5;
        big->word[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

static void divide_by_five(struct big *big)
{
    uint64_t rest = 0;
    for (int i = WORDS - 1; i >= 0; i--) {
        unsigned __int128 part = (unsigned __int128)rest << 64 | big->word[i];
        big->word[i] = (uint64_t)(part / 5);
        rest = (uint64_t)(part % 5);
    }
}

/* Stores the top 128 bits of a number that is not zero. */
static void store(int exponent, const struct big *big)
{
    int top = WORDS - 1;
    while (big->word[top] == 0)
        top--;
    uint64_t word[3] = {big->word[top], top > 0 ? big->word[top - 1] : 0,
        top > 1 ? big->word[top - 2] : 0};
    int shift = __builtin_clzll(word[0]);
    if (shift > 0) {
        word[0] = word[0] << shift | word[1] >> (64 - shift);
        word[1] = word[1] << shift | word[2] >> (64 - shift);
    }
    _Atomic uint64_t *power = powers[exponent - CALM__POWER_MIN];
    atomic_store_explicit(&power[0], word[0], memory_order_relaxed);
    atomic_store_explicit(&power[1], word[1], memory_order_relaxed);
}

static __attribute__((noinline, cold)) void make_powers(void)
{
    struct big big = {{1}};
    for (int exponent = 0; exponent <= CALM__POWER_MAX; exponent++) {
        store(exponent, &big);
        multiply_by_five(&big);
    }
    big = (struct big){{0}};
    big.word[WORDS - 1] = 1ull << 63;
    for (int exponent = -1; exponent >= CALM__POWER_MIN; exponent--) {
        divide_by_five(&big);
        store(exponent, &big);
    }
    atomic_store_explicit(&ready, true, memory_order_release);
}

struct calm__power calm__power_of_ten(int exponent)
{
    if (__builtin_expect(
            !atomic_load_explicit(&ready, memory_order_acquire), 0))
        make_powers();
    _Atomic uint64_t *power = powers[exponent - CALM__POWER_MIN];
    return (struct calm__power){
        .high = atomic_load_explicit(&power[0], memory_order_relaxed),
        .low = atomic_load_explicit(&power[1], memory_order_relaxed),
    };
}
