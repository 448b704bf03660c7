/* json_write.c - JSON out, a value after the other
 *
 * The writer knows where it is, an object or an array and whether a key was
 * put, and refuses calls that would not be JSON: the error stays, and the
 * caller needs to look at the last result only.
 */
#include <calm/json.h>
#include <calm/number.h>

#include <errno.h>
#include <math.h>
#include <string.h>

static int failed(calm_json_writer *writer, int code)
{
    if (writer->error == 0 && code < 0)
        writer->error = code;
    return writer->error;
}

static int put(calm_json_writer *writer, const void *data, size_t len)
{
    if (writer->error < 0)
        return writer->error;
    return failed(writer, calm_bytes_append(writer->out, data, len));
}

static bool in_object(const calm_json_writer *writer)
{
    int top = writer->depth - 1;
    return writer->depth > 0 && (writer->objects[top / 64] >> top % 64 & 1);
}

/* What stands before a value: a comma between elements, nothing after a key.
 * A second value on a line, and a member without a key, are no JSON. */
static int value_begin(calm_json_writer *writer)
{
    if (writer->error < 0)
        return writer->error;
    if (in_object(writer) ? !writer->key : writer->depth == 0 && writer->more)
        return failed(writer, calm_fail(-EINVAL, "a value out of its place"));
    if (writer->more && writer->depth > 0 && !writer->key)
        put(writer, ",", 1);
    writer->key = false;
    writer->more = true;
    return writer->error;
}

static int nest(calm_json_writer *writer, bool object)
{
    if (value_begin(writer) < 0)
        return writer->error;
    if (writer->depth >= CALM_JSON_DEPTH_MAX)
        return failed(writer, calm_fail(-EINVAL, "JSON more than %d deep",
                                  CALM_JSON_DEPTH_MAX));
    int top = writer->depth++;
    uint64_t bit = UINT64_C(1) << top % 64;
    writer->objects[top / 64] &= ~bit;
    writer->objects[top / 64] |= object ? bit : 0;
    writer->more = false;
    return put(writer, object ? "{" : "[", 1);
}

static int leave(calm_json_writer *writer, bool object)
{
    if (writer->error < 0)
        return writer->error;
    if (writer->depth == 0 || in_object(writer) != object || writer->key)
        return failed(writer, calm_fail(-EINVAL, "an end without its begin"));
    writer->depth--;
    writer->more = true;
    return put(writer, object ? "}" : "]", 1);
}

int calm_json_begin_object(calm_json_writer *writer)
{
    return nest(writer, true);
}

int calm_json_end_object(calm_json_writer *writer)
{
    return leave(writer, true);
}

int calm_json_begin_array(calm_json_writer *writer)
{
    return nest(writer, false);
}

int calm_json_end_array(calm_json_writer *writer)
{
    return leave(writer, false);
}

/* ---- strings ---- */

/* The length of the UTF-8 character at TEXT, 0 when it is none (RFC 3629: no
 * overlong forms, no surrogates, nothing above U+10FFFF). */
static size_t utf8_length(const unsigned char *text, size_t len)
{
    unsigned char first = text[0];
    if (first < 0x80)
        return 1;
    size_t need = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || need > len)
        return 0;
    unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < least || text[1] > most)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

static void escape(calm_json_writer *writer, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    /* Pairs: what it is, and the letter behind the backslash. */
    static const char pairs[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    size_t len = sizeof text;
    for (size_t i = 0; i < sizeof pairs - 1; i += 2)
        if ((unsigned char)pairs[i] == c) {
            text[1] = pairs[i + 1];
            len = 2;
        }
    put(writer, text, len);
}

static int put_string(calm_json_writer *writer, const char *data, size_t len)
{
    const unsigned char *text = (const unsigned char *)data;
    put(writer, "\"", 1);
    size_t clean = 0; /* bytes that go out as they are */
    for (size_t at = 0; at < len;) {
        size_t length = utf8_length(text + at, len - at);
        bool plain = length > 1 ||
            (length == 1 && text[at] >= 0x20 && text[at] != '"' &&
                text[at] != '\\');
        if (plain) {
            at += length;
            continue;
        }
        put(writer, data + clean, at - clean);
        if (length == 0)
            put(writer, "\xef\xbf\xbd", 3); /* U+FFFD */
        else
            escape(writer, text[at]);
        clean = ++at;
    }
    put(writer, data + clean, len - clean);
    return put(writer, "\"", 1);
}

int calm_json_put_bytes(calm_json_writer *writer, const void *data, size_t len)
{
    return value_begin(writer) < 0 ? writer->error
                                   : put_string(writer, data, len);
}

int calm_json_put_text(calm_json_writer *writer, const char *text)
{
    return calm_json_put_bytes(writer, text, strlen(text));
}

int calm_json_put_key(calm_json_writer *writer, const char *name)
{
    if (writer->error < 0)
        return writer->error;
    if (!in_object(writer) || writer->key)
        return failed(writer, calm_fail(-EINVAL, "a key out of its place"));
    if (writer->more)
        put(writer, ",", 1);
    put_string(writer, name, strlen(name));
    writer->key = true;
    return put(writer, ":", 1);
}

/* ---- others ---- */

int calm_json_put_raw(calm_json_writer *writer, const char *json, size_t len)
{
    return value_begin(writer) < 0 ? writer->error : put(writer, json, len);
}

int calm_json_put_int(calm_json_writer *writer, int64_t value)
{
    char text[CALM_NUMBER_MAX];
    return calm_json_put_raw(writer, text, calm_int64_format(value, text));
}

int calm_json_put_uint(calm_json_writer *writer, uint64_t value)
{
    char text[24], *end = text + sizeof text, *at = end;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    return calm_json_put_raw(writer, at, (size_t)(end - at));
}

int calm_json_put_null(calm_json_writer *writer)
{
    return calm_json_put_raw(writer, "null", 4);
}

int calm_json_put_double(calm_json_writer *writer, double value)
{
    char text[CALM_NUMBER_MAX];
    if (!isfinite(value))
        return calm_json_put_null(writer);
    return calm_json_put_raw(writer, text, calm_double_format(value, text));
}

int calm_json_put_float(calm_json_writer *writer, float value)
{
    char text[CALM_NUMBER_MAX];
    if (!isfinite(value))
        return calm_json_put_null(writer);
    return calm_json_put_raw(writer, text, calm_float_format(value, text));
}

int calm_json_put_bool(calm_json_writer *writer, bool value)
{
    return value ? calm_json_put_raw(writer, "true", 4)
                 : calm_json_put_raw(writer, "false", 5);
}

int calm_json_put_floats(
    calm_json_writer *writer, const float *values, size_t count)
{
    calm_json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        calm_json_put_float(writer, values[i]);
    return calm_json_end_array(writer);
}

int calm_json_end_line(calm_json_writer *writer)
{
    if (writer->error == 0 && (writer->depth > 0 || !writer->more))
        failed(writer, calm_fail(-EINVAL, "a line that is not whole"));
    writer->more = false;
    return put(writer, "\n", 1);
}
