/* calm/number.h - numbers to text and back, exact, fast, and without a locale
 *
 * strtod() reads "1,5" in one country and "1.5" in another, and printf() has
 * no way to print as many digits as are needed and no more. These calls do
 * not know of locales, and what they print they read back as the same bits:
 *
 *     char text[CALM_NUMBER_MAX];
 *     calm_double_format(0.1, text);              "0.1"
 *     calm_double_parse(text, strlen(text), &x);  x == 0.1
 *
 * What is read: spaces and tabs around the number; a sign; digits with or
 * without a point (".5" and "5." are numbers); an exponent after e or E; and
 * nan, inf, infinity in any case, with or without a sign. The value is the
 * double nearest to the text, ties to even, however many digits there are; a
 * text too large for a double is infinity, one too small is zero, each with
 * its sign. What is refused: nothing at all, hexadecimal, thousands marks, and
 * anything before or behind the number.
 *
 * What is printed: what Python prints. The fewest digits that read back as
 * the same number, and of those the nearest to it; plain from 0.0001 up to
 * 1e16 ("1.0", "0.00012"), else with an exponent ("1e-05", "1.5e+300"); "nan",
 * "inf" and "-inf"; "-0.0" keeps its sign.
 *
 * Any thread may call these; none suspends or allocates (but for the sentence
 * of an error).
 */
#ifndef CALM_NUMBER_H
#define CALM_NUMBER_H

#include <calm/error.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for any number printed below, with its NUL, and for the printing to
 * write in steps wider than a digit. */
#define CALM_NUMBER_MAX 40

/* Reads the LEN bytes at TEXT, which need no NUL, as one number. Returns 0, or
 * CALM_EFORMAT when they are not one; *ret_value is then left alone. */
int calm_double_parse(const char *text, size_t len, double *ret_value);

/* The same, as a float: the double nearest to the text, cast, which is what
 * pandas and numpy make of a text. */
int calm_float_parse(const char *text, size_t len, float *ret_value);

/* Reads a duration: a number of zero or more, with or without a fraction, and
 * at once its unit: ns, us, ms, s, m or h ("50ms", "1.5s"). Returns 0 and
 * nanoseconds, or CALM_EFORMAT with a sentence. */
int calm_duration_parse(const char *text, size_t len, int64_t *ret_duration);

/* Reads a whole number: spaces, a sign, digits. Returns 0, CALM_EFORMAT, or
 * -ERANGE when it does not fit. */
int calm_int64_parse(const char *text, size_t len, int64_t *ret_value);

/* Print VALUE into TEXT, which has room for CALM_NUMBER_MAX bytes, with a NUL.
 * Return the length without it. The float call prints as many digits as a
 * float needs: 0.1f is "0.1". */
size_t calm_double_format(double value, char *text);
size_t calm_float_format(float value, char *text);
size_t calm_int64_format(int64_t value, char *text);

#ifdef __cplusplus
}
#endif
#endif
