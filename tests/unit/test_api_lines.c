/* test_api_lines.c - lines of the Batch format: which are sent, where to, and
 * what is written of them
 */
#include "unit.h"

#include "api_cells.h"
#include "caret.h"
#include "fail_alloc.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const names[] = {"custom_id", "method", "url", "body"};
static const struct calm__api_table table = {.names = names, .count = 4};

static struct calm__api *api_of(const char *url)
{
    struct calm__api *api;
    struct calm__api_opts opts = {
        .kind = CALM__API_OPENAI, .url = url, .json_rows = true};
    assert_int_equal(calm__api_open(&opts, &api), 0);
    assert_int_equal(calm__api_choose(api, &table), 0);
    assert_int_equal(calm__api_rows_max(api), 1);
    return api;
}

/* The request of a line: its URL, a space, and its body; or why not. */
static void expect_request(
    const char *base, const char *line, const char *expected)
{
    struct calm__api *api = api_of(base);
    struct calm__cell cells[4];
    calm_json_doc *doc;
    assert_int_equal(calm_json_parse(line, strlen(line), NULL, &doc), 0);
    cells_of_object(doc, names, 4, cells);
    struct asked asked = {0};
    calm_bytes actual = {0};
    ask_row(&asked, api, cells);
    if (asked.rc == 0) {
        assert_int_equal(calm__api_request(api, asked.samples.data, asked.spans,
                             1, 7, &asked.request),
            0);
        calm_bytes_printf(
            &actual, "%s %s", asked.request.url.data, asked.request.body.data);
    } else {
        calm_bytes_append_text(&actual, asked.errors.data);
    }
    assert_true(caret_equal(line, expected, actual.data));
    calm_bytes_clear(&actual);
    asked_clear(&asked);
    calm_json_free(doc);
    calm__api_close(api);
}

#define LINE(url, body)                                                        \
    "{\"custom_id\":\"r\",\"method\":\"POST\",\"url\":\"" url                  \
    "\",\"body\":" body "}"

static void bodies_go_out_verbatim(void **state)
{
    expect_request("http://h/v1",
        LINE("/v1/embeddings", "{ \"input\" : \"a\\u00e9\", \"n\":1.0 }"),
        "http://h/v1/embeddings { \"input\" : \"a\\u00e9\", \"n\":1.0 }");
}

static void the_version_is_in_a_url_once(void **state)
{
    static const char *const cases[][3] = {
        {"http://h", "/v1/embeddings", "http://h/v1/embeddings"},
        {"http://h/", "/v1/embeddings", "http://h/v1/embeddings"},
        {"http://h/v1", "/v1/embeddings", "http://h/v1/embeddings"},
        {"http://h/v1/", "v1/embeddings", "http://h/v1/embeddings"},
        {"http://h/v1", "/embeddings", "http://h/v1/embeddings"},
        {"http://h/v1", "chat/completions", "http://h/v1/chat/completions"},
        {"http://h/openai/v1//", "/v1/responses",
            "http://h/openai/v1/responses"},
        {"http://h/v1/chat/completions", "/v1/chat/completions",
            "http://h/v1/chat/completions"},
        {"http://h/v1/completions/", "/v1/embeddings",
            "http://h/v1/embeddings"},
        {"http://h/xv1", "/v1/moderations", "http://h/xv1/v1/moderations"},
        {"http://h/v1?api-version=2", "/v1/embeddings",
            "http://h/v1/embeddings?api-version=2"},
        {"http://v1", "/v1/v1/x", "http://v1/v1/v1/x"},
        {"http://h/v1", "/v1/rerank", "http://h/v1/rerank"},
        {"http://h/v1", "/v1/a.b-c_d~e/F0", "http://h/v1/a.b-c_d~e/F0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[256], expected[256];
        snprintf(line, sizeof line, LINE("%s", "{}"), cases[i][1]);
        snprintf(expected, sizeof expected, "%s {}", cases[i][2]);
        expect_request(cases[i][0], line, expected);
    }
}

/* A line chooses an endpoint, not another server, folder or query. */
static void a_line_cannot_leave_the_server(void **state)
{
    static const char *const urls[] = {"", "/", "/v1", "/v1/", "/nothing",
        "http://evil/v1/embeddings", "//evil/v1/embeddings", "@evil/embeddings",
        "/v1/../admin", "/v1/./embeddings", "/v1/..", "/v1//embeddings",
        "/v1/embeddings/", "/v1/embeddings?x=1", "/v1/embeddings#x",
        "/v1/%2e%2e/x", "/v1/a b", "/v1/a\\nb", "/v1/a\\u0000b", "/v1/a\\\\b",
        "/v1/\xc3\xa9", "/v2/embeddings", "v1", "/V1/embeddings", "/v1/x:y",
        "chat", "completionsx"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        char line[256];
        struct calm__api *api = api_of("http://h/v1");
        struct calm__cell cells[4];
        calm_json_doc *doc;
        snprintf(line, sizeof line, LINE("%s", "{}"), urls[i]);
        assert_int_equal(calm_json_parse(line, strlen(line), NULL, &doc), 0);
        cells_of_object(doc, names, 4, cells);
        calm_bytes out = {0};
        if (calm__api_row(api, cells, &out) != CALM_EFORMAT)
            fail_msg("%s", urls[i]);
        assert_non_null(strstr(calm_message(CALM_EFORMAT), "is unknown"));
        assert_int_equal(out.len, 0);
        calm_bytes_clear(&out);
        calm_json_free(doc);
        calm__api_close(api);
    }
}

static void what_cannot_be_answered_is_an_error_row(void **state)
{
    expect_request("http://h",
        "{\"custom_id\":\"r\",\"method\":\"GET\",\"url\":\"/v1/embeddings\","
        "\"body\":{}}",
        "the method 'GET' is not POST\n");
    static const char stream[] =
        "the body asks for a stream, which the Batch format has not\n";
    expect_request(
        "http://h", LINE("/v1/chat/completions", "{\"stream\": true}"), stream);
    expect_request("http://h",
        LINE("/v1/chat/completions", "{\"stream\":true,\"stream\":false}"),
        stream);
    expect_request("http://h",
        LINE("/v1/chat/completions",
            "{\"stream\":false,\"x\":{\"stream\":true}}"),
        "http://h/v1/chat/completions "
        "{\"stream\":false,\"x\":{\"stream\":true}}");
}

static void a_line_without_its_members_ends_the_run(void **state)
{
    static const char *const cases[][2] = {
        {LINE("/v1/embeddings", "{}"), ""},
        {"{\"method\":\"POST\",\"url\":\"/v1/x\",\"body\":{}}",
            "line 9: 'custom_id' is not there"},
        {"{\"custom_id\":null,\"method\":\"POST\",\"url\":\"u\",\"body\":{}}",
            "line 9: 'custom_id' is not there"},
        {"{\"custom_id\":7,\"method\":\"POST\",\"url\":\"u\",\"body\":{}}",
            "line 9: 'custom_id' is not a string"},
        {"{\"custom_id\":\"\",\"url\":\"u\",\"body\":{}}",
            "line 9: 'method' is not there"},
        {"{\"custom_id\":\"\",\"method\":\"\",\"url\":[],\"body\":{}}",
            "line 9: 'url' is not a string"},
        {"{\"custom_id\":\"\",\"method\":\"\",\"url\":\"\"}",
            "line 9: 'body' is not there"},
        {LINE("u", "[]"), "line 9: 'body' is not an object"},
        {LINE("u", "\"{}\""), "line 9: 'body' is not an object"},
        {LINE("u", "\"\""), "line 9: 'body' is not an object"},
    };
    struct calm__api *api = api_of("http://h");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__cell cells[4];
        calm_json_doc *doc;
        const char *line = cases[i][0];
        assert_int_equal(calm_json_parse(line, strlen(line), NULL, &doc), 0);
        cells_of_object(doc, names, 4, cells);
        int rc = calm__api_check(api, cells, 9);
        assert_int_equal(rc, *cases[i][1] ? CALM_EFORMAT : 0);
        if (rc < 0)
            assert_string_equal(calm_message(rc), cases[i][1]);
        calm_json_free(doc);
    }
    calm__api_close(api);
}

static void other_columns_need_a_template(void **state)
{
    struct calm__api *api;
    struct calm__api_opts opts = {.kind = CALM__API_OPENAI, .url = "http://h"};
    static const char *const other[] = {"custom_id", "text"};
    assert_int_equal(calm__api_open(&opts, &api), 0);
    assert_int_equal(
        calm__api_choose(api, &(struct calm__api_table){other, 2, NULL, NULL}),
        -EINVAL);
    assert_string_equal(calm_message(-EINVAL),
        "the input is not in the Batch format: its first row has no 'method'\n"
        "hint: rows of other columns need a --template");
    calm__api_close(api);
    opts.result_path = "x";
    assert_int_equal(calm__api_open(&opts, &api), -EINVAL);
}

static void lines_are_recognised(void **state)
{
    static const char *const lines[] = {LINE("/v1/x", "{}"),
        "{\"custom_id\":7,\"url\":1}",
        "\xef\xbb\xbf{\"body\":{},"
        "\"custom_id\":\"\"}"};
    static const char *const others[] = {"", "{", "[]", "{}", "custom_id,url",
        "{\"custom_id\":\"x\"}", "{\"url\":\"x\",\"body\":{}}",
        "{\"text\":\"custom_id url body\"}"};
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_true(calm__api_is_line(lines[i], strlen(lines[i])));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(calm__api_is_line(others[i], strlen(others[i])));
}

/* ---- answers ------------------------------------------------------------- */

static void answers_are_kept_whole_on_one_line(void **state)
{
    static const struct {
        const char *body, *result;
    } cases[] = {
        {"{\n  \"id\": \"x\",\r\n  \"n\": 18446744073709551615\n}\n",
            "{   \"id\": \"x\",    \"n\": 18446744073709551615 }\n"},
        {"\xef\xbb\xbf{\"a\":\"\\n\"}", "{\"a\":\"\\n\"}\n"},
        {"[1]", "[1]\n"},
        {"\"a\\tb\"", "\"a\\tb\"\n"},
        {"{\"data\":[{\"index\":1,\"embedding\":[2]},{\"index\":0,"
         "\"embedding\":[1]}]}",
            "{\"data\":[{\"index\":1,\"embedding\":[2]},{\"index\":0,"
            "\"embedding\":[1]}]}\n"},
        {"{\"data\":[{\"index\":0,\"embedding\":[2]},{\"index\":0,"
         "\"embedding\":[1]}]}",
            "the answer: the index 0 is there twice\n"},
        {"{\"data\":[{\"index\":0,\"embedding\":[2]},{\"index\":2,"
         "\"embedding\":[1]}]}",
            "the answer: there is an index 2 for 2 rows\n"},
        {"{\"data\":[{\"embedding\":[2]}]}",
            "the answer: an element has no 'index'\n"},
        {"{\"data\":[]}", "{\"data\":[]}\n"},
        {"{\"data\":[7]}", "{\"data\":[7]}\n"},
        {"", "the answer: there is no JSON in the text\n"},
        {"{\"a\":1", "the answer: line 1, column 7: a ',' or '}' is missing\n"},
        {"{\"a\":\"\xff\"}", "the answer: line 1, column 7: invalid UTF-8\n"},
    };
    struct calm__api *api = api_of("http://h/v1");
    for (size_t i = 0; i < COUNT(cases); i++) {
        calm_bytes out = {0};
        tell(api, cases[i].body, strlen(cases[i].body), 0, 1, &out);
        assert_true(caret_equal(cases[i].body, cases[i].result, out.data));
        calm_bytes_clear(&out);
    }
    calm__api_close(api);
}

/* ---- output -------------------------------------------------------------- */

static struct calm__cell id = {.text = "r\"17", .len = 4};

static void expect_line(
    const struct calm__api_outcome *outcome, const char *expected)
{
    calm_bytes out = {0};
    assert_int_equal(calm__api_outcome_put(outcome, &out), 0);
    assert_int_equal(calm_json_check(out.data, out.len, NULL), 0);
    assert_null(memchr(out.data, '\n', out.len - 1));
    /* The id is checked elsewhere. */
    memset(out.data + strlen("{\"id\":\"batch_req_"), '0', 16);
    assert_true(caret_equal("", expected, out.data));
    calm_bytes_clear(&out);
}

#define BEGIN                                                                  \
    "{\"id\":\"batch_req_0000000000000000\",\"custom_id\":\"r\\\"17\","

static void lines_have_all_keys_always(void **state)
{
    struct calm__api_outcome outcome = {.custom_id = &id,
        .status = 200,
        .request_id = "q1",
        .body = "{\n\"a\": [1, 2.50]}",
        .len = 17};
    expect_line(&outcome,
        BEGIN "\"response\":{\"status_code\":200,\"request_id\":\"q1\","
              "\"body\":{ \"a\": [1, 2.50]}},\"error\":null}\n");
    outcome.status = 502;
    outcome.request_id = NULL;
    outcome.body = "<html>\n\xff";
    outcome.len = 8;
    expect_line(&outcome,
        BEGIN "\"response\":{\"status_code\":502,\"request_id\":\"\","
              "\"body\":\"<html>\\n\xef\xbf\xbd\"},\"error\":null}\n");
    outcome.status = 0;
    outcome.code = "ETIMEDOUT";
    outcome.message = "no byte for 30 s";
    expect_line(&outcome,
        BEGIN "\"response\":null,\"error\":{\"code\":\"ETIMEDOUT\","
              "\"message\":\"no byte for 30 s\"}}\n");
    outcome.code = NULL;
    expect_line(&outcome,
        BEGIN "\"response\":null,\"error\":{\"code\":\"failed\","
              "\"message\":\"no byte for 30 s\"}}\n");
    outcome = (struct calm__api_outcome){.custom_id = &id, .status = 204};
    expect_line(&outcome,
        BEGIN "\"response\":{\"status_code\":204,\"request_id\":\"\","
              "\"body\":\"\"},\"error\":null}\n");
    outcome.body = "\xef\xbb\xbf{}";
    outcome.len = 5;
    expect_line(&outcome,
        BEGIN "\"response\":{\"status_code\":204,\"request_id\":\"\","
              "\"body\":{}},\"error\":null}\n");
}

static void ids_are_stable_and_different(void **state)
{
    char seen[300][24];
    for (size_t i = 0; i < 300; i++) {
        struct calm__api_outcome outcome = {
            .custom_id = &id, .run = i / 100, .row = i % 100, .message = "x"};
        calm_bytes out = {0}, again = {0};
        calm__api_outcome_put(&outcome, &out);
        calm__api_outcome_put(&outcome, &again);
        assert_string_equal(out.data, again.data);
        memcpy(seen[i], out.data + strlen("{\"id\":\"batch_req_"), 16);
        seen[i][16] = '\0';
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(seen[i], seen[j]);
        calm_bytes_clear(&out);
        calm_bytes_clear(&again);
    }
}

/* ---- repeated ids -------------------------------------------------------- */

static void repeated_ids_are_counted(void **state)
{
    struct calm__api_ids ids = {0};
    char text[32];
    for (int i = 0; i < 5000; i++) {
        int len = snprintf(text, sizeof text, "request-%d", i % 4990);
        calm__api_ids_add(&ids, text, (size_t)len, (uint64_t)i + 1);
    }
    assert_int_equal(ids.repeated, 10);
    assert_int_equal(ids.first_line, 4991);
    calm__api_ids_add(&ids, "", 0, 1);
    calm__api_ids_add(&ids, "\0", 1, 1);
    calm__api_ids_add(&ids, "12345678", 8, 1);
    calm__api_ids_add(&ids, "12345678\0", 9, 1);
    assert_int_equal(ids.repeated, 10);
    calm__api_ids_add(&ids, "", 0, 1);
    assert_int_equal(ids.repeated, 11);
    calm__api_ids_clear(&ids);
}

static void many_ids_take_bounded_memory(void **state)
{
    struct calm__api_ids ids = {0};
    for (uint64_t i = 0; i < 1500000; i++)
        calm__api_ids_add(&ids, (const char *)&i, sizeof i, i);
    assert_int_equal(ids.repeated, 0);
    assert_int_equal(ids.room, 1 << 21);
    assert_int_equal(ids.count, 1 << 20);
    uint64_t first = 0, last = 1499999;
    calm__api_ids_add(&ids, (const char *)&first, sizeof first, 7);
    calm__api_ids_add(&ids, (const char *)&last, sizeof last, 8);
    assert_int_equal(ids.repeated, 1);
    calm__api_ids_clear(&ids);
}

/* ---- memory -------------------------------------------------------------- */

static int all_of(const struct calm__cell *cells)
{
    struct calm__api *api;
    struct calm__api_opts opts = {.kind = CALM__API_OPENAI, .url = "http://h"};
    int rc = calm__api_open(&opts, &api);
    if (rc < 0)
        return rc;
    struct asked asked = {0};
    calm_bytes text = {0};
    rc = calm__api_choose(api, &table);
    if (rc == 0) {
        ask_row(&asked, api, cells);
        rc = asked.rc;
    }
    if (rc == 0)
        rc = calm__api_request(
            api, asked.samples.data, asked.spans, 1, 7, &asked.request);
    static const char body[] = "{\"data\":[{\"index\":0,\"embedding\":1}]}";
    struct calm__api_result result;
    struct calm__api_answer answer = {.body = body, .len = strlen(body)};
    if (rc == 0)
        rc = calm__api_answer(api, &answer, 1, &text, &result, NULL);
    struct calm__api_outcome outcome = {
        .custom_id = &id, .status = 200, .body = body, .len = strlen(body)};
    if (rc == 0)
        rc = calm__api_outcome_put(&outcome, &text);
    calm_bytes_clear(&text);
    asked_clear(&asked);
    calm__api_close(api);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    struct calm__cell cells[4];
    static const char line[] = LINE("/v1/x", "{\"a\":1}");
    calm_json_doc *doc;
    assert_int_equal(calm_json_parse(line, strlen(line), NULL, &doc), 0);
    cells_of_object(doc, names, 4, cells);
    for (int n = 1; fail_alloc_begin(n); n++) {
        int rc = all_of(cells);
        assert_int_equal(rc, fail_alloc_end() ? -ENOMEM : 0);
    }
    calm_json_free(doc);
    for (int n = 1; fail_alloc_begin(n); n++) {
        struct calm__api_ids ids = {0};
        for (uint64_t i = 0; i < 3000; i++)
            calm__api_ids_add(&ids, (const char *)&i, sizeof i, i);
        fail_alloc_end();
        assert_int_equal(ids.repeated, 0);
        calm__api_ids_clear(&ids);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_go_out_verbatim),
        cmocka_unit_test(the_version_is_in_a_url_once),
        cmocka_unit_test(a_line_cannot_leave_the_server),
        cmocka_unit_test(what_cannot_be_answered_is_an_error_row),
        cmocka_unit_test(a_line_without_its_members_ends_the_run),
        cmocka_unit_test(other_columns_need_a_template),
        cmocka_unit_test(lines_are_recognised),
        cmocka_unit_test(answers_are_kept_whole_on_one_line),
        cmocka_unit_test(lines_have_all_keys_always),
        cmocka_unit_test(ids_are_stable_and_different),
        cmocka_unit_test(repeated_ids_are_counted),
        cmocka_unit_test(many_ids_take_bounded_memory),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("api_lines", tests, NULL, NULL);
}
