/* io/json.h - what the parts of the JSON reader share
 *
 *     json.cpp         bytes -> an index of tokens, by simdjson, vectorised
 *     json_value.c     index -> values, checked against the grammar
 *     json_text.c      escapes undone, causes put into words
 *     json_document.c  a whole text -> a tree
 *     jsonl_cut.c      a stream -> blocks of whole lines
 *     jsonl_names.c    what members there are
 *     jsonl_read.c     a block -> the members that were asked for
 *     json_write.c     values -> text
 *
 * simdjson does the part that wants vector instructions: it finds where each
 * token begins and checks UTF-8 and strings for control characters, 64 bytes
 * at a time, with whatever the processor has. What its tokens mean is decided
 * here, because a row's cause wants a column, a field its text as it stands,
 * and a 64-bit id more than a double; its own second stage keeps none of them.
 *
 *     {"age": 41, "tags": ["a b", null]}
 *     ^^    ^ ^ ^^      ^ ^^    ^ ^   ^^      places: where tokens begin
 *
 * A token ends before the next one, less the white space between them.
 */
#ifndef CALM_IO_JSON_H
#define CALM_IO_JSON_H

#include <calm/json.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The largest line or document that options may allow. */
#define CALM__JSON_MOST ((size_t)1 << 30)

/* ---- the index ----------------------------------------------------------- */

struct calm__json_index;

/* Returns NULL without memory. */
/* The version of simdjson, in three parts, for reports. */
void calm__json_version(int ret_version[3]);

struct calm__json_index *calm__json_index_new(void);
void calm__json_index_free(struct calm__json_index *index);

/* Finds the tokens of LEN bytes, at most CALM__JSON_MOST. Returns 0 with their
 * offsets, which the index owns until the next call, and one more with the
 * value LEN behind them; CALM_EFORMAT without a sentence if UTF-8 or a string
 * is bad anywhere in the text; or -ENOMEM. */
int calm__json_index_make(struct calm__json_index *index, const char *text,
    size_t len, const uint32_t **ret_places, size_t *ret_count);

/* ---- values -------------------------------------------------------------- */

/* What is wrong with a text, and where: an offset. The word, if it has a
 * length, is what stands there instead. */
struct calm__json_problem {
    int status; /* 0: nothing */
    const char *what;
    size_t at;
    size_t word;
};

/* One value of a document, 32 bytes: offsets instead of addresses. */
struct calm_json_value {
    uint32_t raw;   /* in the text */
    uint32_t len;   /* of it */
    uint32_t index; /* among the values of the document; the root is 0 */
    uint32_t size;  /* how many values it is, all in it included */
    uint32_t count; /* elements or members */
    uint32_t name;  /* in the strings, as of strings' text below; plus 1 */
    uint32_t text;  /* in the strings */
    uint32_t kind : 8;
    uint32_t last : 1; /* of those in the same array or object */
};

/* Where a walk over tokens stands. */
struct calm__json_walk {
    const char *text;
    const uint32_t *place; /* the next token; a place at LIMIT or beyond is
                            * none, so one at the end is always there */
    uint32_t limit;        /* the end of the line or document */
    bool escapes; /* there may be backslashes: else none is looked for */
    struct calm__json_problem problem;

    /* For documents: where values and names go. NULL to only check. */
    struct calm_json_value *values;
    char *strings;
    size_t value_count, strings_len;
};

/* A token as it stands in the text. */
struct calm__json_token {
    const char *text;
    size_t len;
    enum calm_json_kind kind;
    double number; /* of numbers, true and false; else NaN */
};

/* Whether there is a token left. */
static inline bool calm__json_has_token(const struct calm__json_walk *walk)
{
    return *walk->place < walk->limit;
}

/* The first byte of the next token, NUL if there is none; no token is NUL. */
static inline char calm__json_peek(const struct calm__json_walk *walk)
{
    return calm__json_has_token(walk) ? walk->text[*walk->place] : '\0';
}

/* Takes a string that is a name or value: its text without the quotes. */
bool calm__json_take_string(
    struct calm__json_walk *walk, struct calm__json_token *ret_token);

/* Takes a value, of arrays and objects all that is in it. Returns false with
 * the walk's problem set. DEPTH says how many contain it already. */
bool calm__json_take_value(struct calm__json_walk *walk, int depth,
    struct calm__json_token *ret_token);

/* Sets the problem to the next token; returns false. */
bool calm__json_refuse(struct calm__json_walk *walk, const char *what);

/* ---- text ---------------------------------------------------------------- */

/* Undoes the escapes of a checked string; TO has room for LEN bytes. Returns
 * the length. */
size_t calm__json_unescape(const char *text, size_t len, char *to);

/* Checks the escapes of a string. Returns LEN, or the place of a bad one. */
size_t calm__json_check_escapes(const char *text, size_t len);

/* For a text that could not be indexed: the first place that is to blame. */
struct calm__json_problem calm__json_explain(const char *text, size_t len);

/* Blames UTF-8 first. simdjson looks at all of a text with vectors, but only
 * at strings without: the causes shall not depend on the processor. */
void calm__json_settle(
    struct calm__json_problem *problem, const char *text, size_t len);

/* A problem in words, without its place: "'NaN' is not a JSON value". Returns
 * BUFFER, which has SIZE bytes. */
const char *calm__json_describe(const struct calm__json_problem *problem,
    const char *text, char *buffer, size_t size);

/* What a message may say of a problem. */
#define CALM__JSON_MESSAGE 160

/* ---- lines --------------------------------------------------------------- */

/* Copies OPTS (may be NULL) with the defaults filled in. Returns 0 or
 * -EINVAL. */
int calm__jsonl_opts_fill(
    const calm_jsonl_opts *opts, calm_jsonl_opts *ret_opts);

/* Whether a line is no row: spaces, tabs and CR. */
static inline bool calm__jsonl_is_empty(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

#ifdef __cplusplus
}
#endif
#endif
