/* ml/model_scan.h - reads JSON and XGBoost's UBJSON alike, bounded
 *
 * A pull reader over bytes in memory, for those who check a model file before
 * the library that will load it sees it. It is told what it should find:
 *
 *     struct calm__scan_list list;
 *     struct calm__text key;
 *     calm__scan_open(scan, '{', &list);
 *     while (calm__scan_key(scan, &list, &key))
 *         calm__scan_skip(scan);
 *
 * The first thing that is wrong ends the reading: every later call fails, so
 * that only the end of a loop needs to look at scan->wrong.
 */
#ifndef CALM_ML_MODEL_SCAN_H
#define CALM_ML_MODEL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calm__text {
    const char *data; /* not NUL-terminated; escapes as they stand */
    size_t len;
};

struct calm__scan {
    const char *begin, *at, *end;
    const char *wrong; /* what is, or NULL; AT then is where */
    char element;      /* the type that the next value has without a marker */
    bool binary;
    int depth;
};

/* An object or an array that is being read. */
struct calm__scan_list {
    int64_t left; /* items to come; -1: until the closing bracket */
    char type;    /* of all elements; 0: each has its own */
    char close;
    bool begun;
};

/* Numbers that stay in memory from one array to the next. */
struct calm__integers {
    int32_t *values; /* from malloc() */
    size_t count, room;
};

/* Begins to read the LEN bytes at DATA, which begin with '{'. */
void calm__scan_init(struct calm__scan *scan, const char *data, size_t len);

/* What is wrong when no memory was left, to be compared by its address. */
extern const char calm__scan_no_memory[];

/* Remembers the first thing that is wrong; returns false. */
bool calm__scan_fail(struct calm__scan *scan, const char *wrong);

/* Enters an object '{' or an array '['. */
bool calm__scan_open(
    struct calm__scan *scan, char bracket, struct calm__scan_list *ret_list);

/* To the next value of an object, with its key, or of an array. The value must
 * then be read. False at the end of the list. */
bool calm__scan_key(struct calm__scan *scan, struct calm__scan_list *list,
    struct calm__text *ret_key);
bool calm__scan_item(struct calm__scan *scan, struct calm__scan_list *list);

/* Values. An integer must have no fraction and fit; numbers in a text, as
 * XGBoost writes its parameters, must be digits alone. */
bool calm__scan_text(struct calm__scan *scan, struct calm__text *ret_text);
bool calm__scan_integer(struct calm__scan *scan, int64_t *ret_value);
bool calm__scan_text_number(struct calm__scan *scan, int64_t *ret_value);
bool calm__scan_skip(struct calm__scan *scan);

/* A whole array: its integers of 32 bits, or only how many elements it has. */
bool calm__scan_integers(
    struct calm__scan *scan, struct calm__integers *integers);
bool calm__scan_count(struct calm__scan *scan, size_t *ret_count);

/* Whether nothing but white space and NUL is left. */
bool calm__scan_end(struct calm__scan *scan);

#endif
