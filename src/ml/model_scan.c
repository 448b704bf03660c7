/* model_scan.c - reads JSON and XGBoost's UBJSON alike, bounded
 *
 * XGBoost's own readers trust the file: lengths are not compared with what is
 * there, and nesting is as deep as the stack. This one accepts a subset of
 * what they accept, so that whatever passes here means the same to them: keys
 * without escapes, and of UBJSON only the forms that XGBoost writes or reads
 * (lengths and counts are always of type L).
 */
#include "ml/model_scan.h"

#include "base/fault.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 64 };

const char calm__scan_no_memory[] = "no memory is left";

void calm__scan_init(struct calm__scan *scan, const char *data, size_t len)
{
    *scan = (struct calm__scan){.begin = data, .at = data, .end = data + len};
    scan->binary = len > 1 && data[1] == 'L';
}

bool calm__scan_fail(struct calm__scan *scan, const char *wrong)
{
    if (!scan->wrong)
        scan->wrong = wrong;
    return false;
}

static size_t left(const struct calm__scan *scan)
{
    return (size_t)(scan->end - scan->at);
}

static bool cut_off(struct calm__scan *scan)
{
    return calm__scan_fail(scan, "the file is cut off");
}

static void spaces_skip(struct calm__scan *scan)
{
    while (!scan->binary && scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' ||
               *scan->at == '\t'))
        scan->at++;
}

/* The next character, which stays; NUL when there is none. */
static char peek(struct calm__scan *scan)
{
    spaces_skip(scan);
    return scan->wrong || scan->at == scan->end ? '\0' : *scan->at;
}

static bool expect(struct calm__scan *scan, char c)
{
    char found = peek(scan);
    if (scan->wrong)
        return false;
    if (scan->at == scan->end)
        return cut_off(scan);
    if (found != c)
        return calm__scan_fail(scan, "something else was expected");
    scan->at++;
    return true;
}

/* ---- UBJSON's pieces ---- */

/* How many bytes a value of this type has; 0 for a type that is no number. */
static size_t type_size(char type)
{
    switch (type) {
    case 'i':
    case 'U':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static int64_t integer_decode(const char *data, char type)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (type) {
    case 'i':
        return (int8_t)data[0];
    case 'U':
        return (uint8_t)data[0];
    case 'I':
        memcpy(&two, data, sizeof two);
        return (int16_t)be16toh(two);
    case 'l':
        memcpy(&four, data, sizeof four);
        return (int32_t)be32toh(four);
    default:
        memcpy(&eight, data, sizeof eight);
        return (int64_t)be64toh(eight);
    }
}

/* A length: the type L and eight bytes. */
static bool length_read(struct calm__scan *scan, int64_t *ret_length)
{
    if (!expect(scan, 'L'))
        return false;
    if (left(scan) < 8)
        return cut_off(scan);
    *ret_length = integer_decode(scan->at, 'L');
    scan->at += 8;
    /* Each of the things that are counted takes a byte at least. */
    if (*ret_length < 0 || (uint64_t)*ret_length > left(scan))
        return calm__scan_fail(
            scan, "the file is cut off, or a length in it wrong");
    return true;
}

/* The type of the value that follows, by its marker or by its array. */
static char type_take(struct calm__scan *scan)
{
    char type = scan->element;
    scan->element = '\0';
    if (type)
        return type;
    if (scan->at == scan->end)
        cut_off(scan);
    return scan->wrong ? '\0' : *scan->at++;
}

static bool array_header(struct calm__scan *scan, struct calm__scan_list *list)
{
    if (peek(scan) == '$') {
        scan->at++;
        list->type = type_take(scan);
        if (type_size(list->type) == 0)
            return calm__scan_fail(scan, "an array of an unknown type");
    }
    if (!list->type && peek(scan) != '#')
        return true;
    if (!expect(scan, '#') || !length_read(scan, &list->left))
        return false;
    list->close = '\0';
    if (list->type && (uint64_t)list->left > left(scan) / type_size(list->type))
        return cut_off(scan);
    return true;
}

/* ---- texts ---- */

static bool json_text(struct calm__scan *scan, struct calm__text *ret_text)
{
    if (!expect(scan, '"'))
        return false;
    ret_text->data = scan->at;
    for (; scan->at < scan->end; scan->at++) {
        if (*scan->at == '"') {
            ret_text->len = (size_t)(scan->at++ - ret_text->data);
            return true;
        }
        if (*scan->at == '\\' && ++scan->at == scan->end)
            break;
    }
    return cut_off(scan);
}

static bool binary_text(struct calm__scan *scan, struct calm__text *ret_text)
{
    int64_t length;
    if (!length_read(scan, &length))
        return false;
    *ret_text = (struct calm__text){scan->at, (size_t)length};
    scan->at += length;
    return true;
}

bool calm__scan_text(struct calm__scan *scan, struct calm__text *ret_text)
{
    if (scan->wrong)
        return false;
    if (!scan->binary)
        return json_text(scan, ret_text);
    if (type_take(scan) != 'S')
        return calm__scan_fail(scan, "a text was expected");
    return binary_text(scan, ret_text);
}

/* ---- objects and arrays ---- */

bool calm__scan_open(
    struct calm__scan *scan, char bracket, struct calm__scan_list *ret_list)
{
    *ret_list = (struct calm__scan_list){
        .left = -1, .close = bracket == '{' ? '}' : ']'};
    if (scan->element)
        return calm__scan_fail(scan, "numbers instead of lists");
    if (!expect(scan, bracket))
        return false;
    if (++scan->depth > DEPTH_MOST)
        return calm__scan_fail(scan, "it nests deeper than any model");
    return scan->binary && bracket == '[' ? array_header(scan, ret_list) : true;
}

static bool list_end(struct calm__scan *scan)
{
    scan->depth--;
    return false;
}

/* Whether the list goes on; JSON's comma is read here. */
static bool list_next(struct calm__scan *scan, struct calm__scan_list *list)
{
    if (scan->wrong)
        return false;
    if (list->left >= 0)
        return list->left-- > 0 ? true : list_end(scan);
    if (peek(scan) == list->close) {
        scan->at++;
        return list_end(scan);
    }
    bool comma = list->begun && !scan->binary;
    list->begun = true;
    return comma ? expect(scan, ',') : true;
}

bool calm__scan_key(struct calm__scan *scan, struct calm__scan_list *list,
    struct calm__text *ret_key)
{
    if (!list_next(scan, list))
        return false;
    if (scan->binary)
        return binary_text(scan, ret_key);
    if (!json_text(scan, ret_key) || !expect(scan, ':'))
        return false;
    if (memchr(ret_key->data, '\\', ret_key->len))
        return calm__scan_fail(scan, "a name with an escape in it");
    return true;
}

bool calm__scan_item(struct calm__scan *scan, struct calm__scan_list *list)
{
    if (!list_next(scan, list))
        return false;
    scan->element = list->type;
    return true;
}

/* ---- numbers ---- */

/* The characters of a JSON number or word. */
static struct calm__text json_word(struct calm__scan *scan)
{
    peek(scan);
    struct calm__text word = {scan->at, 0};
    while (
        scan->at < scan->end &&
        (strchr("+-.", *scan->at) || (*scan->at >= '0' && *scan->at <= '9') ||
            (*scan->at >= 'a' && *scan->at <= 'z') ||
            (*scan->at >= 'A' && *scan->at <= 'Z')) &&
        *scan->at)
        scan->at++;
    word.len = (size_t)(scan->at - word.data);
    return word;
}

/* Digits with a sign perhaps. Fifteen of them are more than any count. */
static bool integer_parse(struct calm__text text, int64_t *ret_value)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    int64_t value = 0;
    if (text.len == negative || text.len > 15)
        return false;
    for (size_t i = negative; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *ret_value = negative ? -value : value;
    return true;
}

static bool json_integer(struct calm__scan *scan, int64_t *ret_value)
{
    struct calm__text word = json_word(scan);
    if (scan->at == scan->end)
        return cut_off(scan);
    return integer_parse(word, ret_value) ||
           calm__scan_fail(scan, "a whole number was expected");
}

bool calm__scan_integer(struct calm__scan *scan, int64_t *ret_value)
{
    if (scan->wrong)
        return false;
    if (!scan->binary)
        return json_integer(scan, ret_value);
    char type = type_take(scan);
    size_t size = type_size(type);
    if (size == 0 || type == 'd' || type == 'D')
        return calm__scan_fail(scan, "a whole number was expected");
    if (left(scan) < size)
        return cut_off(scan);
    *ret_value = integer_decode(scan->at, type);
    scan->at += size;
    return true;
}

bool calm__scan_text_number(struct calm__scan *scan, int64_t *ret_value)
{
    struct calm__text text;
    return calm__scan_text(scan, &text) &&
           (integer_parse(text, ret_value) ||
               calm__scan_fail(scan, "a parameter is not a whole number"));
}

/* ---- whole values ---- */

static bool list_skip(struct calm__scan *scan, char bracket)
{
    struct calm__scan_list list;
    struct calm__text key;
    if (!calm__scan_open(scan, bracket, &list))
        return false;
    while (bracket == '{' ? calm__scan_key(scan, &list, &key)
                          : calm__scan_item(scan, &list))
        calm__scan_skip(scan);
    return !scan->wrong;
}

static bool binary_skip(struct calm__scan *scan)
{
    struct calm__text text;
    char type = type_take(scan);
    size_t size = type_size(type);
    if (type == 'S')
        return binary_text(scan, &text);
    if (size == 0 && (type == '\0' || !strchr("ZTF", type)))
        return calm__scan_fail(scan, "a value of an unknown type");
    if (left(scan) < size)
        return cut_off(scan);
    scan->at += size;
    return true;
}

bool calm__scan_skip(struct calm__scan *scan)
{
    struct calm__text text;
    char first = scan->element ? '\0' : peek(scan);
    if (scan->wrong)
        return false;
    if (first == '{' || first == '[')
        return list_skip(scan, first);
    if (scan->binary)
        return binary_skip(scan);
    if (first == '"')
        return json_text(scan, &text);
    if (json_word(scan).len > 0)
        return true;
    return scan->at == scan->end
               ? cut_off(scan)
               : calm__scan_fail(scan, "a value was expected");
}

static bool integers_add(struct calm__integers *integers, int64_t value)
{
    if (integers->count == integers->room) {
        size_t room = integers->room ? 2 * integers->room : 1024;
        int32_t *values =
            calm__realloc(integers->values, room * sizeof *values);
        if (!values)
            return false;
        integers->values = values;
        integers->room = room;
    }
    integers->values[integers->count++] = (int32_t)value;
    return true;
}

bool calm__scan_integers(
    struct calm__scan *scan, struct calm__integers *integers)
{
    struct calm__scan_list list;
    int64_t value = 0;
    integers->count = 0;
    if (!calm__scan_open(scan, '[', &list))
        return false;
    while (calm__scan_item(scan, &list)) {
        if (!calm__scan_integer(scan, &value))
            return false;
        if (value < INT32_MIN || value > INT32_MAX)
            return calm__scan_fail(scan, "a number is too large");
        if (!integers_add(integers, value))
            return calm__scan_fail(scan, calm__scan_no_memory);
    }
    return !scan->wrong;
}

bool calm__scan_count(struct calm__scan *scan, size_t *ret_count)
{
    struct calm__scan_list list;
    *ret_count = 0;
    if (!calm__scan_open(scan, '[', &list))
        return false;
    if (list.type) {
        *ret_count = (size_t)list.left;
        scan->at += *ret_count * type_size(list.type);
        list_end(scan);
        return true;
    }
    while (calm__scan_item(scan, &list)) {
        calm__scan_skip(scan);
        ++*ret_count;
    }
    return !scan->wrong;
}

bool calm__scan_end(struct calm__scan *scan)
{
    while (!scan->wrong && scan->at < scan->end) {
        if (!strchr(" \t\r\n", *scan->at))
            return calm__scan_fail(scan, "more follows behind the model");
        scan->at++;
    }
    return !scan->wrong;
}
