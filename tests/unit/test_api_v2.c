/* test_api_v2.c - the Open Inference Protocol: metadata, requests and answers,
 * as JSON and as bytes
 */
#include "unit.h"

#include "api_cells.h"
#include "caret.h"
#include "fail_alloc.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const names[] = {"id", "a", "b", "label"};
static const struct calm__api_table table = {
    .names = names, .count = 4, .id = "id", .truth = "label"};
static const char binary_server[] =
    "{\"name\":\"s\",\"extensions\":[\"x\",7,\"binary_tensor_data\"]}";

/* Opens, learns what is not NULL, and chooses; what choosing gave. */
static int make(const struct calm__api_opts *more, const char *model,
    const char *server, struct calm__api **ret_api)
{
    struct calm__api_opts opts = more ? *more : (struct calm__api_opts){0};
    opts.kind = CALM__API_V2;
    opts.url = opts.url ? opts.url : "http://h/v2/models/m/infer";
    int rc = calm__api_open(&opts, ret_api);
    assert_int_equal(rc, 0);
    if (model) {
        rc = calm__api_learn(*ret_api, 0, model, strlen(model));
        assert_int_equal(rc, 0);
    }
    if (server) {
        rc = calm__api_learn(*ret_api, 1, server, strlen(server));
        assert_int_equal(rc, 0);
    }
    return calm__api_choose(*ret_api, &table);
}

static struct calm__api *api_of(
    const struct calm__api_opts *more, const char *model, const char *server)
{
    struct calm__api *api;
    int rc = make(more, model, server, &api);
    if (rc != 0)
        fail_msg("%s", calm_message(rc));
    return api;
}

/* The body as it can be read: its bytes behind the JSON in hexadecimal. */
static char *shown(const struct asked *asked)
{
    const struct calm__api_request *request = &asked->request;
    calm_bytes out = {0};
    size_t json = request->json_len ? request->json_len : request->body.len;
    calm_bytes_append(&out, request->body.data, json);
    if (json < request->body.len)
        calm_bytes_append(&out, " ", 1);
    for (size_t i = json; i < request->body.len; i++)
        calm_bytes_printf(&out, "%02x", (unsigned char)request->body.data[i]);
    if (asked->errors.len > 0)
        calm_bytes_append(&out, asked->errors.data, asked->errors.len);
    calm_bytes_append(&out, "", 0);
    return out.data ? out.data : strdup("");
}

static void expect_asked(
    const struct calm__api *api, const char *lines, const char *expected)
{
    struct asked asked;
    ask(&asked, api, lines);
    char *actual = shown(&asked);
    assert_true(caret_equal(lines, expected, actual));
    free(actual);
    asked_clear(&asked);
}

/* ---- requests ------------------------------------------------------------ */

static void without_metadata_there_is_one_input_of_floats(void **state)
{
    struct calm__api *api = api_of(NULL, NULL, NULL);
    expect_asked(api, "1,2.50\n-3e2, 4 ",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"input-0\",\"shape\":[2,2],"
        "\"datatype\":\"FP32\",\"data\":[1,2.50,-3e2,4.0]}]}");
    calm__api_close(api);
}

static void a_matrix_has_the_name_and_type_of_the_metadata(void **state)
{
    static const char model[] =
        "{\"name\":\"m\",\"platform\":\"p\",\"inputs\":[{\"name\":\"x\","
        "\"datatype\":\"FP64\",\"shape\":[-1,2]}],\"outputs\":[{\"name\":\"y\","
        "\"datatype\":\"FP32\",\"shape\":[-1]}]}";
    struct calm__api_opts opts = {.result_path = "y"};
    struct calm__api *api = api_of(&opts, model, NULL);
    expect_asked(api, "1,2",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],"
        "\"datatype\":\"FP64\",\"data\":[1,2]}],"
        "\"outputs\":[{\"name\":\"y\"}]}");
    calm__api_close(api);
}

static void a_matrix_may_be_bytes(void **state)
{
    static const char model[] =
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\","
        "\"shape\":[-1,-1]}]}";
    struct calm__api *api = api_of(NULL, model, binary_server);
    expect_asked(api, "1,-2.5\n,inf",
        "{\"id\":\"b7\",\"parameters\":{\"binary_data_output\":true},"
        "\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\","
        "\"parameters\":{\"binary_data_size\":16}}]} "
        "0000803f000020c00000c07f0000807f");
    struct asked asked;
    ask(&asked, api, "1,2");
    assert_string_equal(asked.request.content_type, "application/octet-stream");
    assert_true(asked.request.wants_binary);
    assert_int_equal(
        asked.request.json_len, asked.request.body.len - 2 * sizeof(float));
    asked_clear(&asked);
    calm__api_close(api);
    api = api_of(
        &(struct calm__api_opts){.no_binary = true}, model, binary_server);
    expect_asked(api, "1,2",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],"
        "\"datatype\":\"FP32\",\"data\":[1,2]}]}");
    calm__api_close(api);
}

static const char columns[] =
    "{\"inputs\":[{\"name\":\"b\",\"datatype\":\"BYTES\",\"shape\":[-1]},"
    "{\"name\":\"a\",\"datatype\":\"INT64\",\"shape\":[-1,1]}]}";

static void each_input_takes_the_column_of_its_name(void **state)
{
    struct calm__api *api = api_of(NULL, columns, NULL);
    assert_int_equal(calm__api_columns(api), 2);
    expect_asked(api, "x\"y,9007199254740993\n,-5",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"b\",\"shape\":[2],"
        "\"datatype\":\"BYTES\",\"data\":[\"x\\\"y\",\"\"]},"
        "{\"name\":\"a\",\"shape\":[2,1],\"datatype\":\"INT64\","
        "\"data\":[9007199254740993,-5]}]}");
    calm__api_close(api);
    api = api_of(NULL, columns, binary_server);
    expect_asked(api, "xy,258\n,-2",
        "{\"id\":\"b7\",\"parameters\":{\"binary_data_output\":true},"
        "\"inputs\":[{\"name\":\"b\",\"shape\":[2],\"datatype\":\"BYTES\","
        "\"parameters\":{\"binary_data_size\":10}},{\"name\":\"a\","
        "\"shape\":[2,1],\"datatype\":\"INT64\","
        "\"parameters\":{\"binary_data_size\":16}}]} "
        "020000007879000000000201000000000000feffffffffffffff");
    calm__api_close(api);
}

static void features_name_the_columns_of_inputs_in_their_order(void **state)
{
    static const char *const features[] = {"id", "b", NULL};
    static const char *const few[] = {"id", NULL};
    static const char *const many[] = {"id", "b", "a", NULL};
    struct calm__api_opts opts = {.features = features};
    struct calm__api *api = api_of(&opts, columns, NULL);
    assert_string_equal(calm__api_column_names(api)[0], "id");
    assert_string_equal(calm__api_column_names(api)[1], "b");
    calm__api_close(api);
    opts.features = few;
    assert_int_equal(make(&opts, columns, NULL, &api), -EINVAL);
    calm__api_close(api);
    opts.features = many;
    assert_int_equal(make(&opts, columns, NULL, &api), -EINVAL);
    calm__api_close(api);
}

static void a_single_input_may_be_a_single_column(void **state)
{
    struct calm__api *api = api_of(NULL,
        "{\"inputs\":[{\"name\":\"b\",\"datatype\":\"BYTES\","
        "\"shape\":[-1,1]}]}",
        NULL);
    expect_asked(api, "hi",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"b\",\"shape\":[1,1],"
        "\"datatype\":\"BYTES\",\"data\":[\"hi\"]}]}");
    calm__api_close(api);
}

static void rows_may_have_several_dimensions(void **state)
{
    struct calm__api *api = api_of(NULL,
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\","
        "\"shape\":[1,2,1]}]}",
        NULL);
    assert_int_equal(calm__api_rows_max(api), 1);
    expect_asked(api, "1,2",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"x\",\"shape\":[1,2,1],"
        "\"datatype\":\"INT8\",\"data\":[1,2]}]}");
    calm__api_close(api);
}

/* A cell of each type, in JSON and as bytes, or why it is none. */
static void cells_become_elements_or_are_refused(void **state)
{
    static const struct {
        const char *type, *cell, *json, *bytes;
    } cases[] = {
        {"BOOL", "1", "true", "01"},
        {"BOOL", "False", "false", "00"},
        {"BOOL", "2", "'2' is neither true nor false, 1 nor 0", NULL},
        {"BOOL", "", "'' is neither true nor false, 1 nor 0", NULL},
        {"UINT8", "255", "255", "ff"},
        {"UINT8", "256", "'256' does not fit into UINT8", NULL},
        {"UINT8", "-1", "'-1' does not fit into UINT8", NULL},
        {"UINT8", "-0", "0", "00"},
        {"UINT16", "65535", "65535", "ffff"},
        {"UINT32", "4294967296", "'4294967296' does not fit into UINT32", NULL},
        {"UINT64", "18446744073709551615", "18446744073709551615",
            "ffffffffffffffff"},
        {"UINT64", "18446744073709551616",
            "'18446744073709551616' is not an integer of type UINT64", NULL},
        {"INT8", "-128", "-128", "80"},
        {"INT8", "-129", "'-129' does not fit into INT8", NULL},
        {"INT8", "128", "'128' does not fit into INT8", NULL},
        {"INT16", " +7 ", "7", "0700"},
        {"INT32", "7.0", "7", "07000000"},
        {"INT32", "7e2", "700", "bc020000"},
        {"INT32", "-7.0", "-7", "f9ffffff"},
        {"INT32", "7.5", "'7.5' is not an integer of type INT32", NULL},
        {"INT64", "9223372036854775807", "9223372036854775807",
            "ffffffffffffff7f"},
        {"INT64", "-9223372036854775808", "-9223372036854775808",
            "0000000000000080"},
        {"INT64", "9223372036854775808",
            "'9223372036854775808' does not fit into INT64", NULL},
        {"INT64", "1e300", "'1e300' is not an integer of type INT64", NULL},
        {"INT64", "", "'' is no value, and integers have none for it", NULL},
        {"INT64", "x", "'x' is not a number", NULL},
        {"INT64", "inf", "'inf' is not an integer of type INT64", NULL},
        {"FP32", "0.10", "0.10", "cdcccc3d"},
        {"FP32", "1e39", "'1e39' does not fit into FP32", NULL},
        {"FP32", "1e999", "'1e999' does not fit into FP32", NULL},
        {"FP32", ".5", "0.5", "0000003f"},
        {"FP32", "NA", "'NA' is no value, which only the binary form could say",
            "0000c07f"},
        {"FP32", "-inf", "'-inf' has no form as a number of JSON", "000080ff"},
        {"FP32", "x", "'x' is not a number", NULL},
        {"FP64", "0.1", "0.1", "9a9999999999b93f"},
        {"BYTES", "a\tb", "\"a\\tb\"", "03000000610962"},
        {"BYTES", "12", "\"12\"", "020000003132"},
        {"FP16", "1", NULL, "003c"},
        {"FP16", "-2", NULL, "00c0"},
        {"FP16", "65504", NULL, "ff7b"},
        {"FP16", "65520", "'65520' does not fit into FP16", NULL},
        {"FP16", "2049", NULL, "0068"}, /* ties to even */
        {"FP16", "2051", NULL, "0268"},
        {"FP16", "5.960464477539063e-08", NULL, "0100"},
        {"FP16", "1e-9", NULL, "0000"},
        {"FP16", "6.1e-05", NULL, "ff03"},
        {"FP16", "inf", NULL, "007c"},
        {"FP16", "nan", NULL, "007e"},
        {"FP16", "0.33325", NULL, "5535"},
    };
    for (size_t i = 0; i < COUNT(cases) * 2; i++) {
        bool bytes = i % 2 == 1;
        char model[128];
        const char *json = cases[i / 2].json;
        const char *expected =
            bytes && cases[i / 2].bytes ? cases[i / 2].bytes : json;
        if (!bytes && strcmp(cases[i / 2].type, "FP16") == 0)
            continue;
        snprintf(model, sizeof model,
            "{\"inputs\":[{\"name\":\"a\",\"datatype\":\"%s\","
            "\"shape\":[-1]}]}",
            cases[i / 2].type);
        struct calm__api *api =
            api_of(NULL, model, bytes ? binary_server : NULL);
        struct asked asked;
        ask(&asked, api, *cases[i / 2].cell ? cases[i / 2].cell : "\n");
        char *text = shown(&asked);
        char *actual = bytes ? strrchr(text, ' ') : strstr(text, "data\":[");
        if (asked.rc < 0)
            actual = strchr(text, '\'') + strlen("'a': ");
        else
            actual += bytes ? 1 : strlen("data\":[");
        actual[strcspn(actual, asked.rc < 0 ? "\n" : "]")] = '\0';
        if (strcmp(actual, expected) != 0)
            fail_msg("%s %s: %s", cases[i / 2].type, cases[i / 2].cell, actual);
        free(text);
        asked_clear(&asked);
        calm__api_close(api);
    }
}

/* ---- models that cannot be asked ----------------------------------------- */

static void models_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        const char *inputs, *error;
    } cases[] = {
        {"{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3]}",
            "the model's input 'x' expects 3 features, there are 2\n"
            "hint: name the columns by --features, or those that are none by "
            "--id and --truth"},
        {"{\"name\":\"x\",\"datatype\":\"FP16\",\"shape\":[-1,2]}",
            "the model's input 'x' is of type FP16, which has no form in JSON, "
            "and the server does not read the binary form"},
        {"{\"name\":\"x\",\"datatype\":\"BF16\",\"shape\":[-1,2]}",
            "the model's input 'x' is of a type that calm does not know"},
        {"{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[8,2]}",
            "the model's input 'x' takes batches of exactly 8 rows"},
        {"{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,-1,-1]}",
            "the model's input 'x' has more open dimensions than rows have"},
        {"{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-1]},"
         "{\"name\":\"c\",\"datatype\":\"FP32\",\"shape\":[-1]}",
            "there is no column 'c' for the model's input\n"
            "hint: name the columns by --features, in the order of the "
            "inputs"},
        {"{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-1]},"
         "{\"name\":\"b\",\"datatype\":\"FP32\",\"shape\":[-1,3]}",
            "the model has 2 inputs, and 'b' expects 3 values of a row, not "
            "one"},
        {"{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-1]},"
         "{\"name\":\"label\",\"datatype\":\"FP32\",\"shape\":[-1]}",
            "the truth 'label' is also an input"},
        {"{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-1]},"
         "{\"name\":\"a\",\"datatype\":\"FP32\",\"shape\":[-1]}",
            "the column 'a' is chosen twice"},
        {"{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,"
         "9223372036854775807,9223372036854775807]}",
            "the model's input 'x' expects 9223372036854775807 features, there "
            "are 2\n"
            "hint: name the columns by --features, or those that are none by "
            "--id and --truth"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api *api;
        char model[400];
        snprintf(model, sizeof model, "{\"inputs\":[%s]}", cases[i].inputs);
        assert_int_equal(make(NULL, model, NULL, &api), -EINVAL);
        assert_true(caret_equal(model, cases[i].error, calm_message(-EINVAL)));
        calm__api_close(api);
    }
    struct calm__api *api;
    struct calm__api_opts opts = {.result_path = "z"};
    assert_int_equal(make(&opts,
                         "{\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\","
                         "\"shape\":[-1]}]}",
                         NULL, &api),
        -EINVAL);
    assert_string_equal(calm_message(-EINVAL),
        "the model has no output 'z'\nhint: its first one is 'y'");
    calm__api_close(api);
}

static void metadata_that_is_none_changes_nothing(void **state)
{
    static const char *const bodies[] = {"", "[]", "{", "null",
        "{\"inputs\":{}}", "{\"inputs\":[{}]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\"}]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":\"2\"}]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1.5]}]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-2]}]}",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,1,1,1,"
        "1,1,1,1,1,1,1,1,1,1,1,1,1]}]}",
        "{\"inputs\":[{\"name\":7,\"datatype\":\"FP32\",\"shape\":[1]}]}",
        "{\"inputs\":[],\"outputs\":[{\"name\":\"x\"}]}"};
    struct calm__api *api;
    struct calm__api_opts opts = {
        .kind = CALM__API_V2, .url = "http://h/v2/models/m/infer"};
    assert_int_equal(calm__api_open(&opts, &api), 0);
    for (size_t i = 0; i < COUNT(bodies); i++)
        if (calm__api_learn(api, 0, bodies[i], strlen(bodies[i])) !=
            CALM_EFORMAT)
            fail_msg("%s", bodies[i]);
    assert_int_equal(calm__api_learn(api, 1, "{", 1), CALM_EFORMAT);
    assert_int_equal(calm__api_learn(api, 1, "{}", 2), 0);
    assert_int_equal(calm__api_learn(api, 1, "{\"extensions\":7}", 16), 0);
    assert_int_equal(calm__api_learn(api, 0, "{}", 2), 0);
    assert_int_equal(calm__api_learn(api, 0, "{\"inputs\":[]}", 13), 0);
    assert_int_equal(calm__api_choose(api, &table), 0);
    expect_asked(api, "1,2",
        "{\"id\":\"b7\",\"inputs\":[{\"name\":\"input-0\",\"shape\":[1,2],"
        "\"datatype\":\"FP32\",\"data\":[1,2]}]}");
    calm__api_close(api);
}

/* ---- URLs ---------------------------------------------------------------- */

static void urls_are_completed_and_metadata_is_beside_them(void **state)
{
    static const char *const cases[][4] = {
        {"http://h/v2/models/m/infer", "http://h/v2/models/m/infer",
            "http://h/v2/models/m", "http://h/v2"},
        {"http://h/v2/models/m", "http://h/v2/models/m/infer",
            "http://h/v2/models/m", "http://h/v2"},
        {"http://h/a/v2/models/m%2Fn/versions/3/?k=v",
            "http://h/a/v2/models/m%2Fn/versions/3/infer?k=v",
            "http://h/a/v2/models/m%2Fn/versions/3?k=v", "http://h/a/v2?k=v"},
        {"http://h/proxy/infer/", "http://h/proxy/infer", "http://h/proxy",
            NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api_opts opts = {.url = cases[i][0]};
        struct calm__api *api = api_of(&opts, NULL, NULL);
        struct asked asked;
        ask(&asked, api, "1,2");
        assert_string_equal(asked.request.url.data, cases[i][1]);
        for (size_t j = 0; j < 2; j++) {
            const char *url = calm__api_metadata_url(api, j);
            if (cases[i][2 + j])
                assert_string_equal(url, cases[i][2 + j]);
            else
                assert_null(url);
        }
        assert_null(calm__api_metadata_url(api, 2));
        asked_clear(&asked);
        calm__api_close(api);
    }
}

static void a_url_without_a_model_is_refused(void **state)
{
    static const char *const urls[] = {"http://h", "http://h/v2",
        "http://h/v2/", "http://h/v2/models", "http://h/v2/models/",
        "http://h/?/v2/models/m/infer", "http://h/predict"};
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct calm__api *api;
        struct calm__api_opts opts = {.kind = CALM__API_V2, .url = urls[i]};
        if (calm__api_open(&opts, &api) != -EINVAL)
            fail_msg("%s", urls[i]);
    }
}

/* ---- answers ------------------------------------------------------------- */

struct told {
    size_t count;
    const char *body, *results;
};

static void expect_told(
    const char *wanted, const struct told *cases, size_t count)
{
    struct calm__api_opts opts = {.result_path = wanted};
    struct calm__api *api = api_of(&opts, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        calm_bytes out = {0};
        const char *body = cases[i].body;
        tell(api, body, strlen(body), 0, cases[i].count, &out);
        assert_true(caret_equal(body, cases[i].results, calm_bytes_text(&out)));
        calm_bytes_clear(&out);
    }
    calm__api_close(api);
}

#define OUTPUT(type, shape, data)                                              \
    "{\"model_name\":\"m\",\"id\":\"b7\",\"outputs\":[{\"name\":\"y\","        \
    "\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data "}]}"

static void outputs_are_split_by_their_first_dimension(void **state)
{
    static const struct told cases[] = {
        {2, OUTPUT("FP32", "[2]", "[0.5, 1e-3]"), "0.5\n1e-3\n"},
        {2, OUTPUT("FP32", "[2,1]", "[0.5,1]"), "0.5\n1\n"},
        {2, OUTPUT("FP32", "[2,1]", "[[0.5],[1]]"), "0.5\n1\n"},
        {2, OUTPUT("FP64", "[2,2]", "[1,2,3,4]"), "[1,2]\n[3,4]\n"},
        {2, OUTPUT("FP64", "[2,2]", "[[1,2], [3,\n4]]"), "[1,2]\n[3,4]\n"},
        {1, OUTPUT("INT64", "[1,2,2]", "[1,2,3,4]"), "[[1,2],[3,4]]\n"},
        {1, OUTPUT("INT64", "[1,2,1]", "[[[1],[2]]]"), "[[1],[2]]\n"},
        {1, OUTPUT("FP32", "[1,0]", "[]"), "[]\n"},
        {1, OUTPUT("FP32", "[1,0]", "[[]]"), "[]\n"},
        {1, OUTPUT("FP32", "[1,9223372036854775807,0]", "[]"), "[]\n"},
        {2, OUTPUT("BYTES", "[2]", "[\"a\\nb\",\"\"]"), "'a\nb'\n''\n"},
        {1, OUTPUT("BYTES", "[1,2]", "[\"a\\nb\",\"c\"]"),
            "[\"a\\nb\",\"c\"]\n"},
        {2, OUTPUT("BOOL", "[2]", "[true,0]"), "true\n0\n"},
        {2, OUTPUT("FP32", "[2]", "[null,1]"), "null\n1\n"},
        {1, OUTPUT("FP32", "[1,2]", "[null,1]"), "[null,1]\n"},
        {2, OUTPUT("UINT64", "[2]", "[18446744073709551615,9007199254740993]"),
            "18446744073709551615\n9007199254740993\n"},
        {1,
            "{\"outputs\":[{\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP32\","
            "\"data\":[1]}]}",
            "1\n"},
        {1,
            "{\"id\":\"\",\"outputs\":[{\"name\":\"y\",\"shape\":[1],"
            "\"datatype\":\"FP32\",\"data\":[1],\"parameters\":{\"x\":1}}]}",
            "1\n"},
    };
    expect_told(NULL, cases, COUNT(cases));
}

static void outputs_that_do_not_fit_are_malformed(void **state)
{
    static const char shape[] = "the answer: the data of output 'y' has not "
                                "the shape or the type that it says\n";
    static const struct told cases[] = {
        {2, OUTPUT("FP32", "[1]", "[1]"),
            "the answer: the output 'y' has 1 rows instead of 2\n"},
        {2, OUTPUT("FP32", "[1,2]", "[1,2]"),
            "the answer: the output 'y' has 1 rows instead of 2\n"},
        {2, OUTPUT("FP32", "[]", "[1,2]"),
            "the answer: the output 'y' has 0 rows instead of 2\n"},
        {2, OUTPUT("FP32", "[2]", "[1]"), shape},
        {2, OUTPUT("FP32", "[2]", "[1,2,3]"), shape},
        {2, OUTPUT("FP32", "[2,2]", "[[1,2],[3]]"), shape},
        {2, OUTPUT("FP32", "[2,2]", "[[1,2,3],[4]]"), shape},
        {2, OUTPUT("FP32", "[2,2]", "[[1],[2],[3],[4]]"), shape},
        {2, OUTPUT("FP32", "[2]", "1"), shape},
        {2, OUTPUT("FP32", "[2]", "[1,\"2\"]"), shape},
        {2, OUTPUT("INT64", "[2]", "[1,2.5]"), shape},
        {2, OUTPUT("INT8", "[2]", "[1,200]"), shape},
        {2, OUTPUT("INT8", "[2]", "[1,null]"), shape},
        {2, OUTPUT("BYTES", "[2]", "[1,2]"), shape},
        {2, OUTPUT("BOOL", "[2]", "[true,2]"), shape},
        {1, OUTPUT("FP16", "[1]", "[1]"),
            "the answer: the output 'y' is FP16 in JSON\n"},
        {1, OUTPUT("fp32", "[1]", "[1]"),
            "the answer: the output 'y' has no type that calm knows\n"},
        {1, OUTPUT("FP32", "[-1]", "[1]"),
            "the answer: the output 'y': a shape has a negative number in "
            "it\n"},
        {1, OUTPUT("FP32", "[1.5]", "[1]"),
            "the answer: the output 'y': a shape has what is no whole number "
            "in it\n"},
        {1, OUTPUT("FP32", "7", "[1]"),
            "the answer: the output 'y': a shape is no array of at most 16 "
            "numbers\n"},
        {1, OUTPUT("FP32", "[1,4294967296,4294967296]", "[]"),
            "the answer: the output 'y' is too large\n"},
        {1, "{\"id\":\"b8\",\"outputs\":[]}",
            "the answer: it is to another request\n"},
        {1, "{\"id\":7,\"outputs\":[]}",
            "the answer: it is to another request\n"},
        {1, "{\"outputs\":[]}", "the answer: the output '' is not there\n"},
        {1, "{\"outputs\":{}}", "the answer: there are no 'outputs' in it\n"},
        {1, "[]", "the answer: there are no 'outputs' in it\n"},
        {1, "{\"outputs\":[{}]}", "the answer: an output has no name\n"},
        {1, "{\"outputs\":[],\"outputs\":[]}",
            "the answer: 'outputs' is there twice\n"},
        {1,
            "{\"outputs\":[{\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP32\","
            "\"data\":[NaN]}]}",
            "the answer: line 1, column 63: 'NaN' is not a JSON value\n"},
        {1,
            "{\"outputs\":[{\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP32\"}"
            "]}",
            "the answer: the output 'y' has no data\n"},
        {1,
            "{\"outputs\":[{\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP32\","
            "\"parameters\":{\"binary_data_size\":4}}]}",
            "the answer: the output 'y' has more bytes than there are\n"},
        {1,
            "{\"outputs\":[{\"name\":\"y\",\"shape\":[1],\"datatype\":\"FP32\","
            "\"data\":[1],\"parameters\":{\"binary_data_size\":4}}]}",
            "the answer: the output 'y' has twice its data\n"},
    };
    expect_told(NULL, cases, COUNT(cases));
}

#define TWO(first, second)                                                     \
    "{\"outputs\":[{\"name\":\"" first                                         \
    "\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]},"                    \
    "{\"name\":\"" second                                                      \
    "\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[2]}]}"

static void of_several_outputs_one_is_taken(void **state)
{
    static const struct told first[] = {{1, TWO("y", "z"), "1\n"}};
    static const struct told named[] = {
        {1, TWO("y", "z"), "2\n"},
        {1, TWO("y", "x"), "the answer: the output 'z' is not there\n"},
        {1, TWO("z", "z"), "the answer: the output 'z' is there twice\n"},
        /* Those that are not wanted must fit, too. */
        {1,
            "{\"outputs\":[{\"name\":\"z\",\"shape\":[1],\"datatype\":\"FP32\","
            "\"data\":[1]},{\"name\":\"y\",\"shape\":[2],\"datatype\":\"FP32\","
            "\"data\":[1,2]}]}",
            "the answer: the output 'y' has 2 rows instead of 1\n"},
    };
    expect_told(NULL, first, COUNT(first));
    expect_told("z", named, COUNT(named));
}

/* "3 4" as an output of that type behind its JSON. */
static void expect_binary(const char *type, const char *shape, size_t size,
    const char *bytes, size_t len, size_t rows, const char *expected)
{
    calm_bytes body = {0}, out = {0};
    calm_bytes_printf(&body,
        "{\"id\":\"b7\",\"outputs\":[{\"name\":\"y\",\"shape\":%s,\"datatype\":"
        "\"%s\",\"parameters\":{\"binary_data_size\":%zu}}]}",
        shape, type, size);
    size_t json_len = body.len;
    calm_bytes_append(&body, bytes, len);
    char *exact = malloc(body.len);
    memcpy(exact, body.data, body.len);
    struct calm__api *api = api_of(NULL, NULL, binary_server);
    tell(api, exact, body.len, json_len, rows, &out);
    assert_true(caret_equal(body.data, expected, calm_bytes_text(&out)));
    calm__api_close(api);
    calm_bytes_clear(&body);
    calm_bytes_clear(&out);
    free(exact);
}

static void outputs_may_be_bytes(void **state)
{
    expect_binary(
        "FP32", "[2]", 8, "\0\0\0\x3f\xcd\xcc\xcc\x3d", 8, 2, "0.5\n0.1\n");
    expect_binary("FP32", "[2]", 8, "\0\0\xc0\x7f\0\0\x80\xff", 8, 2,
        "'NaN'\n'-Infinity'\n");
    expect_binary("FP32", "[1,2]", 8, "\0\0\0\x3f\0\0\x80\x7f", 8, 1,
        "'[0.5,Infinity]'\n");
    expect_binary(
        "FP64", "[1,1]", 8, "\x9a\x99\x99\x99\x99\x99\xb9\x3f", 8, 1, "0.1\n");
    expect_binary("FP16", "[4]", 8, "\0\x3c\x01\0\0\xfc\x01\x7c", 8, 4,
        "1.0\n5.9604645e-08\n'-Infinity'\n'NaN'\n");
    expect_binary(
        "INT8", "[2,2]", 4, "\xff\x80\x7f\0", 4, 2, "[-1,-128]\n[127,0]\n");
    expect_binary("UINT16", "[1]", 2, "\xff\xff", 2, 1, "65535\n");
    expect_binary("INT64", "[1]", 8, "\0\0\0\0\0\0\0\x80", 8, 1,
        "-9223372036854775808\n");
    expect_binary("UINT64", "[1]", 8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 1,
        "18446744073709551615\n");
    expect_binary("BOOL", "[2]", 2, "\0\1", 2, 2, "false\ntrue\n");
    expect_binary(
        "BYTES", "[2]", 11, "\3\0\0\0a\nb\0\0\0\0", 11, 2, "'a\nb'\n''\n");
    expect_binary("BYTES", "[1,2]", 10, "\1\0\0\0\n\1\0\0\0\xff", 10, 1,
        "[\"\\n\",\"\xef\xbf\xbd\"]\n");
    expect_binary("BYTES", "[1]", 5, "\1\0\0\0\xff", 5, 1, "'\xef\xbf\xbd'\n");
}

static void bytes_that_do_not_fit_are_malformed(void **state)
{
    static const char more[] =
        "the answer: the output 'y' has more bytes than there are\n";
    static const char other[] =
        "the answer: the bytes of output 'y' are not those of its shape\n";
    expect_binary("FP32", "[1]", 4, "abc", 3, 1, more);
    expect_binary("FP32", "[1]", SIZE_MAX, "abcd", 4, 1, more);
    expect_binary("FP32", "[1]", 4, "abcde", 5, 1,
        "the answer: there are 1 bytes too many in it\n");
    expect_binary("FP32", "[1]", 5, "abcde", 5, 1, other);
    expect_binary("FP32", "[2]", 4, "abcd", 4, 2, other);
    expect_binary("FP32", "[1]", 8, "abcdefgh", 8, 1, other);
    expect_binary("BYTES", "[1]", 4, "\1\0\0\0", 4, 1, other);
    expect_binary("BYTES", "[1]", 4, "\xff\xff\xff\xff", 4, 1, other);
    expect_binary("BYTES", "[1]", 3, "\0\0\0", 3, 1, other);
    expect_binary("BYTES", "[1]", 8, "\0\0\0\0\0\0\0\0", 8, 1, other);
    expect_binary("BYTES", "[2]", 4, "\0\0\0\0", 4, 2, other);
    struct calm__api *api = api_of(NULL, NULL, binary_server);
    calm_bytes out = {0};
    tell(api, "{}", 2, 3, 1, &out);
    assert_string_equal(
        out.data, "the answer: its JSON has 3 bytes, and it only 2\n");
    calm_bytes_clear(&out);
    calm__api_close(api);
}

/* ---- memory -------------------------------------------------------------- */

static int all_of(const char *server, const struct calm__cell *cells)
{
    struct calm__api *api;
    struct calm__api_opts opts = {.kind = CALM__API_V2,
        .url = "http://h/v2/models/m",
        .result_path = "y"};
    int rc = calm__api_open(&opts, &api);
    if (rc < 0)
        return rc;
    struct asked asked = {0};
    rc = calm__api_learn(api, 0, columns, strlen(columns));
    if (rc == 0)
        rc = calm__api_learn(api, 1, server, strlen(server));
    if (rc == 0)
        rc = calm__api_choose(api, &table);
    if (rc == 0) {
        ask_row(&asked, api, cells);
        rc = asked.rc;
    }
    if (rc == 0)
        rc = calm__api_request(
            api, asked.samples.data, asked.spans, 1, 7, &asked.request);
    static const char body[] = OUTPUT("BYTES", "[1,2]", "[\"a\",\"b\"]");
    struct calm__api_result result;
    struct calm__api_answer answer = {
        .body = body, .len = strlen(body), .id = 7};
    calm_bytes text = {0};
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
    cells_of("a text that is not so short as to fit anywhere,12", cells);
    for (size_t i = 0; i < 2; i++)
        for (int n = 1; fail_alloc_begin(n); n++) {
            int rc = all_of(i == 0 ? "{}" : binary_server, cells);
            assert_int_equal(rc, fail_alloc_end() ? -ENOMEM : 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_metadata_there_is_one_input_of_floats),
        cmocka_unit_test(a_matrix_has_the_name_and_type_of_the_metadata),
        cmocka_unit_test(a_matrix_may_be_bytes),
        cmocka_unit_test(each_input_takes_the_column_of_its_name),
        cmocka_unit_test(features_name_the_columns_of_inputs_in_their_order),
        cmocka_unit_test(a_single_input_may_be_a_single_column),
        cmocka_unit_test(rows_may_have_several_dimensions),
        cmocka_unit_test(cells_become_elements_or_are_refused),
        cmocka_unit_test(models_that_do_not_fit_are_refused),
        cmocka_unit_test(metadata_that_is_none_changes_nothing),
        cmocka_unit_test(urls_are_completed_and_metadata_is_beside_them),
        cmocka_unit_test(a_url_without_a_model_is_refused),
        cmocka_unit_test(outputs_are_split_by_their_first_dimension),
        cmocka_unit_test(outputs_that_do_not_fit_are_malformed),
        cmocka_unit_test(of_several_outputs_one_is_taken),
        cmocka_unit_test(outputs_may_be_bytes),
        cmocka_unit_test(bytes_that_do_not_fit_are_malformed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("api_v2", tests, NULL, NULL);
}
