/* calm/predict.h - a dataset through a model, into a file
 *
 *     calm_predict_opts opts = {.input = "rows.csv", .model = "model.json",
 *         .output = "predictions.csv"};
 *     calm_predict_state state;
 *     int rc = calm_predict(&opts, &state);
 *
 * Reads, preprocesses, predicts and writes at once, in batches that stream
 * through bounded queues: memory does not grow with the input. Rows in are
 * rows out: one that cannot be read or predicted goes to OUTPUT.errors.jsonl
 * with its reason, and the others go on.
 */
#ifndef CALM_PREDICT_H
#define CALM_PREDICT_H

#include <calm/csv.h>
#include <calm/http.h>
#include <calm/model.h>
#include <calm/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a URL speaks. */
enum calm_api {
    CALM_API_GUESS,   /* by the URL, and by what the input looks like */
    CALM_API_SAMPLES, /* {"samples": [...]} -> {"predictions": [...]} */
    CALM_API_V2,      /* the Open Inference Protocol, JSON or binary */
    CALM_API_V1,      /* {"instances": [...]} of TensorFlow Serving, KServe */
    CALM_API_OPENAI,  /* the input has lines of OpenAI's Batch format */
};

/* A model behind HTTP; zero means default. */
typedef struct calm_remote_opts {
    const char *url; /* http:// or https:// */
    enum calm_api api;

    /* A file with the body of a request, in which {{column}} stands for a
     * row's value. One request for each row. */
    const char *template_file;

    /* Where in an answer the results are, such as "outputs.scores" or
     * "choices[0].message.content"; for v2 the name of an output. */
    const char *result_path;

    size_t at_once;      /* requests; default: as many as the server takes */
    double request_rate; /* requests a second at most; default: no limit */
    double token_rate;   /* tokens a second at most; default: no limit */
    int64_t timeout;     /* of an attempt; default: 30 s without a byte, and
                          * 10 minutes in all */
    int attempts;        /* for each request; default 5 */
    int64_t wait_most;   /* that a server may ask for; default 300 s */
    int64_t patience;    /* with a server that is away; default 30 s */
    int failures_most;   /* among the last 100 requests that end the run;
                          * default 50, above 100 none do */
    size_t answer_max;   /* decoded bytes; default 16 MiB */

    /* Of every request. The key is a secret: it is sent as a bearer token,
     * and shown nowhere. */
    const calm_http_header *headers;
    size_t header_count;
    const char *key;

    const char *ca_file, *unix_path; /* as in <calm/http.h> */
} calm_remote_opts;

/* Options of calm_predict(); zero means default. All texts stay the caller's
 * and must live as long as the call. */
typedef struct calm_predict_opts {
    const char *input;  /* .csv, .jsonl, either with .gz or .zst; "-": stdin */
    const char *output; /* .csv or .jsonl; "-": CSV to stdout, not atomic */
    const char *model;  /* this, or remote.url */
    const char *model_sha256;
    calm_remote_opts remote;

    /* In the model's order, ending with NULL; default: the model's own names,
     * else every column but ID and TRUTH. */
    const char *const *features;
    const char *id;    /* default: sample_id or id, else the row's number */
    const char *truth; /* never given to the model; compared with its answer */
    const char *const *keep;    /* copied to the output, ending with NULL */
    const char *const *missing; /* texts that mean no value, ending with NULL,
                                   beside the empty field; default for CSV:
                                   NA, N/A, n/a, #N/A, <NA>, NULL, null, None */
    size_t batch_size;          /* rows; default 4096 */
    size_t threads;    /* that predict at once; default: the CPU pool's */
    size_t in_flight;  /* batches; default: 3 for each thread, and 2 */
    uint64_t limit;    /* rows to read; default: all */
    int64_t drain;     /* time for what is in flight after a cancel */
    bool unordered;    /* write as answers come, with a column "row" */
    bool overwrite;    /* replace an output that exists, begin anew */
    bool force_resume; /* also with another input, model or options */
    bool retry_failed; /* predict the rows of OUTPUT.errors.jsonl again, and
                          put them into the finished output */
    calm_csv_opts csv; /* how to read CSV: separator, ragged rows, ... */
    bool csv_safe;     /* see calm_csv_writer */

    /* Is told of every row that fails, in the order of the output; ROW from 0,
     * LINE of the input from 1. */
    void (*on_failed)(
        void *ctx, uint64_t row, uint64_t line, const char *cause);

    /* Is told what is odd and no error. */
    void (*on_warning)(void *ctx, const char *text);

    /* Is told what is good to know, such as that a run is resumed. */
    void (*on_note)(void *ctx, const char *text);
    void *ctx;
} calm_predict_opts;

/* Where the run stands: read it at any time from the loop's thread, and at the
 * end. */
typedef struct calm_predict_state {
    uint64_t rows;      /* read */
    uint64_t ok;        /* written to the output */
    uint64_t failed;    /* written to the errors */
    uint64_t in_flight; /* rows */
    uint64_t retries;   /* requests that were made again */
    double at_once;     /* requests that may be under way now; 0: no API */
    uint64_t bytes;     /* of the input, and its size if known, else 0 */
    uint64_t size;
    int64_t started; /* calm_now() when the first row was read, 0 before */

    /* Of the rows that have a truth: how many, and how many were right (for
     * classes) or the sum of the squared errors (for numbers). */
    bool classes;
    uint64_t compared;
    uint64_t right;
    double squared_error;

    uint64_t resumed; /* rows that earlier runs have done; counted above */
    uint64_t torn;    /* bytes cut off the end of the journal of a dead run */

    bool whole;     /* the input was read to its end */
    bool created;   /* a partial output exists or did */
    bool resumable; /* the same call goes on from here */
    bool committed; /* the output has its final name */
} calm_predict_state;

/* Runs it. Returns 0, also when rows failed (state->failed tells). Before the
 * first row: -EEXIST when the output exists, -EBUSY when another run writes
 * it, -EINVAL for options and columns that do not fit, CALM_EMODEL, the errno
 * of opening a file. Later: CALM_EFORMAT or CALM_ELIMIT for an input that
 * cannot be cut into rows, the errno of reading or writing, -ECANCELED after
 * the drain; what was written then stays as OUTPUT.calm-part. */
CALM_SUSPENDS int calm_predict(
    const calm_predict_opts *opts, calm_predict_state *ret_state);

#ifdef __cplusplus
}
#endif
#endif
