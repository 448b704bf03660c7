/* test_number.c - numbers to text and back
 *
 * The judge is the C library: strtod() for reading, and for printing that the
 * text reads back as the same bits and that no text with fewer digits does.
 */
#include "io/number.h"

#include "caret.h"
#include "fail_alloc.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RANDOM_ROUNDS 2000000

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1d;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- reading ------------------------------------------------------------- */

/* Whether TEXT reads as strtod() reads it, wherever it stands. */
static int reads_like_strtod(const char *text)
{
    double expected = strtod(text, NULL), value = 0;
    char shown[64], wanted[64];
    snprintf(wanted, sizeof wanted, "%a", expected);
    if (calm_double_parse(text, strlen(text), &value) < 0)
        snprintf(shown, sizeof shown, "refused");
    else
        snprintf(shown, sizeof shown, "%a", value);
    return caret_equal(text, wanted, shown);
}

static void known_texts_read_as_the_nearest_double(void **state)
{
    static const char *const texts[] = {"0", "-0", "1", "-1", "0.1", ".5", "5.",
        "+7", "1e5", "1E5", "1e+5", "1e-5", "00001", "0.00000000000000000000",
        "123456789012345", "1234567890123456", "12345678901234567",
        "9007199254740991", "9007199254740992", "9007199254740993",
        "9007199254740993.0", "900719925474099.25", "0.3", "2.5", "1e22",
        "1e23", "8.5e22", "1e308", "1.7976931348623157e308",
        "1.7976931348623158e308", "1.7976931348623159e308", "1e309", "-1e309",
        "1e999999999999999999999", "1e-999999999999999999999", "4.9e-324",
        "5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324",
        "2.4703282292062329e-324", "2.2250738585072014e-308",
        "2.2250738585072011e-308", "2.2250738585072012e-308",
        "6.631236846766476e-316", "3.237883913302901e-319",
        "179769313486231580793728971405303415079934132710037826936173778980444"
        "968292764750946649017977587207096330286416692887910946555547851940402"
        "630657488671505820681908902000708383676273854845817711531764475730270"
        "069855571366959622842914819860834936475292719074168444365510704342711"
        "559699508093042880e0",
        "17976931348623158079372897140530341507993413271003782693617377898044"
        "4968292764750946649017977587207096330286416692887910946555547851940402"
        "630657488671505820681908902000708383676273854845817711531764475730270"
        "069855571366959622842914819860834936475292719074168444365510704342711"
        "559699508093042879.9999999999",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "0.000000000000000000000000000000000000000000000000000000000000001234",
        "100000000000000000000000000000000000000000000000000000000000000e-62",
        "7.2057594037927933e16", "7.2057594037927932e16",
        "0.500000000000000166533453693773481063544750213623046875",
        "3.518437208883201171875e13", "62.5364939768271845828",
        "8.10109172351e-10", "1.50000000000000011102230246251565",
        "6.02214076e23", "1.5e-10", "123456.789e3", "1234567812345678e-3"};
    int good = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        good &= reads_like_strtod(texts[i]);
    assert_true(good);
}

static void spaces_around_are_skipped(void **state)
{
    static const char *const texts[] = {
        " 1.5", "1.5 ", "\t1.5\t", "   1.5   ", "                  1.5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = 0;
        assert_int_equal(
            calm_double_parse(texts[i], strlen(texts[i]), &value), 0);
        assert_true(value == 1.5);
    }
}

static void names_of_special_values_are_read_in_any_case(void **state)
{
    double value = 0;
    assert_int_equal(calm_double_parse("nan", 3, &value), 0);
    assert_true(isnan(value));
    assert_int_equal(calm_double_parse("-NaN", 4, &value), 0);
    assert_true(isnan(value));
    assert_int_equal(calm_double_parse("Inf", 3, &value), 0);
    assert_true(value == INFINITY);
    assert_int_equal(calm_double_parse("-INFINITY", 9, &value), 0);
    assert_true(value == -INFINITY);
}

static void what_is_not_a_number_is_refused(void **state)
{
    static const char *const texts[] = {"", " ", "-", "+", ".", "-.", "e5",
        ".e5", "1e", "1e+", "1e-", "0x10", "1.5x", "x1.5", "1 5", "1,5",
        "1.5.2", "1..5", "--1", "+-1", "1e5.5", "in", "infi", "infinityx",
        "nan(1)", "na", "1_000", "1e5 5", "1\n", "\n1", "0b1", "1f", "1d",
        "12345678a", "a12345678", "1234567812345678x", "1234567.12345678.9",
        "123456781234567.", "-", "١"};
    int good = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = 42;
        int rc = calm_double_parse(texts[i], strlen(texts[i]), &value);
        bool is_number = strcmp(texts[i], "123456781234567.") == 0;
        good &= caret_equal(texts[i], is_number ? "good" : "refused",
            rc == 0                               ? "good"
            : rc == CALM_EFORMAT && value == 42.0 ? "refused"
                                                  : "bad refusal");
    }
    assert_true(good);
    double value;
    assert_int_equal(calm_double_parse("1\0", 2, &value), CALM_EFORMAT);
}

static void refusal_shows_the_text_cut_short(void **state)
{
    double value;
    assert_int_equal(calm_double_parse("x1", 2, &value), CALM_EFORMAT);
    assert_string_equal(calm_message(CALM_EFORMAT), "'x1' is not a number");
    char text[1000];
    memset(text, 'y', sizeof text);
    calm_double_parse(text, sizeof text, &value);
    assert_string_equal(calm_message(CALM_EFORMAT),
        "'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...' is not a number");
}

/* Digits of every length with the point at every place: the lengths at which
 * one way of reading hands over to the next. */
static void every_length_and_place_of_the_point_is_read(void **state)
{
    int good = 1;
    for (size_t digits = 1; digits < 40; digits++)
        for (size_t point = 0; point <= digits + 1; point++)
            for (int round = 0; round < 20; round++) {
                char text[64], *to = text;
                if (round & 1)
                    *to++ = '-';
                for (size_t i = 0; i < digits; i++) {
                    if (i == point)
                        *to++ = '.';
                    *to++ = (char)('0' + (round < 2 ? 9 : next_random() % 10));
                }
                if (point == digits)
                    *to++ = '.';
                *to = '\0';
                good &= reads_like_strtod(text);
            }
    assert_true(good);
}

/* A number in the middle of others is read from its own bytes only, with and
 * without leave to read those in front of it. */
static void bytes_around_a_number_do_not_matter(void **state)
{
    static const char around[] = "9.9-9,5e5";
    for (int round = 0; round < 200000; round++) {
        char text[128];
        size_t begin = next_random() % 40, len = 1 + next_random() % 20;
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = around[next_random() % (sizeof around - 1)];
        for (size_t i = 0; i < len; i++)
            text[begin + i] = (char)('0' + next_random() % 10);
        text[begin + next_random() % len] = "-.0e"[next_random() % 4];
        char *alone = strndup(text + begin, len);
        double expected = 0, value = 0;
        bool good = calm__double_parse(alone, len, alone, &expected);
        bool same = calm__double_parse(text + begin, len, text, &value);
        assert_int_equal(good, same);
        assert_true(bits_of(value) == bits_of(expected));
        free(alone);
    }
}

static void random_texts_read_as_strtod_reads_them(void **state)
{
    int good = 1;
    for (int i = 0; i < RANDOM_ROUNDS / 4 && good; i++) {
        char text[80];
        uint64_t random = next_random();
        double value = double_of(random);
        if (!isfinite(value))
            continue;
        switch (i % 4) {
        case 0:
            snprintf(text, sizeof text, "%.17g", value);
            break;
        case 1: /* a half of two neighbours, or close to it */
            snprintf(text, sizeof text, "%.*e", (int)(random % 40), value);
            break;
        case 2:
            snprintf(text, sizeof text, "%llue%d",
                (unsigned long long)next_random() >> random % 64,
                (int)(random % 700) - 350);
            break;
        default:
            snprintf(text, sizeof text, "%.*f", (int)(random % 20),
                (double)(int64_t)next_random() / (double)(1 + random % 100000));
        }
        good &= reads_like_strtod(text);
    }
    assert_true(good);
}

static void halves_between_doubles_round_to_even(void **state)
{
    int good = 1;
    for (int i = 0; i < 20000; i++) {
        /* Exactly between two neighbours, and a little to either side: 53 bits
         * and one more, with an exponent for which all digits fit. */
        uint64_t odd = (next_random() >> 11 | 1ull << 52) * 2 + 1;
        int shift = (int)(next_random() % 60);
        long double half = ldexpl((long double)odd, -shift);
        char text[160];
        snprintf(text, sizeof text, "%.70Lf", half);
        good &= reads_like_strtod(text);
        char *last = text + strlen(text) - 1;
        *last = '1';
        good &= reads_like_strtod(text);
    }
    assert_true(good);
}

static void floats_are_doubles_cast(void **state)
{
    float value = 0;
    assert_int_equal(calm_float_parse("0.1", 3, &value), 0);
    assert_true(value == 0.1f);
    assert_int_equal(calm_float_parse("1e39", 4, &value), 0);
    assert_true(value == INFINITY);
    assert_int_equal(calm_float_parse("x", 1, &value), CALM_EFORMAT);
}

static void whole_numbers_are_read_up_to_their_bounds(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {{"0", 0, 0}, {"-0", 0, 0}, {"+5", 0, 5}, {" 42 ", 0, 42},
        {"0000000000000000000000017", 0, 17},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0}, {"", CALM_EFORMAT, 0},
        {"-", CALM_EFORMAT, 0}, {"1.0", CALM_EFORMAT, 0},
        {"1e5", CALM_EFORMAT, 0}, {"0x1", CALM_EFORMAT, 0},
        {"1 2", CALM_EFORMAT, 0}, {"99999999999999999999x", CALM_EFORMAT, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = 0;
        int rc = calm_int64_parse(cases[i].text, strlen(cases[i].text), &value);
        assert_int_equal(rc, cases[i].rc);
        assert_true(value == cases[i].value);
    }
}

static void locale_does_not_matter(void **state)
{
    static const char *const names[] = {
        "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"};
    char *set = NULL;
    for (size_t i = 0; i < 4 && !set; i++)
        set = setlocale(LC_ALL, names[i]);
    if (!set)
        skip(); /* no such locale is installed */
    double value = 0;
    /* Long enough for the library's help. */
    const char *text = "0.500000000000000166533453693773481063544750213623046";
    assert_int_equal(calm_double_parse(text, strlen(text), &value), 0);
    char out[CALM_NUMBER_MAX];
    calm_double_format(1.5, out);
    setlocale(LC_ALL, "C");
    assert_true(value == strtod(text, NULL));
    assert_string_equal(out, "1.5");
}

/* ---- printing ------------------------------------------------------------ */

static void known_doubles_print_as_in_python(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.0, "0.0"}, {-0.0, "-0.0"}, {1, "1.0"}, {-1, "-1.0"},
        {0.1, "0.1"}, {0.3, "0.3"}, {1.0 / 3, "0.3333333333333333"},
        {100, "100.0"}, {123456.789, "123456.789"},
        {1e15, "1000000000000000.0"}, {1e16, "1e+16"},
        {9007199254740992, "9007199254740992.0"},
        {1.2345678901234568e17, "1.2345678901234568e+17"}, {0.0001, "0.0001"},
        {0.00012345, "0.00012345"}, {0.00001, "1e-05"}, {1e22, "1e+22"},
        {1e23, "1e+23"}, {5e-324, "5e-324"}, {1e100, "1e+100"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {-1.5e-7, "-1.5e-07"}, {NAN, "nan"}, {-NAN, "nan"}, {INFINITY, "inf"},
        {-INFINITY, "-inf"}};
    int good = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CALM_NUMBER_MAX], input[64];
        size_t len = calm_double_format(cases[i].value, text);
        snprintf(input, sizeof input, "%a", cases[i].value);
        good &= caret_equal(input, cases[i].text, text);
        assert_int_equal(len, strlen(text));
    }
    assert_true(good);
}

static void known_floats_print_with_their_own_digits(void **state)
{
    static const struct {
        float value;
        const char *text;
    } cases[] = {{0.1f, "0.1"}, {16777216.0f, "16777216.0"},
        {1e10f, "10000000000.0"}, {3.4028235e38f, "3.4028235e+38"},
        {1e-45f, "1e-45"}, {1.1754944e-38f, "1.1754944e-38"},
        {0.33333334f, "0.33333334"}, {-0.0f, "-0.0"}, {1e16f, "1e+16"},
        {0.001f, "0.001"}, {8.5f, "8.5"}};
    int good = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CALM_NUMBER_MAX], input[64];
        size_t len = calm_float_format(cases[i].value, text);
        snprintf(input, sizeof input, "%a", cases[i].value);
        good &= caret_equal(input, cases[i].text, text);
        assert_int_equal(len, strlen(text));
    }
    assert_true(good);
}

static void float_that_would_be_rounded_twice_reads_back(void **state)
{
    uint32_t bits = 0x15ae43fd;
    float value, back = 0;
    memcpy(&value, &bits, sizeof value);
    char text[CALM_NUMBER_MAX];
    size_t len = calm_float_format(-value, text);
    assert_string_equal(text, "-7.0385307e-26");
    assert_int_equal(calm_float_parse(text, len, &back), 0);
    assert_true(back == -value);
    assert_true(strtof(text, NULL) == -value);
}

static int count_digits(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9')
            continue;
        if (*text == '0') {
            zeros += count > 0;
            continue;
        }
        count += zeros + 1;
        zeros = 0;
    }
    return count;
}

static void random_doubles_print_shortest_and_read_back(void **state)
{
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        uint64_t bits = next_random();
        /* All of them; small whole numbers; few digits; subnormals. */
        double value = i % 4 == 0   ? double_of(bits)
                       : i % 4 == 1 ? (double)(bits >> (1 + i % 63))
                       : i % 4 == 2 ? (double)(bits % 1000000) / 1000
                                    : double_of(bits >> (12 + i % 50));
        if (isnan(value))
            continue;
        char text[CALM_NUMBER_MAX], shorter[64];
        size_t len = calm_double_format(value, text);
        assert_true(len < CALM_NUMBER_MAX && text[len] == '\0');
        double back = 0;
        assert_int_equal(calm_double_parse(text, len, &back), 0);
        assert_true(bits_of(back) == bits_of(value));
        assert_true(bits_of(strtod(text, NULL)) == bits_of(value));
        int digits = count_digits(text);
        if (i % 16 || digits < 2 || isinf(value))
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
        assert_true(strtod(shorter, NULL) != value);
    }
}

static void random_floats_print_shortest_and_read_back(void **state)
{
    for (int i = 0; i < RANDOM_ROUNDS; i++) {
        uint32_t bits = (uint32_t)(next_random() >> 32);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value))
            continue;
        char text[CALM_NUMBER_MAX], shorter[64];
        size_t len = calm_float_format(value, text);
        float back = 0;
        assert_true(strtof(text, NULL) == value);
        assert_int_equal(calm_float_parse(text, len, &back), 0);
        assert_true(back == value);
        int digits = count_digits(text);
        if (i % 16 || digits < 2 || isinf(value))
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, (double)value);
        assert_true(strtof(shorter, NULL) != value);
    }
}

static void powers_of_two_and_their_neighbours_read_back(void **state)
{
    for (int exponent = -1074; exponent < 1024; exponent++)
        for (int side = -1; side <= 1; side++) {
            double value = ldexp(1, exponent);
            value = side < 0   ? nextafter(value, 0)
                    : side > 0 ? nextafter(value, INFINITY)
                               : value;
            char text[CALM_NUMBER_MAX];
            calm_double_format(value, text);
            assert_true(strtod(text, NULL) == value);
        }
}

static void whole_numbers_print_as_printf_prints_them(void **state)
{
    for (int i = 0; i < RANDOM_ROUNDS / 4; i++) {
        int64_t value = (int64_t)next_random() >> (i % 64);
        char text[CALM_NUMBER_MAX], expected[32];
        size_t len = calm_int64_format(value, text);
        int wanted =
            snprintf(expected, sizeof expected, "%lld", (long long)value);
        assert_int_equal(len, wanted);
        assert_string_equal(text, expected);
    }
    char text[CALM_NUMBER_MAX];
    calm_int64_format(INT64_MIN, text);
    assert_string_equal(text, "-9223372036854775808");
    calm_int64_format(0, text);
    assert_string_equal(text, "0");
}

/* ---- powers -------------------------------------------------------------- */

/* The entries that can be said by heart; the others are under every number
 * that the tests above read and print. */
static void powers_have_their_top_bit_and_known_values(void **state)
{
    for (int e = CALM__POWER_MIN; e <= CALM__POWER_MAX; e++)
        assert_true(calm__power_of_ten(e).high >> 63);
    assert_true(calm__power_of_ten(0).high == 1ull << 63);
    assert_true(calm__power_of_ten(1).high == 10ull << 60);
    assert_true(calm__power_of_ten(-1).high == 0xcccccccccccccccc);
    assert_true(calm__power_of_ten(-1).low == 0xcccccccccccccccc);
    assert_true(calm__power_of_ten(-342).high == 0xeef453d6923bd65a);
    assert_true(calm__power_of_ten(-342).low == 0x113faa2906a13b3f);
    assert_true(calm__power_of_ten(308).high == 0x8e679c2f5e44ff8f);
}

static void *read_in_thread(void *arg)
{
    for (int e = CALM__POWER_MIN; e <= CALM__POWER_MAX; e++)
        if (!(calm__power_of_ten(e).high >> 63))
            return arg;
    return NULL;
}

/* Runs first, when the table is not made yet. */
static void threads_that_meet_at_the_first_use_all_see_powers(void **state)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, read_in_thread, &seed), 0);
    for (int i = 0; i < 8; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_meet_at_the_first_use_all_see_powers),
        cmocka_unit_test(powers_have_their_top_bit_and_known_values),
        cmocka_unit_test(known_texts_read_as_the_nearest_double),
        cmocka_unit_test(spaces_around_are_skipped),
        cmocka_unit_test(names_of_special_values_are_read_in_any_case),
        cmocka_unit_test(what_is_not_a_number_is_refused),
        cmocka_unit_test(refusal_shows_the_text_cut_short),
        cmocka_unit_test(every_length_and_place_of_the_point_is_read),
        cmocka_unit_test(bytes_around_a_number_do_not_matter),
        cmocka_unit_test(random_texts_read_as_strtod_reads_them),
        cmocka_unit_test(halves_between_doubles_round_to_even),
        cmocka_unit_test(floats_are_doubles_cast),
        cmocka_unit_test(whole_numbers_are_read_up_to_their_bounds),
        cmocka_unit_test(locale_does_not_matter),
        cmocka_unit_test(known_doubles_print_as_in_python),
        cmocka_unit_test(known_floats_print_with_their_own_digits),
        cmocka_unit_test(float_that_would_be_rounded_twice_reads_back),
        cmocka_unit_test(random_doubles_print_shortest_and_read_back),
        cmocka_unit_test(random_floats_print_shortest_and_read_back),
        cmocka_unit_test(powers_of_two_and_their_neighbours_read_back),
        cmocka_unit_test(whole_numbers_print_as_printf_prints_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
