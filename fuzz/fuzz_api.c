/* fuzz_api.c - any bytes as answers, metadata, templates and rows of an API
 *
 * The first byte chooses the format, the next three the number of rows, the
 * length of the JSON and what the rest is. Results lie within their buffer and
 * are JSON on one line where they say so; a request is JSON whatever the cells
 * hold. From the root of the project: ./dev fuzz 60 api
 */
#include "ml/api.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MOST = 9 };

static const char model[] =
    "{\"inputs\":[{\"name\":\"custom_id\",\"datatype\":\"INT32\",\"shape\":[-1]"
    "},{\"name\":\"body\",\"datatype\":\"BYTES\",\"shape\":[-1,1]}]}";
static const char binary[] = "{\"extensions\":[\"binary_tensor_data\"]}";
static const char *const features[] = {"custom_id", "method", NULL};

static const struct calm__api_opts formats[] = {
    {.kind = CALM__API_SAMPLES, .url = "http://h/"},
    {.kind = CALM__API_SAMPLES,
        .url = "http://h/",
        .features = features,
        .result_path = "a[1].b[].c"},
    {.kind = CALM__API_V1, .url = "http://h/v1/models/m"},
    {.kind = CALM__API_V2, .url = "http://h/v2/models/m"},
    {.kind = CALM__API_V2,
        .url = "http://h/v2/models/m",
        .features = features,
        .result_path = "y"},
    {.kind = CALM__API_OPENAI, .url = "http://h/v1", .json_rows = true},
    {.kind = CALM__API_TEMPLATE,
        .url = "http://h/v1/chat/completions",
        .template = "{\"a\":\"{{body}}\",\"b\":{{url}}}"},
    {.kind = CALM__API_TEMPLATE,
        .url = "http://h/v1/embeddings",
        .template = "[\"{{body[]}}\"]"},
    {.kind = CALM__API_TEMPLATE,
        .url = "http://h/v1/responses",
        .template = "[\"{{body}}\"]"},
};

static void must(bool good)
{
    if (!good)
        abort();
}

static struct calm__api *open_api(unsigned choice)
{
    static const char *const names[] = {"custom_id", "method", "url", "body"};
    struct calm__api *api;
    struct calm__api_opts opts =
        formats[choice % (sizeof formats / sizeof *formats)];
    opts.template_len = opts.template ? strlen(opts.template) : 0;
    must(calm__api_open(&opts, &api) == 0);
    if (opts.kind == CALM__API_V2 && choice / 16 % 2)
        must(calm__api_learn(api, 0, model, strlen(model)) == 0);
    if (opts.kind == CALM__API_V2 && choice / 32 % 2)
        must(calm__api_learn(api, 1, binary, strlen(binary)) == 0);
    must(calm__api_choose(
             api, &(struct calm__api_table){.names = names, .count = 4}) == 0);
    return api;
}

static void read_answer(const struct calm__api *api, const char *text,
    size_t len, size_t rows, size_t json_len)
{
    struct calm__api_result results[ROWS_MOST];
    struct calm__api_usage usage;
    calm_bytes out = {0};
    calm_bytes_append_text(&out, "before");
    struct calm__api_answer answer = {
        .body = text, .len = len, .json_len = json_len, .id = 7};
    int rc = calm__api_answer(api, &answer, rows, &out, results, &usage);
    must(rc == 0 || rc == CALM_EFORMAT);
    must(memcmp(out.data, "before", 6) == 0 && (rc == 0 || out.len == 6));
    for (size_t i = 0; rc == 0 && i < rows; i++) {
        must(results[i].start <= out.len &&
             results[i].len <= out.len - results[i].start);
        struct calm__cell cell = calm__api_result_cell(&out, &results[i]);
        must(!cell.json || !memchr(cell.text, '\n', cell.len));
        must(!cell.json || calm_json_check(cell.text, cell.len, NULL) == 0);
    }
    calm_bytes_clear(&out);
}

/* The text cut into cells at its semicolons. */
static void send_rows(
    const struct calm__api *api, const char *text, size_t len, size_t rows)
{
    calm_bytes samples = {0};
    struct calm__api_span spans[ROWS_MOST];
    struct calm__api_request request = {0};
    size_t count = 0, max = calm__api_rows_max(api);
    for (size_t i = 0; i < rows && count < max; i++) {
        struct calm__cell cells[4];
        for (size_t j = 0; j < 4; j++) {
            const char *end = memchr(text, ';', len);
            size_t size = end ? (size_t)(end - text) : len;
            cells[j] = (struct calm__cell){.text = text, .len = size};
            cells[j].json = calm_json_check(text, size, NULL) == 0 &&
                            (*text == '-' || (*text >= '0' && *text <= '9') ||
                                *text == '{');
            calm__cell_number(&cells[j]);
            text += size + (end != NULL);
            len -= size + (end != NULL);
        }
        calm__api_check(api, cells, 1);
        size_t start = samples.len;
        int rc = calm__api_row(api, cells, &samples);
        must(rc == 0 || rc == CALM_EFORMAT);
        must(rc == 0 || samples.len == start);
        if (rc == 0)
            spans[count++] =
                (struct calm__api_span){start, samples.len - start};
    }
    if (count > 0) {
        must(calm__api_request(api, samples.data, spans, count, 7, &request) ==
             0);
        size_t json = request.json_len ? request.json_len : request.body.len;
        must(calm_json_check(request.body.data, json, NULL) == 0);
        must(memcmp(request.url.data, "http://h/", 9) == 0);
    }
    calm__api_request_clear(&request);
    calm_bytes_clear(&samples);
}

/* What a user or a server gives to begin with. */
static void begin_with(const char *text, size_t len)
{
    struct calm__api *api;
    struct calm__api_opts opts = {.kind = CALM__API_TEMPLATE,
        .url = "http://h/v1/completions",
        .template = text,
        .template_len = len};
    if (calm__api_open(&opts, &api) == 0)
        calm__api_close(api);
    char *copy = strndup(text, len);
    opts = (struct calm__api_opts){.url = copy, .result_path = copy};
    for (int kind = CALM__API_SAMPLES; kind <= CALM__API_OPENAI; kind++) {
        opts.kind = (enum calm__api_kind)kind;
        calm__api_guess(copy);
        if (calm__api_open(&opts, &api) == 0)
            calm__api_close(api);
    }
    opts = formats[3];
    must(calm__api_open(&opts, &api) == 0);
    calm__api_learn(api, 0, text, len);
    calm__api_learn(api, 1, text, len);
    calm__api_choose(
        api, &(struct calm__api_table){.names = features, .count = 2});
    calm__api_close(api);
    free(copy);
    struct calm__api_error error;
    calm__api_error_read(text, len, &error);
    must(strlen(error.message) < sizeof error.message);
    calm__api_tokens(text, len);
    calm__api_is_line(text, len);
    struct calm__api_outcome outcome = {
        .status = 500, .body = text, .len = len, .message = ""};
    calm_bytes out = {0};
    must(calm__api_outcome_put(&outcome, &out) == 0);
    must(calm_json_check(out.data, out.len, NULL) != CALM_EFORMAT);
    must(!memchr(out.data, '\n', out.len - 1));
    calm_bytes_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    /* A copy of exactly the size, without a NUL. */
    size_t len = size - 4;
    char *text = malloc(len ? len : 1);
    must(text != NULL);
    memcpy(text, data + 4, len);
    size_t rows = 1 + data[1] % (ROWS_MOST - 1);
    if (data[3] % 3 == 0) {
        begin_with(text, len);
    } else {
        struct calm__api *api = open_api(data[0]);
        if (rows > calm__api_rows_max(api))
            rows = calm__api_rows_max(api);
        if (data[3] % 3 == 1)
            send_rows(api, text, len, rows);
        else
            read_answer(api, text, len, rows, data[2] % 2 ? data[2] : 0);
        calm__api_close(api);
    }
    free(text);
    return 0;
}
