/* ml/api_inside.h - what the formats of api.h share */
#ifndef CALM_ML_API_INSIDE_H
#define CALM_ML_API_INSIDE_H

#include "ml/api.h"

#include <stdbool.h>

/* ---- paths --------------------------------------------------------------- */

enum calm__path_kind {
    CALM__PATH_NAME,
    CALM__PATH_INDEX,
    CALM__PATH_ROWS, /* [], at most once */
};

struct calm__path_step {
    enum calm__path_kind kind;
    char *name;
    size_t index;
    size_t end; /* in the text: what a message shows */
};

struct calm__path {
    char *text;
    struct calm__path_step *steps;
    size_t count;
    size_t rows; /* the number of the [] step, or count */
};

/* Returns 0, -ENOMEM, or -EINVAL with a sentence; an empty text is the whole
 * answer. */
int calm__path_parse(const char *text, struct calm__path *ret_path);
void calm__path_clear(struct calm__path *path);

/* Goes steps FROM to TO from VALUE. Returns 0, or CALM_EFORMAT when there is
 * nothing, or two of a name. */
int calm__path_walk(const struct calm__path *path, size_t from, size_t to,
    const calm_json_value *value, const calm_json_value **ret_value);

/* ---- answers as documents ------------------------------------------------ */

struct calm__reply {
    calm_json_doc *doc;
    const char *text; /* the body behind its byte order mark, as it came */
    char *plain;      /* a copy with numbers for NaN and infinities, or NULL */
};

/* Reads a body. WITH_BARE also accepts NaN, Infinity and -Infinity where a
 * value stands. Returns 0, -ENOMEM, or CALM_EFORMAT, also for what is too
 * deep. */
int calm__reply_open(
    struct calm__reply *reply, const char *body, size_t len, bool with_bare);
void calm__reply_close(struct calm__reply *reply);

/* The member of that name, NULL if there is none. Returns 0, or CALM_EFORMAT
 * when it is there twice: which of them is meant would be a guess. */
int calm__reply_member(const calm_json_value *object, const char *name,
    const calm_json_value **ret_value);

/* Appends a value to TEXT as a result. Returns 0 or -ENOMEM. */
int calm__reply_put(const struct calm__reply *reply,
    const calm_json_value *value, calm_bytes *text,
    struct calm__api_result *ret_result);

/* The row that an element is for, by its "index", of COUNT. Returns 0, or
 * CALM_EFORMAT. */
int calm__reply_index(
    const calm_json_value *element, size_t count, size_t *ret_row);

/* The results where the path says, one for each element of an array of COUNT;
 * in the order of the elements, or INDEXED. */
int calm__reply_rows(const struct calm__reply *reply,
    const struct calm__path *path, const calm_json_value *root, size_t count,
    bool indexed, calm_bytes *text, struct calm__api_result *results);

/* {"usage": {...}} of a document. */
void calm__reply_usage(
    const calm_json_value *root, struct calm__api_usage *ret_usage);

/* ---- cells --------------------------------------------------------------- */

/* Appends a cell as JSON: numbers of CSV and members of JSON Lines verbatim,
 * nothing as null, all else as a string. Returns 0 or -ENOMEM. */
int calm__api_put_cell(const struct calm__api *api,
    const struct calm__cell *cell, calm_bytes *out);

/* What a cell is as a number. */
enum calm__number {
    CALM__NUMBER_NONE,  /* no value: empty, null, or a text that means it */
    CALM__NUMBER_JSON,  /* the text is a number of JSON */
    CALM__NUMBER_VALUE, /* a number, but to be written anew */
    CALM__NUMBER_NOT,   /* no number */
};

/* Whether a cell that may be a text or a number means that there is no value:
 * absent, null, empty or nan (of CSV), or a text that the options tell. */
bool calm__api_is_nothing(
    const struct calm__api *api, const struct calm__cell *cell);

/* *ret_value is only set with CALM__NUMBER_VALUE: most that are sent as JSON go
 * as the text that they are, and reading them would cost more than all else. */
enum calm__number calm__api_number(const struct calm__api *api,
    const struct calm__cell *cell, double *ret_value);

/* Appends a cell as a number, nothing as null. Returns 0, -ENOMEM, or
 * CALM_EFORMAT with a sentence that names the column. */
int calm__api_put_number(const struct calm__api *api, size_t column,
    const struct calm__cell *cell, calm_bytes *out);

/* "column 'age': 'x1' IS" as an error; the text cut, and fit to be printed. */
int calm__api_refuse(const struct calm__api *api, size_t column,
    const struct calm__cell *cell, const char *is);

/* A copy of up to LEN bytes that may be printed: UTF-8 without control bytes,
 * cut at whole characters with "..." behind. SIZE counts the NUL. */
void calm__api_printable(const char *text, size_t len, char *to, size_t size);

/* ---- the api ------------------------------------------------------------- */

struct calm__api_format {
    /* All but open, choose, row, request and answer may be NULL. */
    int (*open)(struct calm__api *api);
    void (*close)(struct calm__api *api);
    const char *(*metadata_url)(const struct calm__api *api, size_t index);
    int (*learn)(
        struct calm__api *api, size_t index, const char *body, size_t len);
    int (*choose)(struct calm__api *api, const struct calm__api_table *table);
    int (*check)(const struct calm__api *api, const struct calm__cell *cells,
        uint64_t line);
    int (*row)(const struct calm__api *api, const struct calm__cell *cells,
        calm_bytes *out);
    int (*request)(const struct calm__api *api, const char *data,
        const struct calm__api_span *spans, size_t count, uint64_t id,
        struct calm__api_request *request);
    int (*answer)(const struct calm__api *api,
        const struct calm__api_answer *answer, size_t count, calm_bytes *text,
        struct calm__api_result *results, struct calm__api_usage *usage);
};

extern const struct calm__api_format calm__api_samples;
extern const struct calm__api_format calm__api_v2;
extern const struct calm__api_format calm__api_lines;
extern const struct calm__api_format calm__api_template;

struct calm__api {
    struct calm__api_opts opts;
    const struct calm__api_format *format;
    char *url; /* complete */
    struct calm__path path;
    const char **names; /* of the columns, the table's or the format's */
    size_t count;
    size_t rows_max;
    void *own; /* the format's */
};

/* Sets the columns: those of the features, or all of the table but its truth,
 * and, unless samples have names, its id. Returns 0, -ENOMEM, -EINVAL. */
int calm__api_choose_columns(
    struct calm__api *api, const struct calm__api_table *table, bool with_id);

/* Appends WORD to the columns unless it is there; NAME is not copied. Returns
 * its number, or -ENOMEM. */
int calm__api_add_column(struct calm__api *api, const char *name);

bool calm__api_table_has(const struct calm__api_table *table, const char *name);

/* HEAD, the samples with commas between them, TAIL. Returns 0 or -ENOMEM. */
int calm__api_join(const char *head, const char *data,
    const struct calm__api_span *spans, size_t count, const char *tail,
    calm_bytes *out);

/* ---- URLs ---------------------------------------------------------------- */

/* The parts of a URL: [0, path) scheme and host, [path, query) the path, the
 * rest query and fragment. */
struct calm__url {
    size_t path, query;
};

struct calm__url calm__url_split(const char *url);

/* Whether the path ends with END, slashes behind it left out of account. */
bool calm__url_ends(const char *url, const char *end);

/* Where the path has FOLDER in it, or NULL. */
const char *calm__url_find(const char *url, const char *folder);

#endif
