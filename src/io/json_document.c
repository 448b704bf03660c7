/* json_document.c - a whole JSON text as a tree
 *
 * Three pieces of memory: the text, copied, since raw texts point into it; the
 * values, in the order in which they begin; and the strings without their
 * escapes, each with a NUL.
 *
 *     [1, {"a": [2]}, 3]      values   [    1    {    [    2    3
 *                             size     6    1    3    2    1    1
 *
 * The next of a value lies SIZE values on, the first in it is the one behind
 * it. Both arrays are as large as the index of tokens says, before they are
 * filled.
 */
#include "io/json.h"

#include "base/fault.h"
#include "io/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct calm_json_doc {
    char *text;
    char *strings;
    struct calm_json_value values[];
};

static calm_json_doc *document_of(const calm_json_value *value)
{
    const char *root = (const char *)(value - value->index);
    return (calm_json_doc *)(root - offsetof(calm_json_doc, values));
}

/* ---- parsing ------------------------------------------------------------- */

/* "line 2, column 5: ..." */
static int fail_at(
    struct calm__json_problem problem, const char *text, size_t len)
{
    char buffer[CALM__JSON_MESSAGE];
    calm__json_settle(&problem, text, len);
    size_t line = 1, start = 0, at = problem.at < len ? problem.at : len;
    for (size_t i = 0; i < at; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return calm_fail(problem.status, "line %zu, column %zu: %s", line,
        at - start + 1,
        calm__json_describe(&problem, text, buffer, sizeof buffer));
}

/* At least as many values as the walk will lay down: each token begins one, but
 * for those between them and for names, which have a colon behind them. A text
 * that is no JSON may have one where no name is; the walk ends right behind it,
 * so one more is always enough. */
static size_t count_values(
    const char *text, const uint32_t *places, size_t count)
{
    size_t values = 1;
    for (size_t i = 0; i < count; i++) {
        char first = text[places[i]];
        bool name = i + 1 < count && text[places[i + 1]] == ':';
        values += !name && first != ':' && first != ',' && first != ']' &&
                  first != '}';
    }
    return values;
}

/* All of a text, which has nothing but one value in it. */
static int walk_text(struct calm__json_walk *walk)
{
    struct calm__json_token token;
    bool good = calm__json_take_value(walk, 0, &token);
    if (good && calm__json_has_token(walk))
        good = calm__json_refuse(walk, "there is more behind the value");
    return good ? 0 : fail_at(walk->problem, walk->text, walk->limit);
}

static int new_document(
    const char *text, size_t len, size_t values, calm_json_doc **ret_doc)
{
    size_t size = sizeof(calm_json_doc) + values * sizeof(calm_json_value);
    calm_json_doc *doc = calm__alloc(size);
    if (!doc)
        return -ENOMEM;
    doc->text = calm__alloc(len + 1);
    doc->strings = calm__alloc(len + 1);
    if (!doc->text || !doc->strings) {
        calm_json_free(doc);
        return -ENOMEM;
    }
    memcpy(doc->text, text, len);
    doc->text[len] = '\0';
    *ret_doc = doc;
    return 0;
}

static int build(
    struct calm__json_walk *walk, size_t count, calm_json_doc **ret_doc)
{
    calm_json_doc *doc;
    size_t values = count_values(walk->text, walk->place, count);
    int rc = new_document(walk->text, walk->limit, values, &doc);
    if (rc < 0)
        return calm_fail(rc, "no memory for a JSON document");
    walk->text = doc->text;
    walk->values = doc->values;
    walk->strings = doc->strings;
    rc = walk_text(walk);
    if (rc < 0)
        calm_json_free(doc);
    else
        *ret_doc = doc;
    return rc;
}

/* Parses into *RET_DOC, or only checks when that is NULL. */
static int parse_with(struct calm__json_index *index, const char *text,
    size_t len, calm_json_doc **ret_doc)
{
    const uint32_t *places;
    size_t count;
    int rc = calm__json_index_make(index, text, len, &places, &count);
    if (rc == CALM_EFORMAT)
        return fail_at(calm__json_explain(text, len), text, len);
    if (rc < 0)
        return calm_fail(rc, "no memory for a JSON document");
    if (count == 0)
        return calm_fail(CALM_EFORMAT, "there is no JSON in the text");
    struct calm__json_walk walk = {
        .text = text,
        .place = places,
        .limit = (uint32_t)len,
        .escapes = memchr(text, '\\', len) != NULL,
    };
    return ret_doc ? build(&walk, count, ret_doc) : walk_text(&walk);
}

static int parse(const char *text, size_t len, const calm_json_opts *opts,
    calm_json_doc **ret_doc)
{
    size_t most = opts && opts->size_max ? opts->size_max : 16 << 20;
    if (most > CALM__JSON_MOST)
        return calm_fail(-EINVAL, "size_max %zu is beyond 1 GiB", most);
    if (len > most)
        return calm_fail(
            CALM_ELIMIT, "%zu bytes of JSON are more than %zu", len, most);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    struct calm__json_index *index = calm__json_index_new();
    if (!index)
        return calm_fail(-ENOMEM, "no memory for a JSON document");
    int rc = parse_with(index, text, len, ret_doc);
    calm__json_index_free(index);
    return rc;
}

int calm_json_parse(const char *text, size_t len, const calm_json_opts *opts,
    calm_json_doc **ret_doc)
{
    return parse(text, len, opts, ret_doc);
}

int calm_json_check(const char *text, size_t len, const calm_json_opts *opts)
{
    return parse(text, len, opts, NULL);
}

void calm_json_free(calm_json_doc *doc)
{
    if (!doc)
        return;
    free(doc->text);
    free(doc->strings);
    free(doc);
}

/* ---- the tree ------------------------------------------------------------ */

const calm_json_value *calm_json_root(const calm_json_doc *doc)
{
    return doc ? doc->values : NULL;
}

enum calm_json_kind calm_json_kind_of(const calm_json_value *value)
{
    return value ? (enum calm_json_kind)value->kind : CALM_JSON_MISSING;
}

const char *calm_json_kind_name(enum calm_json_kind kind)
{
    static const char *const names[] = {"missing", "null", "true or false",
        "a number", "a string", "an array", "an object"};
    return kind <= CALM_JSON_OBJECT ? names[kind] : "unknown";
}

size_t calm_json_count(const calm_json_value *value)
{
    enum calm_json_kind kind = calm_json_kind_of(value);
    bool has = kind == CALM_JSON_ARRAY || kind == CALM_JSON_OBJECT;
    return has ? value->count : 0;
}

const calm_json_value *calm_json_first(const calm_json_value *value)
{
    return calm_json_count(value) > 0 ? value + 1 : NULL;
}

const calm_json_value *calm_json_next(const calm_json_value *value)
{
    return value && !value->last ? value + value->size : NULL;
}

const calm_json_value *calm_json_at(const calm_json_value *value, size_t index)
{
    const calm_json_value *each = calm_json_first(value);
    while (each && index-- > 0)
        each = calm_json_next(each);
    return each;
}

const char *calm_json_name(const calm_json_value *value)
{
    return value && value->name > 0
               ? document_of(value)->strings + value->name - 1
               : NULL;
}

const calm_json_value *calm_json_get(
    const calm_json_value *value, const char *name)
{
    const calm_json_value *found = NULL;
    if (calm_json_kind_of(value) != CALM_JSON_OBJECT)
        return NULL;
    for (const calm_json_value *each = calm_json_first(value); each;
         each = calm_json_next(each))
        if (strcmp(calm_json_name(each), name) == 0)
            found = each;
    return found;
}

const char *calm_json_raw(const calm_json_value *value, size_t *ret_len)
{
    if (ret_len)
        *ret_len = value ? value->len : 0;
    return value ? document_of(value)->text + value->raw : "";
}

const char *calm_json_text(const calm_json_value *value, size_t *ret_len)
{
    bool string = calm_json_kind_of(value) == CALM_JSON_STRING;
    if (ret_len)
        *ret_len = string ? value->count : 0;
    return string ? document_of(value)->strings + value->text : NULL;
}

bool calm_json_true(const calm_json_value *value)
{
    return calm_json_kind_of(value) == CALM_JSON_BOOL &&
           calm_json_raw(value, NULL)[0] == 't';
}

double calm_json_number(const calm_json_value *value)
{
    double number = NAN;
    if (calm_json_kind_of(value) == CALM_JSON_BOOL)
        return calm_json_true(value);
    if (calm_json_kind_of(value) != CALM_JSON_NUMBER)
        return number;
    const char *text = calm_json_raw(value, NULL);
    calm__double_parse(text, value->len, text, &number);
    return number;
}

int calm_json_int64(const calm_json_value *value, int64_t *ret_value)
{
    size_t len;
    const char *text = calm_json_raw(value, &len);
    enum calm_json_kind kind = calm_json_kind_of(value);
    if (kind != CALM_JSON_NUMBER)
        return calm_fail(CALM_EFORMAT, "a whole number is wanted, there is %s",
            kind == CALM_JSON_MISSING ? "none" : calm_json_kind_name(kind));
    if (!memchr(text, '.', len) && !memchr(text, 'e', len) &&
        !memchr(text, 'E', len))
        return calm_int64_parse(text, len, ret_value);
    double number = calm_json_number(value);
    if (number != trunc(number))
        return calm_fail(CALM_EFORMAT, "%.17g is not a whole number", number);
    if (number < -0x1p63 || number >= 0x1p63)
        return calm_fail(-ERANGE, "%.17g does not fit into 64 bits", number);
    *ret_value = (int64_t)number;
    return 0;
}
