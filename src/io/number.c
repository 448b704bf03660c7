/* number.c - text to numbers, exactly rounded, without a locale
 *
 * A decimal text is w * 10^e with a whole w. Three ways lead to the nearest
 * double, the first that is sure of its answer wins:
 *
 *   1. w < 2^53 and |e| <= 22: w and 10^|e| are doubles, and one
 *      multiplication or division rounds once (W. Clinger, 1990). Nearly all
 *      numbers that people write.
 *   2. w has at most 19 digits, or more that do not matter: the product of w
 *      and 128 bits of 10^e settles the rounding unless it lies next to a
 *      half (M. Eisel; D. Lemire, "Number parsing at a gigabyte per second",
 *      2021; here with the certainty tests of Nigel Tao, 2020, for a table
 *      that is cut and not rounded).
 *   3. strtod() for the rest, and for subnormals. It gets the digits without
 *      a point, "1234e-56", and so the locale has nothing to say.
 */
#include "io/number.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the summing of an exponent stops: no text is so long that its digits
 * could outweigh it. */
#define EXPONENT_LIMIT 10000000000000000

/* Digits that strtod() gets: no double, and no half between two, has more than
 * 768, so what follows only matters by being zero or not. */
#define DIGITS_MAX 800

static const double exact_powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7,
    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22};

/* A number as it stands in the text: digits with a point somewhere. */
struct decimal {
    const char *first; /* the first digit, or the point */
    const char *last;  /* behind the last digit, or the point */
    uint64_t value;    /* of all digits, modulo 2^64 */
    int64_t exponent;  /* of ten, for the last digit */
};

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static inline uint64_t load_8(const char *text)
{
    uint64_t value;
    memcpy(&value, text, sizeof value);
    return le64toh(value);
}

/* Each byte between '0' and '9': the upper half is 3, and still is with 6
 * added. */
static inline bool are_8_digits(uint64_t text)
{
    return ((text & 0xf0f0f0f0f0f0f0f0) |
               (((text + 0x0606060606060606) & 0xf0f0f0f0f0f0f0f0) >> 4)) ==
           0x3333333333333333;
}

/* Eight bytes from 0 to 9, the first the highest digit. Adds neighbours in
 * three steps: digits to pairs to fours to eight. */
static inline uint32_t sum_of_8_digits(uint64_t digits)
{
    const uint64_t mask = 0x000000ff000000ff;
    const uint64_t high = 0x000f424000000064; /* 100 + (1000000 << 32) */
    const uint64_t low = 0x0000271000000001;  /* 1 + (10000 << 32) */
    digits = digits * 10 + (digits >> 8);
    return (
        uint32_t)(((digits & mask) * high + ((digits >> 16) & mask) * low) >>
                  32);
}

static inline const char *read_digits(
    const char *text, const char *end, uint64_t *value)
{
    while (end - text >= 8) {
        uint64_t eight = load_8(text);
        if (!are_8_digits(eight))
            break;
        *value =
            *value * 100000000 + sum_of_8_digits(eight - 0x3030303030303030);
        text += 8;
    }
    for (; text < end && is_digit(*text); text++)
        *value = *value * 10 + (unsigned char)(*text - '0');
    return text;
}

/* The exponent behind e or E; NULL if there is none. */
static const char *read_exponent(
    const char *text, const char *end, int64_t *exponent)
{
    bool negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    if (text == end)
        return NULL;
    int64_t value = 0;
    for (; text < end && is_digit(*text); text++)
        if (value < EXPONENT_LIMIT)
            value = value * 10 + (*text - '0');
    if (text < end)
        return NULL;
    *exponent += negative ? -value : value;
    return text;
}

static bool equals(const char *text, size_t len, const char *word)
{
    if (len != strlen(word))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((text[i] | 0x20) != word[i])
            return false;
    return true;
}

static bool read_word(
    const char *text, const char *end, bool negative, double *ret_value)
{
    size_t len = end - text;
    double value;
    if (equals(text, len, "nan"))
        value = NAN;
    else if (equals(text, len, "inf") || equals(text, len, "infinity"))
        value = INFINITY;
    else
        return false;
    *ret_value = negative ? -value : value;
    return true;
}

/* W * 10^EXPONENT as a double, if 128 bits of the power are enough to be sure;
 * false if not, and for results that are not normal numbers. */
static bool multiply(uint64_t w, int64_t exponent, double *ret_value)
{
    if (exponent < CALM__POWER_MIN || exponent > 308)
        return false;
    struct calm__power power = calm__power_of_ten((int)exponent);
    int zeros = __builtin_clzll(w);
    w <<= zeros;
    unsigned __int128 product = (unsigned __int128)w * power.high;
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    /* What the low half of the power adds is below W: it matters only if the
     * bits that will be dropped are all ones and could carry. */
    if ((high & 0x1ff) == 0x1ff && low + w < w) {
        unsigned __int128 more = (unsigned __int128)w * power.low;
        uint64_t sum = low + (uint64_t)(more >> 64);
        high += sum < low;
        low = sum;
        if ((high & 0x1ff) == 0x1ff && low + 1 == 0 && (uint64_t)more + w < w)
            return false;
    }
    int top = (int)(high >> 63);
    uint64_t bits = high >> (top + 9);
    int64_t binary =
        calm__log2_of_power((int)exponent) + 64 + 1023 - zeros - (1 ^ top);
    if (low == 0 && (high & 0x1ff) == 0 && (bits & 3) == 1)
        return false;
    bits = (bits + (bits & 1)) >> 1;
    if (bits >> 53) {
        bits >>= 1;
        binary++;
    }
    if (binary < 1 || binary > 0x7fe)
        return false;
    bits = (bits & 0x000fffffffffffff) | (uint64_t)binary << 52;
    memcpy(ret_value, &bits, sizeof bits);
    return true;
}

/* The slow way, for any digits; they begin with one that is not zero. */
static double round_by_library(
    const char *first, const char *last, int64_t exponent)
{
    char text[DIGITS_MAX + 32];
    size_t len = 0;
    bool rest = false;
    for (const char *p = first; p < last; p++) {
        if (*p == '.')
            continue;
        if (len < DIGITS_MAX) {
            text[len++] = *p;
        } else {
            rest |= *p != '0';
            exponent++;
        }
    }
    if (rest) {
        text[len++] = '1';
        exponent--;
    }
    snprintf(text + len, sizeof text - len, "e%lld", (long long)exponent);
    int saved = errno;
    double value = strtod(text, NULL);
    errno = saved;
    return value;
}

/* More than 19 digits, or the quick ways were not sure. */
static __attribute__((noinline)) double round_slowly(
    const struct decimal *number)
{
    const char *first = number->first;
    while (first < number->last && (*first == '0' || *first == '.'))
        first++;
    if (first == number->last)
        return 0;
    uint64_t w = 0;
    int64_t exponent = number->exponent, digits = 0;
    for (const char *p = first; p < number->last; p++) {
        if (*p == '.')
            continue;
        if (digits < 19)
            w = w * 10 + (unsigned char)(*p - '0');
        digits++;
    }
    int64_t dropped = digits > 19 ? digits - 19 : 0;
    if (exponent + digits > 310)
        return INFINITY;
    if (exponent + digits < -326)
        return 0;
    /* The true value is from w to w + 1: one answer for both is the answer. */
    double value, next;
    if (multiply(w, exponent + dropped, &value) &&
        (!dropped ||
            (multiply(w + 1, exponent + dropped, &next) && value == next)))
        return value;
    return round_by_library(first, number->last, exponent);
}

static inline double round_decimal(const struct decimal *number, size_t digits)
{
    if (__builtin_expect(digits > 19, 0))
        return round_slowly(number);
    uint64_t w = number->value;
    int64_t exponent = number->exponent;
    if (w < 1ull << 53 && exponent >= -22 && exponent <= 22)
        return exponent < 0 ? (double)w / exact_powers[-exponent]
                            : (double)w * exact_powers[exponent];
    if (w == 0)
        return 0;
    double value;
    if (multiply(w, exponent, &value))
        return value;
    return round_slowly(number);
}

/* The last 16 bytes before END, those in front of the LEN that count made '0'.
 * Reading to the left of a field is safe from START on: in a file, that is
 * anywhere but in its first 16 bytes. */
static inline void load_16(
    const char *start, const char *end, size_t len, uint64_t word[2])
{
    static const unsigned char keep[32] = {[16] = 255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        255};
    char copy[16];
    if (__builtin_expect(end - start < 16, 0)) {
        memset(copy, '0', sizeof copy);
        for (size_t i = 1; i <= len; i++)
            copy[16 - i] = end[-(ptrdiff_t)i];
        end = copy + sizeof copy;
    }
    const uint64_t zeros = 0x3030303030303030;
    const char *mask = (const char *)keep + len;
    word[0] = zeros ^ ((zeros ^ load_8(end - 16)) & load_8(mask));
    word[1] = zeros ^ ((zeros ^ load_8(end - 8)) & load_8(mask + 8));
}

/* The top bits of the bytes that are a point. Only the lowest is to be
 * trusted: the subtraction may borrow from the bytes above it. */
static inline uint64_t find_points(uint64_t word)
{
    uint64_t difference = word ^ 0x2e2e2e2e2e2e2e2e;
    return (difference - 0x0101010101010101) & ~difference & 0x8080808080808080;
}

/* Takes the first point out of 16 bytes; the digits before it move towards it.
 * Returns how many digits stand behind it; 16 when there is no point. */
static inline unsigned take_point(uint64_t word[2])
{
    uint64_t points = find_points(word[1]);
    if (points) {
        uint64_t before = points ^ (points - 1);
        word[1] =
            (word[1] & ~before) | ((word[1] << 8 | word[0] >> 56) & before);
        word[0] = word[0] << 8 | '0';
        return 7 - (unsigned)__builtin_ctzll(points) / 8;
    }
    points = find_points(word[0]);
    if (!points)
        return 16;
    uint64_t before = points ^ (points - 1);
    word[0] = (word[0] & ~before) | ((word[0] << 8 | '0') & before);
    return 15 - (unsigned)__builtin_ctzll(points) / 8;
}

/* A sign, digits and a point, 16 bytes at most: nearly all fields of a file.
 * How many digits there are, and how many of them before the point, changes
 * from field to field, and a loop over them is mispredicted each time; so the
 * point is cut out of two words, and all 16 digits are summed up. False for
 * everything else, and for what Clinger's way is not sure of. */
static inline bool parse_short(
    const char *text, const char *end, const char *start, double *ret_value)
{
    static const double divisors[2][17] = {
        {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
            1e13, 1e14, 1e15, 1e0},
        {-1e0, -1e1, -1e2, -1e3, -1e4, -1e5, -1e6, -1e7, -1e8, -1e9, -1e10,
            -1e11, -1e12, -1e13, -1e14, -1e15, -1e0}};
    bool negative = *text == '-';
    text += negative;
    size_t len = (size_t)(end - text);
    if (len - 1 > 15)
        return false;
    uint64_t word[2];
    load_16(start, end, len, word);
    unsigned fraction = take_point(word);
    uint64_t first = word[0] ^ 0x3030303030303030;
    uint64_t second = word[1] ^ 0x3030303030303030;
    const uint64_t above_9 = 0x7676767676767676;
    if ((first | (first + above_9) | second | (second + above_9)) &
        0x8080808080808080)
        return false;
    if (fraction == 0 && len == 1)
        return false;
    uint64_t w =
        sum_of_8_digits(first) * (uint64_t)100000000 + sum_of_8_digits(second);
    if (w >= 1ull << 53)
        return false;
    /* As a signed number it takes one instruction to convert. */
    *ret_value = (double)(int64_t)w / divisors[negative][fraction];
    return true;
}

static bool parse_any(const char *text, const char *end, double *ret_value)
{
    while (text < end && is_space(*text))
        text++;
    while (text < end && is_space(end[-1]))
        end--;
    if (text == end)
        return false;
    bool negative = *text == '-';
    if (negative || *text == '+')
        text++;
    struct decimal number = {.first = text};
    text = read_digits(text, end, &number.value);
    size_t digits = (size_t)(text - number.first);
    if (text < end && *text == '.') {
        const char *fraction = ++text;
        text = read_digits(text, end, &number.value);
        digits += (size_t)(text - fraction);
        number.exponent = fraction - text;
    }
    number.last = text;
    if (digits == 0)
        return read_word(number.first, end, negative, ret_value);
    if (text < end) {
        if ((*text | 0x20) != 'e' ||
            !read_exponent(text + 1, end, &number.exponent))
            return false;
    }
    double value = round_decimal(&number, digits);
    *ret_value = negative ? -value : value;
    return true;
}

bool calm__double_parse(
    const char *text, size_t len, const char *start, double *ret_value)
{
    const char *end = text + len;
    if (len > 0 && parse_short(text, end, start, ret_value))
        return true;
    return parse_any(text, end, ret_value);
}

/* A text for a message: at most 40 bytes of it. */
static int refuse(int code, const char *text, size_t len, const char *why)
{
    int shown = len > 40 ? 40 : (int)len;
    return calm_fail(
        code, "'%.*s%s' %s", shown, text, len > 40 ? "..." : "", why);
}

int calm_double_parse(const char *text, size_t len, double *ret_value)
{
    if (calm__double_parse(text, len, text, ret_value))
        return 0;
    return refuse(CALM_EFORMAT, text, len, "is not a number");
}

int calm_float_parse(const char *text, size_t len, float *ret_value)
{
    double value;
    int rc = calm_double_parse(text, len, &value);
    if (rc == 0)
        *ret_value = (float)value;
    return rc;
}

int calm_int64_parse(const char *text, size_t len, int64_t *ret_value)
{
    const char *p = text, *end = text + len;
    while (p < end && is_space(*p))
        p++;
    while (p < end && is_space(end[-1]))
        end--;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return refuse(CALM_EFORMAT, text, len, "is not a whole number");
    /* Summed up below zero, where the range is one larger. */
    int64_t value = 0;
    bool overflow = false;
    for (; p < end && is_digit(*p); p++)
        overflow |= __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_sub_overflow(value, *p - '0', &value);
    if (p < end)
        return refuse(CALM_EFORMAT, text, len, "is not a whole number");
    if (overflow || (!negative && value == INT64_MIN))
        return refuse(-ERANGE, text, len, "does not fit into 64 bits");
    *ret_value = negative ? value : -value;
    return 0;
}
