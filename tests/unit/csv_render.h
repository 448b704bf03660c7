/* csv_render.h - a CSV text, read, as one line that can be compared
 *
 *     0@1[a][b] 1@2[1][x y] 2@4!line 4: 1 field instead of 2; END
 *
 * Row, line, fields; a failed row has its cause, and so does a reading that
 * ended early. The text is handed over in pieces, each time in memory of
 * exactly its size, so that a sanitizer sees any step beyond.
 */
#ifndef TEST_CSV_RENDER_H
#define TEST_CSV_RENDER_H

#include <calm/csv.h>

#include <stdlib.h>
#include <string.h>

/* How to hand the text over: pieces of STEP bytes, or of random sizes up to it
 * when SEED is not zero. */
struct pieces {
    size_t step;
    uint64_t seed;
    size_t rows_max;
    bool brief; /* "!" for every cause, "ERROR" for every end before the end */
};

static inline size_t next_piece(struct pieces *pieces)
{
    if (pieces->seed == 0)
        return pieces->step;
    pieces->seed = pieces->seed * 6364136223846793005u + 1442695040888963407u;
    return 1 + (pieces->seed >> 33) % pieces->step;
}

static inline void render_record(
    calm_bytes *out, const calm_csv_record *record, bool brief)
{
    calm_bytes_printf(out, "%llu@%llu", (unsigned long long)record->row,
        (unsigned long long)record->line);
    if (record->status < 0)
        calm_bytes_printf(
            out, "!%s%s", brief ? "" : record->cause, brief ? "" : ";");
    for (size_t i = 0; i < record->count; i++) {
        calm_bytes_append(out, "[", 1);
        for (size_t j = 0; j < record->fields[i].len; j++) {
            char c = record->fields[i].text[j];
            calm_bytes_append(out, c ? &c : "\\0", c ? 1 : 2);
        }
        calm_bytes_append(out, "]", 1);
    }
    calm_bytes_append(out, " ", 1);
}

static inline int render_block(calm_bytes *out, calm_csv_splitter *splitter,
    const calm_csv_block *block, bool brief)
{
    /* A copy without anything in front of it or behind it. */
    char *copy = malloc(block->len ? block->len : 1);
    if (!copy)
        return calm_fail(-12, "no memory");
    if (block->len > 0)
        memcpy(copy, block->data, block->len);
    calm_csv_block same = *block;
    same.data = copy;
    calm_csv_split(splitter, &same);
    calm_csv_record record;
    size_t rows = 0;
    int rc;
    while ((rc = calm_csv_next(splitter, &record)) > 0) {
        render_record(out, &record, brief);
        rows = record.row - block->row + 1;
    }
    if (rc == 0 && rows > block->rows)
        calm_bytes_printf(
            out, "MORE ROWS (%zu) THAN CUT (%zu) ", rows, block->rows);
    free(copy);
    return rc;
}

/* Reads TEXT and appends what came out. Returns 0 or the final error. */
static inline int render(calm_bytes *out, const char *text, size_t len,
    const calm_csv_opts *opts, struct pieces pieces)
{
    calm_csv_cutter cutter;
    calm_csv_splitter *splitter;
    int rc = calm_csv_cutter_init(&cutter, opts);
    if (rc < 0)
        return rc;
    rc = calm_csv_splitter_new(opts, &splitter);
    if (rc < 0)
        return rc;
    cutter.rows_max = pieces.rows_max;
    size_t begin = 0, end = 0;
    while (rc == 0 && !cutter.at_end) {
        size_t more = next_piece(&pieces);
        end = more < len - end ? end + more : len;
        cutter.at_end = end == len;
        for (;;) {
            char *pending = malloc(end - begin ? end - begin : 1);
            if (!pending) {
                rc = calm_fail(-12, "no memory");
                break;
            }
            memcpy(pending, text + begin, end - begin);
            calm_csv_block block;
            rc = calm_csv_cut(&cutter, pending, end - begin, &block);
            if (rc > 0) {
                begin += (size_t)(block.data - pending) + block.len;
                rc = render_block(out, splitter, &block, pieces.brief);
                rc = rc < 0 ? rc : 1;
            }
            free(pending);
            if (rc <= 0)
                break;
        }
    }
    if (rc < 0)
        calm_bytes_printf(out, "ERROR%s%s", pieces.brief ? "" : " ",
            pieces.brief ? "" : calm_message(rc));
    else
        calm_bytes_printf(out, "END");
    calm_csv_splitter_free(splitter);
    return rc;
}

#endif
