/* test_json_write.c - JSON out, read back, and calls in a wrong order */
#include "unit.h"

#include "caret.h"
#include "fail_alloc.h"

#include <calm/json.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void expect(calm_json_writer *json, const char *expected)
{
    assert_int_equal(json->error, 0);
    assert_true(caret_equal("", expected, calm_bytes_text(json->out)));
    assert_int_equal(strlen(expected), json->out->len);
    calm_bytes_clear(json->out);
    *json = (calm_json_writer){.out = json->out};
}

static void values_nest_with_commas_between_them(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "a");
    calm_json_begin_array(&json);
    calm_json_put_int(&json, 1);
    calm_json_begin_array(&json);
    calm_json_end_array(&json);
    calm_json_begin_object(&json);
    calm_json_end_object(&json);
    calm_json_put_text(&json, "x");
    calm_json_end_array(&json);
    calm_json_put_key(&json, "b");
    calm_json_put_null(&json);
    calm_json_put_key(&json, "c");
    calm_json_put_bool(&json, true);
    calm_json_put_key(&json, "d");
    calm_json_put_raw(&json, "{ \"as\": \"it is\" }", 17);
    calm_json_end_object(&json);
    expect(&json, "{\"a\":[1,[],{},\"x\"],\"b\":null,\"c\":true,"
                  "\"d\":{ \"as\": \"it is\" }}");
}

static void lines_follow_each_other(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    for (int i = 0; i < 2; i++) {
        calm_json_begin_object(&json);
        calm_json_put_key(&json, "row");
        calm_json_put_int(&json, i);
        calm_json_end_object(&json);
        calm_json_end_line(&json);
    }
    calm_json_put_bool(&json, false);
    calm_json_end_line(&json);
    expect(&json, "{\"row\":0}\n{\"row\":1}\nfalse\n");
}

static void text_is_escaped_where_it_must_be(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    calm_json_begin_array(&json);
    calm_json_put_text(&json, "");
    calm_json_put_text(&json, "\"\\/\b\f\n\r\t\x01\x1f\x7f");
    calm_json_put_bytes(&json, "a\0b", 3);
    calm_json_put_text(&json, "\xc3\xa9 \xf0\x9f\x98\x80 \xe2\x80\xa8");
    calm_json_put_bytes(&json, NULL, 0);
    calm_json_end_array(&json);
    expect(&json, "[\"\",\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\","
                  "\"a\\u0000b\",\"\xc3\xa9 \xf0\x9f\x98\x80 \xe2\x80\xa8\","
                  "\"\"]");
}

static void keys_are_escaped_like_texts(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "a\"\n\xff");
    calm_json_put_int(&json, 1);
    calm_json_end_object(&json);
    expect(&json, "{\"a\\\"\\n\xef\xbf\xbd\":1}");
}

/* Also where a long text is replaced in pieces. */
static void ill_formed_text_becomes_replacement_characters(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    calm_json_put_text(&json, "\xff \xc3 \xe2\x82 \xed\xa0\x80 ok");
    expect(&json, "\"\xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd "
                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd ok\"");
    for (size_t before = 500; before < 520; before++) {
        calm_bytes text = {0}, expected = {0};
        calm_bytes_printf(&text, "\xff%*s\xf0\x9f\x98\x80\n%*s\x80", //
            (int)before, "", 600, "");
        calm_bytes_printf(&expected,
            "\"\xef\xbf\xbd%*s\xf0\x9f\x98\x80\\n%*s\xef\xbf\xbd\"",
            (int)before, "", 600, "");
        calm_json_put_bytes(&json, text.data, text.len);
        expect(&json, expected.data);
        calm_bytes_clear(&text);
        calm_bytes_clear(&expected);
    }
}

static void numbers_read_back_the_same(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    calm_json_begin_array(&json);
    calm_json_put_int(&json, INT64_MIN);
    calm_json_put_int(&json, INT64_MAX);
    calm_json_put_uint(&json, UINT64_MAX);
    calm_json_put_uint(&json, 0);
    calm_json_put_double(&json, 0.1);
    calm_json_put_double(&json, 1e300);
    calm_json_put_double(&json, 5e-324);
    calm_json_put_double(&json, -0.0);
    calm_json_put_float(&json, 0.1f);
    calm_json_put_float(&json, 16777216.0f);
    calm_json_end_array(&json);
    assert_int_equal(calm_json_check(out.data, out.len, NULL), 0);
    expect(&json, "[-9223372036854775808,9223372036854775807,"
                  "18446744073709551615,0,0.1,1e+300,5e-324,-0.0,0.1,"
                  "16777216.0]");
}

static void what_json_has_no_number_for_is_null(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    float values[] = {NAN, INFINITY, -INFINITY, 1.5f};
    calm_json_begin_array(&json);
    calm_json_put_double(&json, NAN);
    calm_json_put_double(&json, -INFINITY);
    calm_json_put_floats(&json, values, COUNT(values));
    calm_json_put_floats(&json, NULL, 0);
    calm_json_end_array(&json);
    expect(&json, "[null,null,[null,null,null,1.5],[]]");
}

static void a_matrix_is_an_array_for_each_row(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    float values[] = {1, 2, 3, 4, 5, 6};
    calm_json_begin_array(&json);
    calm_json_put_matrix(&json, values, 2, 3);
    calm_json_put_matrix(&json, values, 3, 1);
    calm_json_put_matrix(&json, NULL, 0, 3);
    calm_json_put_matrix(&json, NULL, 2, 0);
    calm_json_end_array(&json);
    expect(&json, "[[[1.0,2.0,3.0],[4.0,5.0,6.0]],[[1.0],[2.0],[3.0]],[],"
                  "[[],[]]]");
}

static void text_comes_back_through_the_reader(void **state)
{
    char text[256];
    for (int i = 0; i < 256; i++)
        text[i] = (char)(i < 128 ? i : 'x');
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    calm_json_put_bytes(&json, text, sizeof text);
    calm_json_doc *doc;
    assert_int_equal(calm_json_parse(out.data, out.len, NULL, &doc), 0);
    size_t len;
    const char *back = calm_json_text(calm_json_root(doc), &len);
    assert_int_equal(len, sizeof text);
    assert_memory_equal(back, text, len);
    calm_json_free(doc);
    calm_bytes_clear(&out);
}

/* Each letter is a call; all but the last are right. */
static int play(const char *calls)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    int rc = 0;
    for (; *calls; calls++) {
        assert_int_equal(rc, 0);
        rc = *calls == '{'   ? calm_json_begin_object(&json)
             : *calls == '}' ? calm_json_end_object(&json)
             : *calls == '[' ? calm_json_begin_array(&json)
             : *calls == ']' ? calm_json_end_array(&json)
             : *calls == 'k' ? calm_json_put_key(&json, "k")
             : *calls == '1' ? calm_json_put_int(&json, 1)
             : *calls == 't' ? calm_json_put_text(&json, "t")
                             : calm_json_end_line(&json);
    }
    if (rc < 0) {
        size_t len = out.len;
        assert_int_equal(calm_json_put_null(&json), rc);
        assert_int_equal(calm_json_end_line(&json), rc);
        assert_int_equal(out.len, len);
    }
    calm_bytes_clear(&out);
    return rc;
}

static void order_that_is_no_json_is_refused(void **state)
{
    static const char *const good[] = {
        "1n", "[]n", "{}n", "{k1}n{kt}n", "[1[]{}]n", "{k[1]k{k1}}n", "1n1n"};
    static const char *const bad[] = {"{1", "{k1t", "{kk", "k", "[k", "]", "}",
        "[}", "{]", "{k}", "{k]", "11", "[]1", "n", "[n", "{n", "{kn", "1nn",
        "[]]"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_int_equal(play(good[i]), 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(play(bad[i]), -EINVAL);
}

static void depth_is_bounded_at_128(void **state)
{
    calm_bytes out = {0};
    calm_json_writer json = {.out = &out};
    for (int i = 0; i < 128; i++) {
        if (i % 3 == 0) {
            calm_json_begin_object(&json);
            calm_json_put_key(&json, "x");
        } else {
            calm_json_begin_array(&json);
        }
    }
    calm_json_writer deeper = json;
    for (int i = 127; i >= 0; i--)
        assert_int_equal(i % 3 == 0 ? calm_json_end_object(&json)
                                    : calm_json_end_array(&json),
            0);
    assert_int_equal(calm_json_check(out.data, out.len, NULL), 0);
    assert_int_equal(calm_json_begin_array(&deeper), -EINVAL);
    calm_bytes_clear(&out);
}

static void lack_of_memory_is_kept(void **state)
{
    for (int n = 1; fail_alloc_begin(n); n++) {
        calm_bytes out = {0};
        calm_json_writer json = {.out = &out};
        char text[3000];
        memset(text, '\n', sizeof text);
        calm_json_begin_object(&json);
        calm_json_put_key(&json, "text");
        calm_json_put_bytes(&json, text, sizeof text);
        calm_json_put_key(&json, "ill");
        text[1000] = '\xff';
        calm_json_put_bytes(&json, text, sizeof text);
        calm_json_end_object(&json);
        int rc = calm_json_end_line(&json);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        calm_bytes_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_nest_with_commas_between_them),
        cmocka_unit_test(lines_follow_each_other),
        cmocka_unit_test(text_is_escaped_where_it_must_be),
        cmocka_unit_test(keys_are_escaped_like_texts),
        cmocka_unit_test(ill_formed_text_becomes_replacement_characters),
        cmocka_unit_test(numbers_read_back_the_same),
        cmocka_unit_test(what_json_has_no_number_for_is_null),
        cmocka_unit_test(a_matrix_is_an_array_for_each_row),
        cmocka_unit_test(text_comes_back_through_the_reader),
        cmocka_unit_test(order_that_is_no_json_is_refused),
        cmocka_unit_test(depth_is_bounded_at_128),
        cmocka_unit_test(lack_of_memory_is_kept),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
