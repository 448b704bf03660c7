/* ml/api.h - what is said to a model behind HTTP, and what it answers
 *
 * Pure functions, without I/O: rows to the body of a request, the body of an
 * answer to a result for each row. Who sends, how often and how many at once
 * is not known here. The calls follow each other like this:
 *
 *     calm__api_open(&opts, &api)
 *     for (i = 0; (url = calm__api_metadata_url(api, i)); i++)
 *         GET url; calm__api_learn(api, i, body, len)     if it was a 200
 *     calm__api_choose(api, &table)                 which columns it wants
 *     ------------------------------ from here on the api only is read, and
 *                                    threads share it
 *     calm__api_check(api, cells, line)     every row before the first is sent
 *     calm__api_row(api, cells, &samples)            a row  -> its sample
 *     calm__api_request(api, data, spans, count, id, &request)
 *                                               any samples -> URL and body
 *     calm__api_answer(api, &answer, count, ...)     answer -> results
 *     calm__api_close(api)
 *
 * A sample is a row as it goes over the wire, or nearly so; what exactly is
 * the format's affair. A request may be put together of any of them, so that
 * a batch that is refused can be split without rendering its rows anew.
 *
 * An answer that does not fit what was asked is CALM_EFORMAT, whatever is
 * wrong with it: too few results are never dealt out to the rows by a guess.
 *
 *     api.c            opening, columns, which format does what
 *     api_url.c        the format of a URL; metadata; joined paths
 *     api_value.c      cells to JSON and to numbers of a width
 *     api_path.c       "choices[0].message.content"
 *     api_reply.c      answers as documents: NaN, members that are there once
 *     api_samples.c    {"samples": [...]}; and {"instances": [...]} of v1
 *     api_v2.c         the Open Inference Protocol: requests
 *     api_v2_model.c   what its models and servers say about themselves
 *     api_v2_answer.c  its answers
 *     api_tensor.c     elements of its tensors, as JSON and as bytes
 *     api_lines.c      the Batch format's lines
 *     api_template.c   a request's text with {{column}} in it
 *     api_error.c      what a failed answer says, and what was used
 *     hints.c          what headers say of limits and waits
 */
#ifndef CALM_ML_API_H
#define CALM_ML_API_H

#include "ml/dataset.h"

#include <calm/json.h>

enum calm__api_kind {
    CALM__API_SAMPLES,  /* {"samples": [...]} -> {"predictions": [...]} */
    CALM__API_V2,       /* Open Inference Protocol, JSON or binary */
    CALM__API_V1,       /* {"instances": [...]} -> {"predictions": [...]} */
    CALM__API_OPENAI,   /* lines of the Batch format, each a request */
    CALM__API_TEMPLATE, /* a text with {{column}} in it */
};

struct calm__api;

/* ---- opening ------------------------------------------------------------- */

/* All texts are the caller's and must live as long as the api. */
struct calm__api_opts {
    enum calm__api_kind kind;
    const char *url;

    /* The columns that are sent, as arrays of numbers, ending with NULL;
     * without them whatever the format makes of the columns that there are. */
    const char *const *features;
    const char *const *missing; /* texts that are no number and mean no value,
                                 * ends with NULL; NULL: those of csv.h */
    bool json_rows; /* rows are JSON Lines: "" is a text and not no value */

    const char *template; /* of CALM__API_TEMPLATE: the file's text */
    size_t template_len;

    /* Where in an answer the results are; NULL for the format's own place.
     * For v2 the name of an output. For the others a path: names with dots
     * between them, [2] for an element, and [] once for the array that has an
     * element for each row, if that is not the end of the path:
     *     outputs.scores     results[].label     choices[0].message.content */
    const char *result_path;

    bool no_binary; /* v2 in JSON even where the server reads binary */
};

/* What a URL is likely to speak, by its path: .../infer, .../v2 and
 * .../v2/models/M are v2; .../v1/models/M and :predict are v1; .../v1 and the
 * endpoints that end in chat/completions, completions, embeddings, responses
 * or moderations are OpenAI's; everything else takes samples. */
enum calm__api_kind calm__api_guess(const char *url);

/* Returns 0, -ENOMEM, or -EINVAL with a sentence: a URL without the name of a
 * model, a template that is no JSON, a result path that cannot be read. The
 * URL's scheme and host are left to who connects. */
int calm__api_open(
    const struct calm__api_opts *opts, struct calm__api **ret_api);
void calm__api_close(struct calm__api *api);

enum calm__api_kind calm__api_kind_of(const struct calm__api *api);

/* The name of a kind, as --api has it: "samples", "v2", "v1", "openai"; for a
 * template "template". */
const char *calm__api_kind_name(enum calm__api_kind kind);

/* URL number INDEX that the api would like to GET before it begins, and NULL
 * behind the last; its own. An answer may be missing: only a 200 counts. */
const char *calm__api_metadata_url(const struct calm__api *api, size_t index);

/* What that GET has brought. Returns 0, -ENOMEM, CALM_EFORMAT for a text that
 * is not what it should be (the api then is as before), or -EINVAL for a model
 * that cannot be asked: a type without a JSON form, a fixed batch. */
int calm__api_learn(
    struct calm__api *api, size_t index, const char *body, size_t len);

/* What columns there are. NAMES must live as long as the api. */
struct calm__api_table {
    const char *const *names;
    size_t count;
    const char *id;    /* sent only where a sample has names; may be NULL */
    const char *truth; /* never sent; may be NULL */
};

/* Chooses; once. Returns 0, -ENOMEM, or -EINVAL with a sentence: a column that
 * is not there, a number of columns that the model does not expect. A table
 * without columns, that is an empty input, is always good. */
int calm__api_choose(
    struct calm__api *api, const struct calm__api_table *table);

/* The columns that it wants as cells, in the order of calm__api_row(). */
size_t calm__api_columns(const struct calm__api *api);
const char *const *calm__api_column_names(const struct calm__api *api);

/* How many rows a request may have; SIZE_MAX when it does not matter. */
size_t calm__api_rows_max(const struct calm__api *api);

/* ---- requests ------------------------------------------------------------ */

/* Looks whether a row may stand in the input at all: only lines of the Batch
 * format have something to say here. Returns 0, or CALM_EFORMAT with "line 7:
 * ..." for a line that ends the run before anything is sent. (A line that
 * cannot even be read has cells that are absent.) */
int calm__api_check(
    const struct calm__api *api, const struct calm__cell *cells, uint64_t line);

/* Appends the row's sample to OUT: from its length before to its length after.
 * Returns 0; -ENOMEM; or CALM_EFORMAT or CALM_ELIMIT with a sentence when this
 * row cannot be sent: "column 'age': 'x1' is not a number". OUT then is as it
 * was. Any thread. */
int calm__api_row(const struct calm__api *api, const struct calm__cell *cells,
    calm_bytes *out);

/* A piece of a buffer. */
struct calm__api_span {
    size_t start, len;
};

/* A request, the caller's: begins as {0}, is used again, and ends with
 * calm__api_request_clear(). */
struct calm__api_request {
    calm_bytes url; /* text, with a NUL */
    calm_bytes body;
    size_t json_len; /* Inference-Header-Content-Length; 0: no such header */
    const char *content_type;
    bool wants_binary;  /* the answer may be binary */
    calm_bytes scratch; /* private */
};

/* Puts a request together of COUNT samples (at least 1, calm__api_rows_max()
 * at most): SPANS of DATA, in the order of the answer. ID comes back in the
 * answer where the format has ids. Returns 0 or -ENOMEM. Any thread. */
int calm__api_request(const struct calm__api *api, const char *data,
    const struct calm__api_span *spans, size_t count, uint64_t id,
    struct calm__api_request *request);
void calm__api_request_clear(struct calm__api_request *request);

/* About how many tokens a request costs: a quarter of its bytes, and those
 * that it allows the answer to have (max_tokens and the like). */
uint64_t calm__api_tokens(const char *body, size_t len);

/* ---- answers ------------------------------------------------------------- */

/* The body of a good answer, a 200. */
struct calm__api_answer {
    const char *body;
    size_t len;
    size_t json_len; /* Inference-Header-Content-Length; 0: was not there */
    uint64_t id;     /* of the request */
};

/* What it says of a row: a piece of the results' buffer. */
struct calm__api_result {
    size_t start, len;
    bool json;   /* the text is JSON, on one line; else it is a text */
    bool absent; /* null */
};

/* What was used, where a server tells; 0 where not. */
struct calm__api_usage {
    uint64_t prompt_tokens, completion_tokens, total_tokens;
};

/* Reads the answer to a request of COUNT samples. Appends to TEXT, which the
 * caller owns, and lets RESULTS[0] to [count - 1] point into it. NaN and
 * infinities make a text of what they stand in, as JSON has no word for them;
 * 64-bit integers keep all their digits. RET_USAGE may be NULL. Returns 0,
 * -ENOMEM, or CALM_EFORMAT with a sentence; TEXT then is as it was. Any
 * thread. */
int calm__api_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *ret_usage);

/* A result as a cell, which points into TEXT. */
struct calm__cell calm__api_result_cell(
    const calm_bytes *text, const struct calm__api_result *result);

/* ---- what else an answer says -------------------------------------------- */

/* The sentence of a failed answer, fit to be printed: no control bytes, UTF-8,
 * cut. Empty when there is none. */
struct calm__api_error {
    char message[256];
    char code[64];     /* or the type, if there is no code */
    bool quota;        /* code or type is insufficient_quota */
    bool rate_limited; /* code or type is rate_limit_exceeded */
};

/* Reads {"error": "text"}, {"error": {"message", "type", "code"}}, {"detail":
 * ...}, {"message": ...}, or plain text; never fails. */
void calm__api_error_read(
    const char *body, size_t len, struct calm__api_error *ret_error);

/* The usage in a body; zeros when there is none. Answers that calm__api_answer
 * reads have told already. */
void calm__api_usage_read(
    const char *body, size_t len, struct calm__api_usage *ret_usage);

/* ---- lines of the Batch format ------------------------------------------- */

/* Where the cells of CALM__API_OPENAI stand. */
enum {
    CALM__LINE_CUSTOM_ID,
    CALM__LINE_METHOD,
    CALM__LINE_URL,
    CALM__LINE_BODY,
    CALM__LINE_CELLS
};

/* Whether a line of an input looks like the Batch format: how an input is
 * recognised by its first line. */
bool calm__api_is_line(const char *text, size_t len);

/* What happened to a line. */
struct calm__api_outcome {
    uint64_t run; /* any number, the same for all lines of an output */
    uint64_t row;
    const struct calm__cell *custom_id;
    int status;             /* of HTTP; 0 when there was no answer */
    const char *request_id; /* of the answer's header, or NULL */
    const char *body;       /* the answer's, or NULL */
    size_t len;
    const char *code, *message; /* of a failure without a good answer, or
                                 * NULL: "error" is null then */
};

/* Appends the output's line. A body that is JSON goes out as it came, but for
 * line ends between its tokens, which become spaces; any other as a string.
 * The id is made of run and row: the same each time, another for each row.
 * Returns 0 or -ENOMEM; OUT then is as it was. */
int calm__api_outcome_put(
    const struct calm__api_outcome *outcome, calm_bytes *out);

/* Remembers which custom_ids there were, as far as a bounded memory goes, to
 * warn of those that are repeated. Begins as {0}. */
struct calm__api_ids {
    uint64_t *hashes;
    size_t count, room;
    uint64_t repeated;   /* how many lines */
    uint64_t first_line; /* on which the first of them is */
};

/* Never fails: without memory it notices less. */
void calm__api_ids_add(struct calm__api_ids *ids, const char *custom_id,
    size_t len, uint64_t line);
void calm__api_ids_clear(struct calm__api_ids *ids);

#endif
