/* test_api_template.c - templates: what is filled in, what is refused, and
 * where the results are
 */
#include "unit.h"

#include "api_cells.h"
#include "caret.h"
#include "fail_alloc.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const names[] = {"id", "text", "a b", "label"};
static const struct calm__api_table table = {
    .names = names, .count = 4, .id = "id", .truth = "label"};
static const char chat[] = "http://h/v1/chat/completions";

static int make(const struct calm__api_opts *more, const char *template,
    struct calm__api **ret_api)
{
    struct calm__api_opts opts = *more;
    opts.kind = CALM__API_TEMPLATE;
    opts.template = template;
    opts.template_len = strlen(template);
    int rc = calm__api_open(&opts, ret_api);
    if (rc < 0)
        return rc;
    rc = calm__api_choose(*ret_api, &table);
    if (rc < 0)
        calm__api_close(*ret_api);
    return rc;
}

static struct calm__api *api_of(
    const struct calm__api_opts *more, const char *template)
{
    struct calm__api *api;
    int rc = make(more, template, &api);
    if (rc < 0)
        fail_msg("%s", calm_message(rc));
    return api;
}

/* ---- requests ------------------------------------------------------------ */

static void expect_body(
    const char *template, const char *lines, const char *expected)
{
    struct calm__api *api = api_of(
        &(struct calm__api_opts){.url = "http://h/x", .result_path = "y"},
        template);
    struct asked asked;
    ask(&asked, api, lines);
    const char *actual =
        asked.rc < 0 ? asked.errors.data : asked.request.body.data;
    assert_true(caret_equal(template, expected, actual));
    if (asked.rc == 0) {
        assert_int_equal(
            calm_json_check(actual, asked.request.body.len, NULL), 0);
        assert_string_equal(asked.request.url.data, "http://h/x");
    }
    asked_clear(&asked);
    calm__api_close(api);
}

static void cells_are_escaped_within_strings(void **state)
{
    expect_body("{\"a\": \"<{{text}}> {{ id }}\\\"{{text}}\"}\n", "q\"\\\x01,7",
        "{\"a\": \"<q\\\"\\\\\\u0001> 7\\\"q\\\"\\\\\\u0001\"}\n");
    expect_body("[\"{{text}}\"]", "\n", "[\"\"]");
    expect_body("{\"{{a b}}\":1}", "k\xff", "{\"k\xef\xbf\xbd\":1}");
}

static void cells_are_json_outside_of_strings(void **state)
{
    expect_body("{\"a\": {{text}}, \"b\":[{{id}}]}", "1.50,true",
        "{\"a\": 1.50, \"b\":[true]}");
    expect_body("{{text}}", "\"quoted\"", "\"quoted\"");
    expect_body("{{text}}", "\n", "null");
    expect_body("{{text}}", "NA\n", "null");
    expect_body("\"{{text}}\"", "NA\n", "\"NA\"");
    expect_body("{\"a\":{{text}}}", "word",
        "column 'text': 'word' is not JSON, and stands outside of quotes in "
        "the template\n");
    /* Nothing gets in that the template does not say. */
    expect_body("{\"a\":{{text}}}", "1 2",
        "column 'text': '1 2' is not JSON, and stands outside of quotes in "
        "the template\n");
    expect_body("{\"a\":{{text}}}", "007",
        "column 'text': '007' is not JSON, and stands outside of quotes in "
        "the template\n");
}

static void members_of_json_lines_keep_their_form(void **state)
{
    struct calm__api_opts opts = {
        .url = "http://h", .result_path = "y", .json_rows = true};
    struct calm__api *api =
        api_of(&opts, "{\"s\":{{text}},\"t\":\"{{a b}}\",\"u\":{{id}}}");
    static const char line[] = "{\"text\":\"a\\nb\",\"a b\":[1, \"x\"]}";
    calm_json_doc *doc;
    assert_int_equal(calm_json_parse(line, strlen(line), NULL, &doc), 0);
    struct calm__cell cells[CELLS_MOST];
    cells_of_object(
        doc, calm__api_column_names(api), calm__api_columns(api), cells);
    struct asked asked = {0};
    ask_row(&asked, api, cells);
    assert_true(caret_equal(line,
        "{\"s\":\"a\\nb\",\"t\":\"[1, \\\"x\\\"]\",\"u\":null}",
        asked.samples.data));
    asked_clear(&asked);
    calm_json_free(doc);
    calm__api_close(api);
}

static void brackets_repeat_an_element_for_each_row(void **state)
{
    expect_body("{\"input\": [ \"{{text[]}}\" ], \"m\":1}", "a\"b\nc\n\n",
        "{\"input\": [ \"a\\\"b\",\"c\",\"\" ], \"m\":1}");
    expect_body("{\"input\":[\"{{text[]}}: {{id}}\"]}", "a,1\nb,2",
        "{\"input\":[\"a: 1\",\"b: 2\"]}");
    expect_body("[{{text[]}}]", "1\n2", "[1,2]");
    struct calm__api *api =
        api_of(&(struct calm__api_opts){.url = "http://h", .result_path = "x"},
            "[{{text[]}}]");
    assert_int_equal(calm__api_rows_max(api), SIZE_MAX);
    calm__api_close(api);
    api =
        api_of(&(struct calm__api_opts){.url = "http://h", .result_path = "x"},
            "[{{text}}]");
    assert_int_equal(calm__api_rows_max(api), 1);
    calm__api_close(api);
}

static void templates_that_cannot_be_filled_are_refused(void **state)
{
    static const char *const cases[][2] = {
        {"{\"a\":1}", "the template has no '{{column}}' in it"},
        {"", "the template is not JSON: there is no JSON in the text"},
        {"{\"a\": \"{{text}}\"", "the template is not JSON: line 1, column 17: "
                                 "a ',' or '}' is missing"},
        {"{\"a\":\n \"{{text}}\" x}",
            "the template is not JSON: line 2, column 13: a ',' or '}' is "
            "missing"},
        {"{\"a\": \"{{text\"}", "a '{{' of the template has no '}}'"},
        {"[{{}}]", "a '{{}}' of the template names no column"},
        {"[{{ []}}]", "a '{{}}' of the template names no column"},
        {"[{{nothing}}]",
            "there is no column 'nothing', which the template names"},
        {"[\"{{label}}\"]", "the truth 'label' is also in the template"},
        {"{\"stream\":true,\"a\":\"{{text}}\"}",
            "the template asks for a stream, which cannot be read"},
        /* What stands for a value must be one. */
        {"[1{{text}}]", NULL},
        {"[-{{text}}]", NULL},
        {"[{{text}}{{text}}]", NULL},
        {"{{{text}}:1}", NULL},
        {"[\"a\"{{text}}]", NULL},
        {"[\"{{text[]}}\",1]",
            "what [] repeats is not the only element of an array\n"
            "hint: [\"{{text[]}}\"]"},
        {"{\"a\":\"{{text[]}}\"}",
            "what [] repeats is not the only element of an array\n"
            "hint: [\"{{text[]}}\"]"},
        {"{{text[]}}", "what [] repeats is not the only element of an array\n"
                       "hint: [\"{{text[]}}\"]"},
        {"{\"a\":[\"{{text[]}}\"],\"b\":\"{{id}}\"}",
            "'{{id}}' stands outside of the element that [] repeats, and would "
            "be another for each row"},
        {"[[\"{{text[]}}\"],[\"{{id[]}}\"]]",
            "'[]' stands in two elements of the template, not in one"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api *api;
        struct calm__api_opts opts = {.url = "http://h", .result_path = "x"};
        int rc = make(&opts, cases[i][0], &api);
        if (rc != -EINVAL)
            fail_msg("%s", cases[i][0]);
        if (cases[i][1])
            assert_true(
                caret_equal(cases[i][0], cases[i][1], calm_message(rc)));
    }
    struct calm__api *api;
    assert_int_equal(
        make(&(struct calm__api_opts){.url = chat}, "[\"{{text[]}}\"]", &api),
        -EINVAL);
    assert_non_null(strstr(calm_message(-EINVAL), "needs a --result-path"));
}

/* ---- answers ------------------------------------------------------------- */

static void each_endpoint_has_a_place_for_its_results(void **state)
{
    static const struct {
        const char *url, *path, *template;
        size_t count;
        const char *body, *results;
    } cases[] = {
        {chat, NULL, "[\"{{text}}\"]", 1,
            "{\"choices\":[{\"message\":{\"content\":\"hi\\n\"}}]}",
            "'hi\n'\n"},
        {chat, NULL, "[\"{{text}}\"]", 1,
            "{\"choices\":[{\"message\":{\"content\":null}}]}", "null\n"},
        {chat, NULL, "[\"{{text}}\"]", 1, "{\"choices\":[]}",
            "the answer: there is no 'choices[0]' in it\n"},
        {chat, "model", "[\"{{text}}\"]", 1, "{\"model\":\"m\"}", "'m'\n"},
        {"http://h/v1/completions", NULL, "[\"{{text}}\"]", 1,
            "{\"choices\":[{\"text\":\"a\"},{\"text\":\"b\"}]}", "'a'\n"},
        {"http://h/v1/completions", NULL, "[\"{{text[]}}\"]", 2,
            "{\"choices\":[{\"text\":\"a\",\"index\":1},"
            "{\"text\":\"b\",\"index\":0}]}",
            "'b'\n'a'\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text}}\"]", 1,
            "{\"data\":[{\"embedding\":[1, 2],\"index\":0}]}", "[1, 2]\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 3,
            "{\"data\":[{\"embedding\":[1],\"index\":2},"
            "{\"embedding\":[2],\"index\":0},{\"embedding\":\"AAA=\","
            "\"index\":1}]}",
            "[2]\n'AAA='\n[1]\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 2,
            "{\"data\":[{\"embedding\":[1],\"index\":1},"
            "{\"embedding\":[2],\"index\":1}]}",
            "the answer: the index 1 is there twice\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 2,
            "{\"data\":[{\"embedding\":[1],\"index\":0},"
            "{\"embedding\":[2],\"index\":2}]}",
            "the answer: there is an index 2 for 2 rows\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 1,
            "{\"data\":[{\"embedding\":[1],\"index\":-1}]}",
            "the answer: there is an index -1 for 1 rows\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 1,
            "{\"data\":[{\"embedding\":[1],\"index\":\"0\"}]}",
            "the answer: a whole number is wanted, there is a string\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 1,
            "{\"data\":[{\"embedding\":[1]}]}",
            "the answer: an element has no 'index'\n"},
        {"http://h/v1/embeddings", NULL, "[\"{{text[]}}\"]", 2,
            "{\"data\":[{\"embedding\":[1],\"index\":0}]}",
            "the answer: 'data' has 1 elements for 2 rows\n"},
        {"http://h/v1/moderations", NULL, "[\"{{text}}\"]", 1,
            "{\"results\":[{\"flagged\":true}]}", "{\"flagged\":true}\n"},
        {"http://h/v1/moderations", "results[].flagged", "[\"{{text[]}}\"]", 2,
            "{\"results\":[{\"flagged\":true},{\"flagged\":false}]}",
            "true\nfalse\n"},
        {"http://h/v1/responses", NULL, "[\"{{text}}\"]", 1,
            "{\"output\":[{\"type\":\"reasoning\",\"content\":[{\"type\":"
            "\"output_text\",\"text\":\"x\"}]},{\"type\":\"message\","
            "\"content\":[{\"type\":\"output_text\",\"text\":\"a\"},"
            "{\"type\":\"refusal\",\"refusal\":\"y\"},"
            "{\"type\":\"output_text\",\"text\":\"b\\u0000\"}]}]}",
            "'ab'\n"},
        {"http://h/v1/responses", NULL, "[\"{{text}}\"]", 1, "{\"output\":[]}",
            "the answer: there is no output text in it\n"},
        {"http://h/v1/responses", NULL, "[\"{{text}}\"]", 1, "[]",
            "the answer: there is no output text in it\n"},
        {"http://h/other", NULL, "[\"{{text}}\"]", 1, "{\"a\":\n1}",
            "{\"a\": 1}\n"},
        {"http://h/other", NULL, "[\"{{text[]}}\"]", 2, "[1,2]", NULL},
        {"http://h/other", "[].a", "[\"{{text[]}}\"]", 2,
            "[{\"a\":1},{\"a\":2}]", "1\n2\n"},
        {"http://h/other", "a", "[\"{{text[]}}\"]", 2, "{\"a\":[1,2]}",
            "1\n2\n"},
        {"http://h/other", "a[].b", "[\"{{text}}\"]", 1,
            "{\"a\":[{\"b\":1},{\"b\":2}]}",
            "the answer: 'a' has 2 elements for 1 rows\n"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api *api;
        struct calm__api_opts opts = {
            .url = cases[i].url, .result_path = cases[i].path};
        int rc = make(&opts, cases[i].template, &api);
        if (!cases[i].results) {
            assert_int_equal(rc, -EINVAL);
            continue;
        }
        assert_int_equal(rc, 0);
        calm_bytes out = {0};
        const char *body = cases[i].body;
        tell(api, body, strlen(body), 0, cases[i].count, &out);
        /* printf ends at the NUL of one of them */
        if (strstr(body, "\\u0000"))
            assert_memory_equal(out.data, "'ab", 3);
        else
            assert_true(caret_equal(body, cases[i].results, out.data));
        calm_bytes_clear(&out);
        calm__api_close(api);
    }
}

/* ---- memory -------------------------------------------------------------- */

static int all_of(const char *template, const struct calm__cell *cells)
{
    struct calm__api *api;
    struct calm__api_opts opts = {.url = "http://h/v1/embeddings"};
    int rc = make(&opts, template, &api);
    if (rc < 0)
        return rc;
    struct asked asked = {0};
    calm_bytes text = {0};
    ask_row(&asked, api, cells);
    rc = asked.rc;
    if (rc == 0)
        rc = calm__api_request(
            api, asked.samples.data, asked.spans, 1, 7, &asked.request);
    static const char body[] = "{\"data\":[{\"index\":0,\"embedding\":1}]}";
    struct calm__api_result result;
    struct calm__api_answer answer = {.body = body, .len = strlen(body)};
    if (rc == 0)
        rc = calm__api_answer(api, &answer, 1, &text, &result, NULL);
    calm_bytes_clear(&text);
    asked_clear(&asked);
    calm__api_close(api);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    struct calm__cell cells[CELLS_MOST];
    cells_of("[1],some text", cells);
    cells[0].json = false;
    static const char *const templates[] = {
        "{\"a\":{{text}},\"b\":\"{{a b}}\"}", "[\"{{text[]}}\"]"};
    for (size_t i = 0; i < COUNT(templates); i++)
        for (int n = 1; fail_alloc_begin(n); n++) {
            int rc = all_of(templates[i], cells);
            assert_int_equal(rc, fail_alloc_end() ? -ENOMEM : 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_escaped_within_strings),
        cmocka_unit_test(cells_are_json_outside_of_strings),
        cmocka_unit_test(members_of_json_lines_keep_their_form),
        cmocka_unit_test(brackets_repeat_an_element_for_each_row),
        cmocka_unit_test(templates_that_cannot_be_filled_are_refused),
        cmocka_unit_test(each_endpoint_has_a_place_for_its_results),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("api_template", tests, NULL, NULL);
}
