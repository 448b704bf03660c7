/* api_error.c - what a failed answer says, and what a request costs
 *
 * The sentence goes to people and into files: whatever a server has sent
 * becomes one short line of text.
 */
#include "ml/api_inside.h"

#include "base/error.h"

#include <string.h>
#include <strings.h>

enum { READ_MOST = 64 << 10 }; /* bytes of an error that are looked at */

/* A string, or a number: some servers have the status as the code. */
static bool show(const calm_json_value *value, char *to, size_t size)
{
    size_t len;
    const char *text = calm_json_text(value, &len);
    if (!text && calm_json_kind_of(value) == CALM_JSON_NUMBER)
        text = calm_json_raw(value, &len);
    if (!text || len == 0)
        return false;
    calm__api_printable(text, len, to, size);
    return true;
}

static bool says(
    const calm_json_value *object, const char *name, const char *word)
{
    const char *text = calm_json_text(calm_json_get(object, name), NULL);
    return text && strcmp(text, word) == 0;
}

/* An object with a message, and a code or type beside it. */
static bool read_object(
    const calm_json_value *object, struct calm__api_error *error)
{
    static const char *const messages[] = {"message", "msg", "detail"};
    static const char *const codes[] = {"code", "type", "error_type"};
    bool found = false;
    for (size_t i = 0; i < 3 && !found; i++)
        found = show(calm_json_get(object, messages[i]), error->message,
            sizeof error->message);
    for (size_t i = 0; i < 3 && !error->code[0]; i++)
        show(calm_json_get(object, codes[i]), error->code, sizeof error->code);
    for (size_t i = 0; i < 3; i++) {
        error->quota |= says(object, codes[i], "insufficient_quota");
        error->rate_limited |= says(object, codes[i], "rate_limit_exceeded");
    }
    return found;
}

/* {"error": X}, {"detail": X}, where X is a text, an object, or a list of
 * them; or the object itself. */
static bool read_document(
    const calm_json_value *root, struct calm__api_error *error)
{
    static const char *const names[] = {"error", "detail", "errors"};
    for (size_t i = 0; i < 3; i++) {
        const calm_json_value *value = calm_json_get(root, names[i]);
        if (calm_json_kind_of(value) == CALM_JSON_ARRAY)
            value = calm_json_first(value);
        if (calm_json_kind_of(value) == CALM_JSON_OBJECT) {
            if (read_object(value, error))
                return true;
        } else if (show(value, error->message, sizeof error->message)) {
            char kept[sizeof error->message];
            memcpy(kept, error->message, sizeof kept);
            read_object(root, error); /* a code beside it */
            memcpy(error->message, kept, sizeof kept);
            return true;
        }
    }
    return show(root, error->message, sizeof error->message) ||
           read_object(root, error);
}

/* Of a page for a browser the title. */
static void read_text(
    const char *body, size_t len, struct calm__api_error *error)
{
    while (len > 0 && strchr(" \t\r\n", *body)) {
        body++;
        len--;
    }
    while (len > 0 && body[len - 1] && strchr(" \t\r\n", body[len - 1]))
        len--;
    if (len > 0 && *body == '<') {
        const char *end = body + len, *title = body;
        while (end - title >= 7 && strncasecmp(title, "<title>", 7) != 0)
            title++;
        if (end - title < 7)
            return;
        body = title + 7;
        const char *close = memchr(body, '<', (size_t)(end - body));
        len = (size_t)((close ? close : end) - body);
    }
    calm__api_printable(body, len, error->message, sizeof error->message);
}

void calm__api_error_read(
    const char *body, size_t len, struct calm__api_error *ret_error)
{
    *ret_error = (struct calm__api_error){0};
    calm_json_doc *doc;
    struct calm__error *kept = calm__error_take();
    bool json = len > 0 && len <= READ_MOST &&
                calm_json_parse(body, len, NULL, &doc) == 0;
    calm__error_set(kept);
    if (!json) {
        read_text(body, len < READ_MOST ? len : READ_MOST, ret_error);
        return;
    }
    read_document(calm_json_root(doc), ret_error);
    calm_json_free(doc);
}

/* ---- tokens -------------------------------------------------------------- */

static uint64_t count_of(const calm_json_value *object, const char *name)
{
    double value = calm_json_number(calm_json_get(object, name));
    return value >= 1 && value < 1e15 ? (uint64_t)value : 0;
}

void calm__reply_usage(
    const calm_json_value *root, struct calm__api_usage *ret_usage)
{
    const calm_json_value *usage = calm_json_get(root, "usage");
    uint64_t in = count_of(usage, "prompt_tokens");
    uint64_t out = count_of(usage, "completion_tokens");
    uint64_t total = count_of(usage, "total_tokens");
    /* The endpoint of responses has names of its own. */
    in = in ? in : count_of(usage, "input_tokens");
    out = out ? out : count_of(usage, "output_tokens");
    *ret_usage = (struct calm__api_usage){in, out, total ? total : in + out};
}

void calm__api_usage_read(
    const char *body, size_t len, struct calm__api_usage *ret_usage)
{
    struct calm__reply reply;
    *ret_usage = (struct calm__api_usage){0};
    struct calm__error *kept = calm__error_take();
    if (calm__reply_open(&reply, body, len, false) == 0) {
        calm__reply_usage(calm_json_root(reply.doc), ret_usage);
        calm__reply_close(&reply);
    }
    calm__error_set(kept);
}

uint64_t calm__api_tokens(const char *body, size_t len)
{
    static const char *const limits[] = {
        "max_completion_tokens", "max_output_tokens", "max_tokens"};
    struct calm__reply reply;
    uint64_t tokens = len / 4 + 1, most = 0;
    struct calm__error *kept = calm__error_take();
    if (calm__reply_open(&reply, body, len, false) == 0) {
        const calm_json_value *root = calm_json_root(reply.doc);
        for (size_t i = 0; i < 3 && most == 0; i++)
            most = count_of(root, limits[i]);
        uint64_t choices = count_of(root, "n");
        if (__builtin_mul_overflow(most, choices ? choices : 1, &most) ||
            __builtin_add_overflow(tokens, most, &tokens))
            tokens = UINT64_MAX;
        calm__reply_close(&reply);
    }
    calm__error_set(kept);
    return tokens;
}
