/* csv_write.c - rows to text
 *
 * What is written here is read back by csv_split.c as the same fields: a text
 * is quoted if it has a quote, the separator, CR or LF in it, or if it is all
 * of a row and empty, since an empty line is no row. Numbers never need it.
 */
#include "base/buffer.h"
#include "io/csv.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include <calm/number.h>

static int fail(calm_csv_writer *writer, int rc)
{
    return writer->error = rc;
}

static char separator_of(const calm_csv_writer *writer)
{
    return writer->separator ? writer->separator : ',';
}

/* Begins a field that takes up to LEN bytes: the separator is written, and
 * there is room for it and for the end of the row. */
static inline int begin_field(calm_csv_writer *writer, size_t len)
{
    if (__builtin_expect(writer->error < 0, 0))
        return writer->error;
    size_t more;
    if (__builtin_add_overflow(len, (size_t)8, &more))
        more = SIZE_MAX;
    int rc = calm__bytes_room(writer->out, more);
    if (rc < 0)
        return fail(writer, rc);
    if (writer->fields++ == 0)
        writer->row = writer->out->len;
    else
        writer->out->data[writer->out->len++] = separator_of(writer);
    return 0;
}

/* At the begin of a file these would be skipped, or the file refused. */
static bool is_byte_order_mark(const char *text, size_t len)
{
    return (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) ||
           (len >= 2 && memcmp(text, "\xfe\xff", 2) == 0) ||
           (len >= 2 && memcmp(text, "\xff\xfe", 2) == 0);
}

/* Whether a text would not read back as it is. */
static bool must_quote(const char *text, size_t len, char separator)
{
    if (is_byte_order_mark(text, len))
        return true;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '"' || text[i] == separator || text[i] == '\n' ||
            text[i] == '\r')
            return true;
    return false;
}

static bool is_formula(const char *text, size_t len)
{
    return len > 0 && text[0] != '\0' && strchr("=+-@\t\r", text[0]);
}

/* Copies with every quote doubled; there is room for twice the length. */
static char *put_doubled(char *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        *to++ = text[i];
        if (text[i] == '"')
            *to++ = '"';
    }
    return to;
}

int calm_csv_put_bytes(calm_csv_writer *writer, const void *data, size_t len)
{
    const char *text = data;
    bool prefix = writer->csv_safe && is_formula(text, len);
    bool quote = must_quote(text, len, separator_of(writer));
    size_t room;
    if (__builtin_mul_overflow(len, (size_t)(quote ? 2 : 1), &room))
        room = SIZE_MAX;
    int rc = begin_field(writer, room);
    if (rc < 0)
        return rc;
    char *to = writer->out->data + writer->out->len;
    if (quote)
        *to++ = '"';
    if (prefix)
        *to++ = '\'';
    if (quote) {
        to = put_doubled(to, text, len);
        *to++ = '"';
    } else if (len > 0) {
        memcpy(to, text, len);
        to += len;
    }
    *to = '\0';
    writer->out->len = (size_t)(to - writer->out->data);
    return 0;
}

int calm_csv_put_text(calm_csv_writer *writer, const char *text)
{
    return calm_csv_put_bytes(writer, text, strlen(text));
}

int calm_csv_put_int(calm_csv_writer *writer, int64_t value)
{
    int rc = begin_field(writer, CALM_NUMBER_MAX);
    if (rc < 0)
        return rc;
    calm_bytes *out = writer->out;
    out->len += calm_int64_format(value, out->data + out->len);
    return 0;
}

int calm_csv_put_double(calm_csv_writer *writer, double value)
{
    int rc = begin_field(writer, CALM_NUMBER_MAX);
    if (rc < 0)
        return rc;
    calm_bytes *out = writer->out;
    if (!isnan(value))
        out->len += calm_double_format(value, out->data + out->len);
    out->data[out->len] = '\0';
    return 0;
}

int calm_csv_put_float(calm_csv_writer *writer, float value)
{
    return calm_csv_put_floats(writer, &value, 1);
}

int calm_csv_put_floats(
    calm_csv_writer *writer, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int rc = begin_field(writer, CALM_NUMBER_MAX);
        if (rc < 0)
            return rc;
        calm_bytes *out = writer->out;
        if (!isnan(values[i]))
            out->len += calm_float_format(values[i], out->data + out->len);
        out->data[out->len] = '\0';
    }
    return writer->error;
}

int calm_csv_end_row(calm_csv_writer *writer)
{
    if (writer->error < 0)
        return writer->error;
    if (writer->columns == 0)
        writer->columns = writer->fields;
    if (writer->fields == 0 || writer->fields != writer->columns)
        return fail(writer,
            calm_fail(-EINVAL, "a csv row has %zu field%s instead of %zu",
                writer->fields, writer->fields == 1 ? "" : "s",
                writer->columns ? writer->columns : 1));
    int rc = calm__bytes_room(writer->out, 8);
    if (rc < 0)
        return fail(writer, rc);
    char *to = writer->out->data + writer->out->len;
    if (writer->out->len == writer->row) {
        *to++ = '"';
        *to++ = '"';
    }
    if (writer->crlf)
        *to++ = '\r';
    *to++ = '\n';
    *to = '\0';
    writer->out->len = (size_t)(to - writer->out->data);
    writer->fields = 0;
    writer->begun = true;
    return 0;
}

static int check_names(
    calm_csv_writer *writer, const char *const *names, size_t count)
{
    if (count == 0)
        return calm_fail(-EINVAL, "a csv header needs a name");
    if (writer->fields > 0 || writer->begun)
        return calm_fail(-EINVAL, "a csv header comes before the rows");
    for (size_t i = 0; i < count; i++) {
        if (!*names[i])
            return calm_fail(
                -EINVAL, "name %zu of a csv header is empty", i + 1);
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return calm_fail(-EINVAL,
                    "a csv header has the name '%.80s' twice", names[i]);
    }
    return 0;
}

int calm_csv_put_names(
    calm_csv_writer *writer, const char *const *names, size_t count)
{
    if (writer->error < 0)
        return writer->error;
    int rc = check_names(writer, names, count);
    if (rc < 0)
        return fail(writer, rc);
    for (size_t i = 0; i < count; i++)
        calm_csv_put_text(writer, names[i]);
    return calm_csv_end_row(writer);
}

#define NAMES_MAX 64

int calm_csv_put_header(calm_csv_writer *writer, const char *name, ...)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    va_list args;
    va_start(args, name);
    for (; name && count < NAMES_MAX; name = va_arg(args, const char *))
        names[count++] = name;
    va_end(args);
    if (name)
        return fail(writer, calm_fail(-EINVAL,
                                "a csv header of more than %d names needs "
                                "calm_csv_put_names()",
                                NAMES_MAX));
    return calm_csv_put_names(writer, names, count);
}
