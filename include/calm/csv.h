/* calm/csv.h - CSV in and out
 *
 * A small file is read at once, its first row naming the columns:
 *
 *     calm_csv_table *table;
 *     int rc = calm_csv_table_parse(text, len, NULL, &table);
 *     for (size_t row = 0; rc == 0 && row < calm_csv_table_rows(table); row++)
 *         puts(calm_csv_table_get(table, row, "label"));
 *     calm_csv_table_free(table);
 *
 * A large one streams in two steps, so that several threads can share the
 * work. One thread only CUTS what it reads into blocks of whole records, at
 * several GB/s; others SPLIT the blocks into fields, or right into floats:
 *
 *        read()        cut                 split, any thread
 *     ~~~~~~~~~~ -> [row row row] -> fields {text, len} or a float matrix
 *                   [row row ...     what is not yet whole waits for more
 *
 * What comes out does not depend on where the input was broken into pieces.
 *
 * The format is RFC 4180: fields between separators, records ended by LF or
 * CRLF (the last one may lack it), fields in double quotes where they contain
 * any of these, "" for a quote in quotes. Beyond it: a UTF-8 byte order mark
 * is skipped, UTF-16 is refused by name, empty lines are skipped, a CR not
 * before a LF or the end is data, a quote inside an unquoted field is data,
 * and NUL is data. Lines, and columns in a line, are counted from 1 (columns
 * in bytes), rows from 0 and with the header; an empty line is not a row.
 *
 * A row that breaks the rules (text behind a closing quote, invalid UTF-8,
 * another number of fields, a field over the bound) is a row with a status
 * and a cause, and the next row is read as if nothing had happened. Only what
 * cannot be cut ends the reading: a quote that is never closed, a record over
 * the bound, UTF-16.
 *
 * None of this suspends or reads files; tasks and threads may call it alike,
 * one at a time for each object.
 */
#ifndef CALM_CSV_H
#define CALM_CSV_H

#include <calm/bytes.h>
#include <calm/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A field's text is not NUL-terminated. It points into the block, or into the
 * splitter where quotes had to be taken out of it. */
typedef struct calm_csv_field {
    const char *text;
    uint32_t len;
    bool quoted;
} calm_csv_field;

/* One record, the splitter's until its next call. When STATUS is negative
 * CAUSE says why ("line 7: 3 fields instead of 5") and there are no fields. */
typedef struct calm_csv_record {
    const calm_csv_field *fields;
    size_t count;
    uint64_t row;     /* its number in the input, the first record is 0 */
    uint64_t line;    /* the line it begins on */
    const char *text; /* as it stands in the block, without its line end */
    size_t len;
    int status;        /* 0, CALM_EFORMAT or CALM_ELIMIT */
    const char *cause; /* NULL when the status is 0 */
} calm_csv_record;

/* ---- the header ---------------------------------------------------------- */

/* The names of the columns, copied. Any number of threads may read it. */
typedef struct calm_csv_header calm_csv_header;

/* Makes a header of a record, usually the first. Returns 0, -ENOMEM, or the
 * record's status with its cause. The caller frees the header. */
int calm_csv_header_new(
    const calm_csv_record *record, calm_csv_header **ret_header);
void calm_csv_header_free(calm_csv_header *header);

size_t calm_csv_header_count(const calm_csv_header *header);

/* The name of a column, or NULL if there are not so many. */
const char *calm_csv_header_name(const calm_csv_header *header, size_t column);

/* The number of the column with that name. Returns 0, -ENOENT when there is
 * none (the sentence lists those that there are), or CALM_EFORMAT when several
 * have it: a name that occurs twice only matters to whoever asks for it. */
int calm_csv_header_find(
    const calm_csv_header *header, const char *name, size_t *ret_column);

/* ---- options ------------------------------------------------------------- */

enum calm_csv_utf8 {
    CALM_CSV_UTF8_FAIL,    /* the row fails */
    CALM_CSV_UTF8_REPLACE, /* each ill-formed part becomes U+FFFD */
    CALM_CSV_UTF8_PASS,    /* bytes are bytes, nothing is checked */
};

enum calm_csv_ragged {
    CALM_CSV_RAGGED_FAIL, /* the row fails */
    CALM_CSV_RAGGED_PAD,  /* empty fields are added; too many still fail */
    CALM_CSV_RAGGED_SKIP, /* the row is left out; row numbers show the gap */
};

/* What is zero is the default. */
typedef struct calm_csv_opts {
    char separator; /* ','; any ASCII character but quote, CR, LF and NUL */
    enum calm_csv_utf8 invalid_utf8;
    enum calm_csv_ragged ragged;
    size_t field_max;   /* bytes of a field; 1 MiB */
    size_t record_max;  /* bytes of a record; 16 MiB; from 64 to 1 GiB */
    size_t columns_max; /* fields of a record; 4,096 */
    size_t columns;     /* fields each record must have; without it as many as
                         * the header, or the first record of the splitter */
    const calm_csv_header *header; /* names for causes; outlives the splitter */
} calm_csv_opts;

/* ---- cutting ------------------------------------------------------------- */

/* Whole records, ready to be split. It only points at the bytes. */
typedef struct calm_csv_block {
    const char *data;
    size_t len;
    uint64_t line; /* the line it begins on */
    uint64_t row;  /* the number of its first record */
    size_t rows;   /* how many records; 0 for nothing but empty lines */
} calm_csv_block;

/* The caller may set the first two at any time, and read the next two. */
typedef struct calm_csv_cutter {
    size_t rows_max; /* of a block; 0: as many as there are. 1 for a header */
    bool at_end;     /* no bytes follow those of the next call */
    uint64_t line;   /* the line that the next block begins on */
    uint64_t row;    /* the number of the next record */
    /* private */
    char separator;
    bool begun;
    int error;
    size_t record_max, start, scanned, record, rows;
    uint64_t lines, open_lines;
    unsigned state;
} calm_csv_cutter;

/* Makes CUTTER ready for the begin of an input; nothing needs to be freed.
 * Of the options (may be NULL) it uses separator and record_max. Returns 0, or
 * -EINVAL for options out of their range. */
int calm_csv_cutter_init(calm_csv_cutter *cutter, const calm_csv_opts *opts);

/* Cuts the next block off the LEN bytes at DATA. Returns 1 with a block, 0 when
 * no record is whole yet, or when all is cut if AT_END is set, or an error.
 *
 *   after 1: call again with what follows the block, data + len of it;
 *   after 0: call again with the same bytes and more behind them. The bytes
 *            may have moved; those already looked at are not looked at again.
 *
 *     while ((n = read(fd, buffer + len, room - len)) >= 0) {
 *         cutter.at_end = n == 0;
 *         len += n;
 *         const char *rest = buffer, *end = buffer + len;
 *         while ((rc = calm_csv_cut(&cutter, rest, end - rest, &block)) > 0) {
 *             hand on the block
 *             rest = block.data + block.len;
 *         }
 *         begin a new buffer with the bytes from rest to end
 *
 * Errors, for good: CALM_EFORMAT for a quote that is never closed (the
 * sentence names the line and column where it was opened) or UTF-16,
 * CALM_ELIMIT for a record beyond record_max. Good records before the place
 * come out first. Memory: none. */
int calm_csv_cut(calm_csv_cutter *cutter, const char *data, size_t len,
    calm_csv_block *ret_block);

/* ---- splitting ----------------------------------------------------------- */

typedef struct calm_csv_splitter calm_csv_splitter;

/* Makes a splitter, for one thread at a time and any number of blocks. OPTS
 * may be NULL. Returns 0, -ENOMEM, or -EINVAL for options out of their range.
 * The caller frees it. */
int calm_csv_splitter_new(
    const calm_csv_opts *opts, calm_csv_splitter **ret_splitter);
void calm_csv_splitter_free(calm_csv_splitter *splitter);

/* Begins with a block, whose bytes must stay until the splitter is done with
 * it. What was left of the block before is dropped. */
void calm_csv_split(calm_csv_splitter *splitter, const calm_csv_block *block);

/* The next record. Returns 1 with a record, which may be a failed one; 0 at the
 * end of the block; or -ENOMEM. */
int calm_csv_next(calm_csv_splitter *splitter, calm_csv_record *ret_record);

/* Which columns become floats, and which texts mean that there is no value. */
typedef struct calm_csv_floats {
    const size_t *columns; /* in the order of the matrix */
    size_t count;
    const char *const *missing; /* ends with NULL; without it: NA, N/A, n/a,
                                 * #N/A, <NA>, NULL, null, None */
} calm_csv_floats;

/* What became of a row. A row with a cause has NaN in all of its values. The
 * text is the block's; the cause is the splitter's until its next block. To
 * see other fields of it, split its text as a block of one row. */
typedef struct calm_csv_row {
    uint64_t row;
    uint64_t line;
    const char *text; /* as it stands in the block, without its line end */
    size_t len;
    int status;        /* 0, CALM_EFORMAT or CALM_ELIMIT */
    const char *cause; /* "line 7, column 'age': 'x1' is not a number" */
} calm_csv_row;

/* Turns the next records of the block, MAX at most, into floats: values[i *
 * floats->count + j] is column floats->columns[j] of the record of rows[i].
 * Empty fields, fields of spaces and missing texts are NaN; a text that is not
 * a number makes the row fail. Returns the number of rows, failed ones
 * included, 0 at the end of the block, or -ENOMEM. */
int calm_csv_next_floats(calm_csv_splitter *splitter,
    const calm_csv_floats *floats, float *values, calm_csv_row *rows,
    size_t max);

/* ---- a table ------------------------------------------------------------- */

/* A whole small file in memory. */
typedef struct calm_csv_table calm_csv_table;

/* Reads LEN bytes of text; the first row is the header. Copies what it keeps,
 * so the text may go. The first row that fails ends it: returns 0,
 * CALM_EFORMAT, CALM_ELIMIT, -EINVAL for the options (may be NULL), or -ENOMEM.
 * The caller frees the table, which frees every text of it. */
int calm_csv_table_parse(const char *text, size_t len,
    const calm_csv_opts *opts, calm_csv_table **ret_table);
void calm_csv_table_free(calm_csv_table *table);

/* The rows, without the header, and the header. */
size_t calm_csv_table_rows(const calm_csv_table *table);
const calm_csv_header *calm_csv_table_header(const calm_csv_table *table);

/* The text of a cell, NUL-terminated, by the name of its column; by its number
 * with the length too (ret_len may be NULL). NULL when there is no such cell:
 * the first sets the error slot to the reason. */
const char *calm_csv_table_get(
    const calm_csv_table *table, size_t row, const char *column);
const char *calm_csv_table_cell(
    const calm_csv_table *table, size_t row, size_t column, size_t *ret_len);

/* ---- writing ------------------------------------------------------------- */

/* Writes rows into a buffer of the caller. Begin with {.out = &buffer}. The
 * first failure is kept: later calls do nothing and return it again, so that
 * only the last needs to be looked at.
 *
 *     calm_bytes out = {0};
 *     calm_csv_writer csv = {.out = &out};
 *     calm_csv_put_header(&csv, "sample_id", "prediction", "label", NULL);
 *     for (int i = 0; i < 100; i++) {
 *         calm_csv_put_int(&csv, samples[i].id);
 *         calm_csv_put_double(&csv, samples[i].prediction);
 *         calm_csv_put_text(&csv, samples[i].label);
 *         calm_csv_end_row(&csv);
 *     }
 *     if (csv.error < 0) ...
 */
typedef struct calm_csv_writer {
    calm_bytes *out;
    char separator; /* ',' when 0 */
    bool crlf;      /* ends rows by CRLF instead of LF */
    bool csv_safe;  /* puts a ' before texts that begin with = + - @ TAB or CR,
                     * which spreadsheets would run as formulas */
    size_t columns; /* fields each row must have; 0: as the first row */
    int error;
    /* private */
    bool begun;
    size_t fields, row;
} calm_csv_writer;

/* Put one field into the row. Text is quoted only where it must be. Floats have
 * the fewest digits that read back the same (see calm/number.h); NaN, which is
 * no value, is an empty field. Return 0 or the writer's error: -ENOMEM. */
int calm_csv_put_text(calm_csv_writer *writer, const char *text);
int calm_csv_put_bytes(calm_csv_writer *writer, const void *data, size_t len);
int calm_csv_put_int(calm_csv_writer *writer, int64_t value);
int calm_csv_put_float(calm_csv_writer *writer, float value);
int calm_csv_put_double(calm_csv_writer *writer, double value);

/* COUNT fields in one call. */
int calm_csv_put_floats(
    calm_csv_writer *writer, const float *values, size_t count);

/* Ends the row. Returns 0, or the writer's error: -EINVAL when the row has
 * another number of fields than those before it, or none. */
int calm_csv_end_row(calm_csv_writer *writer);

/* A first row of names, ended by NULL, at the begin of the file. Returns 0, or
 * the writer's error: -EINVAL when there is no name, when a name is empty or
 * occurs twice, or when rows were put before. */
int calm_csv_put_header(calm_csv_writer *writer, const char *name, ...)
    __attribute__((sentinel));
int calm_csv_put_names(
    calm_csv_writer *writer, const char *const *names, size_t count);

#ifdef __cplusplus
}
#endif
#endif
