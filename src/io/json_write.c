/* json_write.c - values to JSON, on one line
 *
 * A bit for each array or object that is open, whether a comma is due, and
 * whether a key waits for its value: enough to refuse every order of calls
 * that is no JSON. Most of a text needs no escape and is copied in runs.
 */
#include "base/buffer.h"
#include "io/csv.h"
#include "io/json.h"

#include <calm/number.h>

#include <errno.h>
#include <math.h>
#include <string.h>

static int fail(calm_json_writer *writer, const char *why)
{
    return writer->error = calm_fail(-EINVAL, "%s", why);
}

static int reserve(calm_json_writer *writer, size_t len)
{
    int rc = calm__bytes_room(writer->out, len);
    if (rc < 0)
        writer->error = rc;
    return rc;
}

static inline void put(calm_json_writer *writer, char c)
{
    writer->out->data[writer->out->len++] = c;
}

/* There is always room for it: see calm__bytes_room(). */
static inline void end_text(calm_json_writer *writer)
{
    writer->out->data[writer->out->len] = '\0';
}

static inline bool in_object(const calm_json_writer *writer)
{
    int top = writer->depth - 1;
    return top >= 0 && writer->objects[top / 64] >> (top % 64) & 1;
}

/* Begins a value that takes up to LEN bytes, with room for them, a comma, an
 * end and a NUL. */
static inline int begin_value(calm_json_writer *writer, size_t len)
{
    if (__builtin_expect(writer->error < 0, 0))
        return writer->error;
    if (!writer->key && in_object(writer))
        return fail(writer, "a member of a JSON object has no key");
    if (writer->more && writer->depth == 0)
        return fail(writer, "a second JSON value on one line");
    if (len > SIZE_MAX - 8)
        len = SIZE_MAX - 8;
    int rc = reserve(writer, len + 8);
    if (rc < 0)
        return rc;
    if (writer->more && !writer->key)
        put(writer, ',');
    writer->key = false;
    writer->more = true;
    return 0;
}

/* ---- arrays and objects -------------------------------------------------- */

static int begin(calm_json_writer *writer, bool object)
{
    int rc = begin_value(writer, 1);
    if (rc < 0)
        return rc;
    if (writer->depth == CALM_JSON_DEPTH_MAX)
        return fail(writer, "JSON is more than 128 deep");
    uint64_t bit = 1ull << (writer->depth % 64);
    uint64_t *word = &writer->objects[writer->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    writer->depth++;
    writer->more = false;
    put(writer, object ? '{' : '[');
    end_text(writer);
    return 0;
}

static int end(calm_json_writer *writer, bool object)
{
    if (writer->error < 0)
        return writer->error;
    if (writer->depth == 0 || in_object(writer) != object || writer->key)
        return fail(writer, "an end in JSON that nothing began");
    int rc = reserve(writer, 1);
    if (rc < 0)
        return rc;
    writer->depth--;
    writer->more = true;
    put(writer, object ? '}' : ']');
    end_text(writer);
    return 0;
}

int calm_json_begin_object(calm_json_writer *writer)
{
    return begin(writer, true);
}

int calm_json_end_object(calm_json_writer *writer)
{
    return end(writer, true);
}

int calm_json_begin_array(calm_json_writer *writer)
{
    return begin(writer, false);
}

int calm_json_end_array(calm_json_writer *writer)
{
    return end(writer, false);
}

/* ---- text ---------------------------------------------------------------- */

/* Whether a byte goes out as it is; 0x7f and all UTF-8 do. */
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* There is room for six bytes. */
static char *put_escape(char *to, unsigned char c)
{
    static const char letters[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
    static const char digits[] = "0123456789abcdef";
    const char *letter = c ? strchr(letters, c) : NULL;
    *to++ = '\\';
    if (letter) {
        *to++ = names[letter - letters];
        return to;
    }
    memcpy(to, "u00", 3);
    to[3] = digits[c >> 4];
    to[4] = digits[c & 15];
    return to + 5;
}

/* Puts text that is UTF-8. The worst, six bytes for each, is only reserved
 * where a text has what must be escaped. */
static int put_escaped(calm_json_writer *writer, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t plain = i;
        while (plain < len && is_plain((unsigned char)text[plain]))
            plain++;
        int rc = reserve(writer, plain - i + 8);
        if (rc < 0)
            return rc;
        calm_bytes *out = writer->out;
        memcpy(out->data + out->len, text + i, plain - i);
        out->len += plain - i;
        i = plain;
        if (i < len) {
            char *to = out->data + out->len;
            to = put_escape(to, (unsigned char)text[i++]);
            out->len = (size_t)(to - out->data);
        }
    }
    return 0;
}

/* Puts text with U+FFFD for what is not UTF-8, a piece at a time. */
static int put_replaced(calm_json_writer *writer, const char *text, size_t len)
{
    enum { PIECE = 512 };
    char piece[3 * PIECE];
    while (len > 0) {
        size_t size = len < PIECE ? len : PIECE;
        /* Not through the middle of a character. */
        if (size < len)
            for (int i = 0; i < 3; i++)
                if (((unsigned char)text[size] & 0xc0) == 0x80)
                    size--;
        size_t filled = calm__csv_utf8_replace(text, size, piece);
        int rc = put_escaped(writer, piece, filled);
        if (rc < 0)
            return rc;
        text += size;
        len -= size;
    }
    return 0;
}

static int put_string(calm_json_writer *writer, const char *text, size_t len)
{
    put(writer, '"');
    int rc = calm__csv_utf8_valid(text, len) == len
                 ? put_escaped(writer, text, len)
                 : put_replaced(writer, text, len);
    if (rc == 0)
        rc = reserve(writer, 8);
    if (rc < 0)
        return rc;
    put(writer, '"');
    end_text(writer);
    return 0;
}

int calm_json_put_key(calm_json_writer *writer, const char *name)
{
    if (writer->error < 0)
        return writer->error;
    if (!in_object(writer) || writer->key)
        return fail(writer, "a key that is not in a JSON object");
    int rc = reserve(writer, 8);
    if (rc < 0)
        return rc;
    if (writer->more)
        put(writer, ',');
    rc = put_string(writer, name, strlen(name));
    if (rc < 0)
        return rc;
    put(writer, ':');
    end_text(writer);
    writer->key = true;
    return 0;
}

int calm_json_put_bytes(calm_json_writer *writer, const void *data, size_t len)
{
    int rc = begin_value(writer, len);
    return rc < 0 ? rc : put_string(writer, data, len);
}

int calm_json_put_text(calm_json_writer *writer, const char *text)
{
    return calm_json_put_bytes(writer, text, strlen(text));
}

/* ---- numbers and words --------------------------------------------------- */

int calm_json_put_raw(calm_json_writer *writer, const char *json, size_t len)
{
    int rc = begin_value(writer, len);
    if (rc < 0)
        return rc;
    if (len > 0)
        memcpy(writer->out->data + writer->out->len, json, len);
    writer->out->len += len;
    end_text(writer);
    return 0;
}

int calm_json_put_null(calm_json_writer *writer)
{
    return calm_json_put_raw(writer, "null", 4);
}

int calm_json_put_bool(calm_json_writer *writer, bool value)
{
    return value ? calm_json_put_raw(writer, "true", 4)
                 : calm_json_put_raw(writer, "false", 5);
}

int calm_json_put_int(calm_json_writer *writer, int64_t value)
{
    int rc = begin_value(writer, CALM_NUMBER_MAX);
    if (rc < 0)
        return rc;
    calm_bytes *out = writer->out;
    out->len += calm_int64_format(value, out->data + out->len);
    return 0;
}

int calm_json_put_uint(calm_json_writer *writer, uint64_t value)
{
    char text[CALM_NUMBER_MAX], *to = text + sizeof text;
    do
        *--to = (char)('0' + value % 10);
    while (value /= 10);
    return calm_json_put_raw(writer, to, (size_t)(text + sizeof text - to));
}

int calm_json_put_double(calm_json_writer *writer, double value)
{
    if (!isfinite(value))
        return calm_json_put_null(writer);
    int rc = begin_value(writer, CALM_NUMBER_MAX);
    if (rc < 0)
        return rc;
    calm_bytes *out = writer->out;
    out->len += calm_double_format(value, out->data + out->len);
    return 0;
}

int calm_json_put_float(calm_json_writer *writer, float value)
{
    if (!isfinite(value))
        return calm_json_put_null(writer);
    int rc = begin_value(writer, CALM_NUMBER_MAX);
    if (rc < 0)
        return rc;
    calm_bytes *out = writer->out;
    out->len += calm_float_format(value, out->data + out->len);
    return 0;
}

int calm_json_put_floats(
    calm_json_writer *writer, const float *values, size_t count)
{
    calm_json_begin_array(writer);
    for (size_t i = 0; i < count && writer->error == 0; i++)
        calm_json_put_float(writer, values[i]);
    return calm_json_end_array(writer);
}

int calm_json_put_matrix(
    calm_json_writer *writer, const float *values, size_t rows, size_t columns)
{
    calm_json_begin_array(writer);
    for (size_t i = 0; i < rows && writer->error == 0; i++)
        calm_json_put_floats(writer, values + i * columns, columns);
    return calm_json_end_array(writer);
}

int calm_json_end_line(calm_json_writer *writer)
{
    if (writer->error < 0)
        return writer->error;
    if (writer->depth > 0 || !writer->more)
        return fail(writer, writer->depth > 0 ? "a JSON line ends too early"
                                              : "a JSON line without a value");
    int rc = reserve(writer, 1);
    if (rc < 0)
        return rc;
    put(writer, '\n');
    end_text(writer);
    writer->more = false;
    return 0;
}
