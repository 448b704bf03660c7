/* fuzz_csv.c - any bytes as CSV
 *
 * The first three bytes choose options and pieces. The text is read whole and
 * in pieces, which must give the same to the letter; what was read is written
 * and read again; and it goes into floats. From the root of the project:
 *
 *     clang -g -O1 -std=gnu17 -D_GNU_SOURCE -fno-strict-aliasing -Iinclude \
 *         -Isrc -Itests/unit -fsanitize=fuzzer,address,undefined \
 *         fuzz/fuzz_csv.c src/io/csv_*.c src/io/number*.c src/io/powers.c \
 *         src/base/buffer.c src/base/error.c -o fuzz_csv
 *     ./fuzz_csv -max_len=5000 -max_total_time=120
 */
#include "csv_render.h"

#include <calm/csv.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        abort();
}

static void compare_pieces(
    const char *text, size_t len, const calm_csv_opts *opts, unsigned choice)
{
    calm_bytes whole = {0}, parts = {0};
    int rc = render(&whole, text, len, opts, (struct pieces){.step = len + 1});
    struct pieces pieces = {
        .step = 1 + choice % 97,
        .seed = choice / 97 % 2 * (choice + 1),
        .rows_max = choice / 194,
    };
    must(render(&parts, text, len, opts, pieces) == rc);
    must(strcmp(calm_bytes_text(&whole), calm_bytes_text(&parts)) == 0);
    calm_bytes_clear(&whole);
    calm_bytes_clear(&parts);
}

/* Writes the good records, and appends their fields to FIELDS. Returns whether
 * there were any. */
static void rewrite(const char *text, size_t len, const calm_csv_opts *opts,
    calm_bytes *ret_text, calm_bytes *ret_fields)
{
    calm_csv_cutter cutter;
    calm_csv_splitter *splitter;
    calm_csv_block block;
    calm_csv_record record;
    must(calm_csv_cutter_init(&cutter, opts) == 0);
    must(calm_csv_splitter_new(opts, &splitter) == 0);
    cutter.at_end = true;
    calm_csv_writer writer = {.out = ret_text, .separator = opts->separator};
    const char *end = text + len;
    while (calm_csv_cut(&cutter, text, (size_t)(end - text), &block) > 0) {
        text = block.data + block.len;
        calm_csv_split(splitter, &block);
        while (calm_csv_next(splitter, &record) > 0) {
            if (record.status < 0)
                continue;
            for (size_t i = 0; i < record.count; i++) {
                const calm_csv_field *field = &record.fields[i];
                calm_csv_put_bytes(&writer, field->text, field->len);
                calm_bytes_printf(ret_fields, "%u:", field->len);
                calm_bytes_append(ret_fields, field->text, field->len);
            }
            must(calm_csv_end_row(&writer) == 0);
            calm_bytes_append(ret_fields, "\n", 1);
        }
    }
    calm_csv_splitter_free(splitter);
}

static void read_floats(const char *text, size_t len, const calm_csv_opts *opts)
{
    static const size_t columns[] = {0, 2, 1};
    static const char *const missing[] = {"-1", "x", NULL};
    float values[3 * 16];
    calm_csv_row rows[16];
    calm_csv_splitter *splitter;
    must(calm_csv_splitter_new(opts, &splitter) == 0);
    char *copy = malloc(len ? len : 1);
    must(copy != NULL);
    memcpy(copy, text, len);
    calm_csv_split(
        splitter, &(calm_csv_block){.data = copy, .len = len, .line = 1});
    calm_csv_floats floats = {columns, 3, len % 2 ? missing : NULL};
    int count;
    while (
        (count = calm_csv_next_floats(splitter, &floats, values, rows, 16)) > 0)
        for (int i = 0; i < count; i++)
            must((rows[i].status < 0) == (rows[i].cause != NULL));
    calm_csv_splitter_free(splitter);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    calm_csv_opts opts = {
        .separator = ",;\t|"[data[0] % 4],
        .invalid_utf8 = data[0] / 4 % 3,
        .ragged = data[0] / 12 % 3,
        .field_max = data[0] / 36 % 2 ? 20 : 0,
        .record_max = data[0] / 72 % 2 ? 100 : 0,
        .columns_max = data[0] / 144 % 2 ? 5 : 0,
    };
    unsigned choice = data[1] + 256u * data[2];
    const char *text = (const char *)data + 3;
    size -= 3;
    compare_pieces(text, size, &opts, choice);
    calm_bytes first = {0}, second = {0}, fields = {0}, again = {0};
    rewrite(text, size, &opts, &first, &fields);
    /* What was within the bounds may be beyond them with quotes around it, and
     * short text with NUL bytes may look like UTF-16. */
    opts.field_max = opts.record_max = 0;
    if (!memchr(text, '\0', size)) {
        rewrite(calm_bytes_text(&first), first.len, &opts, &second, &again);
        must(fields.len == again.len);
        must(fields.len == 0 ||
             memcmp(fields.data, again.data, fields.len) == 0);
        must(first.len == second.len);
    }
    read_floats(text, size, &opts);
    calm_bytes_clear(&first);
    calm_bytes_clear(&second);
    calm_bytes_clear(&fields);
    calm_bytes_clear(&again);
    return 0;
}
