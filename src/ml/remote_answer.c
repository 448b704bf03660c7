/* remote_answer.c - what an API has answered to a row, as columns or as a line
 *
 * On the loop for small batches and on the CPU pool for large ones, so what
 * these find out goes to the batch, and one flag is atomic.
 */
#include "ml/remote.h"

#include <math.h>
#include <string.h>

static struct calm__remote *remote_of(struct calm__predictor *predictor)
{
    return (struct calm__remote *)predictor;
}

/* ---- columns ---- */

static struct calm__cell result_of(
    const struct calm__batch *batch, size_t index)
{
    const struct calm__remote_batch *own = batch->own;
    return calm__api_result_cell(&own->text, &own->rows[index].result);
}

/* A probability is right when it is on the side of the truth; other answers
 * when they are the truth, as a number or as a text. */
static bool is_right(const struct calm__cell *result, double answer,
    const struct calm__cell *truth, double expected)
{
    if (isnan(answer) || isnan(expected))
        return result->len == truth->len &&
               memcmp(result->text, truth->text, truth->len) == 0;
    if (answer > 0 && answer < 1 && (expected == 0 || expected == 1))
        return (answer > 0.5) == (expected == 1);
    return answer == expected;
}

void calm__remote_compare(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, const struct calm__cell *truth)
{
    struct calm__cell result = result_of(batch, index);
    if (truth->absent || truth->len == 0)
        return;
    double answer = calm__cell_number(&result);
    double expected = calm__cell_number(truth);
    if (expected != floor(expected) && !isnan(expected))
        batch->quality.inexact = true;
    double difference = answer - expected;
    batch->quality.compared++;
    batch->quality.right += is_right(&result, answer, truth, expected);
    if (!isnan(difference))
        batch->quality.squared_error += difference * difference;
}

int calm__remote_answer(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, struct calm__fields *out)
{
    struct calm__cell result = result_of(batch, index);
    if (!out->json)
        return calm_csv_put_bytes(&out->csv, result.text, result.len);
    calm_json_put_key(&out->object, predictor->columns[0]);
    if (result.absent)
        return calm_json_put_null(&out->object);
    if (result.json)
        return calm_json_put_raw(&out->object, result.text, result.len);
    return calm_json_put_bytes(&out->object, result.text, result.len);
}

/* ---- lines of the Batch format ---- */

/* What each list of errors has besides, in place of the line's end. */
static int line_extend(const struct calm__row *row, calm_bytes *out)
{
    out->len -= strlen("}\n");
    size_t begin = out->len;
    calm_json_writer json = {.out = out};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "row");
    calm_json_put_uint(&json, row->row);
    calm_json_put_key(&json, "line");
    calm_json_put_uint(&json, row->line);
    calm__answer_failure(row, &json);
    calm_json_end_object(&json);
    int rc = calm_json_end_line(&json);
    if (rc == 0)
        out->data[begin] = ','; /* was the brace */
    return rc;
}

int calm__remote_line(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, calm_bytes *out)
{
    const struct calm__remote *remote = remote_of(predictor);
    const struct calm__remote_batch *own = batch->own;
    const struct calm__remote_row *mine = &own->rows[index];
    const struct calm__row *row = &batch->rows[index];
    const char *text = calm_bytes_text(&own->text);
    struct calm__api_outcome outcome = {.run = remote->run,
        .row = row->row,
        .custom_id =
            batch->cells + predictor->first_cell + CALM__LINE_CUSTOM_ID,
        .status = mine->answered ? row->http_status : 0,
        .body = mine->answered ? text + mine->result.start : NULL,
        .len = mine->result.len,
        .request_id =
            mine->request_id.len > 0 ? text + mine->request_id.start : NULL};
    if (row->status < 0) {
        outcome.code = mine->code;
        outcome.message = row->cause;
    }
    int rc = calm__api_outcome_put(&outcome, out);
    if (rc < 0 || row->status == 0)
        return rc;
    return line_extend(row, out);
}
