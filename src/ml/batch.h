/* ml/batch.h - rows on their way from the input to the output
 *
 *     cut (loop) -> prepare (CPU pool) -> predict -> answer -> save (loop)
 *
 * A batch holds rows of one or more spans: rows that lie together in a chunk
 * of the input. One ends where the chunk does, or before rows that are not
 * wanted. With it goes all the memory that the way of the rows needs, so
 * that after the first few batches, which are used again, none is allocated.
 * One thread at a time has a batch.
 */
#ifndef CALM_ML_BATCH_H
#define CALM_ML_BATCH_H

#include "ml/dataset.h"

struct calm__span {
    calm_csv_block block;
    struct calm__chunk *chunk; /* a reference */
};

/* How good the answers are, where the truth is known. */
struct calm__quality {
    uint64_t compared, right;
    double squared_error;
    bool inexact; /* a truth was no whole number: these are no classes */
};

/* A cell that is remembered: its text is a piece of the batch's notes. */
struct calm__note {
    size_t start, len;
    bool json, absent;
};

struct calm__batch {
    struct calm__batch *next; /* among the spare ones */
    struct calm__dataset *dataset;
    struct calm__span *spans;
    size_t span_count, span_room;
    size_t cut; /* rows of all spans */

    /* The rows of the input that the batch stands for: its own, and those
     * before them that were not wanted. Those of all batches touch. */
    uint64_t begin, end;

    struct calm__rows *reader;
    struct calm__cell *cells; /* of the row that is being read */
    size_t reading;           /* which span */

    /* What became of the rows, COUNT of them: fewer than CUT where some are
     * skipped. There is room for all. */
    struct calm__row *rows;
    size_t count, room;

    /* The first NOTED cells of each row, for its answer. */
    bool has_notes;
    struct calm__note *notes;
    size_t noted, note_count, note_room;
    calm_bytes note_text;

    calm_bytes out, errors; /* as they will be written */
    uint64_t ok, failed;
    struct calm__quality quality;

    void *own;   /* the predictor's; NULL with reader after a parting */
    size_t held; /* bytes that it holds, as its run counts them */

    struct calm__kept *kept;
};

/* A batch without rows, and without a part of the predictor's; CELLS are
 * chosen. NULL without memory. Frees what is half there, and NULL. */
struct calm__batch *calm__batch_new(
    struct calm__dataset *dataset, size_t cells);
void calm__batch_free(struct calm__batch *batch);

/* Adds a span and takes over the reference to its chunk. Returns 0, or
 * -ENOMEM: then the reference is still the caller's. On the loop. */
int calm__batch_add(struct calm__batch *batch, const calm_csv_block *block,
    struct calm__chunk *chunk);

/* Lets go of all rows. On the loop, as chunks are counted there. */
void calm__batch_reset(struct calm__batch *batch);

/* Parts a batch whose rows are answered from all that it was made by: what is
 * left is its output, its counts, and what has become of its rows.
 * Many of these may wait for one before them. Returns the rest, which can be
 * used as a new batch, or NULL without memory: then nothing has changed. On
 * the loop. */
struct calm__batch *calm__batch_part(struct calm__batch *batch);

/* Makes room for the rows that were added. Returns 0 or -ENOMEM. */
int calm__batch_reserve(struct calm__batch *batch);

/* Reads the chosen features of all rows into MATRIX, which has room for CUT
 * rows of COLUMNS floats, and fills ROWS and COUNT. Returns 0 or -ENOMEM. */
int calm__batch_floats(
    struct calm__batch *batch, float *matrix, size_t columns);

/* Goes through all rows for their cells, which are then in CELLS: as
 * calm__rows_cells_next(), over the spans. A cause that RET_ROW gets lives as
 * long as the batch has its rows. */
void calm__batch_cells_begin(struct calm__batch *batch);
int calm__batch_cells_next(
    struct calm__batch *batch, struct calm__row *ret_row);

/* Notes the first COUNT cells of the row that was just read, so that its answer
 * can be put without reading it again. For each row in turn, and the same COUNT
 * for all. Returns 0 or -ENOMEM. */
int calm__batch_note(struct calm__batch *batch, size_t count);

/* Puts the cells of row INDEX into CELLS: those that were noted, or, where none
 * were, all that are read again; the rows are asked for in turn, from 0. The
 * same returns as calm__batch_cells_next(). */
int calm__batch_cells_again(struct calm__batch *batch, size_t index);

/* A copy of TEXT that lives as long as the batch has its rows, for causes.
 * NULL without memory. */
const char *calm__batch_keep(struct calm__batch *batch, const char *text);

#endif
