/* csv_floats.c - a block to a matrix of floats
 *
 * The fields of a record go straight into their row of the matrix; only a text
 * that is not a number is looked up among those that mean "no value". That
 * order would read a missing "-999" as a number, so texts that are numbers
 * themselves are looked for first, if there are any.
 */
#include "io/csv.h"
#include "io/number.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static const char *const usual_missing[] = {
    "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", NULL};

/* What stands for no value, and whether some of it reads as a number. */
struct missing {
    const char *const *texts;
    bool numbers;
};

static struct missing prepare(const calm_csv_floats *floats)
{
    struct missing missing = {floats->missing, false};
    if (!missing.texts)
        missing.texts = usual_missing;
    double value;
    for (const char *const *text = missing.texts; *text; text++)
        missing.numbers |=
            calm__double_parse(*text, strlen(*text), *text, &value);
    return missing;
}

static bool is_missing(
    const struct missing *missing, const char *text, size_t len)
{
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    if (len == 0)
        return true;
    for (const char *const *other = missing->texts; *other; other++)
        if (strlen(*other) == len && memcmp(*other, text, len) == 0)
            return true;
    return false;
}

/* One field to a float; false if it is neither a number nor missing. The bytes
 * from START on may be read. */
static inline bool convert(const struct missing *missing,
    const calm_csv_field *field, const char *start, float *to)
{
    const char *text = field->text;
    size_t len = field->len;
    double value = NAN;
    if (missing->numbers && is_missing(missing, text, len))
        *to = NAN;
    else if (calm__double_parse(text, len, start, &value))
        *to = (float)value;
    else if (is_missing(missing, text, len))
        *to = NAN;
    else
        return false;
    return true;
}

/* How many bytes of a text a message shows: 60, and no half of a character. */
static int shown(const calm_csv_field *field)
{
    size_t len = field->len < 60 ? field->len : 60;
    if (len < field->len)
        while (len > 57 && ((unsigned char)field->text[len] & 0xc0) == 0x80)
            len--;
    return (int)len;
}

static void refuse(calm_csv_splitter *splitter, calm_csv_row *row,
    size_t column, const calm_csv_field *field)
{
    char name[96];
    int len = shown(field);
    row->status = CALM_EFORMAT;
    row->cause = calm__csv_keep_cause(splitter,
        "line %llu, column %s: '%.*s%s' is not a number",
        (unsigned long long)row->line,
        calm__csv_column_name(splitter, column, name, sizeof name), len,
        field->text, (uint32_t)len < field->len ? "..." : "");
}

static void refuse_column(
    calm_csv_splitter *splitter, calm_csv_row *row, size_t column, size_t count)
{
    row->status = CALM_EFORMAT;
    row->cause = calm__csv_keep_cause(splitter,
        "line %llu: there is no column %zu among %zu",
        (unsigned long long)row->line, column + 1, count);
}

/* Fills one row of the matrix, or fails it. */
static void convert_record(calm_csv_splitter *splitter,
    const calm_csv_floats *floats, const struct missing *missing,
    const calm_csv_record *record, float *values, calm_csv_row *row)
{
    const char *begin = splitter->begin;
    size_t i = 0;
    if (record->status == 0) {
        for (; i < floats->count; i++) {
            size_t column = floats->columns[i];
            if (column >= record->count) {
                refuse_column(splitter, row, column, record->count);
                break;
            }
            const calm_csv_field *field = &record->fields[column];
            bool in_block =
                (uintptr_t)field->text - (uintptr_t)record->text <= record->len;
            if (!convert(missing, field, in_block ? begin : field->text,
                    &values[i])) {
                refuse(splitter, row, column, field);
                break;
            }
        }
    }
    if (row->status < 0)
        for (i = 0; i < floats->count; i++)
            values[i] = NAN;
}

int calm_csv_next_floats(calm_csv_splitter *splitter,
    const calm_csv_floats *floats, float *values, calm_csv_row *rows,
    size_t max)
{
    struct missing missing = prepare(floats);
    if (max > INT_MAX)
        max = INT_MAX;
    size_t count = 0;
    calm_csv_record record;
    while (count < max) {
        int rc = calm_csv_next(splitter, &record);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        calm_csv_row *row = &rows[count];
        *row = (calm_csv_row){
            .row = record.row,
            .line = record.line,
            .text = record.text,
            .len = record.len,
            .status = record.status,
            .cause = record.cause,
        };
        convert_record(splitter, floats, &missing, &record, values, row);
        values += floats->count;
        count++;
    }
    return (int)count;
}
