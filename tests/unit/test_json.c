/* test_json.c - JSON Lines cut and read, documents, and what is refused */
#include "unit.h"

#include "caret.h"
#include "fail_alloc.h"
#include "json_render.h"

#include <calm/json.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static char *rendered(const char *text, size_t len)
{
    calm_bytes out = {0};
    int rc = render_stream(&out, text, len, len, 0);
    if (rc < 0)
        calm_bytes_printf(&out, "%d %s\n", rc, calm_message(rc));
    calm_bytes_append(&out, "", 0);
    return out.data ? out.data : strdup("");
}

static void expect_len(const char *text, size_t len, const char *expected)
{
    char *actual = rendered(text, len);
    assert_true(caret_equal(text, expected, actual));
    free(actual);
}

static void expect(const char *text, const char *expected)
{
    expect_len(text, strlen(text), expected);
}

/* ---- lines --------------------------------------------------------------- */

static void fields_come_in_the_order_asked_for(void **state)
{
    expect("{\"a\": 1, \"b\": \"x\"}\n{\"b\":null,\"a\":-2.5e3}\n",
        "0@1 a=a number:1=1 b=a string:x\n"
        "1@2 a=a number:-2.5e3=-2500 b=null:null\n");
    expect("{\"c\":[1],\"a\":true,\"b\":false}",
        "0@1 a=true or false:true=1 b=true or false:false=0\n");
    expect("{}\n{\"b\":[1, {\"a\": 2}],\"a\":{ \"b\" : 3 }}\r\n",
        "0@1 a=missing: b=missing:\n"
        "1@2 a=an object:{ \"b\" : 3 } b=an array:[1, {\"a\": 2}]\n");
}

static void numbers_keep_their_text(void **state)
{
    expect("{\"a\":9223372036854775807,\"b\":18446744073709551615}",
        "0@1 a=a number:9223372036854775807=9.2233720368547758e+18 "
        "b=a number:18446744073709551615=1.8446744073709552e+19\n");
    expect("{\"a\":123456789012345678901234567890,\"b\":1e400}",
        "0@1 a=a number:123456789012345678901234567890="
        "1.2345678901234568e+29 b=a number:1e400=inf\n");
    expect("{\"a\":-0,\"b\":-0.0e-10}",
        "0@1 a=a number:-0=-0 b=a number:-0.0e-10=-0\n");
    expect("{\"a\":0.1,\"b\":5E+1}",
        "0@1 a=a number:0.1=0.10000000000000001 b=a number:5E+1=50\n");
}

static void strings_have_their_escapes_undone(void **state)
{
    expect("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"b\":\"\\u0041\\u00e9"
           "\\u20AC\\uD83D\\ude00!\"}",
        "0@1 a=a string:\"\\/\b\f\n\r\t b=a string:A\xc3\xa9\xe2\x82\xac"
        "\xf0\x9f\x98\x80!\n");
    expect("{\"\\u0061\":\"by name\",\"b\":\"plain\"}",
        "0@1 a=a string:by name b=a string:plain\n");
    expect("{\"b\":\"\\\\\",\"a\":\"\\\\\\\"\"}",
        "0@1 a=a string:\\\" b=a string:\\\n");
}

static void nul_in_a_string_is_data(void **state)
{
    calm_jsonl_reader *reader;
    calm_json_record record;
    const char text[] = "{\"a\":\"x\\u0000y\"}";
    calm_csv_block block = {text, sizeof text - 1, 1, 0, 1};
    calm_jsonl_reader_new(wanted, 2, NULL, &reader);
    calm_jsonl_split(reader, &block);
    assert_int_equal(calm_jsonl_next(reader, &record), 1);
    assert_int_equal(record.fields[0].len, 3);
    assert_memory_equal(record.fields[0].text, "x\0y", 3);
    calm_jsonl_reader_free(reader);
}

static void empty_lines_are_no_rows(void **state)
{
    expect("\n\n{\"a\":1}\n \t\r\n\r\n{\"a\":2}\n\n",
        "0@3 a=a number:1=1 b=missing:\n1@6 a=a number:2=2 b=missing:\n");
    expect("", "");
    expect("\n", "");
    expect("  ", "");
}

static void byte_order_mark_is_skipped(void **state)
{
    expect("\xef\xbb\xbf{\"a\":1}", "0@1 a=a number:1=1 b=missing:\n");
    expect("\xef\xbb\xbf", "");
    expect("\xef\xbb\xbf\n{\"a\":1}", "0@2 a=a number:1=1 b=missing:\n");
}

static void utf16_is_refused_by_name(void **state)
{
    const char *hint = "-4096 the text is UTF-16LE, not UTF-8\n"
                       "hint: convert it with iconv -f UTF-16LE -t UTF-8\n";
    expect_len("\xff\xfe{\0}\0", 6, hint);
    expect_len("{\0\"\0a\0\"\0:\0001\0}\0\n\0", 16, hint);
    char *actual = rendered("\xfe\xff\0{\0}", 6);
    assert_non_null(strstr(actual, "UTF-16BE"));
    free(actual);
}

static void name_asked_for_twice_is_given_twice(void **state)
{
    const char *names[] = {"x", "y", "x"};
    const char text[] = "{\"y\":1,\"x\":2}\n{\"x\":3}";
    calm_csv_block block = {text, sizeof text - 1, 1, 0, 2};
    calm_jsonl_reader *reader;
    calm_json_record record;
    assert_int_equal(calm_jsonl_reader_new(names, 3, NULL, &reader), 0);
    calm_jsonl_split(reader, &block);
    assert_int_equal(calm_jsonl_next(reader, &record), 1);
    assert_true(record.fields[0].number == 2 && record.fields[2].number == 2);
    assert_int_equal(calm_jsonl_next(reader, &record), 1);
    assert_true(record.fields[0].number == 3 && record.fields[2].number == 3);
    assert_int_equal(record.fields[1].kind, CALM_JSON_MISSING);
    calm_jsonl_reader_free(reader);
}

/* More names than any line has, some alike, in an order of their own. */
static void many_names_are_all_found(void **state)
{
    enum { NAMES = 600 };
    char texts[NAMES][24];
    const char *names[NAMES];
    calm_bytes line = {0};
    calm_bytes_append_text(&line, "{");
    for (int i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof texts[i], "feature_%d_%s", i * 7 % NAMES,
            i % 2 ? "mean" : "worst");
        names[i] = texts[i];
    }
    for (int i = NAMES - 1; i >= 0; i--)
        calm_bytes_printf(&line, "\"other %d\":0, \"%s\": %d,", i, names[i], i);
    calm_bytes_append_text(&line, "\"\":0}");
    calm_csv_block block = {line.data, line.len, 1, 0, 1};
    calm_jsonl_reader *reader;
    calm_json_record record;
    assert_int_equal(calm_jsonl_reader_new(names, NAMES, NULL, &reader), 0);
    calm_jsonl_split(reader, &block);
    assert_int_equal(calm_jsonl_next(reader, &record), 1);
    assert_int_equal(record.status, 0);
    for (int i = 0; i < NAMES; i++)
        assert_true(record.fields[i].number == i);
    calm_jsonl_reader_free(reader);
    calm_bytes_clear(&line);
}

static void requested_name_twice_in_a_line_fails_it(void **state)
{
    expect("{\"a\":1,\"a\":1}\n{\"c\":1,\"c\":2,\"a\":3}",
        "0@1 -4096 line 1, column 9: 'a' is there twice\n"
        "1@2 a=a number:3=3 b=missing:\n");
}

/* ---- what is refused ----------------------------------------------------- */

/* Each is a line of its own, and none may spoil the next. */
static const struct {
    const char *line;
    const char *cause; /* behind "line 2, " */
} malformed[] = {
    {"[1]", "column 1: the line is not an object"},
    {"1", "column 1: the line is not an object"},
    {"\"a\"", "column 1: the line is not an object"},
    {"{", "column 2: a name in quotes is missing"},
    {"}", "column 1: the line is not an object"},
    {"{]", "column 2: a name in quotes is missing"},
    {"{\"a\"}", "column 5: a ':' is missing behind a name"},
    {"{\"a\"", "column 5: a ':' is missing behind a name"},
    {"{\"a\":", "column 6: a value is missing at the end"},
    {"{\"a\":}", "column 6: a value is missing"},
    {"{\"a\":,", "column 6: a value is missing"},
    {"{\"a\":1", "column 7: a ',' or '}' is missing"},
    {"{\"a\":1]", "column 7: a ',' or '}' is missing"},
    {"{\"a\":1,}", "column 8: a name in quotes is missing"},
    {"{\"a\":1 \"b\":2}", "column 8: a ',' or '}' is missing"},
    {"{\"a\":1,,\"b\":2}", "column 8: a name in quotes is missing"},
    {"{,\"a\":1}", "column 2: a name in quotes is missing"},
    {"{a:1}", "column 2: a name in quotes is missing"},
    {"{'a':1}", "column 2: a name in quotes is missing"},
    {"{1:1}", "column 2: a name in quotes is missing"},
    {"{\"a\":1}}", "column 8: there is more behind the object"},
    {"{\"a\":1} {}", "column 9: there is more behind the object"},
    {"{\"a\":1}x", "column 8: there is more behind the object"},
    {"{\"a\":1} // no", "column 9: there is more behind the object"},
    {"{\"a\":/* no */1}", "column 6: '/*' is not a JSON value"},
    {"{\"a\":NaN}", "column 6: 'NaN' is not a JSON value"},
    {"{\"a\":nan}", "column 6: 'nan' is not a JSON value"},
    {"{\"a\":Infinity}", "column 6: 'Infinity' is not a JSON value"},
    {"{\"a\":-Infinity}", "column 6: '-Infinity' is not a JSON value"},
    {"{\"a\":inf}", "column 6: 'inf' is not a JSON value"},
    {"{\"a\":-inf}", "column 6: '-inf' is not a JSON value"},
    {"{\"a\":tru}", "column 6: 'tru' is not a JSON value"},
    {"{\"a\":True}", "column 6: 'True' is not a JSON value"},
    {"{\"a\":truee}", "column 6: 'truee' is not a JSON value"},
    {"{\"a\":nul}", "column 6: 'nul' is not a JSON value"},
    {"{\"a\":nulll}", "column 6: 'nulll' is not a JSON value"},
    {"{\"a\":fals}", "column 6: 'fals' is not a JSON value"},
    {"{\"a\":true\"x\"}", "column 6: 'true\"x\"' is not a JSON value"},
    {"{\"a\":01}", "column 6: '01' is not a JSON value"},
    {"{\"a\":-01}", "column 6: '-01' is not a JSON value"},
    {"{\"a\":00}", "column 6: '00' is not a JSON value"},
    {"{\"a\":+1}", "column 6: '+1' is not a JSON value"},
    {"{\"a\":.5}", "column 6: '.5' is not a JSON value"},
    {"{\"a\":-.5}", "column 6: '-.5' is not a JSON value"},
    {"{\"a\":1.}", "column 6: '1.' is not a JSON value"},
    {"{\"a\":1.e5}", "column 6: '1.e5' is not a JSON value"},
    {"{\"a\":1e}", "column 6: '1e' is not a JSON value"},
    {"{\"a\":1e+}", "column 6: '1e+' is not a JSON value"},
    {"{\"a\":1e5.5}", "column 6: '1e5.5' is not a JSON value"},
    {"{\"a\":1.5.5}", "column 6: '1.5.5' is not a JSON value"},
    {"{\"a\":-}", "column 6: '-' is not a JSON value"},
    {"{\"a\":--1}", "column 6: '--1' is not a JSON value"},
    {"{\"a\":0x1F}", "column 6: '0x1F' is not a JSON value"},
    {"{\"a\":1_000}", "column 6: '1_000' is not a JSON value"},
    {"{\"a\":1 000}", "column 8: a ',' or '}' is missing"},
    {"{\"a\":\xef\xbc\x91}", "column 6: '\xef\xbc\x91' is not a JSON value"},
    {"{\"a\":\"x}", "column 6: the string that begins here is not closed"},
    {"{\"a\":\"x\\\"}", "column 6: the string that begins here is not closed"},
    {"{\"a:1}", "column 2: the string that begins here is not closed"},
    {"{\"a\":\"x\ty\"}",
        "column 8: a control character in a string is not escaped"},
    {"{\"a\":\"\x01\"}",
        "column 7: a control character in a string is not escaped"},
    {"{\"a\":\"\\x\"}", "column 7: a backslash with no meaning, or half of "
                        "a surrogate pair"},
    {"{\"a\":\"ab\\u12G4\"}", "column 9: a backslash with no meaning, or "
                              "half of a surrogate pair"},
    {"{\"a\":\"\\u12\"}", "column 7: a backslash with no meaning, or half "
                          "of a surrogate pair"},
    {"{\"a\":\"\\ud800\"}", "column 7: a backslash with no meaning, or half "
                            "of a surrogate pair"},
    {"{\"a\":\"\\udc00\"}", "column 7: a backslash with no meaning, or half "
                            "of a surrogate pair"},
    {"{\"a\":\"\\ud800\\u0041\"}", "column 7: a backslash with no meaning, "
                                   "or half of a surrogate pair"},
    {"{\"\\ud800\":1}", "column 3: a backslash with no meaning, or half of "
                        "a surrogate pair"},
    {"{\"c\":\"\\q\"}", "column 7: a backslash with no meaning, or half of "
                        "a surrogate pair"},
    {"{\"a\":\\n}", "column 6: '\\n' is not a JSON value"},
    {"{\"a\":\"\xff\"}", "column 7: invalid UTF-8"},
    {"{\"a\":\"\xc3\"}", "column 7: invalid UTF-8"},
    {"{\"a\":\"\xed\xa0\x80\"}", "column 7: invalid UTF-8"},
    {"{\"a\":\"\xc0\xaf\"}", "column 7: invalid UTF-8"},
    {"{\"a\":\"\xf4\x90\x80\x80\"}", "column 7: invalid UTF-8"},
    {"{\"a\":1}\xe2\x82", "column 8: invalid UTF-8"},
    {"\x80", "column 1: invalid UTF-8"},
    {"{\"c\":[1,]}", "column 9: a value is missing"},
    {"{\"c\":[,1]}", "column 7: a value is missing"},
    {"{\"c\":[1 2]}", "column 9: a ',' or ']' is missing"},
    {"{\"c\":[1}", "column 8: a ',' or ']' is missing"},
    {"{\"c\":[", "column 7: a value is missing at the end"},
    {"{\"c\":[1", "column 8: a ',' or ']' is missing"},
    {"{\"c\":[{\"d\":1,}]}", "column 14: a name in quotes is missing"},
    {"{\"c\":{\"d\"}}", "column 10: a ':' is missing behind a name"},
    {"{\"c\":{\"d\":1,2}}", "column 13: a name in quotes is missing"},
    {"{\"c\":{[]:1}}", "column 7: a name in quotes is missing"},
    {"{\"a\":1,\f\"b\":2}", "column 8: a name in quotes is missing"},
    {"{\"a\":\v1}", "column 6: '?1' is not a JSON value"},
    {"{\"a\":\x1a}", "column 6: '?' is not a JSON value"},
    {"{\"a\":\xef\xbb\xbf"
     "1}",
        "column 6: '\xef\xbb\xbf"
        "1' is not a JSON value"},
    {"{\"a\":abcdefghijklmnopqrstuvwxyzabcdefghijklm}",
        "column 6: 'abcdefghijklmnopqrstuvwxyzabcdef...' is not a JSON "
        "value"},
    {"\xef\xbb\xbf{}", "column 1: the line is not an object"},
};

static void malformed_line_fails_alone(void **state)
{
    for (size_t i = 0; i < COUNT(malformed); i++) {
        char text[256], expected[256];
        snprintf(text, sizeof text, "{\"a\":1}\n%s\n{\"b\":\"next\"}\n",
            malformed[i].line);
        snprintf(expected, sizeof expected,
            "0@1 a=a number:1=1 b=missing:\n1@2 -4096 line 2, %s\n"
            "2@3 a=missing: b=a string:next\n",
            malformed[i].cause);
        expect(text, expected);
    }
}

static void malformed_last_line_without_end_fails_alike(void **state)
{
    for (size_t i = 0; i < COUNT(malformed); i++) {
        char text[256], expected[256];
        snprintf(text, sizeof text, "\n%s", malformed[i].line);
        snprintf(expected, sizeof expected, "0@2 -4096 line 2, %s\n",
            malformed[i].cause);
        expect(text, expected);
    }
}

/* All of them in one text: many a batch with a bad line in it. */
static void malformed_lines_do_not_move_the_others(void **state)
{
    calm_bytes text = {0}, expected = {0};
    for (size_t i = 0; i < COUNT(malformed); i++) {
        calm_bytes_printf(&text, "%s\n{\"a\":%zu}\n", malformed[i].line, i);
        const char *cause = malformed[i].cause;
        if (i == 0)
            assert_true(strncmp(text.data, "\xef\xbb\xbf", 3) != 0);
        calm_bytes_printf(&expected,
            "%zu@%zu -4096 line %zu, %s\n%zu@%zu a=a number:%zu=%zu "
            "b=missing:\n",
            2 * i, 2 * i + 1, 2 * i + 1, cause, 2 * i + 1, 2 * i + 2, i, i);
    }
    expect_len(text.data, text.len, calm_bytes_text(&expected));
    calm_bytes_clear(&text);
    calm_bytes_clear(&expected);
}

static void nested(calm_bytes *out, int depth)
{
    for (int i = 0; i < depth; i++)
        calm_bytes_append_text(out, i % 2 ? "{\"x\":" : "[");
    for (int i = depth - 1; i >= 0; i--)
        calm_bytes_append_text(out, i == depth - 1 ? i % 2 ? "0}" : "]"
                                    : i % 2        ? "}"
                                                   : "]");
}

static void depth_is_bounded_at_128(void **state)
{
    for (int depth = 126; depth < 131; depth++) {
        calm_bytes text = {0};
        nested(&text, depth);
        int rc = calm_json_check(text.data, text.len, NULL);
        assert_int_equal(rc, depth <= 128 ? 0 : CALM_ELIMIT);
        calm_bytes line = {0};
        calm_bytes_printf(&line, "{\"a\":%s}", text.data);
        char *actual = rendered(line.data, line.len);
        assert_int_equal(
            strstr(actual, "more than 128 deep") != NULL, depth + 1 > 128);
        free(actual);
        calm_bytes_clear(&line);
        calm_bytes_clear(&text);
    }
}

static void deep_line_needs_no_stack(void **state)
{
    calm_bytes text = {0};
    calm_bytes_append_text(&text, "{\"a\":");
    for (int i = 0; i < 1000000; i++)
        calm_bytes_append(&text, "[", 1);
    expect_len(text.data, text.len,
        "0@1 -4097 line 1, column 133: arrays and objects are in each other "
        "more than 128 deep\n");
    calm_bytes_clear(&text);
}

static void line_over_the_bound_ends_the_cutting(void **state)
{
    calm_jsonl_opts opts = {.record_max = 64};
    calm_jsonl_cutter cutter;
    calm_csv_block block;
    char text[256];
    for (int len = 60; len < 70; len++) {
        for (int end = 0; end < 3; end++) {
            static const char *const ends[] = {"", "\n", "\r\n"};
            int size = snprintf(text, sizeof text, "{}\n{\"a\":\"%*s\"}%s",
                len - 8, "", ends[end]);
            assert_int_equal(calm_jsonl_cutter_init(&cutter, &opts), 0);
            cutter.at_end = true;
            assert_int_equal(calm_jsonl_cut(&cutter, text, size, &block), 1);
            size_t used = block.data + block.len - text;
            if (used == (size_t)size) {
                assert_true(len <= 64);
                continue;
            }
            int rc = calm_jsonl_cut(&cutter, text + used, size - used, &block);
            assert_int_equal(rc, len <= 64 ? 1 : CALM_ELIMIT);
            if (rc < 0)
                assert_string_equal(
                    calm_message(rc), "line 2 is beyond 64 bytes");
        }
    }
    opts.record_max = 63;
    assert_int_equal(calm_jsonl_cutter_init(&cutter, &opts), -EINVAL);
}

static void line_over_the_readers_bound_fails_alone(void **state)
{
    calm_jsonl_opts opts = {.record_max = 64};
    calm_bytes text = {0}, out = {0};
    calm_bytes_printf(&text, "{\"a\":1}\n{\"a\":\"%*s\"}\n{\"a\":2}\n", 80, "");
    calm_csv_block block = {text.data, text.len, 1, 0, 3};
    calm_jsonl_reader *reader;
    assert_int_equal(calm_jsonl_reader_new(wanted, 2, &opts, &reader), 0);
    assert_int_equal(render_block(&out, reader, &block), 0);
    assert_true(caret_equal(text.data,
        "0@1 a=a number:1=1 b=missing:\n"
        "1@2 -4097 line 2, column 1: the line is longer than it may be\n"
        "2@3 a=a number:2=2 b=missing:\n",
        out.data));
    calm_jsonl_reader_free(reader);
    calm_bytes_clear(&text);
    calm_bytes_clear(&out);
}

/* ---- pieces -------------------------------------------------------------- */

static const char mixed[] =
    "\xef\xbb\xbf{\"a\":1,\"b\":\"\\u00e9 \xc3\xa9 \\\\\"}\r\n\n  \n"
    "{\"a\":tru}\n{\"a\":\"open}\n{\"b\":[1,{\"c\":\"\\\"\"}],\"a\":-1.5e-3}\n"
    "{\"a\":\"\xff\"}\n{\"a\":\"}{,:\"}\n\r\n{\"b\": null , \"a\" : 2}";

static void result_does_not_depend_on_the_pieces(void **state)
{
    size_t len = sizeof mixed - 1;
    char *whole = rendered(mixed, len);
    for (size_t step = 1; step <= len; step++) {
        for (size_t rows_max = 0; rows_max < 4; rows_max++) {
            calm_bytes out = {0};
            assert_int_equal(
                render_stream(&out, mixed, len, step, rows_max), 0);
            assert_true(caret_equal(mixed, whole, out.data));
            calm_bytes_clear(&out);
        }
    }
    free(whole);
}

/* Lines around the size at which they are indexed together. */
static void result_does_not_depend_on_the_batches(void **state)
{
    for (size_t size = 65500; size < 65560; size += 3) {
        calm_bytes text = {0}, out = {0};
        calm_bytes_append_text(&text, "{\"b\":\"");
        while (text.len < size)
            calm_bytes_append(&text, "x", 1);
        calm_bytes_append_text(&text, "\"}\n{\"a\":1}\n{\"b\":\"bad}\n");
        for (int i = 0; i < 9000; i++)
            calm_bytes_printf(&text, "{\"a\":%d,\"b\":\"\\\\\"}\n", i);
        assert_int_equal(
            render_stream(&out, text.data, text.len, text.len, 0), 0);
        const char *rest = strchr(out.data, '\n') + 1;
        assert_int_equal(strncmp(rest,
                             "1@2 a=a number:1=1 b=missing:\n2@3 -4096 line "
                             "3, column 6: the string that begins here is "
                             "not closed\n3@4 a=a number:0=0 b=a string:\\\n",
                             130),
            0);
        assert_non_null(
            strstr(rest, "\n9002@9003 a=a number:8999=8999 b=a string:\\\n"));
        calm_bytes_clear(&text);
        calm_bytes_clear(&out);
    }
}

static void lack_of_memory_is_an_error_and_no_leak(void **state)
{
    const char *text = "{\"a\":\"\\n\"}\n{\"a\":tru}\n{\"a\":\"\\t\"}\n";
    calm_csv_block block = {text, strlen(text), 1, 0, 3};
    int rc = -ENOMEM;
    for (int n = 1; fail_alloc_begin(n); n++) {
        calm_jsonl_reader *reader;
        calm_json_record record;
        calm_json_doc *doc;
        calm_json_member *members;
        size_t count;
        rc = calm_jsonl_reader_new(wanted, 2, NULL, &reader);
        if (rc == 0) {
            calm_jsonl_split(reader, &block);
            while ((rc = calm_jsonl_next(reader, &record)) > 0)
                if (record.status < 0)
                    assert_non_null(record.cause);
            calm_jsonl_reader_free(reader);
        }
        if (rc == 0) {
            rc = calm_json_parse("[1, \"x\", {\"y\": []}]", 19, NULL, &doc);
            if (rc == 0)
                calm_json_free(doc);
        }
        if (rc == 0) {
            rc = calm_jsonl_names(&block, &members, &count);
            if (rc == 0)
                free(members);
        }
        bool failed = fail_alloc_end();
        assert_true(rc == 0 || (failed && rc == -ENOMEM));
    }
    assert_int_equal(rc, 0);
}

/* ---- names --------------------------------------------------------------- */

static void names_are_those_of_the_first_row(void **state)
{
    const char *text = "\n {\"id\":\"x\",\"m\\u0065an\":1.5,\"ok\":true,"
                       "\"none\":null,\"list\":[],\"more\":{\"in\":1}}\n"
                       "{\"other\":1}\n";
    calm_csv_block block = {text, strlen(text), 1, 0, 2};
    calm_json_member *members;
    size_t count;
    assert_int_equal(calm_jsonl_names(&block, &members, &count), 0);
    static const calm_json_member expected[] = {{"id", CALM_JSON_STRING},
        {"mean", CALM_JSON_NUMBER}, {"ok", CALM_JSON_BOOL},
        {"none", CALM_JSON_NULL}, {"list", CALM_JSON_ARRAY},
        {"more", CALM_JSON_OBJECT}};
    assert_int_equal(count, COUNT(expected));
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(members[i].name, expected[i].name);
        assert_int_equal(members[i].kind, expected[i].kind);
    }
    free(members);
}

static void names_of_a_bad_row_fail_with_its_cause(void **state)
{
    calm_json_member *members;
    size_t count;
    calm_csv_block block = {"\n{\"a\" 1}\n", 9, 7, 0, 1};
    int rc = calm_jsonl_names(&block, &members, &count);
    assert_int_equal(rc, CALM_EFORMAT);
    assert_string_equal(
        calm_message(rc), "line 8, column 6: a ':' is missing behind a name");
    block = (calm_csv_block){"\n\n", 2, 1, 0, 0};
    assert_int_equal(calm_jsonl_names(&block, &members, &count), -ENOENT);
}

/* ---- documents ----------------------------------------------------------- */

static calm_json_doc *parsed(const char *text)
{
    calm_json_doc *doc = NULL;
    int rc = calm_json_parse(text, strlen(text), NULL, &doc);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", text, calm_message(rc));
    assert_int_equal(rc, 0);
    return doc;
}

static void document_is_walked_by_name_and_index(void **state)
{
    calm_json_doc *doc = parsed(
        "\xef\xbb\xbf {\"rows\": [ {\"y\": 1.5}, {\"y\": -2, \"z\": []}, [] ],"
        "\n \"na\\u006de\": \"x\\ty\", \"ok\": true, \"no\": false }\n");
    const calm_json_value *root = calm_json_root(doc);
    const calm_json_value *rows = calm_json_get(root, "rows");
    assert_int_equal(calm_json_kind_of(root), CALM_JSON_OBJECT);
    assert_int_equal(calm_json_count(root), 4);
    assert_int_equal(calm_json_count(rows), 3);
    assert_true(
        calm_json_number(calm_json_get(calm_json_at(rows, 0), "y")) == 1.5);
    assert_true(
        calm_json_number(calm_json_get(calm_json_at(rows, 1), "y")) == -2);
    assert_int_equal(calm_json_count(calm_json_at(rows, 2)), 0);
    assert_null(calm_json_at(rows, 3));
    assert_null(calm_json_first(calm_json_at(rows, 2)));
    size_t len;
    assert_string_equal(
        calm_json_text(calm_json_get(root, "name"), &len), "x\ty");
    assert_int_equal(len, 3);
    assert_true(calm_json_true(calm_json_get(root, "ok")));
    assert_false(calm_json_true(calm_json_get(root, "no")));
    assert_true(calm_json_number(calm_json_get(root, "ok")) == 1);
    const char *raw = calm_json_raw(calm_json_at(rows, 1), &len);
    assert_int_equal(len, 18);
    assert_memory_equal(raw, "{\"y\": -2, \"z\": []}", 18);
    raw = calm_json_raw(calm_json_get(root, "name"), &len);
    assert_memory_equal(raw, "\"x\\ty\"", len);
    calm_json_free(doc);
}

static void members_are_walked_in_their_order(void **state)
{
    calm_json_doc *doc = parsed("{\"b\":[[1],2],\"a\":{},\"c\":[]}");
    const char *names[] = {"b", "a", "c"};
    size_t count = 0;
    for (const calm_json_value *each = calm_json_first(calm_json_root(doc));
         each; each = calm_json_next(each))
        assert_string_equal(calm_json_name(each), names[count++]);
    assert_int_equal(count, 3);
    assert_null(calm_json_next(calm_json_root(doc)));
    assert_null(calm_json_name(calm_json_root(doc)));
    calm_json_free(doc);
}

static void missing_value_may_be_asked_for_anything(void **state)
{
    calm_json_doc *doc = parsed("{\"a\": {\"b\": 7}}");
    const calm_json_value *a = calm_json_get(calm_json_root(doc), "a");
    const calm_json_value *none =
        calm_json_get(calm_json_at(calm_json_get(a, "x"), 3), "y");
    size_t len = 1;
    int64_t number;
    assert_null(none);
    assert_null(calm_json_get(calm_json_get(a, "b"), "c"));
    assert_int_equal(calm_json_kind_of(none), CALM_JSON_MISSING);
    assert_int_equal(calm_json_count(none), 0);
    assert_null(calm_json_text(none, &len));
    assert_int_equal(len, 0);
    assert_string_equal(calm_json_raw(none, &len), "");
    assert_true(isnan(calm_json_number(none)));
    assert_false(calm_json_true(none));
    assert_int_equal(calm_json_int64(none, &number), CALM_EFORMAT);
    assert_null(calm_json_first(none));
    assert_null(calm_json_next(none));
    assert_null(calm_json_name(none));
    assert_null(calm_json_root(NULL));
    calm_json_free(doc);
    calm_json_free(NULL);
}

static void last_of_equal_names_counts_in_a_document(void **state)
{
    calm_json_doc *doc = parsed("{\"a\": 1, \"b\": 2, \"a\": 3}");
    const calm_json_value *root = calm_json_root(doc);
    assert_int_equal(calm_json_count(root), 3);
    assert_true(calm_json_number(calm_json_get(root, "a")) == 3);
    calm_json_free(doc);
}

static void whole_numbers_are_exact_or_refused(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"9007199254740993", 0, 9007199254740993},
        {"7.0", 0, 7},
        {"7e2", 0, 700},
        {"7.5", CALM_EFORMAT, 0},
        {"1e30", -ERANGE, 0},
        {"1e400", -ERANGE, 0},
        {"\"7\"", CALM_EFORMAT, 0},
        {"true", CALM_EFORMAT, 0},
        {"null", CALM_EFORMAT, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        calm_json_doc *doc = parsed(cases[i].text);
        int64_t value = 0;
        int rc = calm_json_int64(calm_json_root(doc), &value);
        assert_int_equal(rc, cases[i].rc);
        assert_true(value == cases[i].value);
        calm_json_free(doc);
    }
}

static void every_kind_of_value_is_a_document(void **state)
{
    static const char *const good[] = {"[]", "{}", "0", "-0", "1.5", "1E400",
        "\"\"", "\"a\"", "true", "false", "null", " [ ] ", "\n\t\r [\n1\n]\n",
        "[[]]", "[{}]", "{\"\":0}", "[1,2,3]", "[\"\\u0000\"]", "[0e1]",
        "[0e+1]", "[1e-2]", "[20e1]", "[-123]", "[1.123e1]",
        "[\"\\ud834\\udd1e\"]", "[\"\xf4\x8f\xbf\xbf\"]", "[\"\x7f\"]",
        "{\"a\":{\"a\":{\"a\":[]}}}", "[true,false,null]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"/*comment*/\"]",
        "[100000000000000000000000000000000]", "[0.000000000000000000000001]",
        "\xef\xbb\xbf[]"};
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(calm_json_check(good[i], strlen(good[i]), NULL), 0);
        calm_json_free(parsed(good[i]));
    }
}

static void broken_document_tells_line_and_column(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } bad[] = {
        {"", "there is no JSON in the text"},
        {" \n ", "there is no JSON in the text"},
        {"[\n1,\n 2 3]", "line 3, column 4: a ',' or ']' is missing"},
        {"[1]\n]", "line 2, column 1: there is more behind the value"},
        {"[1] 2", "line 1, column 5: there is more behind the value"},
        {"[\"a\nb\"]", "line 1, column 4: a control character in a string "
                       "is not escaped"},
        {"[\n\"a]", "line 2, column 1: the string that begins here is not "
                    "closed"},
        {"[\"\n\"]", "line 1, column 3: a control character in a string is "
                     "not escaped"},
        {"{\"a\":\n\xff}", "line 2, column 1: invalid UTF-8"},
        {"[tru]", "line 1, column 2: 'tru' is not a JSON value"},
        {"{\"a\":1", "line 1, column 7: a ',' or '}' is missing"},
        {"[", "line 1, column 2: a value is missing at the end"},
        {"]", "line 1, column 1: a value is missing"},
        {"[\"a\":1]", "line 1, column 5: a ',' or ']' is missing"},
        {"[0,{\"c\":1::::]", "line 1, column 10: a ',' or '}' is missing"},
        {"{\"a\":\"b\":\"c\":1}", "line 1, column 9: a ',' or '}' is missing"},
        {"nan", "line 1, column 1: 'nan' is not a JSON value"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        calm_json_doc *doc;
        size_t len = strlen(bad[i].text);
        char *copy = malloc(len ? len : 1);
        memcpy(copy, bad[i].text, len);
        int rc = calm_json_parse(copy, len, NULL, &doc);
        free(copy);
        assert_int_equal(rc, CALM_EFORMAT);
        assert_string_equal(calm_message(rc), bad[i].message);
        assert_int_equal(calm_json_check(bad[i].text, len, NULL), CALM_EFORMAT);
        assert_string_equal(calm_message(rc), bad[i].message);
    }
    calm_json_doc *doc;
    assert_int_equal(calm_json_parse("[\0]", 3, NULL, &doc), CALM_EFORMAT);
}

/* Cut anywhere, a text is never a document; each lies in memory of its size. */
static void document_cut_anywhere_is_refused(void **state)
{
    const char *text = "{\"a\": [1.5, \"\\u00e9\", {\"b\": [true, null]}], "
                       "\"c\": \"\xc3\xa9\"}";
    for (size_t len = 0; len < strlen(text); len++) {
        char *copy = malloc(len ? len : 1);
        calm_json_doc *doc;
        memcpy(copy, text, len);
        assert_int_equal(calm_json_parse(copy, len, NULL, &doc), CALM_EFORMAT);
        free(copy);
    }
}

static void document_over_the_bound_is_refused(void **state)
{
    calm_json_opts opts = {.size_max = 4};
    calm_json_doc *doc;
    assert_int_equal(calm_json_check("[12]", 4, &opts), 0);
    assert_int_equal(calm_json_parse("[123]", 5, &opts, &doc), CALM_ELIMIT);
    opts.size_max = ((size_t)1 << 30) + 1;
    assert_int_equal(calm_json_check("1", 1, &opts), -EINVAL);
}

static void options_out_of_range_are_refused(void **state)
{
    calm_jsonl_reader *reader;
    calm_jsonl_opts opts = {.record_max = 63};
    assert_int_equal(calm_jsonl_reader_new(wanted, 2, &opts, &reader), -EINVAL);
    opts.record_max = ((size_t)1 << 30) + 1;
    assert_int_equal(calm_jsonl_reader_new(wanted, 2, &opts, &reader), -EINVAL);
    calm_jsonl_reader_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_the_order_asked_for),
        cmocka_unit_test(numbers_keep_their_text),
        cmocka_unit_test(strings_have_their_escapes_undone),
        cmocka_unit_test(nul_in_a_string_is_data),
        cmocka_unit_test(empty_lines_are_no_rows),
        cmocka_unit_test(byte_order_mark_is_skipped),
        cmocka_unit_test(utf16_is_refused_by_name),
        cmocka_unit_test(name_asked_for_twice_is_given_twice),
        cmocka_unit_test(many_names_are_all_found),
        cmocka_unit_test(requested_name_twice_in_a_line_fails_it),
        cmocka_unit_test(malformed_line_fails_alone),
        cmocka_unit_test(malformed_last_line_without_end_fails_alike),
        cmocka_unit_test(malformed_lines_do_not_move_the_others),
        cmocka_unit_test(depth_is_bounded_at_128),
        cmocka_unit_test(deep_line_needs_no_stack),
        cmocka_unit_test(line_over_the_bound_ends_the_cutting),
        cmocka_unit_test(line_over_the_readers_bound_fails_alone),
        cmocka_unit_test(result_does_not_depend_on_the_pieces),
        cmocka_unit_test(result_does_not_depend_on_the_batches),
        cmocka_unit_test(lack_of_memory_is_an_error_and_no_leak),
        cmocka_unit_test(names_are_those_of_the_first_row),
        cmocka_unit_test(names_of_a_bad_row_fail_with_its_cause),
        cmocka_unit_test(document_is_walked_by_name_and_index),
        cmocka_unit_test(members_are_walked_in_their_order),
        cmocka_unit_test(missing_value_may_be_asked_for_anything),
        cmocka_unit_test(last_of_equal_names_counts_in_a_document),
        cmocka_unit_test(whole_numbers_are_exact_or_refused),
        cmocka_unit_test(every_kind_of_value_is_a_document),
        cmocka_unit_test(broken_document_tells_line_and_column),
        cmocka_unit_test(document_cut_anywhere_is_refused),
        cmocka_unit_test(document_over_the_bound_is_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
