/* dataset.c - reads an input in chunks and cuts them into blocks of rows
 *
 * A chunk is a megabyte that is read at once and cut several times; the blocks
 * point into it, and it is used again when the last of them is done, so memory
 * does not grow with the input. Only the tail of a chunk, a row that is not
 * whole yet, is copied to the begin of the next.
 */
#include "ml/format.h"

#include "base/error.h"
#include "base/fault.h"
#include "io/input.h"

#include <calm/number.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHUNK = 1 << 20, ROOM_LEAST = 64 * 1024, PAGE = 4096 };

/* ---- chunks ---- */

static struct calm__chunk *chunk_get(
    struct calm__dataset *dataset, size_t capacity)
{
    struct calm__chunk *chunk = dataset->spare;
    if (chunk && chunk->capacity >= capacity) {
        dataset->spare = chunk->next;
        chunk->references = 1;
        chunk->len = 0;
        return chunk;
    }
    chunk = calm__alloc(sizeof *chunk);
    if (!chunk)
        return NULL;
    *chunk = (struct calm__chunk){.references = 1, .capacity = capacity};
    void *data = NULL;
    if (posix_memalign(&data, PAGE, capacity) != 0) {
        free(chunk);
        return NULL;
    }
    chunk->data = data;
    return chunk;
}

static void chunk_free(struct calm__chunk *chunk)
{
    free(chunk->data);
    free(chunk);
}

void calm__chunk_release(
    struct calm__dataset *dataset, struct calm__chunk *chunk)
{
    if (!chunk || --chunk->references > 0)
        return;
    if (chunk->capacity > CHUNK) { /* made for one long row */
        chunk_free(chunk);
        return;
    }
    chunk->next = dataset->spare;
    dataset->spare = chunk;
}

/* Moves what is not cut yet to a chunk with room for more. */
static int chunk_next(struct calm__dataset *dataset)
{
    struct calm__chunk *old = dataset->chunk;
    size_t rest = old ? old->len - dataset->cut : 0;
    size_t capacity = CHUNK;
    while (capacity < 2 * rest)
        capacity *= 2;
    struct calm__chunk *chunk = chunk_get(dataset, capacity);
    if (!chunk)
        return calm_fail(-ENOMEM, "no memory for %zu bytes of '%s'", capacity,
            dataset->path);
    if (rest > 0)
        memcpy(chunk->data, old->data + dataset->cut, rest);
    chunk->len = rest;
    calm__chunk_release(dataset, old);
    dataset->chunk = chunk;
    dataset->cut = 0;
    return 0;
}

/* Reads more behind what is there: blocks in use lie before it. What a pipe
 * has is taken as it comes, so that rows go on at once. */
static int chunk_fill(struct calm__dataset *dataset)
{
    struct calm__chunk *chunk = dataset->chunk;
    if (!chunk || chunk->capacity - chunk->len < ROOM_LEAST) {
        int rc = chunk_next(dataset);
        if (rc < 0)
            return rc;
        chunk = dataset->chunk;
    }
    ssize_t got = calm_input_read(
        dataset->input, chunk->data + chunk->len, chunk->capacity - chunk->len);
    if (got < 0)
        return (int)got;
    chunk->len += (size_t)got;
    dataset->at_end = got == 0;
    return 0;
}

/* ---- blocks ---- */

static int next_block(
    struct calm__dataset *dataset, size_t rows_max, calm_csv_block *ret_block)
{
    for (;;) {
        struct calm__chunk *chunk = dataset->chunk;
        int rc = 0;
        if (chunk)
            rc = dataset->format->cut(dataset, rows_max, dataset->at_end,
                chunk->data + dataset->cut, chunk->len - dataset->cut,
                ret_block);
        if (rc < 0)
            return calm_while(rc, "'%s'", dataset->path);
        if (rc > 0) {
            dataset->cut =
                (size_t)(ret_block->data + ret_block->len - chunk->data);
            if (ret_block->rows > 0)
                return 1;
            continue;
        }
        if (dataset->at_end)
            return 0;
        rc = chunk_fill(dataset);
        if (rc < 0)
            return rc;
    }
}

int calm__dataset_next(struct calm__dataset *dataset, size_t rows_max,
    calm_csv_block *ret_block, struct calm__chunk **ret_chunk)
{
    int rc = next_block(dataset, rows_max, ret_block);
    if (rc > 0) {
        *ret_chunk = dataset->chunk;
        dataset->chunk->references++;
    }
    return rc;
}

/* ---- open, close ---- */

static bool name_says(const char *path, const char *end)
{
    size_t len = strlen(path), end_len = strlen(end);
    return len >= end_len &&
           strncasecmp(path + len - end_len, end, end_len) == 0;
}

/* By name; what has none, standard input, by its first byte. */
static const struct calm__format *format_of(const struct calm__dataset *dataset)
{
    static const char *const names[] = {".jsonl", ".ndjson", ".jsonl.gz",
        ".ndjson.gz", ".jsonl.zst", ".ndjson.zst"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name_says(dataset->path, names[i]))
            return &calm__format_jsonl;
    const struct calm__chunk *chunk = dataset->chunk;
    bool object = chunk->len > 0 && chunk->data[0] == '{';
    return strcmp(dataset->path, "-") == 0 && object ? &calm__format_jsonl
                                                     : &calm__format_csv;
}

/* A file of CSV has its header even when it has no rows; without, it is the
 * rest of something that went wrong. JSON Lines may be empty, and so may
 * standard input, where nothing says which of the two it is. */
static bool may_be_empty(const struct calm__dataset *dataset)
{
    return !dataset->format->head_is_names || strcmp(dataset->path, "-") == 0;
}

static int read_head(struct calm__dataset *dataset)
{
    int rc = chunk_fill(dataset);
    if (rc < 0)
        return rc;
    dataset->format = format_of(dataset);
    calm_csv_block block;
    rc = next_block(dataset, 1, &block);
    if (rc < 0)
        return rc;
    if (rc == 0) /* empty: no columns and no rows */
        return may_be_empty(dataset)
                   ? 0
                   : calm_fail(-EINVAL,
                         "'%s' is empty: its first row would name the columns",
                         dataset->path);
    if (!dataset->format->head_is_names) {
        dataset->cut = (size_t)(block.data - dataset->chunk->data);
        free(dataset->cutter); /* the row is cut again, as data */
        dataset->cutter = NULL;
    }
    return dataset->format->head(dataset, &block);
}

int calm__dataset_open(
    const struct calm__dataset_opts *opts, struct calm__dataset **ret_dataset)
{
    struct calm__dataset *dataset = calm__alloc(sizeof *dataset);
    if (!dataset)
        return calm_fail(-ENOMEM, "no memory for a dataset");
    *dataset = (struct calm__dataset){.path = opts->path, .csv = opts->csv};
    int rc = calm_input_open(opts->path, &dataset->input);
    if (rc == 0) {
        dataset->is_file = calm_input_size(dataset->input) > 0;
        rc = read_head(dataset);
    }
    if (rc < 0) {
        calm__dataset_close(dataset);
        return rc;
    }
    *ret_dataset = dataset;
    return 0;
}

void calm__dataset_close(struct calm__dataset *dataset)
{
    if (!dataset)
        return;
    calm_input_close(dataset->input);
    calm__chunk_release(dataset, dataset->chunk);
    while (dataset->spare) {
        struct calm__chunk *chunk = dataset->spare;
        dataset->spare = chunk->next;
        chunk_free(chunk);
    }
    for (size_t i = 0; i < dataset->name_count; i++)
        free(dataset->names[i]);
    free(dataset->names);
    calm_csv_header_free(dataset->header);
    free(dataset->feature_columns);
    free(dataset->cell_columns);
    free(dataset->cutter);
    free(dataset);
}

/* ---- columns ---- */

size_t calm__dataset_columns(const struct calm__dataset *dataset)
{
    return dataset->name_count;
}

const char *calm__dataset_column(
    const struct calm__dataset *dataset, size_t column)
{
    return dataset->names[column];
}

bool calm__dataset_has(const struct calm__dataset *dataset, const char *name)
{
    for (size_t i = 0; i < dataset->name_count; i++)
        if (strcmp(dataset->names[i], name) == 0)
            return true;
    return false;
}

static int columns_find(const struct calm__dataset *dataset,
    const char *const *names, size_t count, size_t **ret_columns)
{
    size_t *columns = calloc(count ? count : 1, sizeof *columns);
    if (!columns)
        return calm_fail(-ENOMEM, "no memory for columns");
    *ret_columns = columns;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (dataset->header)
            rc = calm_csv_header_find(dataset->header, names[i], &columns[i]);
        else if (!calm__dataset_has(dataset, names[i]))
            rc = calm_fail(-ENOENT, "there is no column '%s'", names[i]);
    }
    return rc == 0 || rc == -ENOMEM ? rc
                                    : calm_fail(-EINVAL, "'%s': %s",
                                          dataset->path, calm_message(rc));
}

int calm__dataset_choose(
    struct calm__dataset *dataset, const struct calm__choice *choice)
{
    dataset->choice = choice;
    if (dataset->name_count == 0) /* no rows either */
        return 0;
    int rc = columns_find(dataset, choice->features, choice->feature_count,
        &dataset->feature_columns);
    if (rc == 0)
        rc = columns_find(
            dataset, choice->cells, choice->cell_count, &dataset->cell_columns);
    return rc;
}

uint64_t calm__dataset_position(const struct calm__dataset *dataset)
{
    return (uint64_t)calm_input_position(dataset->input);
}

uint64_t calm__dataset_size(const struct calm__dataset *dataset)
{
    return (uint64_t)calm_input_size(dataset->input);
}

bool calm__dataset_is_json(const struct calm__dataset *dataset)
{
    return dataset->format == &calm__format_jsonl;
}

calm_file *calm__dataset_file(const struct calm__dataset *dataset)
{
    return calm__input_file(dataset->input);
}

bool calm__dataset_is_file(const struct calm__dataset *dataset)
{
    return dataset->is_file;
}

/* ---- readers ---- */

double calm__cell_number(const struct calm__cell *cell)
{
    char first = cell->absent || cell->len == 0 ? '\0' : *cell->text;
    double number;
    if (cell->json && (first == 't' || first == 'f'))
        return first == 't';
    if (first == '\0' || calm_double_parse(cell->text, cell->len, &number) < 0)
        return NAN;
    return number;
}

struct calm__rows *calm__rows_new(const struct calm__dataset *dataset)
{
    struct calm__rows *rows = calm__alloc(sizeof *rows);
    if (!rows)
        return NULL;
    *rows = (struct calm__rows){.dataset = dataset};
    if (dataset->format->rows_open(rows) < 0) {
        calm__rows_free(rows);
        return NULL;
    }
    return rows;
}

void calm__rows_free(struct calm__rows *rows)
{
    if (!rows)
        return;
    rows->dataset->format->rows_close(rows);
    free(rows->csv_rows);
    free(rows);
}

int calm__rows_floats(struct calm__rows *rows, const calm_csv_block *block,
    float *values, struct calm__row *ret_rows)
{
    return rows->dataset->format->floats(rows, block, values, ret_rows);
}

void calm__rows_cells_begin(
    struct calm__rows *rows, const calm_csv_block *block)
{
    if (rows->second)
        rows->dataset->format->cells_begin(rows, block);
}

int calm__rows_cells_next(struct calm__rows *rows, struct calm__cell *cells,
    struct calm__row *ret_row)
{
    if (!rows->second)
        return 1;
    return rows->dataset->format->cells_next(rows, cells, ret_row);
}

const char *calm__rows_text(const struct calm__rows *rows, size_t *ret_len)
{
    *ret_len = rows->text_len;
    return rows->text;
}
