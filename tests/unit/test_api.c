/* test_api.c - samples and instances: what is sent, what is read, and what is
 * refused
 */
#include "unit.h"

#include "api_cells.h"
#include "caret.h"
#include "fail_alloc.h"

#include <errno.h>
#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const names[] = {"id", "age", "na\"me", "label"};
static const struct calm__api_table table = {
    .names = names, .count = 4, .id = "id", .truth = "label"};

static struct calm__api *api_of(const struct calm__api_opts *opts)
{
    struct calm__api *api;
    assert_int_equal(calm__api_open(opts, &api), 0);
    assert_int_equal(calm__api_choose(api, &table), 0);
    return api;
}

static void expect_body(
    const struct calm__api_opts *opts, const char *lines, const char *body)
{
    struct calm__api *api = api_of(opts);
    struct asked asked;
    ask(&asked, api, lines);
    assert_int_equal(asked.rc, 0);
    assert_true(caret_equal(lines, body, asked.request.body.data));
    assert_string_equal(asked.request.content_type, "application/json");
    assert_int_equal(
        calm_json_check(asked.request.body.data, asked.request.body.len, NULL),
        0);
    asked_clear(&asked);
    calm__api_close(api);
}

static const struct calm__api_opts plain = {
    .kind = CALM__API_SAMPLES, .url = "http://h/predict"};

/* ---- requests ------------------------------------------------------------ */

static void samples_are_objects_of_all_columns_but_the_truth(void **state)
{
    expect_body(&plain, "a1,41,Bob",
        "{\"samples\":[{\"id\":\"a1\",\"age\":41,\"na\\\"me\":\"Bob\"}]}");
    expect_body(&plain, "1,-0.50e+1,x\n2,7,y",
        "{\"samples\":[{\"id\":1,\"age\":-0.50e+1,\"na\\\"me\":\"x\"},"
        "{\"id\":2,\"age\":7,\"na\\\"me\":\"y\"}]}");
}

static void empty_fields_are_null_and_texts_are_escaped(void **state)
{
    expect_body(&plain, ",007,a\"b\\c",
        "{\"samples\":[{\"id\":null,\"age\":\"007\","
        "\"na\\\"me\":\"a\\\"b\\\\c\"}]}");
    expect_body(&plain, " ,+5,12345678901234567890",
        "{\"samples\":[{\"id\":\" \",\"age\":\"+5\","
        "\"na\\\"me\":12345678901234567890}]}");
}

static void texts_that_mean_nothing_are_null_in_objects_too(void **state)
{
    static const char *const missing[] = {"-999", "none", NULL};
    struct calm__api_opts opts = plain;
    expect_body(&opts, "NA,nan,-NaN\nNULL,N/A,Nan1\n-999,none,nano",
        "{\"samples\":[{\"id\":null,\"age\":null,\"na\\\"me\":null},"
        "{\"id\":null,\"age\":null,\"na\\\"me\":\"Nan1\"},"
        "{\"id\":-999,\"age\":\"none\",\"na\\\"me\":\"nano\"}]}");
    opts.missing = missing;
    expect_body(&opts, "NA,-999,none",
        "{\"samples\":[{\"id\":\"NA\",\"age\":null,\"na\\\"me\":null}]}");
}

/* Each byte at each place of a text, so that none is missed where eight are
 * looked at at once. */
static void every_byte_of_a_text_is_escaped_where_it_must_be(void **state)
{
    struct calm__api *api = api_of(&plain);
    for (int byte = 0; byte < 256; byte++)
        for (size_t len = 1; len < 20; len++)
            for (size_t at = 0; at < len; at++) {
                char text[20];
                memset(text, 'x', len);
                text[at] = (char)byte;
                struct calm__cell cells[3] = {{.absent = true},
                    {.absent = true}, {.text = text, .len = len}};
                calm_bytes out = {0}, expected = {0};
                calm_json_writer json = {.out = &expected};
                calm_bytes_append_text(
                    &expected, "{\"id\":null,\"age\":null,\"na\\\"me\":");
                calm_json_put_bytes(&json, text, len);
                calm_bytes_append_text(&expected, "}");
                assert_int_equal(calm__api_row(api, cells, &out), 0);
                assert_int_equal(out.len, expected.len);
                assert_memory_equal(out.data, expected.data, out.len);
                calm_bytes_clear(&out);
                calm_bytes_clear(&expected);
            }
    calm__api_close(api);
}

static void members_of_json_lines_go_out_verbatim(void **state)
{
    struct calm__api_opts opts = plain;
    opts.json_rows = true;
    struct calm__api *api = api_of(&opts);
    static const char line[] = "{\"age\": {\"a\" : [1, \"x\"]}, \"id\": \"\","
                               "\"label\": 3, \"na\\\"me\": 1e2}";
    calm_json_doc *doc;
    assert_int_equal(calm_json_parse(line, strlen(line), NULL, &doc), 0);
    struct calm__cell cells[CELLS_MOST];
    cells_of_object(
        doc, calm__api_column_names(api), calm__api_columns(api), cells);
    struct asked asked = {0};
    ask_row(&asked, api, cells);
    assert_true(caret_equal(line,
        "{\"id\":\"\",\"age\":{\"a\" : [1, \"x\"]},\"na\\\"me\":1e2}",
        calm_bytes_text(&asked.samples)));
    asked_clear(&asked);
    calm_json_free(doc);
    calm__api_close(api);
}

static void features_are_arrays_of_numbers(void **state)
{
    static const char *const features[] = {"age", "id", NULL};
    static const char *const missing[] = {"-999", NULL};
    struct calm__api_opts opts = plain;
    opts.features = features;
    expect_body(&opts, "1,41\n0.10,\n+5, 7 \nNA,nan",
        "{\"samples\":[[1,41],[0.10,null],[5.0,7.0],[null,null]]}");
    opts.missing = missing;
    expect_body(&opts, "-999,1", "{\"samples\":[[null,1]]}");
}

static void features_that_are_no_numbers_are_refused(void **state)
{
    static const char *const features[] = {"id", "age", NULL};
    static const struct {
        const char *line, *error;
    } cases[] = {
        {"1,x1", "column 'age': 'x1' is not a number\n"},
        {"inf,1", "column 'id': 'inf' has no form as a number of JSON\n"},
        {"1,a\x01\xff", "column 'age': 'a ?' is not a number\n"},
        {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz,1",
            "column 'id': 'abcdefghijklmnopqrstuvwxyzabcdefghijklmn...' is not "
            "a number\n"},
    };
    struct calm__api_opts opts = plain;
    opts.features = features;
    struct calm__api *api = api_of(&opts);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct asked asked;
        ask(&asked, api, cases[i].line);
        assert_int_equal(asked.rc, CALM_EFORMAT);
        assert_int_equal(asked.samples.len, 0);
        assert_string_equal(asked.errors.data, cases[i].error);
        asked_clear(&asked);
    }
    calm__api_close(api);
}

static void instances_leave_the_id_out(void **state)
{
    struct calm__api_opts opts = {
        .kind = CALM__API_V1, .url = "http://h/v1/models/m/?k=/v1"};
    expect_body(
        &opts, "2,x", "{\"instances\":[{\"age\":2,\"na\\\"me\":\"x\"}]}");
}

static void columns_that_are_not_there_are_refused(void **state)
{
    static const char *const wrong[] = {"age", "size", NULL};
    static const char *const truth[] = {"label", NULL};
    struct calm__api_opts opts = plain;
    struct calm__api *api;
    opts.features = wrong;
    assert_int_equal(calm__api_open(&opts, &api), 0);
    assert_int_equal(calm__api_choose(api, &table), -EINVAL);
    assert_string_equal(calm_message(-EINVAL), "there is no column 'size'");
    calm__api_close(api);
    opts.features = truth;
    assert_int_equal(calm__api_open(&opts, &api), 0);
    assert_int_equal(calm__api_choose(api, &table), -EINVAL);
    assert_string_equal(
        calm_message(-EINVAL), "the truth 'label' is also a feature");
    calm__api_close(api);
}

static void an_empty_input_has_no_columns(void **state)
{
    struct calm__api *api;
    assert_int_equal(calm__api_open(&plain, &api), 0);
    assert_int_equal(calm__api_choose(api, &(struct calm__api_table){0}), 0);
    assert_int_equal(calm__api_columns(api), 0);
    calm__api_close(api);
}

/* ---- answers ------------------------------------------------------------- */

struct told {
    size_t count;
    const char *body, *results;
};

static void expect_told(
    const struct calm__api_opts *opts, const struct told *cases, size_t count)
{
    struct calm__api *api = api_of(opts);
    for (size_t i = 0; i < count; i++) {
        calm_bytes out = {0};
        const char *body = cases[i].body;
        tell(api, body, strlen(body), 0, cases[i].count, &out);
        assert_true(caret_equal(body, cases[i].results, calm_bytes_text(&out)));
        calm_bytes_clear(&out);
    }
    calm__api_close(api);
}

static void each_row_gets_its_prediction(void **state)
{
    static const struct told cases[] = {
        {2, "{\"predictions\": [0.5, \"a\\n\\u00e9\"]}",
            "0.5\n'a\n\xc3\xa9'\n"},
        {3, "\xef\xbb\xbf{\"x\": 1, \"predictions\":[null,true,[1,\n 2]]} ",
            "null\ntrue\n[1,  2]\n"},
        {1, "{\"predictions\":[{\"a\": [1.50, {}]}]}", "{\"a\": [1.50, {}]}\n"},
        {2, "{\"predictions\":[9223372036854775807,18446744073709551615]}",
            "9223372036854775807\n18446744073709551615\n"},
    };
    expect_told(&plain, cases, COUNT(cases));
}

static void answers_that_do_not_fit_are_malformed(void **state)
{
    static const struct told cases[] = {
        {2, "{\"predictions\":[1]}",
            "the answer: 'predictions' has 1 elements for 2 rows\n"},
        {1, "{\"predictions\":[1,2]}",
            "the answer: 'predictions' has 2 elements for 1 rows\n"},
        {1, "{\"predictions\":1}",
            "the answer: 'predictions' is a number and not an array\n"},
        {1, "{\"predictions\":{\"0\":1}}",
            "the answer: 'predictions' is an object and not an array\n"},
        {1, "{\"Predictions\":[1]}",
            "the answer: there is no 'predictions' in it\n"},
        {1, "[1]", "the answer: there is no 'predictions' in it\n"},
        {1, "{\"predictions\":[1],\"predictions\":[1]}",
            "the answer: 'predictions' is there twice\n"},
        {1, "", "the answer: there is no JSON in the text\n"},
        {1, "{\"predictions\":[1]",
            "the answer: line 1, column 19: a ',' or '}' is missing\n"},
        {1, "{\"predictions\":[NaN]}",
            "the answer: line 1, column 17: 'NaN' is not a JSON value\n"},
        {1, "{\"predictions\":[\"\xff\"]}",
            "the answer: line 1, column 18: invalid UTF-8\n"},
    };
    expect_told(&plain, cases, COUNT(cases));
}

static void depth_is_bounded(void **state)
{
    calm_bytes body = {0}, out = {0};
    calm_bytes_append_text(&body, "{\"predictions\":");
    for (int i = 0; i < 100000; i++)
        calm_bytes_append_text(&body, "[");
    struct calm__api *api = api_of(&plain);
    assert_int_equal(tell(api, body.data, body.len, 0, 1, &out), CALM_EFORMAT);
    assert_string_equal(out.data, "the answer: line 1, column 143: arrays and "
                                  "objects are in each other more than 128 "
                                  "deep\n");
    calm__api_close(api);
    calm_bytes_clear(&body);
    calm_bytes_clear(&out);
}

static void a_result_path_leads_elsewhere(void **state)
{
    static const struct {
        const char *path;
        struct told told;
    } cases[] = {
        {"data.rows", {1, "{\"data\":{\"rows\":[4]}}", "4\n"}},
        {"x[1].y", {2, "{\"x\":[0,{\"y\":[1,2]}]}", "1\n2\n"}},
        {"x[].y[0]", {2, "{\"x\":[{\"y\":[1]},{\"y\":[2]}]}", "1\n2\n"}},
        {"[].y", {2, "[{\"y\":1},{\"y\":2}]", "1\n2\n"}},
        {"", {1, "[5]", "5\n"}},
        {"[][1]", {1, "[[5,6]]", "6\n"}},
        {"x[].y",
            {1, "{\"x\":[{}]}", "the answer: there is no 'x[].y' in it\n"}},
        {"x[7].y",
            {1, "{\"x\":[1]}", "the answer: there is no 'x[7]' in it\n"}},
        {"x.y", {1, "{\"x\":[1]}", "the answer: there is no 'x.y' in it\n"}},
        {"x[].y", {1, "{\"x\":[{\"y\":1,\"y\":2}]}",
                      "the answer: 'y' is there twice\n"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api_opts opts = plain;
        opts.result_path = cases[i].path;
        expect_told(&opts, &cases[i].told, 1);
    }
}

static void paths_that_cannot_be_read_are_refused(void **state)
{
    static const char *const paths[] = {".a", "a.", "a..b", "a[", "a[x]",
        "a[-1]", "a[].b[]", "a]", "a[99999999999999999999]", "a[1.5]"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct calm__api *api;
        struct calm__api_opts opts = plain;
        opts.result_path = paths[i];
        assert_int_equal(calm__api_open(&opts, &api), -EINVAL);
    }
}

static void version_one_writes_what_json_cannot(void **state)
{
    static const struct told cases[] = {
        {4, "{\"predictions\":[NaN,-Infinity,1.5,Infinity]}",
            "'NaN'\n'-Infinity'\n1.5\n'Infinity'\n"},
        {3, "{\"predictions\": [[0.5,NaN],[1,2],\"NaN \\\\\"]}",
            "'[0.5,NaN]'\n[1,2]\n'NaN \\'\n"},
        {2, "{\"a\\\"NaN\":NaN,\"predictions\":[{\"NaN\":1},\"x\\\"NaN\\\"\"]}",
            "{\"NaN\":1}\n'x\"NaN\"'\n"},
        {1, "\xef\xbb\xbf{\"predictions\":[NaN]}", "'NaN'\n"},
        {1, "{\"outputs\":[3]}", "3\n"},
        {1, "{\"outputs\":[3],\"predictions\":[3]}",
            "the answer: there are both 'predictions' and 'outputs' in it\n"},
        {1, "{\"outputs\":{\"a\":[3]}}",
            "the answer: 'outputs' is an object and not an array\n"},
        {1, "{\"predictions\":[NaNx]}",
            "the answer: line 1, column 17: 'NaNx' is not a JSON value\n"},
        {1, "{\"predictions\":[xNaN]}",
            "the answer: line 1, column 17: 'xNaN' is not a JSON value\n"},
        {1, "{\"predictions\":[--Infinity]}",
            "the answer: line 1, column 17: '--Infinity' is not a JSON "
            "value\n"},
        {1, "{NaN:1,\"predictions\":[1]}",
            "the answer: line 1, column 2: a name in quotes is missing\n"},
        {1, "{\"predictions\":[NaN,]}",
            "the answer: line 1, column 21: a value is missing\n"},
        {1, "NaN", "the answer: there is no 'predictions' in it\n"},
    };
    struct calm__api_opts opts = {
        .kind = CALM__API_V1, .url = "http://h/v1/models/m:predict"};
    expect_told(&opts, cases, COUNT(cases));
}

static void usage_is_read_in_passing(void **state)
{
    static const char body[] = "{\"predictions\":[1],\"usage\":{"
                               "\"prompt_tokens\":7,\"completion_tokens\":-1,"
                               "\"total_tokens\":12}}";
    struct calm__api *api = api_of(&plain);
    struct calm__api_usage usage;
    struct calm__api_result result;
    calm_bytes text = {0};
    struct calm__api_answer answer = {.body = body, .len = strlen(body)};
    assert_int_equal(
        calm__api_answer(api, &answer, 1, &text, &result, &usage), 0);
    assert_int_equal(usage.prompt_tokens, 7);
    assert_int_equal(usage.completion_tokens, 0);
    assert_int_equal(usage.total_tokens, 12);
    calm_bytes_clear(&text);
    calm__api_close(api);
}

/* A second answer goes behind the first. */
static void results_are_appended(void **state)
{
    struct calm__api *api = api_of(&plain);
    calm_bytes text = {0};
    struct calm__api_result results[2];
    static const char *const bodies[] = {
        "{\"predictions\":[10]}", "{\"predictions\":[\"b\"]}"};
    for (size_t i = 0; i < 2; i++) {
        struct calm__api_answer answer = {
            .body = bodies[i], .len = strlen(bodies[i])};
        assert_int_equal(
            calm__api_answer(api, &answer, 1, &text, &results[i], NULL), 0);
    }
    struct calm__cell first = calm__api_result_cell(&text, &results[0]);
    struct calm__cell second = calm__api_result_cell(&text, &results[1]);
    assert_memory_equal(first.text, "10", 2);
    assert_true(first.json && calm__cell_number(&first) == 10);
    assert_memory_equal(second.text, "b", 1);
    assert_true(!second.json && isnan(calm__cell_number(&second)));
    /* As truths and answers are compared. */
    struct calm__cell yes = {.text = "true", .len = 4, .json = true};
    struct calm__cell no = {.text = "false", .len = 5, .json = true};
    struct calm__cell word = {.text = "true", .len = 4};
    struct calm__cell empty = {.text = NULL}, list = {"[1]", 3, .json = true};
    assert_true(calm__cell_number(&yes) == 1 && calm__cell_number(&no) == 0);
    assert_true(isnan(calm__cell_number(&word)));
    assert_true(isnan(calm__cell_number(&empty)));
    assert_true(isnan(calm__cell_number(&list)));
    calm_bytes_clear(&text);
    calm__api_close(api);
}

/* ---- URLs ---------------------------------------------------------------- */

static void a_path_tells_the_format(void **state)
{
    static const struct {
        const char *url;
        enum calm__api_kind kind;
    } cases[] = {
        {"http://h/predict", CALM__API_SAMPLES},
        {"http://h", CALM__API_SAMPLES},
        {"http://h/", CALM__API_SAMPLES},
        {"http://h/?x=/v2/models/m/infer", CALM__API_SAMPLES},
        {"http://v2/infer", CALM__API_V2},
        {"http://h/v2/models/m/infer", CALM__API_V2},
        {"http://h/v2/models/m/versions/2/infer?x=1", CALM__API_V2},
        {"http://h/v2/models/m", CALM__API_V2},
        {"http://h/a/v2/", CALM__API_V2},
        {"http://h/v1/models/m:predict", CALM__API_V1},
        {"http://h/v1/models/m/versions/3:predict#x", CALM__API_V1},
        {"http://h/v1/models/m", CALM__API_V1},
        {"http://h:80/v1", CALM__API_OPENAI},
        {"http://h/v1/", CALM__API_OPENAI},
        {"https://h/v1/chat/completions", CALM__API_OPENAI},
        {"https://h/openai/v1/completions", CALM__API_OPENAI},
        {"https://h/v1/embeddings", CALM__API_OPENAI},
        {"https://h/v1/responses", CALM__API_OPENAI},
        {"https://h/v1/moderations", CALM__API_OPENAI},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (calm__api_guess(cases[i].url) != cases[i].kind)
            fail_msg("%s: %s", cases[i].url,
                calm__api_kind_name(calm__api_guess(cases[i].url)));
}

static void the_url_of_a_model_is_completed(void **state)
{
    static const char *const cases[][2] = {
        {"http://h/v1/models/m", "http://h/v1/models/m:predict"},
        {"http://h/v1/models/m/?a=b", "http://h/v1/models/m:predict?a=b"},
        {"http://h/v1/models/m:predict", "http://h/v1/models/m:predict"},
        {"http://h/v1/models/m:explain", "http://h/v1/models/m:explain"},
        {"http://h/other?/v1/models/m", "http://h/other?/v1/models/m"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api *api = api_of(
            &(struct calm__api_opts){.kind = CALM__API_V1, .url = cases[i][0]});
        struct asked asked;
        ask(&asked, api, "1,2,3");
        assert_string_equal(asked.request.url.data, cases[i][1]);
        asked_clear(&asked);
        calm__api_close(api);
    }
}

/* ---- memory -------------------------------------------------------------- */

static int all_of(const struct calm__api_opts *opts,
    const struct calm__cell *cells, const char *body)
{
    struct calm__api *api;
    calm_bytes out = {0};
    int rc = calm__api_open(opts, &api);
    if (rc < 0)
        return rc;
    rc = calm__api_choose(api, &table);
    struct asked asked = {0};
    if (rc == 0) {
        ask_row(&asked, api, cells);
        rc = asked.rc;
    }
    if (rc == 0)
        rc = calm__api_request(
            api, asked.samples.data, asked.spans, 1, 7, &asked.request);
    struct calm__api_result result;
    struct calm__api_answer answer = {.body = body, .len = strlen(body)};
    if (rc == 0)
        rc = calm__api_answer(api, &answer, 1, &out, &result, NULL);
    calm_bytes_clear(&out);
    asked_clear(&asked);
    calm__api_close(api);
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    static const struct calm__api_opts opts[] = {
        {.kind = CALM__API_SAMPLES, .url = "http://h/p"},
        {.kind = CALM__API_V1, .url = "http://h/v1/models/m"},
    };
    struct calm__cell cells[CELLS_MOST];
    cells_of("1,2,a\tb", cells);
    for (size_t i = 0; i < COUNT(opts); i++)
        for (int n = 1; fail_alloc_begin(n); n++) {
            int rc = all_of(&opts[i], cells,
                i == 0 ? "{\"predictions\":[1]}" : "{\"predictions\":[NaN]}");
            /* A sentence that is not kept is no failure: the first try at
             * NaN has one. */
            assert_true(!fail_alloc_end() || rc == -ENOMEM || i == 1);
            assert_true(rc == 0 || rc == -ENOMEM);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_objects_of_all_columns_but_the_truth),
        cmocka_unit_test(empty_fields_are_null_and_texts_are_escaped),
        cmocka_unit_test(texts_that_mean_nothing_are_null_in_objects_too),
        cmocka_unit_test(every_byte_of_a_text_is_escaped_where_it_must_be),
        cmocka_unit_test(members_of_json_lines_go_out_verbatim),
        cmocka_unit_test(features_are_arrays_of_numbers),
        cmocka_unit_test(features_that_are_no_numbers_are_refused),
        cmocka_unit_test(instances_leave_the_id_out),
        cmocka_unit_test(columns_that_are_not_there_are_refused),
        cmocka_unit_test(an_empty_input_has_no_columns),
        cmocka_unit_test(each_row_gets_its_prediction),
        cmocka_unit_test(answers_that_do_not_fit_are_malformed),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(a_result_path_leads_elsewhere),
        cmocka_unit_test(paths_that_cannot_be_read_are_refused),
        cmocka_unit_test(version_one_writes_what_json_cannot),
        cmocka_unit_test(usage_is_read_in_passing),
        cmocka_unit_test(results_are_appended),
        cmocka_unit_test(a_path_tells_the_format),
        cmocka_unit_test(the_url_of_a_model_is_completed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
