/* test_batch.c - rows of several places in the input, as one batch */
#include "test.h"

#include "ml/batch.h"

#include <stdlib.h>
#include <unistd.h>

/* Cuts an input of these bytes two rows at a time, and takes every other pair
 * into a batch. */
struct input {
    struct calm__dataset *dataset;
    struct calm__batch *batch;
    struct calm__choice choice;
    char path[64];
};

static int input_open(struct input *input, const char *text, const char *end,
    const struct calm__choice *choice)
{
    snprintf(input->path, sizeof input->path, "/tmp/calm-batch-%d%s",
        (int)getpid(), end);
    int rc = calm_file_write_all(input->path, text, strlen(text), CALM_REPLACE);
    struct calm__dataset_opts opts = {
        .path = input->path, .csv = {.ragged = CALM_CSV_RAGGED_SKIP}};
    input->choice = *choice;
    if (rc == 0)
        rc = calm__dataset_open(&opts, &input->dataset);
    if (rc == 0)
        rc = calm__dataset_choose(input->dataset, &input->choice);
    if (rc < 0)
        return rc;
    input->batch = calm__batch_new(input->dataset, choice->cell_count);
    return input->batch ? 0 : -ENOMEM;
}

static void input_fill(struct input *input)
{
    calm_csv_block block;
    struct calm__chunk *chunk;
    int rc;
    for (int i = 0;
         (rc = calm__dataset_next(input->dataset, 2, &block, &chunk)) > 0; i++)
        if (i % 2 == 1)
            calm__chunk_release(input->dataset, chunk);
        else
            check_equal(calm__batch_add(input->batch, &block, chunk), 0);
    check_equal(rc, 0);
    check_equal(calm__batch_reserve(input->batch), 0);
}

static void input_close(struct input *input)
{
    calm__batch_free(input->batch);
    calm__dataset_close(input->dataset);
    unlink(input->path);
}

static const char csv[] = "id,x\n0,0.5\n1,bad\n2,2\n3,3\n4,bad\n5,5,ragged\n"
                          "6,6\n7,7\n8,\"8\"\n";
static const char json[] =
    "{\"id\":0,\"x\":0.5}\n{\"id\":1,\"x\":\"bad\"}\n{\"id\":2}\n{\"id\":3}\n"
    "{\"id\":4,\"x\":\"bad\"}\n{\"id\":5,\n\n{\"id\":6}\n{\"id\":7}\n"
    "{\"id\":8, \"x\":8}\n";
static const char *const x[] = {"x", NULL}, *const id[] = {"id", NULL};
static const struct calm__choice both = {
    .features = x, .feature_count = 1, .cells = id, .cell_count = 1};

static int causes_outlive_the_next_span(void *arg)
{
    struct input input = {0};
    float matrix[16];
    check_equal(input_open(&input, csv, ".csv", &both), 0);
    input_fill(&input);
    check_equal(calm__batch_floats(input.batch, matrix, 1), 0);
    const struct calm__row *rows = input.batch->rows;
    check_equal(input.batch->cut, 5); /* 0, 1, 4, 5 and 8 */
    check_equal(input.batch->count, 4);
    check_equal(rows[0].status, 0);
    check(matrix[0] == 0.5f && matrix[3] == 8);
    check_text(rows[1].cause, "line 3, column 'x': 'bad' is not a number");
    check_text(rows[2].cause, "line 6, column 'x': 'bad' is not a number");
    check_equal(rows[3].row, 8);
    check_equal(rows[3].line, 10);
    input_close(&input);
    return 0;
}

static int cells_cross_the_spans(void *arg)
{
    struct input input = {0};
    struct calm__row row;
    check_equal(input_open(&input, csv, ".csv", &both), 0);
    input_fill(&input);
    for (int round = 0; round < 2; round++) {
        calm__batch_cells_begin(input.batch);
        static const char expected[] = "0148";
        for (const char *at = expected; *at; at++) {
            check_equal(calm__batch_cells_next(input.batch, &row), 1);
            check_equal(row.row, *at - '0');
            check_equal(input.batch->cells[0].text[0], *at);
        }
        check_equal(calm__batch_cells_next(input.batch, &row), 0);
    }
    input_close(&input);
    return 0;
}

/* Reads all rows, noting the first COUNT cells of each. */
static void note_all(struct calm__batch *batch, size_t count)
{
    struct calm__row row;
    int rc;
    calm__batch_cells_begin(batch);
    while ((rc = calm__batch_cells_next(batch, &row)) > 0)
        check_equal(calm__batch_note(batch, count), 0);
    check_equal(rc, 0);
}

/* "-" is absent, and a string of JSON stands in quotes. */
static void check_again(
    struct calm__batch *batch, size_t index, size_t cell, const char *expected)
{
    char got[32];
    check_equal(calm__batch_cells_again(batch, index), 1);
    const struct calm__cell *again = &batch->cells[cell];
    const char *quote = again->json || again->absent ? "" : "'";
    snprintf(got, sizeof got, "%s%.*s%s", quote, (int)again->len,
        again->absent ? "-" : again->text, quote);
    if (again->absent)
        snprintf(got, sizeof got, "-");
    check_text(got, expected);
}

static const char strange[] =
    "{\"id\":\"a\\n\\u00e4\",\"x\":null}\n{\"id\":null,\"x\":1}\n{}\n{}\n"
    "{\"id\":[1],\"x\":\"\"}\n{\"x\":\"0123456789\"}\n";

static int notes_outlive_the_reading(void *arg)
{
    static const char *const cells[] = {"id", "x"};
    static const struct calm__choice two = {.cells = cells, .cell_count = 2};
    struct input input = {0};
    check_equal(input_open(&input, strange, ".jsonl", &two), 0);
    input_fill(&input);
    note_all(input.batch, 2);
    memset(input.batch->cells, 0, 2 * sizeof *input.batch->cells);
    check_again(input.batch, 0, 0, "'a\n\u00e4'");
    check_again(input.batch, 0, 1, "-");
    check_again(input.batch, 3, 0, "-");
    check_again(input.batch, 3, 1, "'0123456789'");
    check_again(input.batch, 1, 0, "-");
    check_again(input.batch, 1, 1, "1");
    check_again(input.batch, 2, 0, "[1]");
    check_again(input.batch, 2, 1, "''");
    input_close(&input);
    return 0;
}

/* Which is seen by the rows: without notes they come in turn. */
static int nothing_noted_is_not_read_again(void *arg)
{
    struct input input = {0};
    check_equal(input_open(&input, csv, ".csv", &both), 0);
    input_fill(&input);
    note_all(input.batch, 0);
    input.batch->cells[0] = (struct calm__cell){.text = "mine", .len = 4};
    check_again(input.batch, 0, 0, "'mine'");
    calm__batch_reset(input.batch);
    check(!input.batch->has_notes);
    check_equal(calm__batch_cells_again(input.batch, 0), 0); /* no rows now */
    input_close(&input);
    return 0;
}

static int notes_go_with_what_is_used_again(void *arg)
{
    struct input input = {0};
    check_equal(input_open(&input, csv, ".csv", &both), 0);
    input_fill(&input);
    note_all(input.batch, 1);
    struct calm__batch *rest = calm__batch_part(input.batch);
    check(rest && !rest->has_notes && rest->notes && !input.batch->notes);
    check(!rest->note_text.data && !input.batch->note_text.data);
    calm__batch_free(input.batch);
    input.batch = rest;
    input_close(&input);
    return 0;
}

static void check_row_text(struct input *input, int status, const char *text)
{
    struct calm__row row;
    size_t len = 0;
    check_equal(calm__batch_cells_next(input->batch, &row), 1);
    check_equal(row.status, status);
    check((row.cause != NULL) == (status < 0));
    const char *got = calm__rows_text(input->batch->reader, &len);
    check(len == strlen(text) && memcmp(got, text, len) == 0);
}

static int texts_are_as_they_stand(void *arg)
{
    static const struct calm__choice text = {.text = true};
    struct input input = {0};
    check_equal(input_open(&input, json, ".jsonl", &text), 0);
    input_fill(&input);
    calm__batch_cells_begin(input.batch);
    check_row_text(&input, 0, "{\"id\":0,\"x\":0.5}");
    check_row_text(&input, 0, "{\"id\":1,\"x\":\"bad\"}");
    check_row_text(&input, 0, "{\"id\":4,\"x\":\"bad\"}");
    check_row_text(&input, CALM_EFORMAT, "{\"id\":5,");
    check_row_text(&input, 0, "{\"id\":8, \"x\":8}");
    input_close(&input);
    input = (struct input){0};
    check_equal(input_open(&input, csv, ".csv", &text), 0);
    input_fill(&input);
    calm__batch_cells_begin(input.batch);
    check_row_text(&input, 0, "0,0.5");
    check_row_text(&input, 0, "1,bad");
    check_row_text(&input, 0, "4,bad");
    check_row_text(&input, 0, "8,\"8\"");
    input_close(&input);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(causes_outlive_the_next_span),
        real_test(cells_cross_the_spans),
        real_test(notes_outlive_the_reading),
        real_test(nothing_noted_is_not_read_again),
        real_test(notes_go_with_what_is_used_again),
        real_test(texts_are_as_they_stand),
    };
    return run_list("batch", tests, sizeof tests / sizeof *tests);
}
