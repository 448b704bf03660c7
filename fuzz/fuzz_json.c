/* fuzz_json.c - any bytes as JSON Lines and as a document
 *
 * The first two bytes choose the pieces. Lines are read whole and in pieces,
 * which must give the same to the letter; each line is a row just when it is
 * a document and an object; and what is a document is written anew and read
 * again. From the root of the project:
 *
 *     flags="-g -O1 -D_GNU_SOURCE -fno-strict-aliasing -Iinclude -Isrc
 *         -fsanitize=fuzzer,address,undefined"
 *     clang++ $flags -std=c++17 -fno-exceptions -c src/io/json.cpp
 *     clang++ $flags -x c -std=gnu17 fuzz/fuzz_json.c src/io/json*.c \
 *         src/io/csv_*.c src/io/number*.c src/io/powers.c src/base/buffer.c \
 *         src/base/error.c src/base/fault.c -x none json.o -lsimdjson \
 *         -o fuzz_json
 *     ./fuzz_json -max_len=5000 -max_total_time=120
 */
#include "../tests/unit/json_render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static void compare_pieces(const char *text, size_t len, unsigned choice)
{
    calm_bytes whole = {0}, parts = {0};
    int rc = render_stream(&whole, text, len, len + 1, 0);
    must(render_stream(&parts, text, len, 1 + choice % 97, choice / 97 % 5) ==
         rc);
    must(whole.len == parts.len);
    must(whole.len == 0 || !memcmp(whole.data, parts.data, whole.len));
    calm_bytes_clear(&whole);
    calm_bytes_clear(&parts);
}

/* The row may also fail for a name that it has twice. */
static void compare_line(const calm_json_record *record)
{
    calm_json_doc *doc;
    int rc = calm_json_parse(record->text, record->len, NULL, &doc);
    bool object =
        rc == 0 && calm_json_kind_of(calm_json_root(doc)) == CALM_JSON_OBJECT;
    bool mark = record->len >= 3 && !memcmp(record->text, "\xef\xbb\xbf", 3);
    bool twice = record->cause && strstr(record->cause, "is there twice");
    must(object == (record->status == 0) || mark || twice);
    for (size_t i = 0; record->status == 0 && i < WANTED; i++) {
        const calm_json_value *value =
            calm_json_get(calm_json_root(doc), wanted[i]);
        const calm_json_field *field = &record->fields[i];
        size_t len;
        const char *text = calm_json_text(value, &len);
        if (!text)
            text = calm_json_raw(value, &len);
        must(calm_json_kind_of(value) == field->kind);
        must(len == field->len && memcmp(text, field->text, len) == 0);
    }
    if (rc == 0)
        calm_json_free(doc);
}

static void compare_lines(const char *text, size_t len)
{
    calm_jsonl_reader *reader;
    calm_json_record record;
    calm_csv_block block = {.data = text, .len = len, .line = 1};
    must(calm_jsonl_reader_new(wanted, WANTED, NULL, &reader) == 0);
    calm_jsonl_split(reader, &block);
    while (calm_jsonl_next(reader, &record) > 0)
        compare_line(&record);
    calm_jsonl_reader_free(reader);
}

/* The document's depth is bounded, and so is this recursion. */
static void write_value(calm_json_writer *json, const calm_json_value *value)
{
    enum calm_json_kind kind = calm_json_kind_of(value);
    size_t len;
    const char *text = calm_json_text(value, &len);
    if (kind == CALM_JSON_STRING) {
        calm_json_put_bytes(json, text, len);
        return;
    }
    if (kind != CALM_JSON_ARRAY && kind != CALM_JSON_OBJECT) {
        text = calm_json_raw(value, &len);
        calm_json_put_raw(json, text, len);
        return;
    }
    bool object = kind == CALM_JSON_OBJECT;
    size_t count = 0;
    object ? calm_json_begin_object(json) : calm_json_begin_array(json);
    for (const calm_json_value *each = calm_json_first(value); each;
         each = calm_json_next(each), count++) {
        if (object)
            calm_json_put_key(json, calm_json_name(each));
        write_value(json, each);
    }
    object ? calm_json_end_object(json) : calm_json_end_array(json);
    must(count == calm_json_count(value));
}

static void rewrite(const char *text, size_t len)
{
    calm_json_doc *doc;
    int rc = calm_json_parse(text, len, NULL, &doc);
    must(rc == calm_json_check(text, len, NULL));
    if (rc < 0)
        return;
    calm_bytes once = {0}, twice = {0};
    calm_json_writer first = {.out = &once}, second = {.out = &twice};
    write_value(&first, calm_json_root(doc));
    must(first.error == 0);
    calm_json_free(doc);
    must(calm_json_parse(once.data, once.len, NULL, &doc) == 0);
    write_value(&second, calm_json_root(doc));
    must(once.len == twice.len && !memcmp(once.data, twice.data, once.len));
    calm_json_free(doc);
    calm_bytes_clear(&once);
    calm_bytes_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t len = size - 2;
    char *text = malloc(len ? len : 1);
    must(text != NULL);
    memcpy(text, data + 2, len);
    compare_pieces(text, len, data[0] | (unsigned)data[1] << 8);
    compare_lines(text, len);
    rewrite(text, len);
    free(text);
    return 0;
}
