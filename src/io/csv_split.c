/* csv_split.c - a block to records of fields
 *
 * Two steps alternate. One turns a window of text into an index: where each
 * separator and newline stands that is not in quotes. The other goes along
 * the index and fills in fields, without looking at the text but for the byte
 * at each place. All that is rare (quotes to take out, text that is not ASCII,
 * newlines in fields) is found by the first step, 64 bytes at once, and noted
 * as flags; a record is given a second look only for the flags of the 64 byte
 * lanes that it touches, in csv_record.c.
 */
#include "io/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MIN 64

int calm_csv_splitter_new(
    const calm_csv_opts *opts, calm_csv_splitter **ret_splitter)
{
    calm_csv_opts filled;
    int rc = calm__csv_opts_fill(opts, &filled);
    if (rc < 0)
        return rc;
    calm_csv_splitter *splitter = malloc(sizeof *splitter);
    if (!splitter)
        return calm_fail(-ENOMEM, "cannot allocate a csv splitter");
    /* Not the index: it is written before it is read. */
    memset(splitter, 0, offsetof(calm_csv_splitter, index));
    splitter->opts = filled;
    splitter->expected = filled.columns;
    *ret_splitter = splitter;
    return 0;
}

void calm_csv_splitter_free(calm_csv_splitter *splitter)
{
    if (!splitter)
        return;
    calm__csv_drop_causes(splitter);
    calm_bytes_clear(&splitter->scratch);
    free(splitter->fields);
    free(splitter);
}

void calm_csv_split(calm_csv_splitter *splitter, const calm_csv_block *block)
{
    calm__csv_drop_causes(splitter);
    splitter->begin = splitter->text = block->data;
    splitter->scanned = splitter->window = block->data;
    splitter->end = block->data + block->len;
    splitter->quoting = calm__csv_begin;
    splitter->window_flags = 0;
    splitter->next = splitter->indexed = 0;
    splitter->line = block->line;
    splitter->row = block->row;
}

/* ---- step one: the index ------------------------------------------------- */

/* Appends the places of BITS. Most lanes have less than eight: those are
 * written without asking how many there are. */
static inline uint32_t *append_places(
    uint32_t *to, uint64_t bits, uint32_t base)
{
    uint32_t *next = to;
    while (bits) {
        for (int i = 0; i < 4; i++) {
            next[i] = base + (uint32_t)__builtin_ctzll(bits | 1ull << 63);
            to += bits != 0;
            bits &= bits - 1;
        }
        next += 4;
    }
    return to;
}

/* Puts the next window into the index. Returns false at the end. */
static bool index_window(calm_csv_splitter *splitter)
{
    size_t len = (size_t)(splitter->end - splitter->scanned);
    if (len == 0)
        return false;
    if (len > CALM__CSV_WINDOW_BYTES)
        len = CALM__CSV_WINDOW_BYTES;
    struct calm__csv_masks masks[CALM__CSV_WINDOW];
    size_t lanes =
        calm__csv_scan(splitter->scanned, len, splitter->opts.separator, masks);
    struct calm__csv_quoting quoting = splitter->quoting;
    uint32_t *to = splitter->index;
    unsigned all = 0;
    for (size_t i = 0; i < lanes; i++) {
        size_t base = i * CALM__CSV_LANE, rest = len - base;
        unsigned count = rest < CALM__CSV_LANE ? rest : CALM__CSV_LANE;
        unsigned flags = masks[i].high ? CALM__CSV_HIGH : 0;
        uint64_t inside = calm__csv_inside(&quoting, &masks[i], count, &flags);
        uint64_t ends = masks[i].separator | masks[i].newline;
        to = append_places(to, ends & ~inside, (uint32_t)base);
        splitter->lane_flags[i] = (uint8_t)flags;
        all |= flags;
    }
    splitter->window = splitter->scanned;
    splitter->scanned += len;
    splitter->quoting = quoting;
    splitter->next = 0;
    splitter->indexed = (size_t)(to - splitter->index);
    if (splitter->scanned == splitter->end && quoting.quoted) {
        all |= CALM__CSV_IRREGULAR;
        splitter->lane_flags[lanes - 1] |= CALM__CSV_IRREGULAR;
    }
    splitter->window_flags = all;
    return true;
}

/* The flags of what lies between two places, as far as it is in the window. */
static unsigned flags_between(
    const calm_csv_splitter *splitter, const char *from, const char *to)
{
    if (splitter->window_flags == 0 || splitter->scanned == splitter->window)
        return 0;
    if (from < splitter->window)
        from = splitter->window;
    if (to >= splitter->scanned)
        to = splitter->scanned - 1;
    size_t first = (size_t)(from - splitter->window) / CALM__CSV_LANE;
    size_t last = (size_t)(to - splitter->window) / CALM__CSV_LANE;
    unsigned flags = 0;
    for (size_t lane = first; lane <= last; lane++)
        flags |= splitter->lane_flags[lane];
    return flags;
}

/* ---- step two: fields ---------------------------------------------------- */

bool calm__csv_grow_fields(calm_csv_splitter *splitter)
{
    size_t capacity = splitter->capacity * 2;
    if (capacity < splitter->expected)
        capacity = splitter->expected;
    if (capacity < FIELDS_MIN)
        capacity = FIELDS_MIN;
    if (capacity > splitter->opts.columns_max)
        capacity = splitter->opts.columns_max;
    calm_csv_field *fields =
        realloc(splitter->fields, capacity * sizeof *fields);
    if (!fields)
        return false;
    splitter->fields = fields;
    splitter->capacity = capacity;
    return true;
}

/* The next place where a field ends, when the index is used up: in the windows
 * that follow, or at the end of the block. Adds the flags of what is left
 * behind of the record that begins at TEXT. */
static const char *next_end(
    calm_csv_splitter *splitter, const char *text, unsigned *flags)
{
    do {
        *flags |= flags_between(splitter, text, splitter->scanned);
        if (!index_window(splitter))
            return splitter->end;
    } while (splitter->indexed == 0);
    return splitter->window + splitter->index[splitter->next++];
}

/* Collects the raw fields of a record, and its flags. The text moves on to the
 * next record. Returns the number of fields or -ENOMEM. */
static ptrdiff_t collect(calm_csv_splitter *splitter, unsigned *ret_flags)
{
    const char *start = splitter->text, *block_end = splitter->end, *end;
    calm_csv_field *field = splitter->fields;
    calm_csv_field *limit = field + splitter->capacity;
    unsigned flags = 0;
    do {
        if (__builtin_expect(splitter->next < splitter->indexed, 1))
            end = splitter->window + splitter->index[splitter->next++];
        else
            end = next_end(splitter, splitter->text, &flags);
        if (__builtin_expect(field == limit, 0)) {
            size_t count = splitter->capacity;
            if (count == splitter->opts.columns_max) {
                flags |= CALM__CSV_TOO_MANY;
                field--;
            } else {
                if (!calm__csv_grow_fields(splitter))
                    return calm_fail(
                        -ENOMEM, "cannot allocate the fields of a record");
                field = splitter->fields + count;
                limit = splitter->fields + splitter->capacity;
            }
        }
        *field++ = (calm_csv_field){start, (uint32_t)(end - start), false};
        start = end + 1;
    } while (end < block_end && *end != '\n');
    *ret_flags = flags | flags_between(splitter, splitter->text, end);
    splitter->record_end = end;
    splitter->text = end < block_end ? start : block_end;
    return field - splitter->fields;
}

/* Sets up RECORD from the raw fields and moves the counters on. Returns false
 * for an empty line. */
static bool set_up(calm_csv_splitter *splitter, calm_csv_record *record,
    const char *text, size_t count, unsigned flags)
{
    calm_csv_field *last = &splitter->fields[count - 1];
    const char *end = splitter->record_end;
    if (end > last->text && end[-1] == '\r') {
        last->len--;
        end--;
    }
    uint64_t line = splitter->line++;
    if (end == text)
        return false;
    *record = (calm_csv_record){
        .fields = splitter->fields,
        .count = count,
        .row = splitter->row++,
        .line = line,
        .text = text,
        .len = (size_t)(end - text),
    };
    if (flags & CALM__CSV_LINES)
        for (const char *p = text; (p = memchr(p, '\n', (size_t)(end - p)));
             p++)
            splitter->line++;
    return true;
}

int calm_csv_next(calm_csv_splitter *splitter, calm_csv_record *ret_record)
{
    while (splitter->text < splitter->end) {
        const char *text = splitter->text;
        unsigned flags = 0;
        ptrdiff_t count = collect(splitter, &flags);
        if (count < 0)
            return (int)count;
        if (!set_up(splitter, ret_record, text, (size_t)count, flags))
            continue;
        if (__builtin_expect(flags != 0, 0) ||
            ret_record->len > splitter->opts.field_max) {
            int rc = calm__csv_look_again(splitter, ret_record, flags);
            if (rc < 0)
                return rc;
            if (ret_record->status < 0)
                return 1;
        }
        if (splitter->expected == 0)
            splitter->expected = (size_t)count;
        if (__builtin_expect((size_t)count != splitter->expected, 0) &&
            calm__csv_is_left_out(splitter, ret_record))
            continue;
        return 1;
    }
    return 0;
}
