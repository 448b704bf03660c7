/* fuzz_number.c - any bytes as numbers
 *
 * As a text: calm_double_parse() takes what strtod() takes but for hexadecimal,
 * nan(...) and line ends around it, and reads the same bits. As a double and a
 * float: they print, and read back. From the root of the project:
 *
 *     clang -g -O1 -std=gnu17 -D_GNU_SOURCE -fno-strict-aliasing -Iinclude \
 *         -Isrc -fsanitize=fuzzer,address,undefined fuzz/fuzz_number.c \
 *         src/io/number*.c src/io/powers.c src/base/error.c -o fuzz_number
 *     ./fuzz_number -max_len=100 -max_total_time=120
 */
#include <calm/number.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void read_text(const char *text, size_t len)
{
    double value = 42;
    bool good = calm_double_parse(text, len, &value) == 0;
    while (len > 0 && is_space(text[len - 1]))
        len--;
    while (len > 0 && is_space(*text)) {
        text++;
        len--;
    }
    char *copy = strndup(text, len), *end;
    double expected = strtod(copy, &end);
    bool wanted = len > 0 && end == copy + len && !strpbrk(copy, "xX(\n\v\f\r");
    must(good == wanted);
    if (good && isnan(value))
        must(isnan(expected));
    else if (good)
        must(memcmp(&value, &expected, sizeof value) == 0);
    else
        must(value == 42);
    free(copy);
    int64_t whole;
    if (calm_int64_parse(text, len, &whole) == 0) {
        char printed[CALM_NUMBER_MAX];
        size_t size = calm_int64_format(whole, printed);
        int64_t back;
        must(calm_int64_parse(printed, size, &back) == 0 && back == whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly the size, without a NUL. */
    char *text = malloc(size ? size : 1);
    must(text != NULL);
    memcpy(text, data, size);
    read_text(text, size);
    char printed[CALM_NUMBER_MAX];
    double value, back;
    if (size >= sizeof value) {
        memcpy(&value, data, sizeof value);
        size_t len = calm_double_format(value, printed);
        must(len < sizeof printed && printed[len] == '\0');
        must(calm_double_parse(printed, len, &back) == 0);
        must(isnan(value) ? isnan(back) : !memcmp(&value, &back, sizeof back));
    }
    float narrow, narrow_back;
    if (size >= sizeof narrow) {
        memcpy(&narrow, data, sizeof narrow);
        size_t len = calm_float_format(narrow, printed);
        must(calm_float_parse(printed, len, &narrow_back) == 0);
        must(isnan(narrow) ? isnan(narrow_back)
                           : !memcmp(&narrow, &narrow_back, sizeof narrow));
    }
    free(text);
    return 0;
}
