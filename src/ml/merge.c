/* merge.c - an output again, with rows that had failed in their places */
#include "ml/merge.h"

#include <errno.h>
#include <stdlib.h>

/* Takes records, which go to SINK unless it is NULL. */
static int records_take(
    struct calm__merge *merge, uint64_t count, struct calm__sink *sink)
{
    while (merge->copied < count) {
        uint64_t left = count - merge->copied;
        calm_csv_block block;
        struct calm__chunk *chunk;
        int rc = calm__dataset_next(merge->old,
            left < SIZE_MAX ? (size_t)left : SIZE_MAX, &block, &chunk);
        if (rc == 0)
            return calm_fail(CALM_EFORMAT,
                "the output has become shorter while it was read");
        if (rc < 0)
            return rc;
        /* Nothing is written to a buffer that is only read. */
        calm_bytes bytes = {.data = (char *)block.data, .len = block.len};
        if (sink)
            rc = calm__sink_write(sink, &bytes);
        calm__chunk_release(merge->old, chunk);
        if (rc < 0)
            return rc;
        merge->copied += block.rows;
    }
    return 0;
}

int calm__merge_skip(struct calm__merge *merge, uint64_t count)
{
    return records_take(merge, count, /* sink= */ NULL);
}

int calm__merge_copy(
    struct calm__merge *merge, uint64_t count, struct calm__sink *sink)
{
    return records_take(merge, count, sink);
}

/* The part of the output of rows FROM to END of the batch. */
static int rows_write(const struct calm__batch *batch, size_t from, size_t end,
    struct calm__sink *sink)
{
    size_t begin = from ? batch->rows[from - 1].out_end : 0;
    size_t last = end ? batch->rows[end - 1].out_end : 0;
    calm_bytes bytes = {.data = batch->out.data + begin, .len = last - begin};
    return last > begin ? calm__sink_write(sink, &bytes) : 0;
}

int calm__merge_batch(struct calm__merge *merge,
    const struct calm__batch *batch, struct calm__sink *sink)
{
    size_t written = 0;
    int rc = 0;
    if (merge->unordered)
        return rows_write(batch, 0, batch->count, sink);
    for (size_t i = 0; rc == 0 && i < batch->count; i++) {
        while (merge->next < merge->count &&
               merge->failed[merge->next].row < batch->rows[i].row)
            merge->next++;
        if (merge->next == merge->count)
            break;
        /* Rows that follow each other go out together. */
        uint64_t before = merge->failed[merge->next].before;
        if (before <= merge->copied)
            continue;
        rc = rows_write(batch, written, i, sink);
        written = i;
        if (rc == 0)
            rc = calm__merge_copy(merge, before, sink);
    }
    return rc < 0 ? rc : rows_write(batch, written, batch->count, sink);
}

void calm__merge_close(struct calm__merge *merge)
{
    if (!merge)
        return;
    calm__dataset_close(merge->old);
    calm__selection_clear(&merge->rows);
    calm_bytes_clear(&merge->ids);
    free(merge->failed);
    free(merge);
}
