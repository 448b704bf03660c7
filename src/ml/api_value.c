/* api_value.c - cells as JSON, and as numbers
 *
 * A million rows of thirty columns a second is the measure: a cell is looked
 * at once, and copied without a call where it is short.
 */
#include "ml/api_inside.h"

#include "base/buffer.h"
#include "io/csv.h"

#include <calm/number.h>

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* ---- text ---------------------------------------------------------------- */

void calm__api_printable(const char *text, size_t len, char *to, size_t size)
{
    size_t room = size - 1, used = 0;
    if (len > room) {
        room -= 3;
        len = room;
        /* Not through the middle of a character. */
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    } else {
        room = 0; /* nothing was cut */
    }
    while (used < len) {
        size_t valid = calm__csv_utf8_valid(text + used, len - used);
        for (size_t end = used + valid; used < end; used++) {
            unsigned char c = (unsigned char)text[used];
            to[used] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
        }
        if (used < len)
            to[used++] = '?';
    }
    if (room > 0)
        used = (size_t)((char *)mempcpy(to + used, "...", 3) - to);
    to[used] = '\0';
}

int calm__api_refuse(const struct calm__api *api, size_t column,
    const struct calm__cell *cell, const char *is)
{
    char shown[44], name[84];
    const char *whole = api->names[column];
    calm__api_printable(
        cell->text ? cell->text : "", cell->len, shown, sizeof shown);
    calm__api_printable(whole, strlen(whole), name, sizeof name);
    return calm_fail(CALM_EFORMAT, "column '%s': '%s' %s", name, shown, is);
}

/* Eight bytes that need no escape: ASCII, no control, no quote, no backslash.
 * Each test sets the top bit of the bytes that it is true for; a byte that
 * borrows from its neighbour has its own bit set, so that none is missed. */
static inline bool are_plain(uint64_t bytes)
{
    const uint64_t ones = ~0ull / 255, tops = ones * 0x80;
    uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
    uint64_t bad =
        bytes | (bytes - ones * 0x20) | (quote - ones) | (backslash - ones);
    return (bad & tops) == 0;
}

static bool is_plain(const char *text, size_t len)
{
    uint64_t bytes;
    for (; len >= 8; text += 8, len -= 8) {
        memcpy(&bytes, text, 8);
        if (!are_plain(bytes))
            return false;
    }
    bytes = ~0ull / 255 * 'a';
    memcpy(&bytes, text, len);
    return are_plain(bytes);
}

/* There is room for it. */
static inline void put(calm_bytes *out, const char *text, size_t len)
{
    char *to = out->data + out->len;
    out->len += len;
    if (len <= 3) {
        if (len > 0) {
            to[0] = text[0];
            to[len / 2] = text[len / 2];
            to[len - 1] = text[len - 1];
        }
    } else if (len <= 8) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + len - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + len - 4, &last, 4);
    } else if (len <= 16) {
        uint64_t first, last;
        memcpy(&first, text, 8);
        memcpy(&last, text + len - 8, 8);
        memcpy(to, &first, 8);
        memcpy(to + len - 8, &last, 8);
    } else {
        memcpy(to, text, len);
    }
}

static int put_string(const char *text, size_t len, calm_bytes *out)
{
    if (!is_plain(text, len)) {
        calm_json_writer json = {.out = out};
        return calm_json_put_bytes(&json, text, len);
    }
    int rc = calm__bytes_room(out, len + 2);
    if (rc < 0)
        return rc;
    out->data[out->len++] = '"';
    put(out, text, len);
    out->data[out->len++] = '"';
    return 0;
}

static int put_raw(const char *text, size_t len, calm_bytes *out)
{
    int rc = calm__bytes_room(out, len);
    if (rc == 0)
        put(out, text, len);
    return rc;
}

/* ---- no value ------------------------------------------------------------ */

/* JSON has null, and no texts for it but those that are asked for. */
static bool is_listed(
    const struct calm__api *api, const struct calm__cell *cell)
{
    static const char *const usual[] = {
        "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None", NULL};
    const char *const *missing = api->opts.missing ? api->opts.missing : usual;
    if (!api->opts.missing && api->opts.json_rows)
        return false;
    for (; *missing; missing++)
        if (strlen(*missing) == cell->len &&
            memcmp(*missing, cell->text, cell->len) == 0)
            return true;
    return false;
}

/* Of a CSV file, in which a text may also be a number that is none. */
static bool is_nan(const struct calm__cell *cell)
{
    bool sign = cell->len == 4 && (*cell->text == '-' || *cell->text == '+');
    return cell->len == 3u + sign &&
           strncasecmp(cell->text + sign, "nan", 3) == 0;
}

bool calm__api_is_nothing(
    const struct calm__api *api, const struct calm__cell *cell)
{
    if (cell->absent)
        return true;
    /* Nobody's texts for "nothing" are numbers but those that were asked for.
     */
    if (cell->json)
        return api->opts.missing && is_listed(api, cell);
    if (api->opts.json_rows)
        return is_listed(api, cell);
    return cell->len == 0 || is_listed(api, cell) || is_nan(cell);
}

int calm__api_put_cell(
    const struct calm__api *api, const struct calm__cell *cell, calm_bytes *out)
{
    if (calm__api_is_nothing(api, cell))
        return put_raw("null", 4, out);
    return cell->json ? put_raw(cell->text, cell->len, out)
                      : put_string(cell->text, cell->len, out);
}

/* ---- numbers ------------------------------------------------------------- */

static bool is_missing(
    const struct calm__api *api, const struct calm__cell *cell)
{
    if (cell->absent)
        return true;
    size_t spaces = 0;
    while (spaces < cell->len &&
           (cell->text[spaces] == ' ' || cell->text[spaces] == '\t'))
        spaces++;
    return spaces == cell->len || is_listed(api, cell);
}

enum calm__number calm__api_number(const struct calm__api *api,
    const struct calm__cell *cell, double *ret_value)
{
    char first = cell->absent || cell->len == 0 ? '\0' : *cell->text;
    bool number =
        cell->json && (first == '-' || (first >= '0' && first <= '9'));
    /* Nobody's texts for "nothing" are numbers but those that were asked for.
     */
    if ((!number || api->opts.missing) && is_missing(api, cell))
        return CALM__NUMBER_NONE;
    if (number)
        return CALM__NUMBER_JSON;
    if (cell->json && (first == 't' || first == 'f')) {
        *ret_value = first == 't';
        return CALM__NUMBER_VALUE;
    }
    if (cell->json || calm_double_parse(cell->text, cell->len, ret_value) < 0)
        return CALM__NUMBER_NOT;
    return isnan(*ret_value) ? CALM__NUMBER_NONE : CALM__NUMBER_VALUE;
}

int calm__api_put_number(const struct calm__api *api, size_t column,
    const struct calm__cell *cell, calm_bytes *out)
{
    double value;
    char text[CALM_NUMBER_MAX];
    switch (calm__api_number(api, cell, &value)) {
    case CALM__NUMBER_NONE:
        return put_raw("null", 4, out);
    case CALM__NUMBER_JSON:
        return put_raw(cell->text, cell->len, out);
    case CALM__NUMBER_VALUE:
        if (!isfinite(value))
            return calm__api_refuse(
                api, column, cell, "has no form as a number of JSON");
        return put_raw(text, calm_double_format(value, text), out);
    default:
        return calm__api_refuse(api, column, cell, "is not a number");
    }
}
