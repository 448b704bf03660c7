/* csv_cut.c - a stream of bytes to blocks of whole records
 *
 * The thread that reads has no time to look at fields. It only needs to know
 * where a record may end, which takes the newlines and the quotes, 64 at a
 * time. What was looked at is remembered as offsets and a few bits, never as
 * addresses, so that the caller may move the bytes between two calls.
 *
 *     data  start         record            scanned      len
 *      |BOM|  whole records  | an open record  | not seen |
 *
 * A block goes from start to record; then the offsets begin anew behind it,
 * and the open record is looked at a second time, once.
 */
#include "io/csv.h"

#include <string.h>

/* What the byte before means for the next one, in calm_csv_cutter.state. */
enum {
    IN_QUOTES = 1,
    BOUNDARY = 2,
    CLOSED = 4,
    CLOSED_CARRIAGE = 8,
    FRESH = 16,          /* a record begins here */
    FRESH_CARRIAGE = 32, /* a CR was all of it so far: perhaps an empty line */
};

#define BEGIN_OF_RECORD (BOUNDARY | FRESH)

struct scan {
    const char *data;
    size_t len;
    struct calm__csv_quoting quoting;
    uint64_t fresh;
    uint64_t fresh_carriage;
};

static void load_state(struct scan *scan, unsigned state)
{
    scan->quoting = (struct calm__csv_quoting){
        .quoted = state & IN_QUOTES ? ~0ull : 0,
        .boundary = !!(state & BOUNDARY),
        .closed = !!(state & CLOSED),
        .closed_carriage = !!(state & CLOSED_CARRIAGE),
    };
    scan->fresh = !!(state & FRESH);
    scan->fresh_carriage = !!(state & FRESH_CARRIAGE);
}

static unsigned store_state(const struct scan *scan)
{
    const struct calm__csv_quoting *quoting = &scan->quoting;
    return (quoting->quoted ? IN_QUOTES : 0) |
           (quoting->boundary ? BOUNDARY : 0) | (quoting->closed ? CLOSED : 0) |
           (quoting->closed_carriage ? CLOSED_CARRIAGE : 0) |
           (scan->fresh ? FRESH : 0) |
           (scan->fresh_carriage ? FRESH_CARRIAGE : 0);
}

int calm_csv_cutter_init(calm_csv_cutter *cutter, const calm_csv_opts *opts)
{
    calm_csv_opts filled;
    int rc = calm__csv_opts_fill(opts, &filled);
    if (rc < 0)
        return rc;
    *cutter = (calm_csv_cutter){
        .line = 1,
        .separator = filled.separator,
        .record_max = filled.record_max,
        .state = BEGIN_OF_RECORD,
    };
    return 0;
}

/* ---- the first bytes ----------------------------------------------------- */

/* Whether of each two bytes the one at PLACE is NUL and the other is not. */
static bool has_nul_at(const char *data, size_t len, size_t place)
{
    for (size_t i = 0; i < len; i++)
        if ((data[i] == '\0') != (i % 2 == place))
            return false;
    return len >= 4;
}

const char *calm__csv_foreign_encoding(const char *data, size_t len)
{
    size_t even = len < CALM__CSV_PROBE ? len & ~(size_t)1 : CALM__CSV_PROBE;
    if (len >= 4 && memcmp(data, "\xff\xfe\0\0", 4) == 0)
        return "UTF-32LE";
    if (len >= 4 && memcmp(data, "\0\0\xfe\xff", 4) == 0)
        return "UTF-32BE";
    if (len >= 2 && memcmp(data, "\xff\xfe", 2) == 0)
        return "UTF-16LE";
    if (len >= 2 && memcmp(data, "\xfe\xff", 2) == 0)
        return "UTF-16BE";
    if (has_nul_at(data, even, 1))
        return "UTF-16LE";
    if (has_nul_at(data, even, 0))
        return "UTF-16BE";
    return NULL;
}

/* Returns 1 when the bytes can be read from START on, 0 when there are too few
 * of them to tell. */
static int begin(calm_csv_cutter *cutter, const char *data, size_t len)
{
    if (len < CALM__CSV_PROBE && !cutter->at_end)
        return 0;
    const char *encoding = calm__csv_foreign_encoding(data, len);
    if (encoding)
        return cutter->error = calm_fail(CALM_EFORMAT,
                   "the text is %s, not UTF-8\n"
                   "hint: convert it with iconv -f %s -t UTF-8",
                   encoding, encoding);
    bool mark = len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0;
    cutter->start = cutter->scanned = cutter->record = mark ? 3 : 0;
    cutter->begun = true;
    return 1;
}

/* ---- cutting ------------------------------------------------------------- */

static int give(calm_csv_cutter *cutter, const char *data, calm_csv_block *ret)
{
    *ret = (calm_csv_block){
        .data = data + cutter->start,
        .len = cutter->record - cutter->start,
        .line = cutter->line,
        .row = cutter->row,
        .rows = cutter->rows,
    };
    cutter->line += cutter->lines;
    cutter->row += cutter->rows;
    cutter->start = cutter->scanned = cutter->record = cutter->rows = 0;
    cutter->lines = cutter->open_lines = 0;
    cutter->state = BEGIN_OF_RECORD;
    return 1;
}

/* The open record is too long, or has a quote that is never closed. */
static int refuse(calm_csv_cutter *cutter, const char *data, size_t len)
{
    uint64_t line = cutter->line;
    struct calm__csv_place place;
    bool too_long = len > cutter->record_max;
    if (too_long)
        len = cutter->record_max;
    bool open = calm__csv_open_quote(
        data + cutter->record, len, cutter->separator, line, &place);
    if (too_long && open)
        return cutter->error = calm_fail(CALM_ELIMIT,
                   "line %llu: the record is beyond %zu bytes; a quote that "
                   "was opened on line %llu, column %llu is not closed",
                   (unsigned long long)line, cutter->record_max,
                   (unsigned long long)place.line,
                   (unsigned long long)place.column);
    if (too_long)
        return cutter->error = calm_fail(CALM_ELIMIT,
                   "line %llu: the record is beyond %zu bytes",
                   (unsigned long long)line, cutter->record_max);
    return cutter->error = calm_fail(CALM_EFORMAT,
               "line %llu, column %llu: the quote that is opened here is never "
               "closed",
               (unsigned long long)place.line,
               (unsigned long long)place.column);
}

/* Whether the record that ends before END, or has no end up to there, is too
 * long for certain; the CR of a CRLF does not count. */
static bool is_too_long(const calm_csv_cutter *cutter, const struct scan *scan,
    size_t end, bool complete)
{
    size_t len = end - cutter->record;
    if (len <= cutter->record_max)
        return false;
    return len > cutter->record_max + 1 ||
           (complete && scan->data[end - 1] != '\r');
}

/* Counts the records that end in a lane. */
static void count_ends(calm_csv_cutter *cutter, uint64_t newlines,
    uint64_t ends, uint64_t rows, unsigned count)
{
    unsigned last = 63 - (unsigned)__builtin_clzll(ends);
    uint64_t before = ~0ull >> (63 - last);
    uint64_t seen = (uint64_t)__builtin_popcountll(newlines & before);
    cutter->rows += (size_t)__builtin_popcountll(rows & before);
    cutter->lines += cutter->open_lines + seen;
    cutter->open_lines = (uint64_t)__builtin_popcountll(newlines) - seen;
    cutter->record = cutter->scanned + last + 1;
}

enum lane { LANE_TAKEN, LANE_FULL, LANE_TOO_LONG };

/* Takes one lane of COUNT bytes. When the block is full it ends with the last
 * record that still fits. */
static enum lane take_lane(calm_csv_cutter *cutter, struct scan *scan,
    const struct calm__csv_masks *masks, unsigned count)
{
    unsigned flags = 0, last = count - 1;
    uint64_t newlines = masks->newline;
    uint64_t ends =
        newlines & ~calm__csv_inside(&scan->quoting, masks, count, &flags);
    uint64_t starts = ends << 1 | scan->fresh;
    uint64_t carriages = masks->carriage & starts;
    uint64_t rows = ends & ~(starts | carriages << 1 | scan->fresh_carriage);
    scan->fresh = ends >> last & 1;
    scan->fresh_carriage = carriages >> last & 1;
    if (ends == 0) {
        cutter->open_lines += (uint64_t)__builtin_popcountll(newlines);
        cutter->scanned += count;
        return is_too_long(cutter, scan, cutter->scanned, false) ? LANE_TOO_LONG
                                                                 : LANE_TAKEN;
    }
    size_t first = cutter->scanned + (unsigned)__builtin_ctzll(ends);
    if (is_too_long(cutter, scan, first, true))
        return LANE_TOO_LONG;
    size_t wanted = cutter->rows_max - cutter->rows;
    if (cutter->rows_max && (size_t)__builtin_popcountll(rows) >= wanted) {
        uint64_t left = rows;
        while (--wanted)
            left &= left - 1;
        uint64_t upto = left ^ (left - 1);
        count_ends(cutter, newlines & upto, ends & upto, rows, count);
        return LANE_FULL;
    }
    count_ends(cutter, newlines, ends, rows, count);
    cutter->scanned += count;
    return LANE_TAKEN;
}

static enum lane take_window(calm_csv_cutter *cutter, struct scan *scan)
{
    struct calm__csv_masks masks[CALM__CSV_WINDOW];
    size_t len = scan->len - cutter->scanned;
    if (len > CALM__CSV_WINDOW_BYTES)
        len = CALM__CSV_WINDOW_BYTES;
    size_t lanes = calm__csv_scan(
        scan->data + cutter->scanned, len, cutter->separator, masks);
    for (size_t i = 0; i < lanes; i++) {
        size_t rest = len - i * CALM__CSV_LANE;
        unsigned count = rest < CALM__CSV_LANE ? rest : CALM__CSV_LANE;
        enum lane lane = take_lane(cutter, scan, &masks[i], count);
        if (lane != LANE_TAKEN)
            return lane;
    }
    return LANE_TAKEN;
}

/* What is left when the input has ended: a record without a newline. */
static int take_last(
    calm_csv_cutter *cutter, const struct scan *scan, calm_csv_block *ret_block)
{
    if (cutter->record == scan->len)
        return 0;
    if (is_too_long(cutter, scan, scan->len, true) || scan->quoting.quoted)
        return refuse(cutter, scan->data, scan->len - cutter->record);
    cutter->rows = !scan->fresh_carriage;
    cutter->lines = cutter->open_lines;
    cutter->record = scan->len;
    return give(cutter, scan->data, ret_block);
}

int calm_csv_cut(calm_csv_cutter *cutter, const char *data, size_t len,
    calm_csv_block *ret_block)
{
    if (cutter->error < 0)
        return cutter->error;
    if (!cutter->begun) {
        int rc = begin(cutter, data, len);
        if (rc <= 0)
            return rc;
    }
    struct scan scan = {.data = data, .len = len};
    load_state(&scan, cutter->state);
    enum lane lane = LANE_TAKEN;
    while (lane == LANE_TAKEN && cutter->scanned < len)
        lane = take_window(cutter, &scan);
    if (cutter->record > cutter->start)
        return give(cutter, data, ret_block);
    if (lane == LANE_TOO_LONG)
        return refuse(cutter, data, len - cutter->record);
    if (cutter->at_end)
        return take_last(cutter, &scan, ret_block);
    cutter->state = store_state(&scan);
    return 0;
}
