/* json_value.c - tokens to values, checked against the grammar of RFC 8259
 *
 * A loop with a stack of bits, one for each array or object that is open, and
 * no recursion: tasks have small stacks, and the depth comes from the input.
 * Whoever builds a document gets each value laid down in the order in which
 * they begin; the next of an array lies SIZE values on.
 */
#include "io/json.h"

#include "io/number.h"

#include <math.h>
#include <string.h>

static inline bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* The length of the next token, which is there. */
static inline size_t token_len(const struct calm__json_walk *walk)
{
    uint32_t start = walk->place[0], end = walk->place[1];
    if (end > walk->limit)
        end = walk->limit;
    while (end > start + 1 && is_white(walk->text[end - 1]))
        end--;
    return end - start;
}

bool calm__json_refuse(struct calm__json_walk *walk, const char *what)
{
    bool there = calm__json_has_token(walk);
    walk->problem = (struct calm__json_problem){
        .status = CALM_EFORMAT,
        .what = what,
        .at = there ? *walk->place : walk->limit,
    };
    return false;
}

/* The next token is nothing at all. */
static bool refuse_token(struct calm__json_walk *walk)
{
    if (!calm__json_has_token(walk))
        return calm__json_refuse(walk, "a value is missing at the end");
    char first = walk->text[*walk->place];
    if (first && strchr(",:]}", first))
        return calm__json_refuse(walk, "a value is missing");
    calm__json_refuse(walk, "is not a JSON value");
    walk->problem.word = token_len(walk);
    return false;
}

static bool refuse_depth(struct calm__json_walk *walk)
{
    calm__json_refuse(
        walk, "arrays and objects are in each other more than 128 deep");
    walk->problem.status = CALM_ELIMIT;
    return false;
}

/* ---- scalars ------------------------------------------------------------- */

bool calm__json_take_string(
    struct calm__json_walk *walk, struct calm__json_token *ret_token)
{
    const char *text = walk->text + *walk->place;
    size_t len = token_len(walk);
    /* The index has seen to it that every string is closed, and the next token
     * begins behind it. */
    if (len < 2 || text[len - 1] != '"')
        return calm__json_refuse(walk, "a string is not closed");
    *ret_token = (struct calm__json_token){
        .text = text + 1,
        .len = len - 2,
        .kind = CALM_JSON_STRING,
        .number = NAN,
    };
    if (walk->escapes) {
        size_t good = calm__json_check_escapes(text + 1, len - 2);
        if (good < len - 2) {
            calm__json_refuse(walk, "a backslash with no meaning, or half of a "
                                    "surrogate pair");
            walk->problem.at += 1 + good;
            return false;
        }
    }
    walk->place++;
    return true;
}

/* What numbers of JSON must have beyond those that are read elsewhere: a digit
 * on each side of the point, and no zero in front of others. */
static bool has_json_form(const char *text, size_t len)
{
    size_t i = text[0] == '-';
    if (i == len || !is_digit(text[i]))
        return false;
    if (text[i] == '0' && i + 1 < len && is_digit(text[i + 1]))
        return false;
    while (i < len && is_digit(text[i]))
        i++;
    if (i < len && text[i] == '.')
        return i + 1 < len && is_digit(text[i + 1]);
    return true;
}

static bool take_scalar(
    struct calm__json_walk *walk, struct calm__json_token *ret_token)
{
    if (!calm__json_has_token(walk))
        return refuse_token(walk);
    if (!calm__json_has_token(walk))
        return refuse_token(walk);
    const char *text = walk->text + *walk->place;
    size_t len = token_len(walk);
    struct calm__json_token token = {.text = text, .len = len, .number = NAN};
    if (*text == '-' || is_digit(*text)) {
        if (!has_json_form(text, len) ||
            !calm__double_parse(text, len, walk->text, &token.number))
            return refuse_token(walk);
        token.kind = CALM_JSON_NUMBER;
    } else if (len == 4 && memcmp(text, "true", 4) == 0) {
        token.kind = CALM_JSON_BOOL;
        token.number = 1;
    } else if (len == 5 && memcmp(text, "false", 5) == 0) {
        token.kind = CALM_JSON_BOOL;
        token.number = 0;
    } else if (len == 4 && memcmp(text, "null", 4) == 0) {
        token.kind = CALM_JSON_NULL;
    } else {
        return refuse_token(walk);
    }
    walk->place++;
    *ret_token = token;
    return true;
}

/* ---- laying down --------------------------------------------------------- */

/* The arrays and objects that are open, from the outside in. */
struct open {
    uint64_t objects[CALM_JSON_DEPTH_MAX / 64]; /* which are objects */
    int depth;
    uint32_t values[CALM_JSON_DEPTH_MAX]; /* in walk->values */
};

static inline bool is_object(const struct open *open, int depth)
{
    return open->objects[depth / 64] >> (depth % 64) & 1;
}

/* Puts a string into the strings of the document, with a NUL. It is shorter
 * there than in the text, quotes and all. */
static uint32_t lay_string(
    struct calm__json_walk *walk, const struct calm__json_token *token)
{
    uint32_t place = (uint32_t)walk->strings_len;
    char *to = walk->strings + place;
    size_t len = token->len;
    if (walk->escapes)
        len = calm__json_unescape(token->text, len, to);
    else
        memcpy(to, token->text, len);
    to[len] = '\0';
    walk->strings_len += len + 1;
    return place;
}

/* A new value; NAME is its name's place plus 1, or 0. */
static struct calm_json_value *lay_value(struct calm__json_walk *walk,
    const struct open *open, uint32_t start, uint32_t name)
{
    uint32_t index = (uint32_t)walk->value_count++;
    struct calm_json_value *value = &walk->values[index];
    *value = (struct calm_json_value){
        .raw = start,
        .index = index,
        .size = 1,
        .name = name,
        .last = open->depth == 0,
    };
    if (open->depth > 0)
        walk->values[open->values[open->depth - 1]].count++;
    return value;
}

static void lay_scalar(struct calm__json_walk *walk, const struct open *open,
    const struct calm__json_token *token, uint32_t name)
{
    bool string = token->kind == CALM_JSON_STRING;
    uint32_t start = (uint32_t)(token->text - walk->text) - string;
    struct calm_json_value *value = lay_value(walk, open, start, name);
    value->kind = token->kind;
    value->len = (uint32_t)token->len + 2 * string;
    if (string) {
        value->text = lay_string(walk, token);
        /* The raw text has escapes in it; the length without goes where
         * arrays have theirs. */
        value->count = (uint32_t)walk->strings_len - value->text - 1;
    }
}

/* ---- arrays and objects -------------------------------------------------- */

static bool open_one(
    struct calm__json_walk *walk, struct open *open, int depth, uint32_t name)
{
    if (depth + open->depth >= CALM_JSON_DEPTH_MAX)
        return refuse_depth(walk);
    bool object = calm__json_peek(walk) == '{';
    if (walk->values) {
        struct calm_json_value *value =
            lay_value(walk, open, *walk->place, name);
        value->kind = object ? CALM_JSON_OBJECT : CALM_JSON_ARRAY;
        open->values[open->depth] = value->index;
    }
    uint64_t bit = 1ull << (open->depth % 64);
    uint64_t *word = &open->objects[open->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    open->depth++;
    walk->place++;
    return true;
}

/* The values of a document learn their sizes, and the last one in an array or
 * object that it is. */
static void close_value(struct calm__json_walk *walk, const struct open *open)
{
    struct calm_json_value *value = &walk->values[open->values[open->depth]];
    value->len = *walk->place + 1 - value->raw;
    value->size = (uint32_t)walk->value_count - value->index;
    struct calm_json_value *last = NULL;
    struct calm_json_value *end = walk->values + walk->value_count;
    for (struct calm_json_value *each = value + 1; each < end;
         each += each->size)
        last = each;
    if (last)
        last->last = true;
}

static void close_one(struct calm__json_walk *walk, struct open *open)
{
    open->depth--;
    if (walk->values)
        close_value(walk, open);
    walk->place++;
}

/* The name and colon in front of a member's value. */
static bool take_name(struct calm__json_walk *walk, uint32_t *ret_name)
{
    struct calm__json_token name;
    if (calm__json_peek(walk) != '"')
        return calm__json_refuse(walk, "a name in quotes is missing");
    if (!calm__json_take_string(walk, &name))
        return false;
    if (calm__json_peek(walk) != ':')
        return calm__json_refuse(walk, "a ':' is missing behind a name");
    walk->place++;
    *ret_name = walk->values ? lay_string(walk, &name) + 1 : 0;
    return true;
}

enum next { NEXT_VALUE, NEXT_END, NEXT_PROBLEM };

/* Behind a value: closes what ends here, up to the comma in front of the next
 * value or the end of the outermost. */
static enum next take_ends(struct calm__json_walk *walk, struct open *open)
{
    while (open->depth > 0) {
        bool object = is_object(open, open->depth - 1);
        char next = calm__json_peek(walk);
        if (next == ',') {
            walk->place++;
            return NEXT_VALUE;
        }
        if (next != (object ? '}' : ']')) {
            calm__json_refuse(walk,
                object ? "a ',' or '}' is missing" : "a ',' or ']' is missing");
            return NEXT_PROBLEM;
        }
        close_one(walk, open);
    }
    return NEXT_END;
}

bool calm__json_take_value(
    struct calm__json_walk *walk, int depth, struct calm__json_token *ret_token)
{
    struct open open;
    open.depth = 0;
    uint32_t start = *walk->place, name = 0;
    for (;;) {
        char first = calm__json_peek(walk);
        if (first == '{' || first == '[') {
            if (!open_one(walk, &open, depth, name))
                return false;
            name = 0;
            char next = calm__json_peek(walk);
            if (first == '{' && next != '}') {
                if (!take_name(walk, &name))
                    return false;
                continue;
            }
            if (first == '[' && next != ']')
                continue;
            close_one(walk, &open);
        } else {
            if (!(first == '"' ? calm__json_take_string(walk, ret_token)
                               : take_scalar(walk, ret_token)))
                return false;
            if (walk->values)
                lay_scalar(walk, &open, ret_token, name);
            if (open.depth == 0)
                return true;
            name = 0;
        }
        enum next next = take_ends(walk, &open);
        if (next == NEXT_PROBLEM)
            return false;
        if (next == NEXT_END)
            break;
        if (is_object(&open, open.depth - 1) && !take_name(walk, &name))
            return false;
    }
    *ret_token = (struct calm__json_token){
        .text = walk->text + start,
        .len = walk->place[-1] + 1 - start,
        .kind = walk->text[start] == '{' ? CALM_JSON_OBJECT : CALM_JSON_ARRAY,
        .number = NAN,
    };
    return true;
}
