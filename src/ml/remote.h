/* ml/remote.h - a model behind an API, as a predictor
 *
 *     remote.c         opens: the options, the format, what the server tells
 *     remote_check.c   lines of the Batch format, before any is sent
 *     remote_batch.c   a batch: samples, requests, splitting
 *     remote_answer.c  its results, as columns or lines
 *     sender.c         a request, until it has its fate
 *     judge.c          what came of an attempt
 */
#ifndef CALM_ML_REMOTE_H
#define CALM_ML_REMOTE_H

#include "ml/predictor.h"
#include "ml/sender.h"

struct calm__remote {
    struct calm__predictor base; /* first */
    struct calm__api *api;       /* NULL before choose() */
    struct calm__sender sender;
    calm_bytes template;
    calm_bytes authorization;  /* a secret */
    calm_http_header *headers; /* of every request */
    size_t header_count;
    const char **names; /* of the columns, for the api */
    bool lines;         /* the input is of the Batch format */
    uint64_t next_id;   /* of requests */
    uint64_t retries;   /* that are in the state */
    uint64_t run;       /* for the ids of lines: the same for all of them */
    struct calm__request_slot *spare;
};

/* What became of a row, beside its struct calm__row. */
struct calm__remote_row {
    struct calm__api_result result;   /* or the body of an answer that failed */
    struct calm__api_span request_id; /* of its header, in the text, too */
    const char *code;                 /* a name for the failure; static */
    bool answered; /* the result is the body of some answer */
};

/* A batch's part. */
struct calm__remote_batch {
    calm_bytes samples; /* of the rows that can be sent */
    struct calm__api_span *spans;
    size_t *sent; /* which rows those are */
    size_t sent_count;
    calm_bytes text; /* what was answered */
    struct calm__remote_row *rows;
    struct calm__api_result *results; /* of one request */
    size_t room;
};

/* Looks whether each line of an input of the Batch format is a request, and
 * warns of a custom_id that is repeated. Suspends. Returns 0, CALM_EFORMAT
 * with the line, or the errors of reading. */
int calm__remote_check(const struct calm__remote *remote);

/* Looks at one row, which may be one that cannot be read. Returns 0, -ENOMEM,
 * or CALM_EFORMAT or CALM_ELIMIT for what ends the run. */
int calm__remote_check_row(const struct calm__remote *remote,
    const struct calm__row *row, const struct calm__cell *cells);

/* The methods of remote_batch.c and remote_answer.c, see predictor.h. */
int calm__remote_batch_open(
    struct calm__predictor *predictor, struct calm__batch *batch);
void calm__remote_batch_close(
    struct calm__predictor *predictor, struct calm__batch *batch);
int calm__remote_prepare(
    struct calm__predictor *predictor, struct calm__batch *batch);
int calm__remote_predict(
    struct calm__predictor *predictor, struct calm__batch *batch);
void calm__remote_compare(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, const struct calm__cell *truth);
int calm__remote_answer(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, struct calm__fields *out);
int calm__remote_line(struct calm__predictor *predictor,
    struct calm__batch *batch, size_t index, calm_bytes *out);
/* Says how many batches it can use now: one for each place, some to follow,
 * and those that wait for a retry and hold no place. */
void calm__remote_look(struct calm__remote *remote);
void calm__remote_slots_free(struct calm__remote *remote);

#endif
