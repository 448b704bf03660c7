/* batch.c - rows on their way from the input to the output */
#include "ml/batch.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A batch that is used again keeps no more of what its largest notes took. */
enum { NOTES_KEPT = 64 << 10 };

/* A text that was kept, in the list of its batch. */
struct calm__kept {
    struct calm__kept *next;
    char text[];
};

struct calm__batch *calm__batch_new(struct calm__dataset *dataset, size_t cells)
{
    struct calm__batch *batch = calm__alloc(sizeof *batch);
    if (!batch)
        return NULL;
    *batch = (struct calm__batch){.dataset = dataset};
    batch->reader = calm__rows_new(dataset);
    batch->cells = calloc(cells + 1, sizeof *batch->cells);
    if (batch->reader && batch->cells)
        return batch;
    calm__batch_free(batch);
    return NULL;
}

void calm__batch_free(struct calm__batch *batch)
{
    if (!batch)
        return;
    calm__batch_reset(batch);
    calm__rows_free(batch->reader);
    free(batch->spans);
    free(batch->cells);
    free(batch->rows);
    free(batch->notes);
    calm_bytes_clear(&batch->note_text);
    calm_bytes_clear(&batch->out);
    calm_bytes_clear(&batch->errors);
    free(batch);
}

int calm__batch_add(struct calm__batch *batch, const calm_csv_block *block,
    struct calm__chunk *chunk)
{
    if (batch->span_count == batch->span_room) {
        size_t room = 2 * batch->span_room + 2;
        void *spans = calm__realloc(batch->spans, room * sizeof *batch->spans);
        if (!spans)
            return calm_fail(-ENOMEM, "no memory for a batch");
        batch->spans = spans;
        batch->span_room = room;
    }
    batch->spans[batch->span_count++] = (struct calm__span){*block, chunk};
    batch->cut += block->rows;
    return 0;
}

static void kept_free(struct calm__batch *batch)
{
    while (batch->kept) {
        struct calm__kept *kept = batch->kept;
        batch->kept = kept->next;
        free(kept);
    }
}

void calm__batch_reset(struct calm__batch *batch)
{
    for (size_t i = 0; i < batch->span_count; i++)
        calm__chunk_release(batch->dataset, batch->spans[i].chunk);
    batch->span_count = batch->cut = batch->count = 0;
    batch->has_notes = false;
    batch->note_count = 0;
    if (batch->note_text.capacity > NOTES_KEPT)
        calm_bytes_clear(&batch->note_text);
    else
        calm_bytes_reset(&batch->note_text);
    kept_free(batch);
    calm_bytes_reset(&batch->out);
    calm_bytes_reset(&batch->errors);
    batch->ok = batch->failed = 0;
    batch->quality = (struct calm__quality){0};
}

static void shrink(calm_bytes *bytes)
{
    char *data = bytes->len > 0 ? realloc(bytes->data, bytes->len + 1) : NULL;
    if (data) {
        bytes->data = data;
        bytes->capacity = bytes->len + 1;
    } else if (bytes->len == 0) {
        calm_bytes_clear(bytes);
    }
}

struct calm__batch *calm__batch_part(struct calm__batch *batch)
{
    struct calm__batch *rest = calm__alloc(sizeof *rest);
    if (!rest)
        return NULL;
    *rest = (struct calm__batch){.dataset = batch->dataset,
        .spans = batch->spans,
        .span_count = batch->span_count,
        .span_room = batch->span_room,
        .reader = batch->reader,
        .cells = batch->cells,
        .notes = batch->notes,
        .note_room = batch->note_room,
        .own = batch->own};
    batch->spans = NULL;
    batch->span_count = batch->span_room = 0;
    batch->reader = NULL;
    batch->cells = NULL;
    batch->notes = NULL;
    calm_bytes_clear(&batch->note_text);
    batch->own = NULL;
    calm__batch_reset(rest);
    shrink(&batch->out);
    shrink(&batch->errors);
    return rest;
}

int calm__batch_reserve(struct calm__batch *batch)
{
    if (batch->cut <= batch->room)
        return 0;
    free(batch->rows);
    batch->room = 0;
    batch->rows = calloc(batch->cut, sizeof *batch->rows);
    if (!batch->rows)
        return calm_fail(
            -ENOMEM, "no memory for a batch of %zu rows", batch->cut);
    batch->room = batch->cut;
    return 0;
}

const char *calm__batch_keep(struct calm__batch *batch, const char *text)
{
    size_t len = strlen(text) + 1;
    struct calm__kept *kept = calm__alloc(sizeof *kept + len);
    if (!kept)
        return NULL;
    memcpy(kept->text, text, len);
    kept->next = batch->kept;
    batch->kept = kept;
    return kept->text;
}

static int cause_keep(struct calm__batch *batch, struct calm__row *row)
{
    if (!row->cause)
        return 0;
    row->cause = calm__batch_keep(batch, row->cause);
    return row->cause ? 0 : calm_fail(-ENOMEM, "no memory for a cause");
}

/* ---- reading ---- */

int calm__batch_floats(struct calm__batch *batch, float *matrix, size_t columns)
{
    batch->count = 0;
    for (size_t i = 0; i < batch->span_count; i++) {
        struct calm__row *rows = batch->rows + batch->count;
        int count = calm__rows_floats(batch->reader, &batch->spans[i].block,
            matrix + batch->count * columns, rows);
        if (count < 0)
            return count;
        batch->count += (size_t)count;
        /* The reader's causes go with its next block, and with a parting. */
        for (int j = 0; j < count; j++)
            if (cause_keep(batch, &rows[j]) < 0)
                return -ENOMEM;
    }
    return 0;
}

void calm__batch_cells_begin(struct calm__batch *batch)
{
    batch->reading = 0;
    if (batch->span_count > 0)
        calm__rows_cells_begin(batch->reader, &batch->spans[0].block);
}

int calm__batch_cells_next(struct calm__batch *batch, struct calm__row *ret_row)
{
    int rc;
    while ((rc = calm__rows_cells_next(batch->reader, batch->cells, ret_row)) ==
           0) {
        if (batch->reading + 1 >= batch->span_count)
            return 0;
        calm__rows_cells_begin(
            batch->reader, &batch->spans[++batch->reading].block);
    }
    return rc > 0 && ret_row && cause_keep(batch, ret_row) < 0 ? -ENOMEM : rc;
}

/* ---- notes ---- */

static int notes_reserve(struct calm__batch *batch, size_t more)
{
    size_t wanted = batch->note_count + more;
    if (wanted <= batch->note_room)
        return 0;
    size_t room = batch->cut * more > wanted ? batch->cut * more : wanted;
    void *notes = calm__realloc(batch->notes, room * sizeof *batch->notes);
    if (!notes)
        return calm_fail(-ENOMEM, "no memory for a batch of rows");
    batch->notes = notes;
    batch->note_room = room;
    return 0;
}

int calm__batch_note(struct calm__batch *batch, size_t count)
{
    int rc = notes_reserve(batch, count);
    batch->has_notes = true;
    batch->noted = count;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct calm__cell *cell = &batch->cells[i];
        batch->notes[batch->note_count++] =
            (struct calm__note){.start = batch->note_text.len,
                .len = cell->len,
                .json = cell->json,
                .absent = cell->absent};
        rc = calm_bytes_append(&batch->note_text, cell->text, cell->len);
    }
    return rc;
}

int calm__batch_cells_again(struct calm__batch *batch, size_t index)
{
    if (!batch->has_notes) {
        if (index == 0)
            calm__batch_cells_begin(batch);
        return calm__batch_cells_next(batch, NULL);
    }
    for (size_t i = 0; i < batch->noted; i++) {
        const struct calm__note *note = &batch->notes[index * batch->noted + i];
        batch->cells[i] = (struct calm__cell){
            .text = calm_bytes_text(&batch->note_text) + note->start,
            .len = note->len,
            .json = note->json,
            .absent = note->absent};
    }
    return 1;
}
