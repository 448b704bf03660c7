/* ml/dataset.h - a file of rows: cut into blocks, then read by column
 *
 * One task cuts (calm__dataset_next); the blocks go to other threads, each
 * with a reader of its own (calm__rows). What a format must offer stands in a
 * table, so that what follows does not know CSV from JSON Lines.
 */
#ifndef CALM_ML_DATASET_H
#define CALM_ML_DATASET_H

#include <calm/csv.h>
#include <calm/file.h>
#include <calm/task.h>

#include <stdatomic.h>

/* Bytes that were read, shared by the blocks that were cut from them. Counted
 * on the loop's thread alone. */
struct calm__chunk {
    struct calm__chunk *next; /* among the spare ones */
    int references;
    size_t len, capacity;
    char *data; /* on a page of its own */
};

/* Which columns are asked for, by name. The names are the chooser's. */
struct calm__choice {
    const char *const *features; /* in the order of the matrix */
    size_t feature_count;
    const char *const *cells; /* further ones, as text */
    size_t cell_count;
    bool text; /* also rows as they stand, by calm__rows_text(), and rows
                * without any cell are counted */
    const char *const *missing; /* texts that mean no value, ends with NULL */
};

struct calm__row {
    uint64_t row; /* of the data, from 0: the header is none */
    uint64_t line;
    int status;
    const char *cause; /* the reader's until its next block */
    int attempts;      /* to predict it; 0 when it could not be read */
    int http_status;   /* of the last answer to it, or 0 */
    size_t out_end;    /* where its text ends in the output of its batch */
};

/* A field as text, the reader's until its next row. */
struct calm__cell {
    const char *text;
    size_t len;
    bool json;   /* the text is JSON as it stands and not a string */
    bool absent; /* there is no such member, or null */
};

/* The number that a cell is; 1 and 0 for true and false of JSON; NaN when it is
 * none. */
double calm__cell_number(const struct calm__cell *cell);

struct calm__dataset;
struct calm__rows;

struct calm__dataset_opts {
    const char *path; /* "-" is standard input */
    calm_csv_opts csv;
};

/* Opens the input and reads its head. Suspends. Returns 0, an errno,
 * CALM_EFORMAT or CALM_ELIMIT with a sentence that names the input. */
int calm__dataset_open(
    const struct calm__dataset_opts *opts, struct calm__dataset **ret_dataset);
void calm__dataset_close(struct calm__dataset *dataset);

/* The columns of the header, or the members of the first row. */
size_t calm__dataset_columns(const struct calm__dataset *dataset);
const char *calm__dataset_column(
    const struct calm__dataset *dataset, size_t column);
bool calm__dataset_has(const struct calm__dataset *dataset, const char *name);

/* Says what readers shall give; once, before the first reader. Returns 0, or
 * -EINVAL with a sentence that names the column that is not there. */
int calm__dataset_choose(
    struct calm__dataset *dataset, const struct calm__choice *choice);

/* The next block, of at most ROWS_MAX rows, and the chunk that it lies in, of
 * which the caller now holds a reference. Suspends. Returns 1, 0 at the end,
 * or an error for good. */
int calm__dataset_next(struct calm__dataset *dataset, size_t rows_max,
    calm_csv_block *ret_block, struct calm__chunk **ret_chunk);
void calm__chunk_release(
    struct calm__dataset *dataset, struct calm__chunk *chunk);

/* Bytes read so far, and in all if that is known, else 0. */
uint64_t calm__dataset_position(const struct calm__dataset *dataset);
uint64_t calm__dataset_size(const struct calm__dataset *dataset);

/* Whether rows are lines of JSON, and not records of CSV. */
bool calm__dataset_is_json(const struct calm__dataset *dataset);

/* Whether the next row is there when it is wanted, as in a file, and not when
 * somebody has written it. */
bool calm__dataset_is_file(const struct calm__dataset *dataset);

/* The file that is read, to be looked at. */
calm_file *calm__dataset_file(const struct calm__dataset *dataset);

/* A reader, for one thread at a time; NULL without memory. */
struct calm__rows *calm__rows_new(const struct calm__dataset *dataset);
void calm__rows_free(struct calm__rows *rows);

/* All rows of a block: their features into VALUES (NaN where there is none)
 * and their fate into ROWS, both with room for block->rows. Returns how many,
 * fewer where rows are skipped, or -ENOMEM. */
int calm__rows_floats(struct calm__rows *rows, const calm_csv_block *block,
    float *values, struct calm__row *ret_rows);

/* Goes through a block for the cells, before or after the floats: begin, then
 * one call for each row. CELLS has room for all that were chosen; those of a
 * row that cannot be read at all are absent. RET_ROW, which may be NULL, gets
 * the row's place and whether it can be read. Returns 1, 0 at the end of the
 * block, or -ENOMEM. Where neither cells nor texts were chosen it does
 * nothing, and there is no end. */
void calm__rows_cells_begin(
    struct calm__rows *rows, const calm_csv_block *block);
int calm__rows_cells_next(struct calm__rows *rows, struct calm__cell *cells,
    struct calm__row *ret_row);

/* The row of the last calm__rows_cells_next() as it stands in the input, a
 * record of CSV with its quotes or a line of JSON, without its line end; also
 * of a row that cannot be read. It lies in the block. */
const char *calm__rows_text(const struct calm__rows *rows, size_t *ret_len);

#endif
