/* remote_batch.c - a batch through an API
 *
 * Each row becomes a sample once, on the CPU pool; a request is put together
 * of any of them. When a request is refused, as 400 or by an answer that does
 * not fit, its rows go in two halves, and so on, until the bad one stands
 * alone: log2(n) further requests for each, and the others are answered.
 *
 *     rows      0 1 2 3 4 5 6 7         3 is bad
 *     requests  [-------------]  400
 *               [-----]  400  [-----]  200
 *               [-] 200 [-] 400
 *                       |  400: row 3 fails
 *                         | 200
 */
#include "ml/remote.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/number.h>
#include <calm/pool.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An answer beyond this is read on the CPU pool: it would hold up the loop. */
enum { LARGE_ANSWER = 256 << 10 };

/* The memory of a request, used again. */
struct calm__request_slot {
    struct calm__request_slot *next;
    struct calm__api_request request;
    char json_len[24];
    calm_http_header headers[]; /* two of its own, and those of every one */
};

static struct calm__remote *remote_of(struct calm__predictor *predictor)
{
    return (struct calm__remote *)predictor;
}

/* ---- a batch's memory ---- */

int calm__remote_batch_open(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    batch->own = calloc(1, sizeof(struct calm__remote_batch));
    return batch->own ? 0 : -ENOMEM;
}

static void arrays_free(struct calm__remote_batch *own)
{
    free(own->spans);
    free(own->sent);
    free(own->rows);
    free(own->results);
    own->spans = NULL;
    own->sent = NULL;
    own->rows = NULL;
    own->results = NULL;
    own->room = 0;
}

void calm__remote_batch_close(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    struct calm__remote_batch *own = batch->own;
    if (!own)
        return;
    arrays_free(own);
    calm_bytes_clear(&own->samples);
    calm_bytes_clear(&own->text);
    free(own);
}

static int own_reserve(struct calm__remote_batch *own, size_t rows)
{
    if (rows <= own->room)
        return 0;
    arrays_free(own);
    own->spans = calloc(rows, sizeof *own->spans);
    own->sent = calloc(rows, sizeof *own->sent);
    own->rows = calloc(rows, sizeof *own->rows);
    own->results = calloc(rows, sizeof *own->results);
    if (!own->spans || !own->sent || !own->rows || !own->results ||
        calm__fault("memory"))
        return calm_fail(-ENOMEM, "no memory for a batch of %zu rows", rows);
    own->room = rows;
    return 0;
}

/* ---- rows to samples, on the CPU pool ---- */

static int row_fail(
    struct calm__batch *batch, struct calm__row *row, int code, const char *why)
{
    row->status = code;
    row->cause = calm__batch_keep(batch, why);
    return row->cause ? 0 : -ENOMEM;
}

/* A row that cannot be sent has failed; the others go on. */
static int row_sample(struct calm__remote *remote, struct calm__batch *batch,
    struct calm__row *row, size_t index)
{
    struct calm__remote_batch *own = batch->own;
    const struct calm__cell *cells = batch->cells + remote->base.first_cell;
    size_t start = own->samples.len;
    own->rows[index] = (struct calm__remote_row){.code = "invalid_row"};
    int rc = calm__remote_check_row(remote, row, cells);
    if (rc < 0 || row->status < 0)
        return rc;
    rc = calm__api_row(remote->api, cells, &own->samples);
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0) {
        char cause[CALM_MESSAGE_MAX];
        snprintf(cause, sizeof cause, "line %llu, %s",
            (unsigned long long)row->line, calm_message(rc));
        return row_fail(batch, row, rc, cause);
    }
    own->spans[own->sent_count] =
        (struct calm__api_span){start, own->samples.len - start};
    own->sent[own->sent_count++] = index;
    return 0;
}

int calm__remote_prepare(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    struct calm__remote *remote = remote_of(predictor);
    struct calm__remote_batch *own = batch->own;
    size_t noted = predictor->first_cell +
                   (predictor->lines ? CALM__LINE_CUSTOM_ID + 1 : 0);
    int rc = own_reserve(own, batch->cut);
    if (rc < 0)
        return rc;
    calm_bytes_reset(&own->samples);
    calm_bytes_reset(&own->text);
    own->sent_count = 0;
    batch->count = 0;
    calm__batch_cells_begin(batch);
    struct calm__row row;
    while ((rc = calm__batch_cells_next(batch, &row)) > 0) {
        size_t index = batch->count++;
        if (index == batch->cut)
            return calm_fail(-EPROTO, "more rows are read than were cut");
        batch->rows[index] = row;
        rc = calm__batch_note(batch, noted);
        if (rc == 0)
            rc = row_sample(remote, batch, &batch->rows[index], index);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* ---- requests ---- */

static struct calm__request_slot *slot_take(struct calm__remote *remote)
{
    struct calm__request_slot *slot = remote->spare;
    size_t count = remote->header_count;
    if (slot) {
        remote->spare = slot->next;
        return slot;
    }
    slot = calloc(1, sizeof *slot + (2 + count) * sizeof *slot->headers);
    for (size_t i = 0; slot && i < count; i++)
        slot->headers[2 + i] = remote->headers[i];
    return slot;
}

static void slot_give(
    struct calm__remote *remote, struct calm__request_slot *slot)
{
    slot->next = remote->spare;
    remote->spare = slot;
}

void calm__remote_slots_free(struct calm__remote *remote)
{
    while (remote->spare) {
        struct calm__request_slot *slot = remote->spare;
        remote->spare = slot->next;
        calm__api_request_clear(&slot->request);
        free(slot);
    }
}

/* Some of the rows of a batch, on their way together. */
struct part {
    struct calm__remote *remote;
    struct calm__batch *batch;
    size_t first, count; /* of own->sent */
    int attempts;        /* made before, when they were part of more */
    bool split;          /* they were */
    int64_t since;
    uint64_t id;
    const calm_http_response *response; /* while it is read */
    double tokens;
};

static int read_answer(void *arg)
{
    struct part *part = arg;
    struct calm__remote_batch *own = part->batch->own;
    const char *header =
        calm_http_header_get(part->response, "Inference-Header-Content-Length");
    int64_t json_len = 0;
    if (header && (calm_int64_parse(header, strlen(header), &json_len) < 0 ||
                      json_len < 0))
        return calm_fail(
            CALM_EFORMAT, "its Inference-Header-Content-Length is no number");
    struct calm__api_answer answer = {.body = part->response->body.data,
        .len = part->response->body.len,
        .json_len = (size_t)json_len,
        .id = part->id};
    struct calm__api_usage usage = {0};
    int rc = calm__api_answer(part->remote->api, &answer, part->count,
        &own->text, own->results, &usage);
    if (rc == 0 && usage.total_tokens > 0)
        part->tokens = (double)usage.total_tokens;
    return rc;
}

static int part_read(
    void *ctx, const calm_http_response *response, double *ret_tokens)
{
    struct part *part = ctx;
    part->response = response;
    part->tokens = -1;
    int rc = response->body.len > LARGE_ANSWER ? calm_cpu(read_answer, part)
                                               : read_answer(part);
    *ret_tokens = part->tokens;
    return rc;
}

/* ---- fates ---- */

static void part_answered(struct part *part)
{
    struct calm__remote_batch *own = part->batch->own;
    for (size_t i = 0; i < part->count; i++)
        own->rows[own->sent[part->first + i]].result = own->results[i];
}

/* What the server said stays with the batch: a line of the Batch format shows
 * it, also of a request that has failed. */
static int reply_keep(struct part *part, const struct calm__sending *sending,
    struct calm__remote_row *ret_row)
{
    struct calm__remote_batch *own = part->batch->own;
    const calm_http_response *response = &sending->response;
    const char *id = calm_http_header_get(response, "x-request-id");
    int rc = 0;
    if (id) {
        ret_row->request_id =
            (struct calm__api_span){own->text.len, strlen(id)};
        rc = calm_bytes_append(&own->text, id, strlen(id) + 1);
    }
    if (rc == 0 && sending->fate != CALM__ANSWERED && response->status > 0) {
        ret_row->result.start = own->text.len;
        ret_row->result.len = response->body.len;
        rc = calm_bytes_append(
            &own->text, response->body.data, response->body.len);
    }
    ret_row->answered = response->status > 0;
    ret_row->code = sending->fate == CALM__ANSWERED ? NULL : sending->code;
    return rc;
}

static int part_settled(struct part *part, const struct calm__sending *sending)
{
    struct calm__remote_batch *own = part->batch->own;
    bool good = sending->fate == CALM__ANSWERED;
    const char *cause = NULL;
    if (good)
        part_answered(part);
    else if (!(cause = calm__batch_keep(part->batch, sending->cause)))
        return -ENOMEM;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        size_t index = own->sent[part->first + i];
        struct calm__row *row = &part->batch->rows[index];
        row->attempts = part->attempts + sending->attempts;
        row->http_status = sending->response.status;
        row->status = good ? 0 : CALM_EROW;
        row->cause = cause;
        if (part->remote->lines)
            rc = reply_keep(part, sending, &own->rows[index]);
    }
    return rc;
}

static int part_send(struct part *part);

static int part_split(struct part *part, const struct calm__sending *sending)
{
    struct part left = *part, right = *part;
    left.attempts = right.attempts = part->attempts + sending->attempts;
    left.split = right.split = true;
    left.since = right.since = sending->since;
    left.count = part->count / 2;
    right.first += left.count;
    right.count -= left.count;
    int rc = part_send(&left);
    return rc < 0 ? rc : part_send(&right);
}

/* ---- sending ---- */

static int part_request(struct part *part, struct calm__sending *sending,
    struct calm__api_request *request)
{
    struct calm__remote_batch *own = part->batch->own;
    part->id = part->remote->next_id++;
    int rc = calm__api_request(part->remote->api, own->samples.data,
        own->spans + part->first, part->count, part->id, request);
    if (rc < 0)
        return rc;
    sending->url = calm_bytes_text(&request->url);
    sending->body = request->body.data;
    sending->len = request->body.len;
    if (part->remote->sender.limit.tokens.pace > 0 ||
        part->remote->sender.limit.token_budget.known)
        sending->tokens =
            (double)calm__api_tokens(request->body.data, request->body.len);
    return 0;
}

/* The length of the JSON is told only where something binary follows it. */
static void headers_set(const struct calm__remote *remote,
    struct calm__request_slot *slot, struct calm__sending *sending)
{
    bool binary = slot->request.json_len > 0;
    snprintf(
        slot->json_len, sizeof slot->json_len, "%zu", slot->request.json_len);
    slot->headers[0] =
        (calm_http_header){"Inference-Header-Content-Length", slot->json_len};
    slot->headers[1] =
        (calm_http_header){"Content-Type", slot->request.content_type};
    sending->headers = slot->headers + !binary;
    sending->header_count = remote->header_count + 1 + binary;
}

static int part_exchange(struct part *part, struct calm__sending *sending)
{
    struct calm__request_slot *slot = slot_take(part->remote);
    if (!slot)
        return calm_fail(-ENOMEM, "no memory for a request");
    int rc = part_request(part, sending, &slot->request);
    if (rc == 0) {
        headers_set(part->remote, slot, sending);
        rc = calm__sender_send(&part->remote->sender, sending);
    }
    slot_give(part->remote, slot);
    return rc;
}

static int part_send(struct part *part)
{
    struct calm__sending sending = {.divisible = part->count > 1,
        .weight = part->split ? part->count : 1,
        .since = part->since,
        .read = part_read,
        .ctx = part};
    int rc = part_exchange(part, &sending);
    bool split = rc == 0 && sending.fate == CALM__REFUSED && part->count > 1;
    if (rc == 0 && !split)
        rc = part_settled(part, &sending);
    calm__sending_clear(&sending);
    return split ? part_split(part, &sending) : rc;
}

void calm__remote_look(struct calm__remote *remote)
{
    const struct calm__sender *sender = &remote->sender;
    size_t most = (size_t)sender->limit.most;
    remote->base.wanted = most + most / 4 + 2 + sender->waiting;
    calm_event_set(&remote->base.moved);
}

/* As many rows at a time as the format allows: all, or one. */
int calm__remote_predict(
    struct calm__predictor *predictor, struct calm__batch *batch)
{
    struct calm__remote *remote = remote_of(predictor);
    struct calm__remote_batch *own = batch->own;
    size_t most = calm__api_rows_max(remote->api);
    int rc = 0;
    for (size_t first = 0; rc == 0 && first < own->sent_count;) {
        size_t rest = own->sent_count - first;
        struct part part = {.remote = remote,
            .batch = batch,
            .first = first,
            .count = rest < most ? rest : most};
        rc = part_send(&part);
        first += part.count;
    }
    /* Those of the runs before this one, if it was resumed, stay counted. */
    predictor->state->retries += remote->sender.retries - remote->retries;
    remote->retries = remote->sender.retries;
    predictor->state->at_once = remote->sender.limit.most;
    calm__remote_look(remote);
    /* What was sent is not needed again, and many batches may wait for one
     * that is slow. */
    calm_bytes_clear(&own->samples);
    return rc;
}
