/* api_reply.c - the body of an answer as a document
 *
 * Some servers write NaN and Infinity, for which JSON has no words. When a
 * body cannot be read because of them it is read again from a copy in which
 * each has given its place to a number of the same length, so that every value
 * lies where it lies in the body:
 *
 *     body    [0.5, NaN, -Infinity]
 *     plain   [0.5, 0.0, -0.000000]
 *
 * Results are cut out of the body, and those that differ from the copy are
 * texts and no JSON.
 */
#include "ml/api_inside.h"

#include "base/buffer.h"
#include "base/fault.h"
#include "io/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- NaN and infinities -------------------------------------------------- */

/* What follows a value, or may stand in front of one. */
static bool is_between(char c)
{
    return c && strchr(" \t\r\n,:[]{}", c);
}

static size_t bare_len(const char *text, size_t len)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(words[i]);
        if (len >= size && memcmp(text, words[i], size) == 0 &&
            (len == size || is_between(text[size])))
            return size;
    }
    return 0;
}

/* Puts a number in the place of every bare word; whether there was one. What
 * is no JSON for another reason may be changed anywhere: it stays none, since
 * a word only gives way where a value may begin. */
static bool replace_bare(char *text, size_t len)
{
    bool found = false, string = false;
    for (size_t i = 0; i < len; i++) {
        if (string && text[i] == '\\') {
            i++;
            continue;
        }
        if (text[i] == '"')
            string = !string;
        if (string)
            continue;
        if (text[i] != 'N' && text[i] != 'I' && text[i] != '-')
            continue;
        size_t size =
            i > 0 && !is_between(text[i - 1]) ? 0 : bare_len(text + i, len - i);
        for (size_t j = 0; j < size; j++)
            text[i + j] = j == 0 && text[i] == '-' ? '-' : '0';
        if (size > 0)
            text[i + (text[i] == '-') + 1] = '.';
        found |= size > 0;
    }
    return found;
}

/* ---- documents ----------------------------------------------------------- */

static const calm_json_opts limits = {.size_max = CALM__JSON_MOST};

static int parse_bare(struct calm__reply *reply, const char *body, size_t len)
{
    reply->plain = calm__alloc(len + 1);
    if (!reply->plain)
        return calm_fail(-ENOMEM, "no memory for an answer");
    memcpy(reply->plain, body, len);
    reply->plain[len] = '\0';
    if (!replace_bare(reply->plain, len))
        return CALM_EFORMAT; /* with the sentence of the first try */
    return calm_json_parse(reply->plain, len, &limits, &reply->doc);
}

int calm__reply_open(
    struct calm__reply *reply, const char *body, size_t len, bool with_bare)
{
    *reply = (struct calm__reply){0};
    /* The document leaves a byte order mark out: places count behind it. */
    size_t mark = len >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    reply->text = body + mark;
    int rc = calm_json_parse(body, len, &limits, &reply->doc);
    if (rc == CALM_EFORMAT && with_bare)
        rc = parse_bare(reply, body + mark, len - mark);
    if (rc < 0)
        calm__reply_close(reply);
    if (rc < 0 && rc != -ENOMEM)
        return calm_fail(CALM_EFORMAT, "%s", calm_message(rc));
    return rc;
}

void calm__reply_close(struct calm__reply *reply)
{
    calm_json_free(reply->doc);
    free(reply->plain);
    *reply = (struct calm__reply){0};
}

int calm__reply_member(const calm_json_value *object, const char *name,
    const calm_json_value **ret_value)
{
    *ret_value = NULL;
    if (calm_json_kind_of(object) != CALM_JSON_OBJECT)
        return 0;
    for (const calm_json_value *each = calm_json_first(object); each;
         each = calm_json_next(each)) {
        if (strcmp(calm_json_name(each), name) != 0)
            continue;
        if (*ret_value)
            return calm_fail(CALM_EFORMAT, "'%s' is there twice", name);
        *ret_value = each;
    }
    return 0;
}

/* ---- results ------------------------------------------------------------- */

int calm__reply_put(const struct calm__reply *reply,
    const calm_json_value *value, calm_bytes *text,
    struct calm__api_result *ret_result)
{
    size_t len = value->len;
    const char *from = reply->text + value->raw;
    enum calm_json_kind kind = calm_json_kind_of(value);
    *ret_result = (struct calm__api_result){
        .start = text->len, .json = true, .absent = kind == CALM_JSON_NULL};
    if (kind == CALM_JSON_STRING) {
        from = calm_json_text(value, &len);
        ret_result->json = false;
    } else if (reply->plain) {
        ret_result->json = !memcmp(from, reply->plain + value->raw, len);
    }
    int rc = calm__bytes_room(text, len);
    if (rc < 0)
        return rc;
    char *to = text->data + text->len;
    memcpy(to, from, len);
    text->len += len;
    text->data[text->len] = '\0';
    ret_result->len = len;
    /* One line: outside of strings a line end only is white space. */
    if (kind == CALM_JSON_ARRAY || kind == CALM_JSON_OBJECT)
        for (size_t i = 0; i < len; i++)
            if (to[i] == '\n' || to[i] == '\r')
                to[i] = ' ';
    return 0;
}

int calm__reply_index(
    const calm_json_value *element, size_t count, size_t *ret_row)
{
    const calm_json_value *index;
    int64_t number;
    int rc = calm__reply_member(element, "index", &index);
    if (rc == 0 && !index)
        rc = calm_fail(CALM_EFORMAT, "an element has no 'index'");
    if (rc == 0)
        rc = calm_json_int64(index, &number);
    if (rc < 0)
        return rc == -ENOMEM ? rc : CALM_EFORMAT;
    if (number < 0 || (uint64_t)number >= count)
        return calm_fail(CALM_EFORMAT, "there is an index %lld for %zu rows",
            (long long)number, count);
    *ret_row = (size_t)number;
    return 0;
}

/* The array that the path leads to. */
static int find_rows(const struct calm__path *path, const calm_json_value *root,
    size_t count, const calm_json_value **ret_rows)
{
    int rc = calm__path_walk(path, 0, path->rows, root, ret_rows);
    if (rc < 0)
        return rc;
    int shown = path->rows > 0 ? (int)path->steps[path->rows - 1].end : 0;
    enum calm_json_kind kind = calm_json_kind_of(*ret_rows);
    if (kind != CALM_JSON_ARRAY)
        return calm_fail(CALM_EFORMAT, "'%.*s' is %s and not an array", shown,
            path->text, calm_json_kind_name(kind));
    size_t there = calm_json_count(*ret_rows);
    if (there != count)
        return calm_fail(CALM_EFORMAT, "'%.*s' has %zu elements for %zu rows",
            shown, path->text, there, count);
    return 0;
}

int calm__reply_rows(const struct calm__reply *reply,
    const struct calm__path *path, const calm_json_value *root, size_t count,
    bool indexed, calm_bytes *text, struct calm__api_result *results)
{
    const calm_json_value *rows, *value;
    int rc = find_rows(path, root, count, &rows);
    for (size_t i = 0; i < count; i++)
        results[i].start = SIZE_MAX; /* none yet */
    const calm_json_value *each = rc == 0 ? calm_json_first(rows) : NULL;
    for (size_t row = 0; rc == 0 && each; each = calm_json_next(each), row++) {
        rc = indexed ? calm__reply_index(each, count, &row) : 0;
        if (rc == 0 && results[row].start != SIZE_MAX)
            rc = calm_fail(CALM_EFORMAT, "the index %zu is there twice", row);
        size_t from = path->rows + (path->rows < path->count);
        if (rc == 0)
            rc = calm__path_walk(path, from, path->count, each, &value);
        if (rc == 0)
            rc = calm__reply_put(reply, value, text, &results[row]);
    }
    return rc;
}

struct calm__cell calm__api_result_cell(
    const calm_bytes *text, const struct calm__api_result *result)
{
    return (struct calm__cell){
        .text = calm_bytes_text(text) + result->start,
        .len = result->len,
        .json = result->json,
        .absent = result->absent,
    };
}
