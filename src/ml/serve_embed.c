/* serve_embed.c - a drill: an endpoint in the manner of OpenAI's
 *
 * POST /v1/embeddings answers numbers that are made of the text's bytes: the
 * same for the same text, and without any meaning. So clients of such an API,
 * and files of its Batch format, can be tried without one.
 */
#include "ml/serve.h"

#include <math.h>
#include <string.h>

enum { DIMENSIONS = 8, INPUTS_MOST = 2048 };

/* A word is a token: enough for a budget to have something to count. */
static uint64_t tokens_count(const char *text, size_t len)
{
    uint64_t count = 0;
    bool inside = false;
    for (size_t i = 0; i < len; i++) {
        bool space = (unsigned char)text[i] <= ' ';
        count += !space && !inside;
        inside = !space;
    }
    return count;
}

static void embedding_put(calm_json_writer *json, const char *text, size_t len)
{
    uint64_t hash = 14695981039346656037u;
    float numbers[DIMENSIONS];
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        hash = hash * 6364136223846793005u + 1442695040888963407u;
        numbers[i] = (float)(hash >> 40) * 0x1p-23f - 1;
    }
    calm_json_put_floats(json, numbers, DIMENSIONS);
}

static void item_put(
    calm_json_writer *json, size_t index, const char *text, size_t len)
{
    calm_json_begin_object(json);
    calm_json_put_key(json, "object");
    calm_json_put_text(json, "embedding");
    calm_json_put_key(json, "index");
    calm_json_put_uint(json, index);
    calm_json_put_key(json, "embedding");
    embedding_put(json, text, len);
    calm_json_end_object(json);
}

/* The items, and how many tokens they were; -1 for what is no input. */
static int64_t items_put(calm_json_writer *json, const calm_json_value *input)
{
    size_t len, index = 0;
    const char *text = calm_json_text(input, &len);
    if (text) {
        item_put(json, 0, text, len);
        return (int64_t)tokens_count(text, len);
    }
    size_t count = calm_json_count(input);
    if (calm_json_kind_of(input) != CALM_JSON_ARRAY || count == 0 ||
        count > INPUTS_MOST)
        return -1;
    int64_t tokens = 0;
    for (const calm_json_value *item = calm_json_first(input); item;
         item = calm_json_next(item)) {
        text = calm_json_text(item, &len);
        if (!text)
            return -1;
        item_put(json, index++, text, len);
        tokens += (int64_t)tokens_count(text, len);
    }
    return tokens;
}

static int answer(struct calm__exchange *exchange, const calm_json_value *root)
{
    const char *model = calm_json_text(calm_json_get(root, "model"), NULL);
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "object");
    calm_json_put_text(&json, "list");
    calm_json_put_key(&json, "data");
    calm_json_begin_array(&json);
    int64_t tokens = items_put(&json, calm_json_get(root, "input"));
    if (tokens < 0) {
        calm_bytes_clear(&body);
        return calm__exchange_refuse(exchange, 400,
            "'input' must be a text or an array of 1 to %d texts", INPUTS_MOST);
    }
    calm_json_end_array(&json);
    calm_json_put_key(&json, "model");
    calm_json_put_text(&json, model ? model : "drill");
    calm_json_put_key(&json, "usage");
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "prompt_tokens");
    calm_json_put_int(&json, tokens);
    calm_json_put_key(&json, "total_tokens");
    calm_json_put_int(&json, tokens);
    calm_json_end_object(&json);
    calm_json_end_object(&json);
    return calm__exchange_json(exchange, 200, &json);
}

int calm__serve_embed(struct calm__exchange *exchange)
{
    size_t len;
    calm_json_doc *doc;
    const char *text = calm_request_body(exchange->request, &len);
    int rc = calm__json_of_request(exchange, text, len, &doc);
    if (rc < 0)
        return rc;
    rc = answer(exchange, calm_json_root(doc));
    calm_json_free(doc);
    return rc;
}
