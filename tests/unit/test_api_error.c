/* test_api_error.c - what a failed answer says, and what a request costs */
#include "unit.h"

#include "fail_alloc.h"

#include "ml/api.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct calm__api_error error_of(const char *body)
{
    struct calm__api_error error;
    /* Exactly as long as it is, for the sanitizers. */
    size_t len = strlen(body);
    char *copy = malloc(len ? len : 1);
    memcpy(copy, body, len);
    calm__api_error_read(copy, len, &error);
    free(copy);
    return error;
}

static void the_sentence_is_found_in_every_form(void **state)
{
    static const char *const cases[][3] = {
        {"{\"error\": \"no such model\"}", "no such model", ""},
        {"{\"error\":{\"message\":\"slow down\",\"type\":\"requests\","
         "\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
            "slow down", "rate_limit_exceeded"},
        {"{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\","
         "\"code\":null}}",
            "m", "invalid_request_error"},
        {"{\"error\":\"full\",\"error_type\":\"overloaded\"}", "full",
            "overloaded"},
        {"{\"detail\":\"Not Found\"}", "Not Found", ""},
        {"{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\","
         "\"type\":\"missing\"}]}",
            "field required", "missing"},
        {"{\"object\":\"error\",\"message\":\"too long\",\"code\":400}",
            "too long", "400"},
        {"{\"errors\":[\"first\",\"second\"]}", "first", ""},
        {"\"a text\"", "a text", ""},
        {"upstream connect error\r\n", "upstream connect error", ""},
        {"<html><head><TITLE>502 Bad Gateway</TITLE></head>", "502 Bad Gateway",
            ""},
        {"<html><title>cut", "cut", ""},
        {"<html>", "", ""},
        {"", "", ""},
        {" \n", "", ""},
        {"{}", "", ""},
        {"[]", "", ""},
        {"{\"error\":null}", "", ""},
        {"{\"error\":[]}", "", ""},
        {"{\"error\":{}}", "", ""},
        {"{\"error\":{\"message\":\"\"}}", "", ""},
        {"{\"error\":\"a\\u0000b\\n\\u001b[31mc\\u007f\"}", "a b  [31mc ", ""},
        {"{\"error\":\"\\u00e9\"}", "\xc3\xa9", ""},
        {"gr\xfc\xdf"
         "e",
            "gr??e", ""},
        {"{\"error\": \"cut", "{\"error\": \"cut", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api_error error = error_of(cases[i][0]);
        if (strcmp(error.message, cases[i][1]) != 0 ||
            strcmp(error.code, cases[i][2]) != 0)
            fail_msg("%s: '%s' '%s'", cases[i][0], error.message, error.code);
    }
}

static void a_long_sentence_is_cut_at_a_character(void **state)
{
    for (size_t before = 240; before < 260; before++) {
        char body[400] = "";
        memset(body, 'x', before);
        for (int i = 0; i < 20; i++)
            strcat(body, "\xc3\xa9");
        struct calm__api_error error = error_of(body);
        size_t len = strlen(error.message);
        assert_in_range(len, 250, 255);
        assert_string_equal(error.message + len - 3, "...");
        assert_null(strchr(error.message, '?'));
    }
}

static void an_exhausted_quota_is_told_by_code_or_type(void **state)
{
    assert_true(error_of("{\"error\":{\"message\":\"x\",\"code\":"
                         "\"insufficient_quota\"}}")
                    .quota);
    assert_true(error_of("{\"error\":{\"message\":\"x\",\"type\":"
                         "\"insufficient_quota\",\"code\":\"y\"}}")
                    .quota);
    assert_true(
        error_of("{\"error\":{\"type\":\"insufficient_quota\"}}").quota);
    assert_true(
        error_of("{\"error\":\"x\",\"code\":\"insufficient_quota\"}").quota);
    assert_false(
        error_of("{\"error\":{\"message\":\"insufficient_quota\"}}").quota);
    assert_false(error_of("insufficient_quota").quota);
    assert_true(error_of("{\"error\":{\"code\":\"rate_limit_exceeded\"}}")
                    .rate_limited);
}

/* A deep or a very large error is a text like any other. */
static void hostile_errors_are_texts(void **state)
{
    size_t len = 1 << 20;
    char *body = malloc(len);
    struct calm__api_error error;
    memset(body, '[', len);
    calm__api_error_read(body, len, &error);
    assert_int_equal(strlen(error.message), 255);
    memset(body, '\xff', len);
    calm__api_error_read(body, len, &error);
    assert_in_range(strlen(error.message), 200, 255);
    memset(body, 0, len);
    calm__api_error_read(body, len, &error);
    assert_in_range(strlen(error.message), 0, 255);
    free(body);
}

static void errors_are_read_without_memory(void **state)
{
    static const char body[] = "{\"error\":{\"message\":\"m\"}}";
    for (int n = 1; fail_alloc_begin(n); n++) {
        struct calm__api_error error;
        calm__api_error_read(body, strlen(body), &error);
        fail_alloc_end();
        assert_true(strlen(error.message) > 0);
    }
}

/* Who asks for a sentence has an error of its own in the slot. */
static void the_error_slot_is_left_alone(void **state)
{
    int rc = calm_fail(-5, "mine");
    error_of("{broken");
    calm__api_tokens("{broken", 7);
    assert_string_equal(calm_message(rc), "mine");
}

static void usage_is_read_or_nothing(void **state)
{
    static const struct {
        const char *body;
        struct calm__api_usage usage;
    } cases[] = {
        {"{\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,"
         "\"total_tokens\":12}}",
            {7, 5, 12}},
        {"{\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}", {7, 0, 7}},
        {"{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}", {3, 4, 7}},
        {"{\"usage\":{\"prompt_tokens\":-7,\"completion_tokens\":\"5\","
         "\"total_tokens\":1e300}}",
            {0, 0, 0}},
        {"{\"usage\":[]}", {0, 0, 0}},
        {"{\"usage\":null}", {0, 0, 0}},
        {"[]", {0, 0, 0}},
        {"nothing", {0, 0, 0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct calm__api_usage usage;
        calm__api_usage_read(cases[i].body, strlen(cases[i].body), &usage);
        assert_memory_equal(&usage, &cases[i].usage, sizeof usage);
    }
}

static void tokens_are_guessed_from_bytes_and_limits(void **state)
{
    static const struct {
        const char *body;
        uint64_t tokens;
    } cases[] = {
        {"{\"max_tokens\":100}", 18 / 4 + 1 + 100},
        {"{\"max_completion_tokens\":9,\"max_tokens\":100,\"n\":3}",
            48 / 4 + 1 + 27},
        {"{\"max_output_tokens\":5}", 23 / 4 + 1 + 5},
        {"{\"max_tokens\":-4,\"n\":2}", 23 / 4 + 1},
        {"{\"max_tokens\":1e14,\"n\":1e14}", UINT64_MAX},
        {"{\"max_tokens\":null}", 19 / 4 + 1},
        {"{}", 1},
        {"", 1},
        {"12345678", 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(calm__api_tokens(cases[i].body, strlen(cases[i].body)),
            cases[i].tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentence_is_found_in_every_form),
        cmocka_unit_test(a_long_sentence_is_cut_at_a_character),
        cmocka_unit_test(an_exhausted_quota_is_told_by_code_or_type),
        cmocka_unit_test(hostile_errors_are_texts),
        cmocka_unit_test(errors_are_read_without_memory),
        cmocka_unit_test(the_error_slot_is_left_alone),
        cmocka_unit_test(usage_is_read_or_nothing),
        cmocka_unit_test(tokens_are_guessed_from_bytes_and_limits),
    };
    return cmocka_run_group_tests_name("api_error", tests, NULL, NULL);
}
