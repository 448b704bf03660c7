/* number_format.c - numbers to text, with the fewest digits that read back
 *
 * The method is Schubfach (Raffaello Giulietti, "The Schubfach way to render
 * doubles", 2020), in the form that Alexander Bolz gave it in C++. A number v
 * lies between two halves, to which its neighbours begin; every decimal in
 * between reads back as v. With k the largest exponent for which at least one
 * multiple of 10^k is sure to lie in there, one looks at the two multiples of
 * 10^(k+1) around v, and if none is inside, at the two of 10^k: four
 * candidates, and no loop. The paper proves that 126 bits of the power suffice
 * for doubles and 63 for floats when the products are rounded to odd: their
 * last bit says whether anything was cut.
 *
 * The layout is Python's, so that the files are the ones people know.
 */
#include "io/number.h"

#include <math.h>
#include <string.h>

/* DIGITS * 10^EXPONENT */
struct decimal {
    uint64_t digits;
    int exponent;
};

static const char pairs[] = "0001020304050607080910111213141516171819"
                            "2021222324252627282930313233343536373839"
                            "4041424344454647484950515253545556575859"
                            "6061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

/* The binary number c * 2^q, and what is special about it. */
struct binary {
    uint64_t c;
    int q;
    bool lower_is_closer; /* the neighbour below: c is a power of two */
};

/* floor(log10(2^q)), or of 3/4 of it where the interval is shorter below. */
static inline int log10_of_binary(const struct binary *v)
{
    return (v->q * 1262611 - (v->lower_is_closer ? 524031 : 0)) >> 22;
}

/* The power as the method wants it: rounded up where it is not exact. */
static inline struct calm__power power_rounded_up(int exponent)
{
    struct calm__power power = calm__power_of_ten(exponent);
    if (!calm__power_is_exact(exponent) && ++power.low == 0)
        power.high++;
    return power;
}

static inline uint64_t round_to_odd_64(struct calm__power power, uint64_t c)
{
    unsigned __int128 low = (unsigned __int128)power.low * c;
    unsigned __int128 product =
        (unsigned __int128)power.high * c + (uint64_t)(low >> 64);
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

static inline uint64_t round_to_odd_32(uint64_t power, uint32_t c)
{
    unsigned __int128 product = (unsigned __int128)power * c;
    return (uint64_t)(product >> 64) | ((uint64_t)product >> 32 > 1);
}

/* Of the four candidates the one to print. LOWER, MIDDLE and UPPER are four
 * times the halves and the number itself, in units of 10^K. */
static inline struct decimal choose(
    uint64_t lower, uint64_t middle, uint64_t upper, bool even, int k)
{
    lower += !even; /* the halves themselves read as v only if c is even */
    upper -= !even;
    uint64_t s = middle / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool below = lower <= 40 * tens;
        bool above = 40 * tens + 40 <= upper;
        if (below != above)
            return (struct decimal){tens + above, k + 1};
    }
    bool below = lower <= 4 * s;
    bool above = 4 * s + 4 <= upper;
    if (below != above)
        return (struct decimal){s + above, k};
    uint64_t half = 4 * s + 2;
    bool up = middle > half || (middle == half && (s & 1));
    return (struct decimal){s + up, k};
}

static struct decimal shortest_double(uint64_t fraction, int exponent)
{
    struct binary v = {fraction, 1 - 1075, fraction == 0 && exponent > 1};
    if (exponent != 0) {
        v.c |= 1ull << 52;
        v.q = exponent - 1075;
        if (v.q <= 0 && v.q > -53 && (v.c & ((1ull << -v.q) - 1)) == 0)
            return (struct decimal){v.c >> -v.q, 0};
    }
    int k = log10_of_binary(&v);
    int shift = v.q + calm__log2_of_power(-k) + 1;
    struct calm__power power = power_rounded_up(-k);
    uint64_t lower =
        round_to_odd_64(power, (4 * v.c - 2 + v.lower_is_closer) << shift);
    uint64_t middle = round_to_odd_64(power, 4 * v.c << shift);
    uint64_t upper = round_to_odd_64(power, (4 * v.c + 2) << shift);
    return choose(lower, middle, upper, v.c % 2 == 0, k);
}

/* Floats are read as doubles and cast, here and by pandas and numpy, and that
 * rounds twice. Of all floats there is one (and its negative) whose shortest
 * text is thereby read as its neighbour: it gets a digit more. */
static bool is_rounded_twice(uint32_t fraction, int exponent)
{
    return fraction == 0x2e43fd && exponent == 0x2b; /* 7.038531e-26 */
}

static struct decimal shortest_float(uint32_t fraction, int exponent)
{
    if (is_rounded_twice(fraction, exponent))
        return (struct decimal){70385307, -33};
    struct binary v = {fraction, 1 - 150, fraction == 0 && exponent > 1};
    if (exponent != 0) {
        v.c |= 1u << 23;
        v.q = exponent - 150;
        if (v.q <= 0 && v.q > -24 && (v.c & ((1u << -v.q) - 1)) == 0)
            return (struct decimal){v.c >> -v.q, 0};
    }
    int k = log10_of_binary(&v);
    int shift = v.q + calm__log2_of_power(-k) + 1;
    struct calm__power power = calm__power_of_ten(-k);
    /* 64 bits are exact up to 5^27. */
    uint64_t high = power.high + !(-k >= 0 && -k <= 27);
    uint32_t c = (uint32_t)v.c;
    uint64_t lower =
        round_to_odd_32(high, (4 * c - 2 + v.lower_is_closer) << shift);
    uint64_t middle = round_to_odd_32(high, 4 * c << shift);
    uint64_t upper = round_to_odd_32(high, (4 * c + 2) << shift);
    return choose(lower, middle, upper, c % 2 == 0, k);
}

static inline int count_digits(uint64_t value)
{
    /* log10(2) = 1233/4096; corrected by one comparison. */
    static const uint64_t powers[] = {0, 10, 100, 1000, 10000, 100000, 1000000,
        10000000, 100000000, 1000000000, 10000000000, 100000000000,
        1000000000000, 10000000000000, 100000000000000, 1000000000000000,
        10000000000000000, 100000000000000000, 1000000000000000000,
        10000000000000000000u};
    int guess = (64 - __builtin_clzll(value | 1)) * 1233 >> 12;
    return guess + (value >= powers[guess]);
}

/* Writes VALUE as COUNT digits. */
static inline void write_digits(char *text, uint64_t value, int count)
{
    while (count > 8) {
        uint32_t low = (uint32_t)(value % 10000);
        value /= 10000;
        count -= 4;
        memcpy(text + count + 2, pairs + 2 * (low % 100), 2);
        memcpy(text + count, pairs + 2 * (low / 100), 2);
    }
    uint32_t rest = (uint32_t)value;
    while (count >= 2) {
        count -= 2;
        memcpy(text + count, pairs + 2 * (rest % 100), 2);
        rest /= 100;
    }
    if (count)
        text[0] = (char)('0' + rest);
}

static size_t write_exponent(char *text, int exponent)
{
    char *p = text;
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    unsigned value = exponent < 0 ? -exponent : exponent;
    if (value >= 100) {
        *p++ = (char)('0' + value / 100);
        value %= 100;
    }
    memcpy(p, pairs + 2 * value, 2);
    return p + 2 - text;
}

/* Lays out digits and point. Pieces are moved 16 or 24 bytes at a time, since
 * a copy of a fixed size is one or two instructions; TEXT has the room. */
static size_t lay_out(char *text, struct decimal number)
{
    while (number.digits % 10 == 0) {
        number.digits /= 10;
        number.exponent++;
    }
    char digits[32] = {0}; /* 16 are copied from any of the first 17 */
    int count = count_digits(number.digits);
    write_digits(digits, number.digits, count);
    int point = count + number.exponent; /* digits before the point */
    if (point > 0 && point < count) {
        memcpy(text, digits, 16);
        memcpy(text + point + 1, digits + point, 16);
        text[point] = '.';
        return count + 1;
    }
    if (point > -4 && point <= 0) {
        memcpy(text, "0.000", 5);
        memcpy(text + 2 - point, digits, 24);
        return count + 2 - point;
    }
    if (point >= count && point <= 16) {
        memcpy(text, "0000000000000000", 16);
        memcpy(text, digits, count);
        memcpy(text + point, ".0", 2);
        return point + 2;
    }
    text[0] = digits[0];
    size_t len = 1;
    if (count > 1) {
        text[1] = '.';
        memcpy(text + 2, digits + 1, count - 1);
        len = count + 1;
    }
    return len + write_exponent(text + len, point - 1);
}

static size_t write_special(char *text, bool negative, bool is_nan)
{
    const char *word = is_nan ? "nan" : negative ? "-inf" : "inf";
    size_t len = strlen(word);
    memcpy(text, word, len + 1);
    return len;
}

/* Ends a text whose sign is written: zero, or what LAY_OUT makes of it. */
static size_t finish(char *text, bool negative, struct decimal number)
{
    size_t len = negative;
    if (number.digits == 0) {
        memcpy(text + len, "0.0", 3);
        len += 3;
    } else {
        len += lay_out(text + len, number);
    }
    text[len] = '\0';
    return len;
}

size_t calm_double_format(double value, char *text)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 63;
    int exponent = (int)(bits >> 52) & 0x7ff;
    uint64_t fraction = bits & 0x000fffffffffffff;
    if (exponent == 0x7ff)
        return write_special(text, negative, fraction != 0);
    text[0] = '-';
    struct decimal number = {0, 0};
    if (exponent != 0 || fraction != 0)
        number = shortest_double(fraction, exponent);
    return finish(text, negative, number);
}

size_t calm_float_format(float value, char *text)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool negative = bits >> 31;
    int exponent = (int)(bits >> 23) & 0xff;
    uint32_t fraction = bits & 0x007fffff;
    if (exponent == 0xff)
        return write_special(text, negative, fraction != 0);
    text[0] = '-';
    struct decimal number = {0, 0};
    if (exponent != 0 || fraction != 0)
        number = shortest_float(fraction, exponent);
    return finish(text, negative, number);
}

size_t calm_int64_format(int64_t value, char *text)
{
    bool negative = value < 0;
    uint64_t magnitude = negative ? -(uint64_t)value : (uint64_t)value;
    text[0] = '-';
    int count = count_digits(magnitude);
    write_digits(text + negative, magnitude, count);
    text[negative + count] = '\0';
    return negative + count;
}
