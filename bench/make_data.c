/* make_data.c - a CSV file of any length, and a model for it
 *
 * usage: make_data ROWS DATA.csv MODEL.json
 *
 * Columns: sample_id, f0 to f11. "-" in place of the model leaves it out.
 */
#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes VALUE / SAMPLE_SCALE without the zeros at its end. */
static char *decimal_write(char *at, int32_t value)
{
    char digits[12];
    int count = 0, scale = SAMPLE_SCALE;
    if (value < 0) {
        *at++ = '-';
        value = -value;
    }
    int32_t whole = value / SAMPLE_SCALE, part = value % SAMPLE_SCALE;
    do
        digits[count++] = (char)('0' + whole % 10);
    while ((whole /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    if (part > 0)
        *at++ = '.';
    for (; part > 0; part %= scale) {
        scale /= 10;
        *at++ = (char)('0' + part / scale);
    }
    return at;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: make_data ROWS DATA.csv MODEL.json\n", stderr);
        return 2;
    }
    long long rows = atoll(argv[1]);
    FILE *file = fopen(argv[2], "w");
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    uint64_t seed = 42;
    fputs("sample_id,f0,f1,f2,f3,f4,f5,f6,f7,f8,f9,f10,f11\n", file);
    for (long long row = 0; row < rows; row++) {
        char line[256], *at = line + sprintf(line, "%lld", row);
        int32_t values[SAMPLE_COLUMNS];
        sample_row(&seed, values);
        for (int i = 0; i < SAMPLE_COLUMNS; i++) {
            *at++ = ',';
            at = decimal_write(at, values[i]);
        }
        *at++ = '\n';
        fwrite(line, 1, (size_t)(at - line), file);
    }
    if (fclose(file) != 0) {
        perror(argv[2]);
        return 1;
    }
    if (strcmp(argv[3], "-") != 0)
        sample_train(argv[3]);
    return 0;
}
