/* calm/json.h - JSON Lines in, JSON documents in, JSON out
 *
 * A file of JSON Lines, one object on each line, streams like CSV does (see
 * calm/csv.h): one thread CUTS what it reads into blocks of whole lines, at
 * many GB/s; others SPLIT the blocks into the fields that were asked for:
 *
 *        read()        cut                 split, any thread
 *     ~~~~~~~~~~ -> [line line ] -> fields {kind, number, text}
 *                   [line line ...   what is not yet whole waits for more
 *
 *     const char *names[] = {"sepal_length", "species"};
 *     calm_jsonl_reader_new(names, 2, NULL, &reader);
 *     calm_jsonl_split(reader, &block);
 *     while ((rc = calm_jsonl_next(reader, &record)) > 0)
 *         if (record.status == 0)
 *             use record.fields[0].number and record.fields[1].text
 *
 * What comes out does not depend on where the input was broken into pieces.
 *
 * The format is RFC 8259, nothing beyond it: no comments, no NaN, no comma
 * behind the last member. A UTF-8 byte order mark is skipped, UTF-16 is
 * refused by name, lines of nothing but spaces, tabs and CR are skipped.
 * Lines, and columns in a line, are counted from 1 (columns in bytes), rows
 * from 0; an empty line is not a row. Numbers may have any size and number of
 * digits: their text is kept as it stands, so that a 64-bit id is not bent to
 * a double; one too large for a double is infinity.
 *
 * A line that breaks the rules (no object, no JSON, invalid UTF-8, arrays and
 * objects more than 128 deep, a requested name twice) is a row with a status
 * and a cause, and the next line is read as if nothing had happened. Only
 * what cannot be cut ends the reading: a line over the bound, or UTF-16.
 *
 * None of this suspends or reads files; tasks and threads may call it alike,
 * one at a time for each object. The documents and the writer come below.
 */
#ifndef CALM_JSON_H
#define CALM_JSON_H

#include <calm/bytes.h>
#include <calm/csv.h>
#include <calm/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Arrays and objects in each other, in what is read and what is written. */
#define CALM_JSON_DEPTH_MAX 128

enum calm_json_kind {
    CALM_JSON_MISSING, /* there is no such member */
    CALM_JSON_NULL,
    CALM_JSON_BOOL,
    CALM_JSON_NUMBER,
    CALM_JSON_STRING,
    CALM_JSON_ARRAY,
    CALM_JSON_OBJECT,
};

/* "a number", "an array", "missing": for messages. */
const char *calm_json_kind_name(enum calm_json_kind kind);

/* ---- JSON Lines: cutting ------------------------------------------------- */

/* The caller may set the first two at any time, and read the next two. */
typedef struct calm_jsonl_cutter {
    size_t rows_max; /* of a block; 0: as many as there are */
    bool at_end;     /* no bytes follow those of the next call */
    uint64_t line;   /* the line that the next block begins on */
    uint64_t row;    /* the number of the next row */
    /* private */
    size_t record_max;
    bool begun;
    int error;
    size_t start, scanned, record, rows;
    uint64_t lines;
} calm_jsonl_cutter;

/* What is zero is the default. */
typedef struct calm_jsonl_opts {
    size_t record_max; /* bytes of a line; 16 MiB; from 64 to 1 GiB */
} calm_jsonl_opts;

/* Makes CUTTER ready for the begin of an input; nothing needs to be freed.
 * OPTS may be NULL. Returns 0, or -EINVAL for options out of their range. */
int calm_jsonl_cutter_init(
    calm_jsonl_cutter *cutter, const calm_jsonl_opts *opts);

/* Cuts the next block of whole lines off the LEN bytes at DATA, just as
 * calm_csv_cut() does, whose comment has the loop around it. Returns 1 with a
 * block, 0 when no line is whole yet, or when all is cut if AT_END is set, or
 * an error. The last line may lack its end.
 *
 *   after 1: call again with what follows the block, data + len of it;
 *   after 0: call again with the same bytes and more behind them. The bytes
 *            may have moved; those already looked at are not looked at again.
 *
 * Errors, for good: CALM_EFORMAT for UTF-16, CALM_ELIMIT for a line beyond
 * record_max. Good rows before the place come out first. Memory: none. */
int calm_jsonl_cut(calm_jsonl_cutter *cutter, const char *data, size_t len,
    calm_csv_block *ret_block);

/* ---- JSON Lines: reading ------------------------------------------------- */

/* The value of a member. TEXT has no NUL behind it and is the block's or the
 * reader's until the next call: a string with its escapes undone, and of all
 * others what stands in the line ("12345678901234567890", "[1, 2]", "true").
 * NUMBER is a number's value, 1 and 0 for true and false, else NaN. A missing
 * member has an empty text. */
typedef struct calm_json_field {
    enum calm_json_kind kind;
    double number;
    const char *text;
    size_t len;
} calm_json_field;

/* One row, the reader's until its next call. When STATUS is negative CAUSE
 * says why ("line 7, column 12: a comma or '}' is missing") and there are no
 * fields. */
typedef struct calm_json_record {
    const calm_json_field *fields; /* one for each name, in their order */
    uint64_t row;                  /* its number in the input, the first is 0 */
    uint64_t line;                 /* the line it stands on */
    const char *text; /* as it stands in the block, without its line end */
    size_t len;
    int status;        /* 0, CALM_EFORMAT or CALM_ELIMIT */
    const char *cause; /* NULL when the status is 0 */
} calm_json_record;

typedef struct calm_jsonl_reader calm_jsonl_reader;

/* Makes a reader for the members of these COUNT names (copied; 0 to have the
 * lines checked and no more), for one thread at a time and any number of
 * blocks. A name may be asked for more than once. OPTS may be NULL. Returns 0,
 * -ENOMEM, or -EINVAL for options out of their range. The caller frees it. */
int calm_jsonl_reader_new(const char *const *names, size_t count,
    const calm_jsonl_opts *opts, calm_jsonl_reader **ret_reader);
void calm_jsonl_reader_free(calm_jsonl_reader *reader);

/* Begins with a block, whose bytes must stay until the reader is done with it.
 * What was left of the block before is dropped. */
void calm_jsonl_split(calm_jsonl_reader *reader, const calm_csv_block *block);

/* The next row. Returns 1 with a record, which may be a failed one; 0 at the
 * end of the block; or -ENOMEM. */
int calm_jsonl_next(calm_jsonl_reader *reader, calm_json_record *ret_record);

/* A member of an object: what the columns of a file may be. */
typedef struct calm_json_member {
    const char *name; /* unescaped, with a NUL behind it */
    enum calm_json_kind kind;
} calm_json_member;

/* The members of the first row of BLOCK, in their order; a name that occurs
 * twice is there twice. Returns 0 with an array that the caller frees by
 * free(), names and all; or -ENOENT for a block without rows, the status and
 * cause of a row that fails, or -ENOMEM. */
int calm_jsonl_names(const calm_csv_block *block,
    calm_json_member **ret_members, size_t *ret_count);

/* ---- documents ----------------------------------------------------------- */

/* A whole document in memory, immutable: any number of threads may read it.
 *
 *     calm_json_doc *doc;
 *     int rc = calm_json_parse(body.data, body.len, NULL, &doc);
 *     if (rc < 0)
 *         return calm_while(rc, "the answer of %s", url);
 *     const calm_json_value *rows = calm_json_get(calm_json_root(doc), "rows");
 *     for (size_t i = 0; i < calm_json_count(rows); i++)
 *         sum += calm_json_number(calm_json_get(calm_json_at(rows, i), "y"));
 *     calm_json_free(doc);
 *
 * A value is the document's. NULL is a value that is missing and may be handed
 * to all of these calls, so that a path needs one check, at its end. */
typedef struct calm_json_doc calm_json_doc;
typedef struct calm_json_value calm_json_value;

/* What is zero is the default. */
typedef struct calm_json_opts {
    size_t size_max; /* bytes of text; 16 MiB; up to 1 GiB */
} calm_json_opts;

/* Reads LEN bytes as one JSON value; copies them. A byte order mark at the
 * begin is skipped. OPTS may be NULL. Returns 0, CALM_EFORMAT with a sentence
 * ("line 2, column 5: ..."), CALM_ELIMIT for the depth or the size, -EINVAL for
 * the options, or -ENOMEM. The caller frees the document. */
int calm_json_parse(const char *text, size_t len, const calm_json_opts *opts,
    calm_json_doc **ret_doc);
void calm_json_free(calm_json_doc *doc);

/* Only looks whether the text is one JSON value: what goes on as it came.
 * Returns as calm_json_parse() does. */
int calm_json_check(const char *text, size_t len, const calm_json_opts *opts);

const calm_json_value *calm_json_root(const calm_json_doc *doc);

/* CALM_JSON_MISSING for NULL. */
enum calm_json_kind calm_json_kind_of(const calm_json_value *value);

/* The member of that name, of several the last, as Python and JavaScript have
 * it; NULL if VALUE has none or is no object. Takes time with the members. */
const calm_json_value *calm_json_get(
    const calm_json_value *value, const char *name);

/* How many elements or members VALUE has; 0 for what is neither array nor
 * object. Takes no time. */
size_t calm_json_count(const calm_json_value *value);

/* Element or member number INDEX, from 0, and NULL beyond. Takes time with the
 * index; to see all, walk: the first, and the next of each until NULL. */
const calm_json_value *calm_json_at(const calm_json_value *value, size_t index);
const calm_json_value *calm_json_first(const calm_json_value *value);
const calm_json_value *calm_json_next(const calm_json_value *value);

/* The name of a value that is a member; else NULL. */
const char *calm_json_name(const calm_json_value *value);

/* The text of a string, unescaped, with a NUL behind it, else NULL. A string
 * may hold NULs, so the length matters (RET_LEN may be NULL). */
const char *calm_json_text(const calm_json_value *value, size_t *ret_len);

/* The value of a number, 1 and 0 for true and false, else NaN. */
double calm_json_number(const calm_json_value *value);

/* Whether it is true: false for all else. */
bool calm_json_true(const calm_json_value *value);

/* A number that is whole and fits. Returns 0, -ERANGE, or CALM_EFORMAT for
 * all else. 7.0 and 7e2 are whole, too. */
int calm_json_int64(const calm_json_value *value, int64_t *ret_value);

/* The value as it stands in the document, quotes, escapes and all: what to
 * hand on verbatim. No NUL; "" for a missing value. */
const char *calm_json_raw(const calm_json_value *value, size_t *ret_len);

/* ---- writing ------------------------------------------------------------- */

/* Writes JSON, on one line, into a buffer of the caller. Begin with
 * {.out = &buffer}. The first failure is kept: later calls do nothing and
 * return it again, so that only the last needs to be looked at.
 *
 *     calm_bytes out = {0};
 *     calm_json_writer json = {.out = &out};
 *     calm_json_begin_object(&json);
 *     calm_json_put_key(&json, "samples");
 *     calm_json_put_floats(&json, row, count);
 *     calm_json_end_object(&json);
 *     calm_json_end_line(&json);
 *     if (json.error < 0) ...                  {"samples":[5.1,3.5]}
 *
 * Each returns 0 or the writer's error: -ENOMEM, or -EINVAL for calls in an
 * order that is no JSON: a member without a key, an end without its begin, a
 * second value on a line, more than CALM_JSON_DEPTH_MAX in each other. */
typedef struct calm_json_writer {
    calm_bytes *out;
    int error;
    /* private */
    int depth;
    bool key, more;
    uint64_t objects[CALM_JSON_DEPTH_MAX / 64];
} calm_json_writer;

int calm_json_begin_object(calm_json_writer *writer);
int calm_json_end_object(calm_json_writer *writer);
int calm_json_begin_array(calm_json_writer *writer);
int calm_json_end_array(calm_json_writer *writer);

/* The name of the member whose value comes next. */
int calm_json_put_key(calm_json_writer *writer, const char *name);

/* A string, up to its NUL or of LEN bytes, escaped where it must be. What is
 * not UTF-8 becomes U+FFFD. */
int calm_json_put_text(calm_json_writer *writer, const char *text);
int calm_json_put_bytes(calm_json_writer *writer, const void *data, size_t len);

/* Numbers have the fewest digits that read back the same (calm/number.h); NaN
 * and infinity, for which JSON has no words, are null. */
int calm_json_put_int(calm_json_writer *writer, int64_t value);
int calm_json_put_uint(calm_json_writer *writer, uint64_t value);
int calm_json_put_float(calm_json_writer *writer, float value);
int calm_json_put_double(calm_json_writer *writer, double value);
int calm_json_put_bool(calm_json_writer *writer, bool value);
int calm_json_put_null(calm_json_writer *writer);

/* An array of COUNT floats, in one call. */
int calm_json_put_floats(
    calm_json_writer *writer, const float *values, size_t count);

/* An array of ROWS arrays of COLUMNS floats each, which lie in a row. */
int calm_json_put_matrix(
    calm_json_writer *writer, const float *values, size_t rows, size_t columns);

/* Text that is JSON already and goes out as it is: calm_json_raw(), or the
 * text of a field that is no string. */
int calm_json_put_raw(calm_json_writer *writer, const char *json, size_t len);

/* Ends the line; -EINVAL when something on it is still open, or nothing was
 * put. The same writer then begins the next. */
int calm_json_end_line(calm_json_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
