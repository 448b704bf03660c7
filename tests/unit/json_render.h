/* json_render.h - what was read of JSON Lines, as a text to compare
 *
 * Two members are asked for, "a" and "b". A row is a line of the rendering:
 *
 *     0@1 a=a number:1.50=1.5 b=missing:
 *     1@2 -4096 line 2, column 6: 'tru' is not a JSON value
 */
#ifndef TEST_JSON_RENDER_H
#define TEST_JSON_RENDER_H

#include <calm/json.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WANTED 2
static const char *const wanted[WANTED] = {"a", "b"};

/* "0@1 a=a number:1 b=missing\n", or "0@1 -4096 cause\n". */
static inline void render(calm_bytes *out, const calm_json_record *record)
{
    calm_bytes_printf(out, "%llu@%llu", (unsigned long long)record->row,
        (unsigned long long)record->line);
    if (record->status < 0)
        calm_bytes_printf(out, " %d %s", record->status, record->cause);
    for (size_t i = 0; record->status == 0 && i < WANTED; i++) {
        const calm_json_field *field = &record->fields[i];
        calm_bytes_printf(
            out, " %s=%s:", wanted[i], calm_json_kind_name(field->kind));
        calm_bytes_append(out, field->text, field->len);
        if (!isnan(field->number))
            calm_bytes_printf(out, "=%.17g", field->number);
    }
    calm_bytes_append(out, "\n", 1);
}

static inline int render_block(
    calm_bytes *out, calm_jsonl_reader *reader, const calm_csv_block *block)
{
    calm_json_record record;
    size_t rows = 0;
    int rc;
    calm_jsonl_split(reader, block);
    while ((rc = calm_jsonl_next(reader, &record)) > 0) {
        assert(record.text >= block->data &&
               record.text + record.len <= block->data + block->len);
        render(out, &record);
        rows++;
    }
    if (rc == 0)
        assert(rows == block->rows);
    return rc;
}

/* Cuts and reads TEXT, which arrives STEP bytes at a time. Each time it lies
 * in memory of just that size, so that a sanitizer sees every step too far. */
static inline int render_stream(
    calm_bytes *out, const char *text, size_t len, size_t step, size_t rows_max)
{
    calm_jsonl_cutter cutter;
    calm_jsonl_reader *reader;
    calm_csv_block block;
    int rc = calm_jsonl_cutter_init(&cutter, NULL);
    assert(rc == 0);
    rc = calm_jsonl_reader_new(wanted, WANTED, NULL, &reader);
    assert(rc == 0);
    cutter.rows_max = rows_max;
    size_t start = 0, end = 0;
    do {
        end = len - end > step ? end + step : len;
        cutter.at_end = end == len;
        char *copy = malloc(end - start + 1);
        memcpy(copy, text + start, end - start);
        copy = realloc(copy, end > start ? end - start : 1);
        const char *rest = copy;
        while ((rc = calm_jsonl_cut(&cutter, rest,
                    (size_t)(copy + (end - start) - rest), &block)) > 0) {
            assert(!rows_max || block.rows <= rows_max);
            assert(block.len > 0);
            render_block(out, reader, &block);
            rest = block.data + block.len;
        }
        start += (size_t)(rest - copy);
        free(copy);
    } while (rc == 0 && end < len);
    calm_jsonl_reader_free(reader);
    return rc;
}

#endif
