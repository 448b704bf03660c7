/* api_tensor.c - the elements of tensors, as JSON and as bytes
 *
 * Integers stay integers from the text to the last bit: none of them passes
 * through a double. What a type cannot hold is refused and not bent to it.
 * Bytes are little-endian on the wire and, on what calm runs on, in memory.
 */
#include "ml/api_tensor.h"

#include "base/buffer.h"
#include "io/csv.h"

#include <calm/number.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "the binary extension is little-endian");

static const struct calm__type types[] = {
    {"BOOL", CALM__BOOL, 1},
    {"UINT8", CALM__UINT, 1},
    {"UINT16", CALM__UINT, 2},
    {"UINT32", CALM__UINT, 4},
    {"UINT64", CALM__UINT, 8},
    {"INT8", CALM__INT, 1},
    {"INT16", CALM__INT, 2},
    {"INT32", CALM__INT, 4},
    {"INT64", CALM__INT, 8},
    {"FP16", CALM__FLOAT, 2},
    {"FP32", CALM__FLOAT, 4},
    {"FP64", CALM__FLOAT, 8},
    {"BYTES", CALM__BYTES, 0},
};

const struct calm__type *calm__type_find(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

/* ---- halves -------------------------------------------------------------- */

/* The nearest half, ties to even, by the double's own rounding: at a power of
 * two where its last bit is worth as much as that of the half. */
static uint16_t half_of(double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double size = fabs(value);
    if (isnan(value))
        return sign | 0x7e00;
    if (size >= 65520)
        return sign | 0x7c00;
    int exponent = -14;
    if (size >= 0x1p-14)
        exponent = ilogb(size);
    double units = nearbyint(ldexp(size, 10 - exponent));
    /* 1024 units and more are a normal number; 2048 carry into the next. */
    return sign | (uint16_t)((exponent + 14) * 1024 + (int)units);
}

float calm__float_of_half(uint16_t half)
{
    int exponent = half >> 10 & 31, units = half & 1023;
    float value = exponent == 31 ? (units ? NAN : INFINITY)
                  : exponent == 0
                      ? ldexpf((float)units, -24)
                      : ldexpf((float)(units + 1024), exponent - 25);
    return half & 0x8000 ? -value : value;
}

/* ---- cells --------------------------------------------------------------- */

/* A whole number as a sign and a size. */
struct whole {
    bool negative;
    uint64_t size;
};

static bool read_whole(const char *text, size_t len, struct whole *ret_whole)
{
    struct whole whole = {0};
    size_t i = 0;
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    while (i < len && (text[i] == ' ' || text[i] == '\t'))
        i++;
    if (i < len && (text[i] == '-' || text[i] == '+'))
        whole.negative = text[i++] == '-';
    if (i == len)
        return false;
    for (; i < len; i++) {
        unsigned digit = (unsigned)text[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(whole.size, 10, &whole.size) ||
            __builtin_add_overflow(whole.size, digit, &whole.size))
            return false;
    }
    *ret_whole = whole;
    return true;
}

static bool whole_fits(const struct calm__type *type, struct whole whole)
{
    unsigned bits = (unsigned)type->size * 8;
    if (type->class == CALM__UINT)
        return (!whole.negative || whole.size == 0) &&
               whole.size <= UINT64_MAX >> (64 - bits);
    uint64_t most = UINT64_MAX >> (65 - bits);
    return whole.size <= most + whole.negative;
}

/* As calm__api_number(), and the value of a number of JSON, too; else NaN. */
static enum calm__number value_of(const struct calm__api *api,
    const struct calm__cell *cell, double *ret_value)
{
    *ret_value = NAN;
    enum calm__number number = calm__api_number(api, cell, ret_value);
    if (number == CALM__NUMBER_JSON)
        *ret_value = calm__cell_number(cell);
    return number;
}

/* 7.0 is a whole number, too, as long as doubles can tell it from 7.1. */
static int whole_of(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    struct whole *ret_whole)
{
    double value;
    char is[64];
    enum calm__number number = value_of(api, cell, &value);
    if (number == CALM__NUMBER_NONE)
        return calm__api_refuse(
            api, column, cell, "is no value, and integers have none for it");
    if (number == CALM__NUMBER_NOT)
        return calm__api_refuse(api, column, cell, "is not a number");
    if (!read_whole(cell->text, cell->len, ret_whole)) {
        bool exact = value == trunc(value) && fabs(value) < 0x1p53;
        if (!exact) {
            snprintf(is, sizeof is, "is not an integer of type %s", type->name);
            return calm__api_refuse(api, column, cell, is);
        }
        *ret_whole = (struct whole){value < 0, (uint64_t)fabs(value)};
    }
    if (whole_fits(type, *ret_whole))
        return 0;
    snprintf(is, sizeof is, "does not fit into %s", type->name);
    return calm__api_refuse(api, column, cell, is);
}

static bool is_text(const struct calm__cell *cell, const char *text)
{
    return cell->len == strlen(text) &&
           strncasecmp(cell->text, text, cell->len) == 0;
}

static int bool_of(const struct calm__api *api, size_t column,
    const struct calm__cell *cell, bool *ret_value)
{
    if (!cell->absent && (is_text(cell, "true") || is_text(cell, "false"))) {
        *ret_value = (*cell->text | 0x20) == 't';
        return 0;
    }
    double value;
    enum calm__number number = value_of(api, cell, &value);
    if ((number != CALM__NUMBER_JSON && number != CALM__NUMBER_VALUE) ||
        (value != 0 && value != 1))
        return calm__api_refuse(
            api, column, cell, "is neither true nor false, 1 nor 0");
    *ret_value = value != 0;
    return 0;
}

/* A number that the type has room for; nothing is NaN. */
static int float_of(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    enum calm__number *ret_number, double *ret_value)
{
    double value;
    *ret_number = value_of(api, cell, &value);
    if (*ret_number == CALM__NUMBER_NOT)
        return calm__api_refuse(api, column, cell, "is not a number");
    bool lost = type->size == 8   ? isinf(value)
                : type->size == 4 ? isinf((float)value)
                                  : fabs(value) >= 65520;
    /* An infinity that was meant as one is a number. */
    if (lost && !(*ret_number == CALM__NUMBER_VALUE && isinf(value))) {
        char is[64];
        snprintf(is, sizeof is, "does not fit into %s", type->name);
        return calm__api_refuse(api, column, cell, is);
    }
    *ret_value = value;
    return 0;
}

static int bytes_of(
    const struct calm__api *api, size_t column, const struct calm__cell *cell)
{
    if (cell->absent)
        return calm__api_refuse(
            api, column, cell, "is no value, and BYTES have none for it");
    if (cell->len > UINT32_MAX)
        return calm__api_refuse(api, column, cell, "is too long");
    return 0;
}

/* ---- JSON ---------------------------------------------------------------- */

static int put_float_json(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    calm_bytes *out)
{
    double value;
    enum calm__number number;
    int rc = float_of(api, column, type, cell, &number, &value);
    if (rc < 0)
        return rc;
    if (number == CALM__NUMBER_NONE)
        return calm__api_refuse(api, column, cell,
            "is no value, which only the binary form could say");
    return calm__api_put_number(api, column, cell, out);
}

int calm__element_put_json(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    calm_bytes *out)
{
    calm_json_writer json = {.out = out};
    struct whole whole;
    bool truth;
    int rc;
    switch (type->class) {
    case CALM__FLOAT:
        return put_float_json(api, column, type, cell, out);
    case CALM__BOOL:
        rc = bool_of(api, column, cell, &truth);
        return rc < 0 ? rc : calm_json_put_bool(&json, truth);
    case CALM__BYTES:
        rc = bytes_of(api, column, cell);
        return rc < 0 ? rc : calm_json_put_bytes(&json, cell->text, cell->len);
    default:
        rc = whole_of(api, column, type, cell, &whole);
        if (rc == 0 && whole.negative && whole.size > 0)
            rc = calm_bytes_append(out, "-", 1);
        return rc < 0 ? rc : calm_json_put_uint(&json, whole.size);
    }
}

/* ---- bytes --------------------------------------------------------------- */

static int put_float_binary(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    calm_bytes *out)
{
    double value;
    enum calm__number number;
    int rc = float_of(api, column, type, cell, &number, &value);
    if (rc < 0)
        return rc;
    rc = calm__bytes_room(out, sizeof value);
    if (rc < 0)
        return rc;
    float narrow = (float)value;
    uint16_t half = type->size == 2 ? half_of(value) : 0;
    const void *data = type->size == 8   ? (void *)&value
                       : type->size == 4 ? (void *)&narrow
                                         : (void *)&half;
    memcpy(out->data + out->len, data, type->size);
    out->len += type->size;
    return 0;
}

int calm__element_put_binary(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    calm_bytes *out)
{
    struct whole whole = {0};
    bool truth;
    uint32_t len;
    int rc;
    switch (type->class) {
    case CALM__FLOAT:
        return put_float_binary(api, column, type, cell, out);
    case CALM__BOOL:
        rc = bool_of(api, column, cell, &truth);
        return rc < 0 ? rc : calm_bytes_append(out, truth ? "\1" : "\0", 1);
    case CALM__BYTES:
        rc = bytes_of(api, column, cell);
        len = (uint32_t)cell->len;
        if (rc == 0)
            rc = calm_bytes_append(out, &len, sizeof len);
        return rc < 0 ? rc : calm_bytes_append(out, cell->text, cell->len);
    default:
        rc = whole_of(api, column, type, cell, &whole);
        if (rc == 0 && whole.negative)
            whole.size = 0 - whole.size; /* two's complement */
        return rc < 0 ? rc : calm_bytes_append(out, &whole.size, type->size);
    }
}

/* ---- answers ------------------------------------------------------------- */

bool calm__element_fits(
    const struct calm__type *type, const calm_json_value *value)
{
    enum calm_json_kind kind = calm_json_kind_of(value);
    struct whole whole;
    size_t len;
    const char *text = calm_json_raw(value, &len);
    switch (type->class) {
    case CALM__BYTES:
        return kind == CALM_JSON_STRING;
    case CALM__BOOL:
        return kind == CALM_JSON_BOOL ||
               (len == 1 && (*text == '0' || *text == '1'));
    case CALM__FLOAT:
        /* NaN, in servers that keep to JSON. */
        return kind == CALM_JSON_NUMBER || kind == CALM_JSON_NULL;
    default:
        return kind == CALM_JSON_NUMBER && read_whole(text, len, &whole) &&
               whole_fits(type, whole);
    }
}

size_t calm__element_size(
    const struct calm__type *type, const char *data, size_t len)
{
    uint32_t size;
    if (type->size > 0)
        return type->size <= len ? type->size : 0;
    if (len < 4)
        return 0;
    memcpy(&size, data, 4);
    return size <= len - 4 ? (size_t)size + 4 : 0;
}

static int show_float(
    double value, bool narrow, calm_bytes *out, bool *ret_json)
{
    char text[CALM_NUMBER_MAX];
    if (isfinite(value)) {
        size_t len = narrow ? calm_float_format((float)value, text)
                            : calm_double_format(value, text);
        return calm_bytes_append(out, text, len);
    }
    *ret_json = false;
    return calm_bytes_append_text(out, isnan(value) ? "NaN"
                                       : value > 0  ? "Infinity"
                                                    : "-Infinity");
}

static int show_bytes(
    const char *text, size_t len, bool quoted, calm_bytes *out)
{
    calm_json_writer json = {.out = out};
    if (quoted)
        return calm_json_put_bytes(&json, text, len);
    if (calm__csv_utf8_valid(text, len) == len)
        return calm_bytes_append(out, text, len);
    size_t room;
    if (__builtin_mul_overflow(len, 3, &room))
        return calm_fail(-ENOMEM, "no memory for a text");
    int rc = calm_bytes_reserve(out, room);
    if (rc == 0)
        calm_bytes_advance(
            out, calm__csv_utf8_replace(text, len, out->data + out->len));
    return rc;
}

int calm__element_show(const struct calm__type *type, const char *data,
    bool quoted, calm_bytes *out, bool *ret_json)
{
    calm_json_writer json = {.out = out};
    uint64_t bits = 0;
    double value = 0;
    float narrow = 0;
    if (type->class != CALM__BYTES)
        memcpy(&bits, data, type->size);
    switch (type->class) {
    case CALM__BYTES:
        memcpy(&bits, data, 4);
        if (!quoted)
            *ret_json = false;
        return show_bytes(data + 4, bits, quoted, out);
    case CALM__BOOL:
        return calm_json_put_bool(&json, bits != 0);
    case CALM__UINT:
        return calm_json_put_uint(&json, bits);
    case CALM__INT:
        bits <<= 64 - type->size * 8; /* up, and down again with the sign */
        return calm_json_put_int(&json, (int64_t)bits >> (64 - type->size * 8));
    default:
        if (type->size == 8)
            memcpy(&value, data, 8);
        if (type->size == 4)
            memcpy(&narrow, data, 4);
        if (type->size == 2)
            narrow = calm__float_of_half((uint16_t)bits);
        return show_float(type->size == 8 ? value : (double)narrow,
            type->size < 8, out, ret_json);
    }
}
