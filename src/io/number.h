/* io/number.h - what reading and printing numbers share
 *
 * Both directions come down to one table: the powers of ten as 128 bits of
 * significand. powers.c makes it, number.c reads text by Eisel's and Lemire's
 * method, number_format.c prints by Giulietti's.
 */
#ifndef CALM_IO_NUMBER_H
#define CALM_IO_NUMBER_H

#include <calm/number.h>

#include <stdbool.h>

/* Reads as calm_double_parse() does, and leaves the error slot alone: the CSV
 * reader knows better what to say, and says it only for texts that are not
 * missing values. START is TEXT, or where the bytes in front of it begin that
 * may be read as well; they do not matter, but 16 bytes are read at once. */
bool calm__double_parse(
    const char *text, size_t len, const char *start, double *ret_value);

/* The exponents whose powers are in the table. Reading needs 10^-342 to
 * 10^308, printing 10^-292 to 10^324. */
#define CALM__POWER_MIN (-342)
#define CALM__POWER_MAX 324

/* 10^exponent = (high * 2^64 + low + r) * 2^(floor(log2(10^exponent)) - 127)
 * with 0 <= r < 1, and high's top bit set. */
struct calm__power {
    uint64_t high;
    uint64_t low;
};

struct calm__power calm__power_of_ten(int exponent);

/* Whether r is zero: 5^55 is the last power below 2^128. */
static inline bool calm__power_is_exact(int exponent)
{
    return exponent >= 0 && exponent <= 55;
}

/* floor(log2(10^exponent)); exact for exponents from -1233 to 1233. */
static inline int calm__log2_of_power(int exponent)
{
    return (exponent * 1741647) >> 19;
}

#endif
