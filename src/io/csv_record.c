/* csv_record.c - the second look at a record that is not plain
 *
 * Here quotes are taken off and doubled ones out, text that is not UTF-8 is
 * refused or mended, and bounds and counts are kept. A text stays where it is
 * in the block unless its bytes change; then it is put into the splitter's
 * scratch, where there is room for all texts of a record before the first of
 * them comes, since the fields point there.
 */
#include "io/csv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct calm__csv_cause {
    struct calm__csv_cause *next;
    char text[];
};

/* ---- causes -------------------------------------------------------------- */

void calm__csv_drop_causes(calm_csv_splitter *splitter)
{
    while (splitter->causes) {
        struct calm__csv_cause *next = splitter->causes->next;
        free(splitter->causes);
        splitter->causes = next;
    }
}

const char *calm__csv_keep_cause(
    calm_csv_splitter *splitter, const char *format, ...)
{
    char text[CALM_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = strlen(text) + 1;
    struct calm__csv_cause *cause = malloc(sizeof *cause + size);
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

/* ---- quotes -------------------------------------------------------------- */

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

int calm__csv_look_again(
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

bool calm__csv_is_left_out(calm_csv_splitter *splitter, calm_csv_record *record)
{
    if (splitter->opts.ragged == CALM_CSV_RAGGED_SKIP)
        return true;
    if (splitter->opts.ragged == CALM_CSV_RAGGED_PAD &&
        record->count < splitter->expected) {
        while (splitter->capacity < splitter->expected)
            if (!calm__csv_grow_fields(splitter))
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
