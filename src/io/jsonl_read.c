/* jsonl_read.c - a block of lines to the members that were asked for
 *
 * The lines are indexed many at a time, as much as stays in the cache until
 * it is read: a call of simdjson for each line would cost more than its work.
 * Where one of many lines has a string that is not closed, or is not UTF-8,
 * the index of all is worth nothing; then these lines are indexed one by one,
 * so that the bad one fails alone.
 *
 *     block   |.......|line|line|line|line|.....................|
 *              done    ^    ^ text    batch_end
 *                      batch
 *
 * Members mostly come in the order of the line before, so the next name to
 * come is guessed; a table of hashes knows the others.
 */
#include "io/json.h"

#include "base/fault.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BATCH ((size_t)64 * 1024)

struct name {
    const char *text;
    size_t len;
    size_t first; /* of the names that are equal; mostly its own number */
};

struct calm_jsonl_reader {
    struct calm__json_index *index;
    size_t record_max;
    struct name *names;
    size_t count;
    uint32_t *table; /* of names, by hash; a name's number plus 1 */
    size_t mask;
    bool repeats; /* a name is asked for more than once */
    calm_json_field *fields;
    char *memory; /* of the names' texts */

    /* The block, from what is next on. */
    const char *text, *end;
    uint64_t row, line;

    /* The lines that are indexed; PLACE is the first token that is left. */
    const char *batch, *batch_end, *alone_until;
    const uint32_t *place;
    bool escapes;

    size_t guess;
    calm_bytes strings; /* without escapes, of one record */
    calm_bytes cause;
};

/* ---- names --------------------------------------------------------------- */

static inline uint64_t load(const char *text, size_t len)
{
    uint64_t value = 0;
    memcpy(&value, text, len);
    return value;
}

/* Names are the caller's, so nobody gains by making them collide. */
static inline size_t hash_of(const char *text, size_t len)
{
    uint64_t head, tail;
    if (len >= 8) {
        head = load(text, 8);
        tail = load(text + len - 8, 8);
    } else {
        head = load(text, len);
        tail = 0;
    }
    uint64_t hash = (head ^ len * 0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd;
    hash = (hash ^ tail ^ hash >> 32) * 0xc4ceb9fe1a85ec53;
    return hash >> 32;
}

static inline bool is_name(
    const struct name *name, const char *text, size_t len)
{
    return name->len == len && memcmp(name->text, text, len) == 0;
}

/* The number of the name, or COUNT. */
static size_t find_name(
    const calm_jsonl_reader *reader, const char *text, size_t len)
{
    if (reader->count == 0)
        return 0;
    size_t at = hash_of(text, len) & reader->mask;
    for (; reader->table[at]; at = (at + 1) & reader->mask)
        if (is_name(&reader->names[reader->table[at] - 1], text, len))
            return reader->table[at] - 1;
    return reader->count;
}

static void add_name(calm_jsonl_reader *reader, size_t number)
{
    struct name *name = &reader->names[number];
    size_t known = find_name(reader, name->text, name->len);
    name->first = known < reader->count ? known : number;
    if (known < reader->count) {
        reader->repeats = true;
        return;
    }
    size_t at = hash_of(name->text, name->len) & reader->mask;
    while (reader->table[at])
        at = (at + 1) & reader->mask;
    reader->table[at] = (uint32_t)number + 1;
}

static bool reserve_names(calm_jsonl_reader *reader, size_t texts)
{
    size_t slots = 4;
    while (slots < 2 * reader->count)
        slots *= 2;
    reader->mask = slots - 1;
    reader->names = calm__alloc((reader->count + 1) * sizeof *reader->names);
    reader->fields = calm__alloc((reader->count + 1) * sizeof *reader->fields);
    reader->table = calm__alloc(slots * sizeof *reader->table);
    reader->memory = calm__alloc(texts + 1);
    reader->index = calm__json_index_new();
    if (!reader->names || !reader->fields || !reader->table ||
        !reader->memory || !reader->index)
        return false;
    memset(reader->table, 0, slots * sizeof *reader->table);
    return true;
}

static int set_names(calm_jsonl_reader *reader, const char *const *names)
{
    size_t texts = 0;
    for (size_t i = 0; i < reader->count; i++)
        texts += strlen(names[i]) + 1;
    if (!reserve_names(reader, texts))
        return calm_fail(-ENOMEM, "no memory for a reader of JSON Lines");
    char *to = reader->memory;
    for (size_t i = 0; i < reader->count; i++) {
        size_t len = strlen(names[i]);
        memcpy(to, names[i], len + 1);
        reader->names[i] = (struct name){.text = to, .len = len};
        to += len + 1;
        add_name(reader, i);
    }
    return 0;
}

int calm_jsonl_reader_new(const char *const *names, size_t count,
    const calm_jsonl_opts *opts, calm_jsonl_reader **ret_reader)
{
    calm_jsonl_opts filled;
    int rc = calm__jsonl_opts_fill(opts, &filled);
    if (rc < 0)
        return rc;
    if (count > UINT32_MAX / 4)
        return calm_fail(-EINVAL, "%zu names are too many", count);
    calm_jsonl_reader *reader = calm__alloc(sizeof *reader);
    if (!reader)
        return calm_fail(-ENOMEM, "no memory for a reader of JSON Lines");
    *reader =
        (calm_jsonl_reader){.record_max = filled.record_max, .count = count};
    rc = set_names(reader, names);
    if (rc < 0)
        calm_jsonl_reader_free(reader);
    else
        *ret_reader = reader;
    return rc;
}

void calm_jsonl_reader_free(calm_jsonl_reader *reader)
{
    if (!reader)
        return;
    calm__json_index_free(reader->index);
    calm_bytes_clear(&reader->strings);
    calm_bytes_clear(&reader->cause);
    free(reader->names);
    free(reader->fields);
    free(reader->table);
    free(reader->memory);
    free(reader);
}

/* ---- lines --------------------------------------------------------------- */

void calm_jsonl_split(calm_jsonl_reader *reader, const calm_csv_block *block)
{
    reader->text = block->data;
    reader->end = block->data + block->len;
    reader->row = block->row;
    reader->line = block->line;
    reader->batch = reader->batch_end = reader->alone_until = block->data;
}

/* Where the line at TEXT ends: its newline, or the end of the block. */
static const char *line_end(const char *text, const char *end)
{
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    return newline ? newline : end;
}

/* The next line that is a row, without its end, and steps behind it. */
static bool next_line(calm_jsonl_reader *reader, calm_json_record *record)
{
    while (reader->text < reader->end) {
        const char *text = reader->text;
        const char *end = line_end(text, reader->end);
        reader->text = end < reader->end ? end + 1 : end;
        uint64_t line = reader->line++;
        if (calm__jsonl_is_empty(text, (size_t)(end - text)))
            continue;
        bool carriage = end[-1] == '\r';
        *record = (calm_json_record){
            .row = reader->row++,
            .line = line,
            .text = text,
            .len = (size_t)(end - text) - carriage,
        };
        return true;
    }
    return false;
}

/* Lines from TEXT on that are indexed together: whole ones, one at least. */
static const char *choose_batch(
    const calm_jsonl_reader *reader, const calm_json_record *record)
{
    const char *text = record->text;
    if (text < reader->alone_until || (size_t)(reader->text - text) >= BATCH)
        return text + record->len;
    if ((size_t)(reader->end - text) <= BATCH)
        return reader->end;
    const char *newline = memrchr(text, '\n', BATCH);
    return newline ? newline + 1 : text + record->len;
}

/* Sees to it that the line is indexed. Returns 0, -ENOMEM, or CALM_EFORMAT
 * when it cannot be. */
static int index_line(calm_jsonl_reader *reader, const calm_json_record *record)
{
    const char *text = record->text;
    if (text < reader->batch_end)
        return 0;
    for (;;) {
        const char *end = choose_batch(reader, record);
        size_t len = (size_t)(end - text), count;
        int rc = calm__json_index_make(
            reader->index, text, len, &reader->place, &count);
        if (rc == 0) {
            reader->batch = text;
            reader->batch_end = end;
            reader->escapes = memchr(text, '\\', len) != NULL;
            return 0;
        }
        if (rc != CALM_EFORMAT || end <= reader->text)
            return rc;
        reader->alone_until = end;
    }
}

/* ---- causes -------------------------------------------------------------- */

/* "line 7, column 12: ..."; the problem's place counts from the line. */
static void fail_line(calm_jsonl_reader *reader, calm_json_record *record,
    struct calm__json_problem problem)
{
    char buffer[CALM__JSON_MESSAGE];
    calm__json_settle(&problem, record->text, record->len);
    calm__json_describe(&problem, record->text, buffer, sizeof buffer);
    calm_bytes_reset(&reader->cause);
    int rc = calm_bytes_printf(&reader->cause, "line %llu, column %zu: %s",
        (unsigned long long)record->line, problem.at + 1, buffer);
    record->status = problem.status;
    record->cause = rc == 0 ? calm_bytes_text(&reader->cause) : problem.what;
}

/* ---- members ------------------------------------------------------------- */

/* A text without its escapes, the reader's until the next record; there is
 * room, see begin_strings(). */
static void undo_escapes(
    calm_jsonl_reader *reader, const char **text, size_t *len)
{
    if (!reader->escapes || !memchr(*text, '\\', *len))
        return;
    char *to = reader->strings.data + reader->strings.len;
    *len = calm__json_unescape(*text, *len, to);
    *text = to;
    reader->strings.len += *len;
}

/* Room for all strings of a line, which do not move then. */
static int begin_strings(
    calm_jsonl_reader *reader, const calm_json_record *record)
{
    if (!reader->escapes)
        return 0;
    calm_bytes_reset(&reader->strings);
    return calm_bytes_reserve(&reader->strings, record->len);
}

/* Which of the names this is; COUNT for none. */
static inline size_t name_number(
    calm_jsonl_reader *reader, const char *text, size_t len)
{
    size_t guess = reader->guess;
    if (guess >= reader->count)
        guess = 0;
    size_t number = guess;
    if (reader->repeats || guess == reader->count ||
        !is_name(&reader->names[guess], text, len)) {
        undo_escapes(reader, &text, &len);
        number = find_name(reader, text, len);
    }
    if (number < reader->count)
        reader->guess = number + 1;
    return number;
}

static bool refuse_twice(
    struct calm__json_walk *walk, const struct calm__json_token *name)
{
    walk->problem = (struct calm__json_problem){
        .status = CALM_EFORMAT,
        .what = "is there twice",
        .at = (size_t)(name->text - walk->text),
        .word = name->len,
    };
    return false;
}

static bool take_member(calm_jsonl_reader *reader, struct calm__json_walk *walk)
{
    struct calm__json_token name, value;
    if (calm__json_peek(walk) != '"')
        return calm__json_refuse(walk, "a name in quotes is missing");
    if (!calm__json_take_string(walk, &name))
        return false;
    if (calm__json_peek(walk) != ':')
        return calm__json_refuse(walk, "a ':' is missing behind a name");
    walk->place++;
    if (!calm__json_take_value(walk, 1, &value))
        return false;
    size_t number = name_number(reader, name.text, name.len);
    if (number == reader->count)
        return true;
    calm_json_field *field = &reader->fields[number];
    if (field->kind != CALM_JSON_MISSING)
        return refuse_twice(walk, &name);
    if (value.kind == CALM_JSON_STRING)
        undo_escapes(reader, &value.text, &value.len);
    *field = (calm_json_field){
        .kind = value.kind,
        .number = value.number,
        .text = value.text,
        .len = value.len,
    };
    return true;
}

/* An object, and nothing but one, on a line. */
static bool take_line(calm_jsonl_reader *reader, struct calm__json_walk *walk)
{
    if (calm__json_peek(walk) != '{')
        return calm__json_refuse(walk, "the line is not an object");
    walk->place++;
    if (calm__json_peek(walk) == '}') {
        walk->place++;
    } else {
        for (;;) {
            if (!take_member(reader, walk))
                return false;
            char next = calm__json_peek(walk);
            if (next != ',' && next != '}')
                return calm__json_refuse(walk, "a ',' or '}' is missing");
            walk->place++;
            if (next == '}')
                break;
        }
    }
    if (calm__json_has_token(walk))
        return calm__json_refuse(walk, "there is more behind the object");
    return true;
}

static void clear_fields(calm_jsonl_reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        reader->fields[i] = (calm_json_field){
            .kind = CALM_JSON_MISSING, .number = NAN, .text = ""};
    reader->guess = 0;
}

static void copy_repeated(calm_jsonl_reader *reader)
{
    for (size_t i = 0; i < reader->count; i++)
        reader->fields[i] = reader->fields[reader->names[i].first];
}

static void read_line(calm_jsonl_reader *reader, calm_json_record *record)
{
    /* A line before, that failed, may have left tokens. */
    uint32_t start = (uint32_t)(record->text - reader->batch);
    while (*reader->place < start)
        reader->place++;
    struct calm__json_walk walk = {
        .text = reader->batch,
        .place = reader->place,
        .limit = (uint32_t)(record->text + record->len - reader->batch),
        .escapes = reader->escapes,
    };
    clear_fields(reader);
    if (take_line(reader, &walk)) {
        if (reader->repeats)
            copy_repeated(reader);
        record->fields = reader->fields;
    } else {
        walk.problem.at -= start;
        fail_line(reader, record, walk.problem);
    }
    reader->place = walk.place;
}

int calm_jsonl_next(calm_jsonl_reader *reader, calm_json_record *ret_record)
{
    if (!next_line(reader, ret_record))
        return 0;
    if (ret_record->len > reader->record_max) {
        fail_line(reader, ret_record,
            (struct calm__json_problem){.status = CALM_ELIMIT,
                .what = "the line is longer than it may be"});
        return 1;
    }
    int rc = index_line(reader, ret_record);
    if (rc == CALM_EFORMAT) {
        fail_line(reader, ret_record,
            calm__json_explain(ret_record->text, ret_record->len));
        return 1;
    }
    if (rc == 0)
        rc = begin_strings(reader, ret_record);
    if (rc < 0)
        return calm_fail(rc, "no memory for a line of JSON");
    read_line(reader, ret_record);
    return 1;
}
