/* csv_quote.c - which bytes stand in quotes
 *
 * In a regular text every quote toggles: the sum of the quotes up to a byte,
 * modulo two, says whether it stands inside, for 64 bytes in six steps. What
 * is regular can be checked on the same words: a quote opens where a field
 * begins, or at once behind a closing one (a doubled quote), and behind a
 * closing quote the field ends. A lane that fails the check is walked byte by
 * byte with the rules for irregular text, which are these, so that a stray
 * quote costs one row and not the rest of the file:
 *
 *   - a quote inside an unquoted field is data;
 *   - with anything else behind a closing quote, the row is bad, and the rest
 *     of the field is read as unquoted.
 */
#include "io/csv.h"

#include <errno.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

enum state {
    FIELD_BEGIN,
    PLAIN,
    QUOTED,
    CLOSED,          /* behind a quote that closes, or is half of a doubled */
    CLOSED_CARRIAGE, /* behind CLOSED and CR */
};

/* Bit i of the result is the sum of the bits 0 to i, modulo two. */
static inline uint64_t sum_bits(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
}

static enum state next_state(
    enum state state, bool quote, bool separator, bool newline, bool carriage)
{
    if (state == QUOTED)
        return quote ? CLOSED : QUOTED;
    if (separator || newline)
        return FIELD_BEGIN;
    if (state == FIELD_BEGIN)
        return quote ? QUOTED : PLAIN;
    if (state == CLOSED && quote)
        return QUOTED;
    if (state == CLOSED && carriage)
        return CLOSED_CARRIAGE;
    return PLAIN;
}

static uint64_t walk(struct calm__csv_quoting *quoting,
    const struct calm__csv_masks *masks, unsigned count)
{
    enum state state = quoting->quoted            ? QUOTED
                       : quoting->boundary        ? FIELD_BEGIN
                       : quoting->closed          ? CLOSED
                       : quoting->closed_carriage ? CLOSED_CARRIAGE
                                                  : PLAIN;
    uint64_t inside = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t bit = 1ull << i;
        state = next_state(state, masks->quote & bit, masks->separator & bit,
            masks->newline & bit, masks->carriage & bit);
        if (state == QUOTED)
            inside |= bit;
    }
    *quoting = (struct calm__csv_quoting){
        .quoted = state == QUOTED ? ~0ull : 0,
        .boundary = state == FIELD_BEGIN,
        .closed = state == CLOSED,
        .closed_carriage = state == CLOSED_CARRIAGE,
    };
    return inside;
}

uint64_t calm__csv_inside_quotes(struct calm__csv_quoting *quoting,
    const struct calm__csv_masks *masks, unsigned count, unsigned *flags)
{
    uint64_t ends = masks->separator | masks->newline;
    unsigned last = count - 1;
    uint64_t quote = masks->quote;
    uint64_t inside = sum_bits(quote) ^ quoting->quoted;
    uint64_t opening = quote & inside;
    uint64_t closing = quote & ~inside;
    uint64_t behind = closing << 1 | quoting->closed;
    uint64_t begins = (ends & ~inside) << 1 | quoting->boundary;
    uint64_t carriages = masks->carriage & behind;
    uint64_t stray =
        (opening & ~(begins | behind)) |
        (behind & ~(ends | quote | masks->carriage)) |
        ((carriages << 1 | quoting->closed_carriage) & ~masks->newline);
    *flags |= CALM__CSV_QUOTES;
    if (__builtin_expect((stray & (~0ull >> (63 - last))) != 0, 0)) {
        *flags |= CALM__CSV_IRREGULAR | CALM__CSV_DOUBLED | CALM__CSV_LINES;
        return walk(quoting, masks, count);
    }
    if (opening & behind)
        *flags |= CALM__CSV_DOUBLED;
    if (masks->newline & inside)
        *flags |= CALM__CSV_LINES;
    quoting->quoted = -(inside >> last & 1);
    quoting->boundary = (ends & ~inside) >> last & 1;
    quoting->closed = closing >> last & 1;
    quoting->closed_carriage = carriages >> last & 1;
    return inside;
}

bool calm__csv_open_quote(const char *text, size_t len, char separator,
    uint64_t line, struct calm__csv_place *ret_place)
{
    enum state state = FIELD_BEGIN;
    struct calm__csv_place place = {line, 0};
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        enum state next =
            next_state(state, c == '"', c == separator, c == '\n', c == '\r');
        place.column++;
        if (state == FIELD_BEGIN && next == QUOTED)
            *ret_place = place;
        if (c == '\n')
            place = (struct calm__csv_place){place.line + 1, 0};
        state = next;
    }
    return state == QUOTED;
}

static int take(
    size_t *value, size_t fallback, size_t min, size_t max, const char *name)
{
    if (*value == 0)
        *value = fallback;
    if (*value < min || *value > max)
        return calm_fail(-EINVAL, "csv option %s is %zu, not from %zu to %zu",
            name, *value, min, max);
    return 0;
}

int calm__csv_opts_fill(const calm_csv_opts *opts, calm_csv_opts *ret_opts)
{
    calm_csv_opts filled = opts ? *opts : (calm_csv_opts){0};
    if (filled.separator == 0)
        filled.separator = ',';
    unsigned char separator = (unsigned char)filled.separator;
    if (strchr("\"\r\n", separator) || separator >= 0x80)
        return calm_fail(-EINVAL,
            "csv option separator is the byte 0x%02x, not an ASCII character "
            "other than quote, CR and LF",
            separator);
    if (filled.columns == 0 && filled.header)
        filled.columns = calm_csv_header_count(filled.header);
    size_t largest = 1024 * MIB;
    int rc = take(&filled.field_max, MIB, 1, largest, "field_max");
    if (rc == 0)
        rc = take(&filled.record_max, 16 * MIB, CALM__CSV_LANE, largest,
            "record_max");
    if (rc == 0)
        rc = take(&filled.columns_max, 4096, 1, MIB, "columns_max");
    if (rc == 0 && filled.columns > filled.columns_max)
        rc = calm_fail(-EINVAL, "csv option columns is %zu, beyond %zu",
            filled.columns, filled.columns_max);
    if (rc == 0)
        *ret_opts = filled;
    return rc;
}
