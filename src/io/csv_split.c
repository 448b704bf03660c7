/* csv_split.c - a block to records of fields
 *
 * Two steps alternate. One turns a window of text into an index: where each
 * separator and newline stands that is not in quotes. The other goes along
 * the index and fills in fields, without looking at the text but for the byte
 * at each place. All that is rare (quotes to take out, text that is not ASCII,
 * newlines in fields) is found by the first step, 64 bytes at once, and noted
 * as flags; a record is given a second look only for the flags of the 64 byte
 * lanes that it touches.
 */
#include "io/csv.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MIN 64
#define WINDOW_BYTES (CALM__CSV_WINDOW * CALM__CSV_LANE)

struct cause {
    struct cause *next;
    char text[];
};

struct calm_csv_splitter {
    calm_csv_opts opts;
    size_t expected;        /* fields in a record; 0 before the first */
    const char *begin;      /* of the block */
    const char *text;       /* the begin of the next record */
    const char *record_end; /* of the record before, with its CR */
    const char *end;        /* of the block */
    const char *scanned;    /* what begins here is not in the index yet */
    const char *window;     /* the index counts from here */
    struct calm__csv_quoting quoting;
    unsigned window_flags; /* of all lanes together */
    uint64_t line;
    uint64_t row;
    calm_csv_field *fields;
    size_t capacity;
    calm_bytes scratch; /* texts that are not as in the block, one record's */
    struct cause *causes;
    size_t next;
    size_t indexed;
    uint8_t lane_flags[CALM__CSV_WINDOW];
    /* Places are written eight at a time: the room is for one lane more. */
    uint32_t index[WINDOW_BYTES + CALM__CSV_LANE];
};

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

static void drop_causes(calm_csv_splitter *splitter)
{
    while (splitter->causes) {
        struct cause *next = splitter->causes->next;
        free(splitter->causes);
        splitter->causes = next;
    }
}

void calm_csv_splitter_free(calm_csv_splitter *splitter)
{
    if (!splitter)
        return;
    drop_causes(splitter);
    calm_bytes_clear(&splitter->scratch);
    free(splitter->fields);
    free(splitter);
}

void calm_csv_split(calm_csv_splitter *splitter, const calm_csv_block *block)
{
    drop_causes(splitter);
    splitter->begin = splitter->text = block->data;
    splitter->scanned = splitter->window = block->data;
    splitter->end = block->data + block->len;
    splitter->quoting = calm__csv_begin;
    splitter->window_flags = 0;
    splitter->next = splitter->indexed = 0;
    splitter->line = block->line;
    splitter->row = block->row;
}

const char *calm__csv_block_begin(const calm_csv_splitter *splitter)
{
    return splitter->begin;
}

/* ---- causes -------------------------------------------------------------- */

const char *calm__csv_keep_cause(
    calm_csv_splitter *splitter, const char *format, ...)
{
    char text[CALM_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = strlen(text) + 1;
    struct cause *cause = malloc(sizeof *cause + size);
    if (!cause)
        return "the row is bad, and there is no memory to say why";
    cause->next = splitter->causes;
    splitter->causes = cause;
    return memcpy(cause->text, text, size);
}

const char *calm__csv_column_name(
    const calm_csv_splitter *splitter, size_t column, char *text, size_t size)
{
    const calm_csv_header *header = splitter->opts.header;
    const char *name = header ? calm_csv_header_name(header, column) : NULL;
    if (name)
        snprintf(text, size, "'%.80s'", name);
    else
        snprintf(text, size, "%zu", column + 1);
    return text;
}

static void fail_record(calm_csv_record *record, int status, const char *cause)
{
    record->status = status;
    record->cause = cause;
    record->fields = NULL;
    record->count = 0;
}

static struct calm__csv_place place_of(
    const calm_csv_record *record, const char *at)
{
    struct calm__csv_place place = {record->line, 1};
    for (const char *p = record->text; p < at; p++) {
        place.column++;
        if (*p == '\n')
            place = (struct calm__csv_place){place.line + 1, 1};
    }
    return place;
}

/* Fails a record for something at one place in it. */
static void fail_at(calm_csv_splitter *splitter, calm_csv_record *record,
    const char *at, const char *what)
{
    struct calm__csv_place place = place_of(record, at);
    fail_record(record, CALM_EFORMAT,
        calm__csv_keep_cause(splitter, "line %llu, column %llu: %s",
            (unsigned long long)place.line, (unsigned long long)place.column,
            what));
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
    if (len > WINDOW_BYTES)
        len = WINDOW_BYTES;
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

/* Makes room for a field more; false without memory. */
static bool grow_fields(calm_csv_splitter *splitter)
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
                if (!grow_fields(splitter))
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

/* Where the quoted text that begins at P ends: at its closing quote, or at END
 * if it has none. */
static const char *closing_quote(const char *p, const char *end, bool *doubled)
{
    for (;;) {
        p = memchr(p, '"', (size_t)(end - p));
        if (!p)
            return end;
        if (p + 1 == end || p[1] != '"')
            return p;
        *doubled = true;
        p += 2;
    }
}

/* Copies LEN bytes with every other quote left out. The scratch has room: see
 * reserve_scratch(). */
static void take_doubled(
    calm_csv_splitter *splitter, calm_csv_field *field, size_t len)
{
    char *begin = splitter->scratch.data + splitter->scratch.len, *to = begin;
    const char *from = field->text, *end = from + len;
    while (from < end) {
        const char *quote = memchr(from, '"', (size_t)(end - from));
        const char *upto = quote ? quote + 1 : end;
        memcpy(to, from, (size_t)(upto - from));
        to += upto - from;
        from = quote ? quote + 2 : end;
    }
    field->text = begin;
    field->len = (uint32_t)(to - begin);
    splitter->scratch.len += field->len;
}

/* Room for all copies of a record's texts at once, so that none moves: taking
 * quotes out makes a text shorter, replacing bytes up to three times longer. */
static int reserve_scratch(
    calm_csv_splitter *splitter, const calm_csv_record *record)
{
    size_t times = splitter->opts.invalid_utf8 == CALM_CSV_UTF8_REPLACE ? 4 : 1;
    size_t needed = times * record->len;
    if (splitter->scratch.capacity > needed)
        return 0;
    assert(splitter->scratch.len == 0);
    return calm_bytes_reserve(&splitter->scratch, needed);
}

/* Takes the quotes off, in a window where they are not all regular and single.
 * Returns 0, 1 when the record has failed, or -ENOMEM. */
static int unquote_carefully(
    calm_csv_splitter *splitter, calm_csv_record *record, calm_csv_field *field)
{
    const char *text = field->text + 1, *end = field->text + field->len;
    bool doubled = false;
    const char *closing = closing_quote(text, end, &doubled);
    if (closing == end) {
        fail_at(splitter, record, field->text,
            "the quote that is opened here is never closed");
        return 1;
    }
    if (closing + 1 < end) {
        fail_at(splitter, record, closing + 1,
            "there is text behind a closing quote");
        return 1;
    }
    field->text = text;
    field->len -= 2;
    field->quoted = true;
    if (!doubled)
        return 0;
    int rc = reserve_scratch(splitter, record);
    if (rc == 0)
        take_doubled(splitter, field, field->len);
    return rc;
}

/* Takes the quotes off where all is regular: a field that begins with one ends
 * with one, and has no other. Which fields do is as good as random, so there is
 * no branch. The last one may be empty at the very end, where nothing can be
 * read. */
static void unquote_regular(calm_csv_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        calm_csv_field *field = &fields[i];
        if (i == count - 1 && field->len == 0)
            break;
        unsigned quoted = (field->len > 0) & (field->text[0] == '"');
        field->text += quoted;
        field->len -= 2 * quoted;
        field->quoted = quoted;
    }
}

static int unquote(
    calm_csv_splitter *splitter, calm_csv_record *record, unsigned flags)
{
    if (!(flags & (CALM__CSV_DOUBLED | CALM__CSV_IRREGULAR))) {
        unquote_regular(splitter->fields, record->count);
        return 0;
    }
    for (size_t i = 0; i < record->count; i++) {
        calm_csv_field *field = &splitter->fields[i];
        if (field->len == 0 || field->text[0] != '"')
            continue;
        int rc = unquote_carefully(splitter, record, field);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Deals with a record that is not UTF-8. */
static int mend_utf8(
    calm_csv_splitter *splitter, calm_csv_record *record, size_t valid)
{
    if (splitter->opts.invalid_utf8 == CALM_CSV_UTF8_FAIL) {
        char what[64];
        snprintf(what, sizeof what, "the byte 0x%02x is not UTF-8 here",
            (unsigned char)record->text[valid]);
        fail_at(splitter, record, record->text + valid, what);
        return 0;
    }
    int rc = reserve_scratch(splitter, record);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < record->count; i++) {
        calm_csv_field *field = &splitter->fields[i];
        if (calm__csv_utf8_valid(field->text, field->len) == field->len)
            continue;
        char *to = splitter->scratch.data + splitter->scratch.len;
        size_t len = calm__csv_utf8_replace(field->text, field->len, to);
        splitter->scratch.len += len;
        field->text = to;
        field->len = (uint32_t)len;
    }
    return 0;
}

/* The bounds that a long record may break. Returns whether it does. */
static bool is_beyond_bounds(
    calm_csv_splitter *splitter, calm_csv_record *record)
{
    unsigned long long line = record->line;
    const calm_csv_opts *opts = &splitter->opts;
    if (record->len > opts->record_max) {
        fail_record(record, CALM_ELIMIT,
            calm__csv_keep_cause(splitter,
                "line %llu: the record is beyond %zu bytes", line,
                opts->record_max));
        return true;
    }
    for (size_t i = 0; i < record->count; i++) {
        if (splitter->fields[i].len <= opts->field_max)
            continue;
        char name[96];
        fail_record(record, CALM_ELIMIT,
            calm__csv_keep_cause(splitter,
                "line %llu, column %s: the field is beyond %zu bytes", line,
                calm__csv_column_name(splitter, i, name, sizeof name),
                opts->field_max));
        return true;
    }
    return false;
}

/* The second look, for the flags of a record. Returns 0 or -ENOMEM; the record
 * may have failed. */
static int look_again(
    calm_csv_splitter *splitter, calm_csv_record *record, unsigned flags)
{
    splitter->scratch.len = 0;
    if (flags & CALM__CSV_TOO_MANY) {
        fail_record(record, CALM_ELIMIT,
            calm__csv_keep_cause(splitter, "line %llu: more than %zu fields",
                (unsigned long long)record->line, splitter->opts.columns_max));
        return 0;
    }
    if (record->len > splitter->opts.record_max &&
        is_beyond_bounds(splitter, record))
        return 0;
    size_t valid = record->len;
    if ((flags & CALM__CSV_HIGH) &&
        splitter->opts.invalid_utf8 != CALM_CSV_UTF8_PASS)
        valid = calm__csv_utf8_valid(record->text, record->len);
    if (flags & CALM__CSV_QUOTES) {
        int rc = unquote(splitter, record, flags);
        if (rc != 0)
            return rc < 0 ? rc : 0;
    }
    if (record->len > splitter->opts.field_max &&
        is_beyond_bounds(splitter, record))
        return 0;
    return valid < record->len ? mend_utf8(splitter, record, valid) : 0;
}

/* Brings a record to the right number of fields. Returns whether it is to be
 * left out. */
static bool is_left_out(calm_csv_splitter *splitter, calm_csv_record *record)
{
    if (splitter->opts.ragged == CALM_CSV_RAGGED_SKIP)
        return true;
    if (splitter->opts.ragged == CALM_CSV_RAGGED_PAD &&
        record->count < splitter->expected) {
        while (splitter->capacity < splitter->expected)
            if (!grow_fields(splitter))
                break;
        record->fields = splitter->fields;
        while (record->count < splitter->expected &&
               record->count < splitter->capacity)
            splitter->fields[record->count++] = (calm_csv_field){"", 0, false};
        if (record->count == splitter->expected)
            return false;
    }
    size_t count = record->count;
    fail_record(record, CALM_EFORMAT,
        calm__csv_keep_cause(splitter, "line %llu: %zu field%s instead of %zu",
            (unsigned long long)record->line, count, count == 1 ? "" : "s",
            splitter->expected));
    return false;
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
            int rc = look_again(splitter, ret_record, flags);
            if (rc < 0)
                return rc;
            if (ret_record->status < 0)
                return 1;
        }
        if (splitter->expected == 0)
            splitter->expected = (size_t)count;
        if (__builtin_expect((size_t)count != splitter->expected, 0) &&
            is_left_out(splitter, ret_record))
            continue;
        return 1;
    }
    return 0;
}
