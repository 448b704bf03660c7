/* test_csv.c - the CSV reader and writer
 *
 * Tables of small texts give what must come out; every text is read whole, in
 * pieces of each size, and in blocks of one row, and must always give the
 * same. Random texts are compared with a plain parser below that knows nothing
 * of masks and windows.
 */
#include "io/csv.h"

#include "caret.h"
#include "csv_render.h"
#include "fail_alloc.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1d;
}

/* ---- tables -------------------------------------------------------------- */

struct example {
    const char *text;
    const char *expected;
    size_t len; /* 0: up to the NUL */
};

/* Whether a text gives what is expected, however it is handed over. */
static int reads_as(const struct example *example, const calm_csv_opts *opts)
{
    size_t len = example->len ? example->len : strlen(example->text);
    for (size_t rows_max = 0; rows_max <= 2; rows_max++)
        for (size_t step = 1; step <= len + 1; step++) {
            calm_bytes out = {0};
            struct pieces pieces = {.step = step, .rows_max = rows_max};
            render(&out, example->text, len, opts, pieces);
            int same = caret_equal(
                example->text, example->expected, calm_bytes_text(&out));
            if (!same)
                fprintf(stderr, "    in pieces of %zu, blocks of %zu\n", step,
                    rows_max);
            calm_bytes_clear(&out);
            if (!same)
                return 0;
        }
    return 1;
}

static void check(
    const struct example *examples, size_t count, const calm_csv_opts *opts)
{
    int good = 1;
    for (size_t i = 0; i < count; i++)
        good &= reads_as(&examples[i], opts);
    assert_true(good);
}

#define CHECK(examples, opts)                                                  \
    check(examples, sizeof examples / sizeof *examples, opts)

static void plain_records_end_at_lf_or_crlf_or_the_end(void **state)
{
    static const struct example examples[] = {
        {"a,b\n1,2\n", "0@1[a][b] 1@2[1][2] END"},
        {"a,b\r\n1,2\r\n", "0@1[a][b] 1@2[1][2] END"},
        {"a,b\n1,2", "0@1[a][b] 1@2[1][2] END"},
        {"a,b\r\n1,2\r", "0@1[a][b] 1@2[1][2] END"},
        {"a\n", "0@1[a] END"},
        {"a", "0@1[a] END"},
        {",\n,", "0@1[][] 1@2[][] END"},
        {"a,\n,b\n", "0@1[a][] 1@2[][b] END"},
        {" a , b \n", "0@1[ a ][ b ] END"},
    };
    CHECK(examples, NULL);
}

static void empty_lines_are_no_rows_but_count_as_lines(void **state)
{
    static const struct example examples[] = {
        {"", "END"},
        {"\n", "END"},
        {"\r\n", "END"},
        {"\r", "END"},
        {"\n\n\r\n\n", "END"},
        {"\n\na\n\nb\n\n", "0@3[a] 1@5[b] END"},
        {"a\r\n\r\n\r\nb\r\n\r\n", "0@1[a] 1@4[b] END"},
        {"\"\"\n\n\"\"\n", "0@1[] 1@3[] END"},
        {" \n", "0@1[ ] END"},
    };
    CHECK(examples, NULL);
}

static void carriage_return_elsewhere_is_data(void **state)
{
    static const struct example examples[] = {
        {"a\rb,c\n", "0@1[a\rb][c] END"},
        {"\ra,b\n", "0@1[\ra][b] END"},
        {"a\r,b\n", "0@1[a\r][b] END"},
        {"a\r\r\n", "0@1[a\r] END"},
        {"\r\r\n", "0@1[\r] END"},
        {"\"a\rb\"\n", "0@1[a\rb] END"},
        {"\"a\r\"\r\n", "0@1[a\r] END"},
    };
    CHECK(examples, NULL);
}

static void quotes_hold_separators_and_lines_and_quotes(void **state)
{
    static const struct example examples[] = {
        {"\"a,b\",c\n", "0@1[a,b][c] END"},
        {"a,\"b\"\"c\"\n", "0@1[a][b\"c] END"},
        {"\"\"\"\"\n", "0@1[\"] END"},
        {"\"\"\"\"\"\"\n", "0@1[\"\"] END"},
        {"\"\"\"a\"\"\",\"\"\n", "0@1[\"a\"][] END"},
        {"\"\",\"\"\n", "0@1[][] END"},
        {"\"a\nb\",c\nd,e\n", "0@1[a\nb][c] 1@3[d][e] END"},
        {"\"a\r\nb\"\r\nc\r\n", "0@1[a\r\nb] 1@3[c] END"},
        {"\"\n\n\"\nx\n", "0@1[\n\n] 1@4[x] END"},
        {"\"a\"", "0@1[a] END"},
        {"\"a\"\r", "0@1[a] END"},
        {"1,\"{\"\"type\"\": \"\"Point\"\", \"\"at\"\": [1, 2]}\"\n",
            "0@1[1][{\"type\": \"Point\", \"at\": [1, 2]}] END"},
        {"\"\"\"\n\"\"\",\"\n\"\"\"\n", "0@1[\"\n\"][\n\"] END"},
    };
    CHECK(examples, NULL);
}

static void quote_inside_of_an_unquoted_field_is_data(void **state)
{
    static const struct example examples[] = {
        {"5\" pipe,x\ny,z\n", "0@1[5\" pipe][x] 1@2[y][z] END"},
        {"a\"\"b,c\"d\n\"e,f\",g\n", "0@1[a\"\"b][c\"d] 1@2[e,f][g] END"},
        {"a,b\"\n\"c\",d\n", "0@1[a][b\"] 1@2[c][d] END"},
        {" \"a,b\"\n", "0@1[ \"a][b\"] END"},
    };
    CHECK(examples, NULL);
}

static void text_behind_a_closing_quote_fails_its_row_only(void **state)
{
    static const struct example examples[] = {
        {"a,b\n\"c\"d,e\nf,g\n",
            "0@1[a][b] 1@2!line 2, column 4: there is text behind a closing "
            "quote; 2@3[f][g] END"},
        {"x,\"say \"hi, there\"\ny,z\n",
            "0@1!line 1, column 9: there is text behind a closing quote; "
            "1@2[y][z] END"},
        {"\"a\" ,b\nc,d\n",
            "0@1!line 1, column 4: there is text behind a closing quote; "
            "1@2[c][d] END"},
        {"\"a\"\r,b\nc,d\n",
            "0@1!line 1, column 4: there is text behind a closing quote; "
            "1@2[c][d] END"},
        {"\"a\nbc\"d\"e\n\"f\"\n",
            "0@1!line 2, column 4: there is text behind a closing quote; "
            "1@3[f] END"},
        {"\"a\"\"\"b\nc\n",
            "0@1!line 1, column 6: there is text behind a closing quote; "
            "1@2[c] END"},
    };
    CHECK(examples, NULL);
}

static void unclosed_quote_is_named_where_it_was_opened(void **state)
{
    static const struct example examples[] = {
        {"a,b\n1,\"2\n3,4\n5,6\n",
            "0@1[a][b] ERROR line 2, column 3: the quote that is opened here "
            "is never closed"},
        {"\"", "ERROR line 1, column 1: the quote that is opened here is never "
               "closed"},
        {"\"a\nb\",\"c\nd\"\"\n",
            "ERROR line 2, column 4: the quote that is opened here is never "
            "closed"},
        {"\n\n\"a\n",
            "ERROR line 3, column 1: the quote that is opened here is never "
            "closed"},
    };
    CHECK(examples, NULL);
}

static void byte_order_marks_are_skipped_or_refused_by_name(void **state)
{
    static const struct example examples[] = {
        {"\xef\xbb\xbf"
         "a,b\n",
            "0@1[a][b] END"},
        {"\xef\xbb\xbf\"a\",b\n", "0@1[a][b] END"},
        {"\xef\xbb\xbf", "END"},
        {"\xef\xbb\xbf\n", "END"},
        {"\xff\xfe"
         "a\0,\0b\0\n\0",
            "ERROR the text is UTF-16LE, not UTF-8\nhint: convert it with "
            "iconv -f UTF-16LE -t UTF-8",
            10},
        {"\xfe\xff\0a\0,\0b\0\n",
            "ERROR the text is UTF-16BE, not UTF-8\nhint: convert it with "
            "iconv -f UTF-16BE -t UTF-8",
            10},
        {"a\0,\0b\0\n\0",
            "ERROR the text is UTF-16LE, not UTF-8\nhint: convert it with "
            "iconv -f UTF-16LE -t UTF-8",
            8},
        {"\0a\0,\0b\0\n",
            "ERROR the text is UTF-16BE, not UTF-8\nhint: convert it with "
            "iconv -f UTF-16BE -t UTF-8",
            8},
        {"\xff\xfe\0\0"
         "a\0\0\0",
            "ERROR the text is UTF-32LE, not UTF-8\nhint: convert it with "
            "iconv -f UTF-32LE -t UTF-8",
            8},
    };
    CHECK(examples, NULL);
}

static void nul_bytes_are_data(void **state)
{
    static const struct example examples[] = {
        {"a\0b,\0\n", "0@1[a\\0b][\\0] END", 6},
        {"\"\0,\0\",x\n", "0@1[\\0,\\0][x] END", 8},
    };
    CHECK(examples, NULL);
}

static void ragged_rows_fail_with_line_and_counts(void **state)
{
    static const struct example examples[] = {
        {"a,b\n1\n2,3\n4,5,6\n",
            "0@1[a][b] 1@2!line 2: 1 field instead of 2; 2@3[2][3] "
            "3@4!line 4: 3 fields instead of 2; END"},
    };
    CHECK(examples, NULL);
    static const struct example padded[] = {
        {"a,b\n1\n2,3\n4,5,6\n",
            "0@1[a][b] 1@2[1][] 2@3[2][3] 3@4!line 4: 3 fields instead of 2; "
            "END"},
    };
    calm_csv_opts opts = {.ragged = CALM_CSV_RAGGED_PAD};
    CHECK(padded, &opts);
    static const struct example skipped[] = {
        {"a,b\n1\n2,3\n4,5,6\n7,8\n", "0@1[a][b] 2@3[2][3] 4@5[7][8] END"},
    };
    opts.ragged = CALM_CSV_RAGGED_SKIP;
    CHECK(skipped, &opts);
}

static void padding_reaches_beyond_the_first_allocation(void **state)
{
    calm_csv_opts opts = {.ragged = CALM_CSV_RAGGED_PAD, .columns = 300};
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(&opts, &splitter), 0);
    calm_csv_split(
        splitter, &(calm_csv_block){.data = "a,b\n", .len = 4, .line = 1});
    calm_csv_record record;
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    assert_int_equal(record.count, 300);
    assert_int_equal(record.fields[1].len, 1);
    assert_int_equal(record.fields[299].len, 0);
    assert_int_equal(calm_csv_next(splitter, &record), 0);
    calm_csv_splitter_free(splitter);
}

static void invalid_utf8_fails_its_row_or_is_replaced_or_passed(void **state)
{
    static const struct example failing[] = {
        {"a\nb\xff\nc\n",
            "0@1[a] 1@2!line 2, column 2: the byte 0xff is not UTF-8 here; "
            "2@3[c] END"},
        {"\xc3\xa4,\xe2\x82\xac,\xf0\x9f\x98\x80\n",
            "0@1[\xc3\xa4][\xe2\x82\xac][\xf0\x9f\x98\x80] END"},
        {"\xc0\x80\n",
            "0@1!line 1, column 1: the byte 0xc0 is not UTF-8 here; END"},
        {"\xed\xa0\x80\n",
            "0@1!line 1, column 1: the byte 0xed is not UTF-8 here; END"},
        {"\xf4\x90\x80\x80\n",
            "0@1!line 1, column 1: the byte 0xf4 is not UTF-8 here; END"},
        {"\xe2\x82,x\n",
            "0@1!line 1, column 1: the byte 0xe2 is not UTF-8 here; END"},
        {"\"x\ny\x80\"\n",
            "0@1!line 2, column 2: the byte 0x80 is not UTF-8 here; END"},
    };
    CHECK(failing, NULL);
    static const struct example replaced[] = {
        {"a\xff"
         "b,\xe2\x82,\xf0\x9f\x98x\n",
            "0@1[a\xef\xbf\xbd"
            "b][\xef\xbf\xbd][\xef\xbf\xbdx] END"},
        {"\"\"\"\xff\xff\"\n", "0@1[\"\xef\xbf\xbd\xef\xbf\xbd] END"},
        {"\xed\xa0\x80\n", "0@1[\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd] END"},
    };
    calm_csv_opts opts = {.invalid_utf8 = CALM_CSV_UTF8_REPLACE};
    CHECK(replaced, &opts);
    static const struct example passed[] = {
        {"a\xff"
         "b\n",
            "0@1[a\xff"
            "b] END"},
    };
    opts.invalid_utf8 = CALM_CSV_UTF8_PASS;
    CHECK(passed, &opts);
}

static void other_separators_leave_the_comma_as_data(void **state)
{
    static const struct {
        char separator;
        struct example example;
    } cases[] = {
        {';', {"a;1,5\n", "0@1[a][1,5] END"}},
        {'\t', {"a\tb,\t\"c\td\"\n", "0@1[a][b,][c\td] END"}},
        {'|', {"a|\"b|c\"|\n", "0@1[a][b|c][] END"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i].example, 1,
            &(calm_csv_opts){.separator = cases[i].separator});
}

/* ---- bounds -------------------------------------------------------------- */

static void bounds_are_kept_to_the_byte(void **state)
{
    calm_csv_opts opts = {.field_max = 3, .columns_max = 2, .record_max = 64};
    static const struct example examples[] = {
        {"abc,d\nabcd,e\nf,g\n",
            "0@1[abc][d] 1@2!line 2, column 1: the field is beyond 3 bytes; "
            "2@3[f][g] END"},
        {"\"abc\",d\n\"a\"\"b\",c\n\"abcd\",e\n",
            "0@1[abc][d] 1@2[a\"b][c] 2@3!line 3, column 1: the field is "
            "beyond 3 bytes; END"},
        {"a,b\na,b,c\nd,e\n",
            "0@1[a][b] 1@2!line 2: more than 2 fields; 2@3[d][e] END"},
    };
    CHECK(examples, &opts);
    calm_csv_opts records = {.record_max = 64};
#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN
    static const struct example long_records[] = {
        {SIXTY "0123\n" SIXTY "0123\r\n" SIXTY "0123",
            "0@1[" SIXTY "0123] 1@2[" SIXTY "0123] 2@3[" SIXTY "0123] END"},
        {"a\n" SIXTY "01234\nb\n",
            "0@1[a] ERROR line 2: the record is beyond 64 bytes"},
        {"a\n" SIXTY "01234\r\nb\n",
            "0@1[a] ERROR line 2: the record is beyond 64 bytes"},
        {SIXTY "01234", "ERROR line 1: the record is beyond 64 bytes"},
        {SIXTY "0123\rx", "ERROR line 1: the record is beyond 64 bytes"},
        {"a\nb,\"" SIXTY "\n" SIXTY "\"\nc\n",
            "0@1[a] ERROR line 2: the record is beyond 64 bytes; a quote that "
            "was opened on line 2, column 3 is not closed"},
    };
    CHECK(long_records, &records);
}

static void options_out_of_range_are_refused(void **state)
{
    static const calm_csv_opts wrong[] = {{.separator = '"'},
        {.separator = '\n'}, {.separator = '\r'}, {.separator = '\xe4'},
        {.record_max = 63}, {.record_max = (size_t)2 << 30},
        {.field_max = SIZE_MAX}, {.columns_max = SIZE_MAX}, {.columns = 5000},
        {.columns = 3, .columns_max = 2}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        calm_csv_cutter cutter;
        calm_csv_splitter *splitter;
        calm_csv_table *table;
        assert_int_equal(calm_csv_cutter_init(&cutter, &wrong[i]), -EINVAL);
        assert_int_equal(calm_csv_splitter_new(&wrong[i], &splitter), -EINVAL);
        assert_int_equal(
            calm_csv_table_parse("a", 1, &wrong[i], &table), -EINVAL);
    }
}

static void default_bounds_are_those_of_the_contract(void **state)
{
    calm_csv_opts opts;
    assert_int_equal(calm__csv_opts_fill(NULL, &opts), 0);
    assert_int_equal(opts.field_max, 1 << 20);
    assert_int_equal(opts.record_max, 16 << 20);
    assert_int_equal(opts.columns_max, 4096);
    assert_int_equal(opts.separator, ',');
}

static void field_of_more_than_a_mebibyte_fails_its_row(void **state)
{
    calm_bytes text = {0};
    assert_int_equal(calm_bytes_reserve(&text, 3 << 20), 0);
    memset(text.data, 'x', (1 << 20) + 1);
    calm_bytes_advance(&text, (1 << 20) + 1);
    assert_int_equal(calm_bytes_append_text(&text, "\n"), 0);
    memset(text.data + text.len, 'y', 1 << 20);
    calm_bytes_advance(&text, 1 << 20);
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(NULL, &splitter), 0);
    calm_csv_split(splitter,
        &(calm_csv_block){.data = text.data, .len = text.len, .line = 1});
    calm_csv_record record;
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    assert_int_equal(record.status, CALM_ELIMIT);
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    assert_int_equal(record.status, 0);
    assert_int_equal(record.fields[0].len, 1 << 20);
    calm_csv_splitter_free(splitter);
    calm_bytes_clear(&text);
}

/* ---- random texts -------------------------------------------------------- */

/* The judge: one byte after the other, by the rules of the public header. It
 * goes over one field, and returns where it ends; SIZE_MAX for an open quote.
 */
static size_t judge_field(const char *text, size_t len, size_t i,
    calm_bytes *fields, unsigned long long *line, bool *bad)
{
    bool quoted = i < len && text[i] == '"';
    calm_bytes_append(fields, "[", 1);
    if (quoted) {
        for (i++;; i++) {
            if (i == len)
                return SIZE_MAX;
            if (text[i] == '"' && (i + 1 == len || text[i + 1] != '"'))
                break;
            i += text[i] == '"';
            *line += text[i] == '\n';
            calm_bytes_append(fields, text + i, 1);
        }
        i++;
    }
    for (; i < len && text[i] != ',' && text[i] != '\n'; i++) {
        if (text[i] == '\r' && (i + 1 == len || text[i + 1] == '\n'))
            continue;
        *bad |= quoted;
        calm_bytes_append(fields, text + i, 1);
    }
    calm_bytes_append(fields, "]", 1);
    return i;
}

static bool is_line_end(const char *text, size_t len, size_t i)
{
    return text[i] == '\n' ||
           (text[i] == '\r' && (i + 1 == len || text[i + 1] == '\n'));
}

static void judge(calm_bytes *out, const char *text, size_t len)
{
    calm_bytes fields = {0};
    unsigned long long row = 0, line = 1, expected = 0;
    size_t i = 0;
    while (i < len) {
        if (is_line_end(text, len, i)) {
            i += text[i] == '\r' ? 2 : 1;
            line++;
            continue;
        }
        unsigned long long first = line, count = 0;
        bool bad = false, more = true;
        calm_bytes_reset(&fields);
        while (more) {
            i = judge_field(text, len, i, &fields, &line, &bad);
            if (i == SIZE_MAX) {
                calm_bytes_append_text(out, "ERROR");
                calm_bytes_clear(&fields);
                return;
            }
            count++;
            more = i < len && text[i] == ',';
            line += i < len && text[i] == '\n';
            i++;
        }
        if (!bad && expected == 0)
            expected = count;
        bad |= count != expected;
        calm_bytes_printf(out, "%llu@%llu%s ", row++, first,
            bad ? "!" : calm_bytes_text(&fields));
    }
    calm_bytes_append_text(out, "END");
    calm_bytes_clear(&fields);
}

/* Text of LEN bytes in which about one byte of RARITY is special. */
static void make_random(char *text, size_t len, unsigned rarity)
{
    static const char special[] = "\",\n\r\"\n,\"";
    for (size_t i = 0; i < len; i++) {
        uint64_t random = next_random();
        text[i] = random % rarity ? (char)('a' + (random >> 32) % 26)
                                  : special[(random >> 32) % 8];
    }
}

/* Regular records, quotes doubled and newlines inside, and now and then a byte
 * that does not belong. */
static size_t make_regular(char *text, size_t len, unsigned stray)
{
    calm_bytes out = {0};
    calm_csv_writer writer = {.out = &out, .crlf = next_random() % 2};
    while (out.len < len) {
        char field[80];
        size_t size = next_random() % (next_random() % 8 ? 10 : sizeof field);
        make_random(field, size, 6);
        calm_csv_put_bytes(&writer, field, size);
        if (writer.fields == 5)
            calm_csv_end_row(&writer);
    }
    memcpy(text, out.data, len);
    calm_bytes_clear(&out);
    for (size_t i = 0; stray && i < len; i += 1 + next_random() % stray)
        text[i] = "\",\nx\r"[next_random() % 5];
    return len;
}

static int agrees_with_judge(const char *text, size_t len)
{
    calm_csv_opts opts = {.invalid_utf8 = CALM_CSV_UTF8_PASS};
    calm_bytes expected = {0}, actual = {0};
    judge(&expected, text, len);
    const struct pieces ways[] = {{.step = len + 1, .brief = true},
        {.step = len + 1, .rows_max = 3, .brief = true},
        {.step = 100, .seed = next_random() | 1, .brief = true},
        {.step = 1, .rows_max = 1, .brief = true}};
    int same = 1;
    for (size_t i = 0; i < sizeof ways / sizeof *ways && same; i++) {
        if (ways[i].step == 1 && len > 300)
            continue;
        calm_bytes_reset(&actual);
        render(&actual, text, len, &opts, ways[i]);
        char *shown = strndup(text, len);
        same = caret_equal(
            shown, calm_bytes_text(&expected), calm_bytes_text(&actual));
        free(shown);
    }
    calm_bytes_clear(&expected);
    calm_bytes_clear(&actual);
    return same;
}

static void random_short_texts_agree_with_a_plain_parser(void **state)
{
    char text[300];
    for (int i = 0; i < 20000; i++) {
        size_t len = 1 + next_random() % (i % 2 ? 20 : 300);
        make_random(text, len, 1 + i % 8);
        assert_true(agrees_with_judge(text, len));
    }
}

static void random_long_texts_agree_with_a_plain_parser(void **state)
{
    static char text[20000];
    for (int i = 0; i < 600; i++) {
        size_t len = 1 + next_random() % sizeof text;
        if (i % 3 == 0)
            make_random(text, len, 2 + next_random() % 100);
        else
            make_regular(text, len, i % 3 == 1 ? 0 : 500);
        assert_true(agrees_with_judge(text, len));
    }
}

static void every_variant_scans_as_the_portable_one(void **state)
{
    static char text[100 * CALM__CSV_LANE + 1];
    struct calm__csv_masks expected[100], actual[100];
    const char *name;
    size_t variants = 0;
    while (calm__csv_scan_variant(variants, &name))
        variants++;
    assert_string_equal(name, "portable");
    calm__csv_scan_fn *portable = calm__csv_scan_variant(variants - 1, NULL);
    for (int round = 0; round < 200; round++) {
        /* All bytes; the special ones; their neighbours. */
        for (size_t i = 0; i < sizeof text; i++) {
            uint64_t random = next_random();
            text[i] = round % 3 == 0 ? (char)random
                      : round % 3 == 1
                          ? "\",\n\r;\t|\xff"[random % 8]
                          : "\"#!-\n\v\t\r\x0e\x8d\x8a"[random % 11];
        }
        char separator = ",;\t|"[round % 4];
        size_t shift = round & 1; /* also where nothing is aligned */
        portable(text + shift, 100, separator, expected);
        for (size_t i = 0; i + 1 < variants; i++) {
            memset(actual, 0x55, sizeof actual);
            calm__csv_scan_variant(i, NULL)(
                text + shift, 100, separator, actual);
            assert_memory_equal(actual, expected, sizeof expected);
        }
    }
}

static void portable_scan_finds_exactly_the_bytes(void **state)
{
    size_t variants = 0;
    while (calm__csv_scan_variant(variants, NULL))
        variants++;
    calm__csv_scan_fn *portable = calm__csv_scan_variant(variants - 1, NULL);
    char text[CALM__CSV_LANE];
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = round % 2 ? (char)next_random()
                                : "\",\n\r\xff"[next_random() % 5];
        struct calm__csv_masks masks;
        portable(text, 1, ',', &masks);
        for (size_t i = 0; i < sizeof text; i++) {
            assert_int_equal(masks.quote >> i & 1, text[i] == '"');
            assert_int_equal(masks.separator >> i & 1, text[i] == ',');
            assert_int_equal(masks.newline >> i & 1, text[i] == '\n');
            assert_int_equal(masks.carriage >> i & 1, text[i] == '\r');
            assert_int_equal(masks.high >> i & 1, (text[i] & 0x80) != 0);
        }
    }
}

static void columns_are_learned_once_for_all_blocks(void **state)
{
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(NULL, &splitter), 0);
    calm_csv_record record;
    calm_csv_split(
        splitter, &(calm_csv_block){.data = "a,b\n", .len = 4, .line = 1});
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    calm_csv_split(
        splitter, &(calm_csv_block){.data = "a\n", .len = 2, .line = 2});
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    assert_int_equal(record.status, CALM_EFORMAT);
    assert_string_equal(record.cause, "line 2: 1 field instead of 2");
    calm_csv_splitter_free(splitter);
}

/* Fields that lie in another window than the quotes or bytes that make them
 * special. */
static void rare_things_are_seen_across_windows(void **state)
{
    size_t window = CALM__CSV_WINDOW * CALM__CSV_LANE;
    for (size_t shift = 0; shift < 70; shift++) {
        calm_bytes text = {0}, out = {0};
        for (size_t i = 0; i < window - shift; i++)
            assert_int_equal(calm_bytes_append(&text, "x", 1), 0);
        assert_int_equal(calm_bytes_append_text(
                             &text, ",\"a\"\"\nb\",\xff,\"c\"d\ne,f,g,h\n"),
            0);
        render(
            &out, text.data, text.len, NULL, (struct pieces){.step = text.len});
        const char *cause = strstr(calm_bytes_text(&out), "0@1!");
        assert_non_null(cause);
        assert_non_null(strstr(calm_bytes_text(&out), "1@3[e][f][g][h] END"));
        calm_bytes_clear(&text);
        calm_bytes_clear(&out);
    }
}

/* ---- header -------------------------------------------------------------- */

static calm_csv_header *header_of(const char *text)
{
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(NULL, &splitter), 0);
    calm_csv_split(splitter,
        &(calm_csv_block){.data = text, .len = strlen(text), .line = 1});
    calm_csv_record record;
    calm_csv_header *header = NULL;
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    assert_int_equal(calm_csv_header_new(&record, &header), 0);
    calm_csv_splitter_free(splitter);
    return header;
}

static void columns_are_found_by_name(void **state)
{
    calm_csv_header *header = header_of("id,\"last, name\",age,id,\n");
    size_t column = 99;
    assert_int_equal(calm_csv_header_count(header), 5);
    assert_int_equal(calm_csv_header_find(header, "last, name", &column), 0);
    assert_int_equal(column, 1);
    assert_string_equal(calm_csv_header_name(header, 2), "age");
    assert_string_equal(calm_csv_header_name(header, 4), "");
    assert_null(calm_csv_header_name(header, 5));
    assert_int_equal(calm_csv_header_find(header, "Age", &column), -ENOENT);
    assert_string_equal(calm_message(-ENOENT),
        "there is no column 'Age'\n"
        "hint: the columns are 'id', 'last, name', 'age', 'id', ''");
    assert_int_equal(calm_csv_header_find(header, "id", &column), CALM_EFORMAT);
    assert_string_equal(calm_message(CALM_EFORMAT),
        "the columns 1 and 4 both have the name 'id'");
    assert_int_equal(column, 1);
    calm_csv_header_free(header);
}

static void failed_record_makes_no_header(void **state)
{
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(NULL, &splitter), 0);
    calm_csv_split(
        splitter, &(calm_csv_block){.data = "a\xff\n", .len = 3, .line = 1});
    calm_csv_record record;
    calm_csv_header *header;
    assert_int_equal(calm_csv_next(splitter, &record), 1);
    assert_int_equal(calm_csv_header_new(&record, &header), CALM_EFORMAT);
    assert_string_equal(calm_message(CALM_EFORMAT),
        "line 1, column 2: the byte 0xff is not UTF-8 here");
    calm_csv_splitter_free(splitter);
}

/* ---- floats -------------------------------------------------------------- */

static void chosen_columns_become_a_matrix_with_nan_for_missing(void **state)
{
    static const char text[] = "1,2.5,x\n\"3\",,y\n 4 ,NA,z\n5,null,\n6,  ,a\n";
    static const size_t columns[] = {1, 0};
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(NULL, &splitter), 0);
    calm_csv_split(splitter,
        &(calm_csv_block){.data = text, .len = strlen(text), .line = 1});
    float values[20];
    calm_csv_row rows[10];
    calm_csv_floats floats = {.columns = columns, .count = 2};
    assert_int_equal(
        calm_csv_next_floats(splitter, &floats, values, rows, 3), 3);
    assert_true(values[0] == 2.5f && values[1] == 1.0f);
    assert_true(isnan(values[2]) && values[3] == 3.0f);
    assert_true(isnan(values[4]) && values[5] == 4.0f);
    assert_int_equal(
        calm_csv_next_floats(splitter, &floats, values, rows, 10), 2);
    assert_true(isnan(values[0]) && values[1] == 5.0f);
    assert_true(isnan(values[2]) && values[3] == 6.0f);
    assert_int_equal(rows[1].row, 4);
    assert_int_equal(rows[1].line, 5);
    assert_int_equal(rows[1].len, 6);
    assert_memory_equal(rows[1].text, "6,  ,a", 6);
    assert_int_equal(
        calm_csv_next_floats(splitter, &floats, values, rows, 10), 0);
    calm_csv_splitter_free(splitter);
}

static void text_that_is_no_number_fails_its_row_by_name(void **state)
{
    calm_csv_header *header = header_of("id,age\n");
    static const char text[] =
        "1,x1\n2,7\n3\n\"4\",\"it is a text of more than sixty bytes, which "
        "is cut \xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\"\n";
    static const size_t columns[] = {0, 1}, beyond[] = {2};
    calm_csv_splitter *splitter;
    calm_csv_opts opts = {.header = header};
    assert_int_equal(calm_csv_splitter_new(&opts, &splitter), 0);
    calm_csv_block block = {
        .data = text, .len = strlen(text), .line = 2, .row = 1};
    calm_csv_split(splitter, &block);
    float values[8];
    calm_csv_row rows[4];
    calm_csv_floats floats = {.columns = columns, .count = 2};
    assert_int_equal(
        calm_csv_next_floats(splitter, &floats, values, rows, 4), 4);
    assert_int_equal(rows[0].status, CALM_EFORMAT);
    assert_string_equal(
        rows[0].cause, "line 2, column 'age': 'x1' is not a number");
    assert_true(isnan(values[0]) && isnan(values[1]));
    assert_int_equal(rows[1].status, 0);
    assert_true(values[2] == 2.0f && values[3] == 7.0f);
    assert_string_equal(rows[2].cause, "line 4: 1 field instead of 2");
    assert_true(isnan(values[4]) && isnan(values[5]));
    assert_string_equal(rows[3].cause,
        "line 5, column 'age': 'it is a text of more than sixty bytes, which "
        "is cut \xe2\x82\xac\xe2\x82\xac...' is not a number");
    calm_csv_split(splitter, &block);
    floats = (calm_csv_floats){.columns = beyond, .count = 1};
    assert_int_equal(
        calm_csv_next_floats(splitter, &floats, values, rows, 4), 4);
    assert_string_equal(rows[1].cause, "line 3: there is no column 3 among 2");
    calm_csv_splitter_free(splitter);
    calm_csv_header_free(header);
}

static void missing_text_that_is_a_number_is_still_missing(void **state)
{
    static const char *const missing[] = {"-999", "?", NULL};
    static const size_t columns[] = {0, 1};
    static const char text[] = "-999,?\n-999.0,1\nNA,1\n";
    calm_csv_splitter *splitter;
    assert_int_equal(calm_csv_splitter_new(NULL, &splitter), 0);
    calm_csv_split(splitter,
        &(calm_csv_block){.data = text, .len = strlen(text), .line = 1});
    float values[6];
    calm_csv_row rows[3];
    calm_csv_floats floats = {
        .columns = columns, .count = 2, .missing = missing};
    assert_int_equal(
        calm_csv_next_floats(splitter, &floats, values, rows, 3), 3);
    assert_true(isnan(values[0]) && isnan(values[1]));
    assert_true(values[2] == -999.0f);
    assert_string_equal(
        rows[2].cause, "line 3, column 1: 'NA' is not a number");
    calm_csv_splitter_free(splitter);
}

/* ---- table --------------------------------------------------------------- */

static void table_gives_cells_by_row_and_name(void **state)
{
    static const char text[] = "\xef\xbb\xbfid,label\n1,\"a \"\"b\"\"\"\n2,\n";
    calm_csv_table *table;
    assert_int_equal(calm_csv_table_parse(text, strlen(text), NULL, &table), 0);
    assert_int_equal(calm_csv_table_rows(table), 2);
    assert_int_equal(calm_csv_header_count(calm_csv_table_header(table)), 2);
    assert_string_equal(calm_csv_table_get(table, 0, "id"), "1");
    assert_string_equal(calm_csv_table_get(table, 0, "label"), "a \"b\"");
    assert_string_equal(calm_csv_table_get(table, 1, "label"), "");
    size_t len = 99;
    assert_string_equal(calm_csv_table_cell(table, 1, 1, &len), "");
    assert_int_equal(len, 0);
    assert_null(calm_csv_table_cell(table, 2, 0, NULL));
    assert_null(calm_csv_table_cell(table, 0, 2, NULL));
    assert_null(calm_csv_table_get(table, 0, "name"));
    assert_string_equal(calm_message(-ENOENT),
        "there is no column 'name'\nhint: the columns are 'id', 'label'");
    assert_null(calm_csv_table_get(table, 2, "id"));
    assert_string_equal(calm_message(-ENOENT), "there is no row 2 among 2");
    calm_csv_table_free(table);
}

static void table_fails_with_the_cause_of_its_first_bad_row(void **state)
{
    calm_csv_table *table = NULL;
    assert_int_equal(
        calm_csv_table_parse("a,b\n1\n", 6, NULL, &table), CALM_EFORMAT);
    assert_string_equal(
        calm_message(CALM_EFORMAT), "line 2: 1 field instead of 2");
    assert_int_equal(calm_csv_table_parse("\n", 1, NULL, &table), CALM_EFORMAT);
    assert_string_equal(
        calm_message(CALM_EFORMAT), "the csv text has no header");
    assert_int_equal(
        calm_csv_table_parse("a\n\"b\n", 5, NULL, &table), CALM_EFORMAT);
    assert_null(table);
    calm_csv_table_free(NULL);
}

static void table_of_a_header_has_no_rows(void **state)
{
    calm_csv_table *table;
    assert_int_equal(calm_csv_table_parse("a,b", 3, NULL, &table), 0);
    assert_int_equal(calm_csv_table_rows(table), 0);
    calm_csv_table_free(table);
}

/* ---- writing ------------------------------------------------------------- */

static void predictions_are_written_in_a_few_lines(void **state)
{
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out};
    calm_csv_put_header(&csv, "sample_id", "prediction", "label", NULL);
    for (int i = 0; i < 2; i++) {
        calm_csv_put_int(&csv, i);
        calm_csv_put_double(&csv, 0.25 + i);
        calm_csv_put_text(&csv, i ? "cat, black" : "dog");
        calm_csv_end_row(&csv);
    }
    assert_int_equal(csv.error, 0);
    assert_string_equal(out.data, "sample_id,prediction,label\n"
                                  "0,0.25,dog\n1,1.25,\"cat, black\"\n");
    calm_bytes_clear(&out);
}

static void text_is_quoted_only_where_it_must_be(void **state)
{
    static const struct {
        const char *text, *written;
    } cases[] = {{"plain", "plain"}, {"two words", "two words"},
        {"a,b", "\"a,b\""}, {"a\"b", "\"a\"\"b\""}, {"a\nb", "\"a\nb\""},
        {"a\rb", "\"a\rb\""}, {"", "\"\""}, {"=1+1", "=1+1"}, {"a;b", "a;b"},
        {"\xef\xbb\xbf"
         "a",
            "\"\xef\xbb\xbf"
            "a\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        calm_bytes out = {0}, expected = {0};
        calm_csv_writer csv = {.out = &out};
        calm_csv_put_text(&csv, cases[i].text);
        assert_int_equal(calm_csv_end_row(&csv), 0);
        calm_bytes_printf(&expected, "%s\n", cases[i].written);
        assert_string_equal(out.data, expected.data);
        calm_bytes_clear(&out);
        calm_bytes_clear(&expected);
    }
}

static void safe_text_does_not_begin_like_a_formula(void **state)
{
    static const char *const texts[] = {
        "=1", "+1", "-1", "@x", "\tx", "\rx", "x=1", ""};
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out, .csv_safe = true, .crlf = true};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        calm_csv_put_text(&csv, texts[i]);
    calm_csv_put_int(&csv, -1);
    calm_csv_put_double(&csv, -1.5);
    assert_int_equal(calm_csv_end_row(&csv), 0);
    assert_string_equal(
        out.data, "'=1,'+1,'-1,'@x,'\tx,\"'\rx\",x=1,,-1,-1.5\r\n");
    calm_bytes_clear(&out);
}

static void numbers_are_written_shortest_and_nan_is_empty(void **state)
{
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out, .separator = ';'};
    calm_csv_put_floats(&csv, (float[]){0.1f, NAN, 1e-5f}, 3);
    calm_csv_put_float(&csv, INFINITY);
    calm_csv_put_double(&csv, 0.1);
    calm_csv_put_double(&csv, NAN);
    calm_csv_put_int(&csv, INT64_MIN);
    assert_int_equal(calm_csv_end_row(&csv), 0);
    assert_string_equal(out.data, "0.1;;1e-05;inf;0.1;;-9223372036854775808\n");
    calm_bytes_clear(&out);
}

static void rows_of_another_length_are_refused_and_stay_so(void **state)
{
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out};
    calm_csv_put_header(&csv, "a", "b", NULL);
    calm_csv_put_int(&csv, 1);
    assert_int_equal(calm_csv_end_row(&csv), -EINVAL);
    assert_string_equal(
        calm_message(-EINVAL), "a csv row has 1 field instead of 2");
    assert_int_equal(calm_csv_put_int(&csv, 2), -EINVAL);
    assert_int_equal(calm_csv_end_row(&csv), -EINVAL);
    calm_csv_writer empty = {.out = &out};
    assert_int_equal(calm_csv_end_row(&empty), -EINVAL);
    calm_bytes_clear(&out);
}

static void header_is_checked(void **state)
{
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out};
    assert_int_equal(calm_csv_put_header(&csv, "a", "b", "a", NULL), -EINVAL);
    assert_string_equal(
        calm_message(-EINVAL), "a csv header has the name 'a' twice");
    csv = (calm_csv_writer){.out = &out};
    assert_int_equal(calm_csv_put_header(&csv, "a", "", NULL), -EINVAL);
    csv = (calm_csv_writer){.out = &out};
    assert_int_equal(calm_csv_put_names(&csv, NULL, 0), -EINVAL);
    csv = (calm_csv_writer){.out = &out, .columns = 2};
    assert_int_equal(calm_csv_put_header(&csv, "a", "b", NULL), 0);
    assert_int_equal(calm_csv_put_header(&csv, "a", "b", NULL), -EINVAL);
    csv = (calm_csv_writer){.out = &out, .columns = 3};
    assert_int_equal(calm_csv_put_header(&csv, "a", "b", NULL), -EINVAL);
    calm_bytes_clear(&out);
}

static void what_is_written_reads_back(void **state)
{
    for (int round = 0; round < 500; round++) {
        calm_bytes out = {0}, expected = {0}, actual = {0};
        calm_csv_writer csv = {.out = &out, .crlf = round % 2};
        size_t columns = 1 + next_random() % 5;
        unsigned long long line = 1;
        for (unsigned row = 0; row < 30; row++) {
            calm_bytes_printf(&expected, "%u@%llu", row, line++);
            for (size_t i = 0; i < columns; i++) {
                char field[100];
                size_t len = next_random() % sizeof field;
                make_random(field, len, 4);
                calm_csv_put_bytes(&csv, field, len);
                calm_bytes_printf(&expected, "[%.*s]", (int)len, field);
                for (size_t j = 0; j < len; j++)
                    line += field[j] == '\n';
            }
            calm_csv_end_row(&csv);
            calm_bytes_append_text(&expected, " ");
        }
        calm_bytes_append_text(&expected, "END");
        assert_int_equal(csv.error, 0);
        render(&actual, out.data, out.len, NULL,
            (struct pieces){.step = 1000, .seed = 1});
        assert_true(caret_equal(out.data, expected.data, actual.data));
        calm_bytes_clear(&out);
        calm_bytes_clear(&expected);
        calm_bytes_clear(&actual);
    }
}

/* ---- memory -------------------------------------------------------------- */

static int use_all_of_it(calm_bytes *out)
{
    static const char text[] = "a,b\n\"1\"\"\",x\n\"2\nz\",y\n";
    calm_csv_table *table = NULL;
    int rc = calm_csv_table_parse(text, strlen(text), NULL, &table);
    calm_csv_writer csv = {.out = out, .error = rc};
    for (size_t row = 0; row < 2; row++) {
        for (size_t i = 0; rc == 0 && i < 2; i++)
            calm_csv_put_text(&csv, calm_csv_table_cell(table, row, i, NULL));
        calm_csv_end_row(&csv);
    }
    calm_csv_table_free(table);
    return csv.error;
}

static void failed_allocation_loses_nothing(void **state)
{
    int failures = 0;
    for (int n = 1; fail_alloc_begin(n); n++) {
        calm_bytes out = {0};
        int rc = use_all_of_it(&out);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? -ENOMEM : 0);
        failures += failed;
        calm_bytes_clear(&out);
        calm_error_clear();
    }
    assert_true(failures > 5);
}

/* A cause that finds no memory is replaced by a general one. */
static void failed_row_without_memory_still_has_a_cause(void **state)
{
    for (int n = 1; fail_alloc_begin(n); n++) {
        calm_csv_splitter *splitter = NULL;
        calm_csv_record record = {0};
        int rc = calm_csv_splitter_new(NULL, &splitter);
        if (rc == 0) {
            calm_csv_split(splitter,
                &(calm_csv_block){.data = "\xff\n", .len = 2, .line = 1});
            rc = calm_csv_next(splitter, &record);
        }
        fail_alloc_end();
        assert_true(rc == 1 || rc == -ENOMEM);
        if (rc == 1)
            assert_non_null(record.cause);
        calm_csv_splitter_free(splitter);
        calm_error_clear();
    }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_records_end_at_lf_or_crlf_or_the_end),
        TEST(empty_lines_are_no_rows_but_count_as_lines),
        TEST(carriage_return_elsewhere_is_data),
        TEST(quotes_hold_separators_and_lines_and_quotes),
        TEST(quote_inside_of_an_unquoted_field_is_data),
        TEST(text_behind_a_closing_quote_fails_its_row_only),
        TEST(unclosed_quote_is_named_where_it_was_opened),
        TEST(byte_order_marks_are_skipped_or_refused_by_name),
        TEST(nul_bytes_are_data),
        TEST(ragged_rows_fail_with_line_and_counts),
        TEST(padding_reaches_beyond_the_first_allocation),
        TEST(invalid_utf8_fails_its_row_or_is_replaced_or_passed),
        TEST(other_separators_leave_the_comma_as_data),
        TEST(bounds_are_kept_to_the_byte),
        TEST(options_out_of_range_are_refused),
        TEST(default_bounds_are_those_of_the_contract),
        TEST(field_of_more_than_a_mebibyte_fails_its_row),
        TEST(random_short_texts_agree_with_a_plain_parser),
        TEST(random_long_texts_agree_with_a_plain_parser),
        TEST(every_variant_scans_as_the_portable_one),
        TEST(portable_scan_finds_exactly_the_bytes),
        TEST(columns_are_learned_once_for_all_blocks),
        TEST(rare_things_are_seen_across_windows),
        TEST(columns_are_found_by_name),
        TEST(failed_record_makes_no_header),
        TEST(chosen_columns_become_a_matrix_with_nan_for_missing),
        TEST(text_that_is_no_number_fails_its_row_by_name),
        TEST(missing_text_that_is_a_number_is_still_missing),
        TEST(table_gives_cells_by_row_and_name),
        TEST(table_fails_with_the_cause_of_its_first_bad_row),
        TEST(table_of_a_header_has_no_rows),
        TEST(predictions_are_written_in_a_few_lines),
        TEST(text_is_quoted_only_where_it_must_be),
        TEST(safe_text_does_not_begin_like_a_formula),
        TEST(numbers_are_written_shortest_and_nan_is_empty),
        TEST(rows_of_another_length_are_refused_and_stay_so),
        TEST(header_is_checked),
        TEST(what_is_written_reads_back),
        TEST(failed_allocation_loses_nothing),
        TEST(failed_row_without_memory_still_has_a_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
