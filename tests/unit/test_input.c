/* test_input.c - plain and compressed inputs: whole, damaged, and cancelled */
#include "test.h"

#include "base/fault.h"

#include <calm/input.h>

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#ifdef TEST_ZSTD
#include <zstd.h>
#endif

#define LARGE ((size_t)5 << 20)

static char folder[] = "/tmp/calm_test_input_XXXXXX";

static const char small[] =
    "id,name\n1,one\n2,two\n3,three\n4,four hundred and twenty-seven\n";

/* ---- files --------------------------------------------------------------- */

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Does not go through calm, so that it may be called anywhere. */
static void write_file(const char *name, const void *data, size_t len)
{
    FILE *file = fopen(path_of(name), "wb");
    check(file && fwrite(data, 1, len, file) == len);
    if (file)
        fclose(file);
}

/* Text that compresses, but not to nothing. */
static char *large_text(void)
{
    char *text = malloc(LARGE);
    uint64_t seed = 1;
    for (size_t i = 0; i < LARGE; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        text[i] = "0123456789,.\n ab"[seed >> 60];
    }
    return text;
}

static void add_gzip(calm_bytes *out, const void *data, size_t len)
{
    z_stream stream = {0};
    check_equal(
        deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    uLong room = deflateBound(&stream, len);
    check_equal(calm_bytes_reserve(out, room), 0);
    stream.next_in = (Bytef *)data;
    stream.avail_in = (uInt)len;
    stream.next_out = (Bytef *)out->data + out->len;
    stream.avail_out = (uInt)room;
    check_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    calm_bytes_advance(out, room - stream.avail_out);
    deflateEnd(&stream);
}

#ifdef TEST_ZSTD
static void add_zstd(calm_bytes *out, const void *data, size_t len)
{
    size_t room = ZSTD_compressBound(len);
    check_equal(calm_bytes_reserve(out, room), 0);
    size_t size = ZSTD_compress(out->data + out->len, room, data, len, 3);
    check(!ZSTD_isError(size));
    calm_bytes_advance(out, size);
}
#endif

typedef void compress_fn(calm_bytes *out, const void *data, size_t len);

struct way {
    const char *name;
    compress_fn *add;
};

static const struct way ways[] = {
    {"rows.csv.gz", add_gzip},
#ifdef TEST_ZSTD
    {"rows.csv.zst", add_zstd},
#endif
};

#define EACH_WAY(way)                                                          \
    for (const struct way *way = ways;                                         \
         way < ways + sizeof ways / sizeof *ways; way++)

/* Reads all of an input, STEP bytes at a time. Returns the last result. */
static int read_all(const char *name, size_t step, calm_bytes *ret_text)
{
    calm_input *input;
    calm_bytes_reset(ret_text);
    int rc = calm_input_open(path_of(name), &input);
    if (rc < 0)
        return rc;
    ssize_t got;
    do {
        check_equal(calm_bytes_reserve(ret_text, step), 0);
        got = calm_input_read(input, ret_text->data + ret_text->len, step);
        if (got > 0)
            calm_bytes_advance(ret_text, (size_t)got);
    } while (got > 0);
    if (got == 0)
        check_equal(calm_input_position(input), calm_input_size(input));
    calm_input_close(input);
    return (int)got;
}

static bool is_text(const calm_bytes *bytes, const void *text, size_t len)
{
    return bytes->len == len && memcmp(bytes->data, text, len) == 0;
}

/* ---- whole --------------------------------------------------------------- */

static int plain_file_is_read_as_it_is(void *arg)
{
    calm_bytes text = {0};
    write_file("rows.csv", small, sizeof small - 1);
    for (size_t step = 1; step < sizeof small + 1; step++) {
        check_equal(read_all("rows.csv", step, &text), 0);
        check(is_text(&text, small, sizeof small - 1));
    }
    calm_bytes_clear(&text);
    return 0;
}

static int members_one_after_the_other_are_one_text(void *arg)
{
    EACH_WAY(way)
    {
        calm_bytes coded = {0}, text = {0};
        way->add(&coded, small, 10);
        way->add(&coded, "", 0);
        way->add(&coded, small + 10, sizeof small - 11);
        write_file(way->name, coded.data, coded.len);
        for (size_t step = 1; step < sizeof small + 1; step += 7) {
            check_equal(read_all(way->name, step, &text), 0);
            check(is_text(&text, small, sizeof small - 1));
        }
        calm_bytes_clear(&coded);
        calm_bytes_clear(&text);
    }
    return 0;
}

static int many_pieces_arrive_in_order(void *arg)
{
    static const size_t steps[] = {4097, 1 << 20, 3000001, LARGE + 1};
    char *large = large_text();
    EACH_WAY(way)
    {
        calm_bytes coded = {0}, text = {0};
        way->add(&coded, large, LARGE);
        write_file(way->name, coded.data, coded.len);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            check_equal(read_all(way->name, steps[i], &text), 0);
            check(is_text(&text, large, LARGE));
        }
        calm_bytes_clear(&coded);
        calm_bytes_clear(&text);
    }
    free(large);
    return 0;
}

/* A text whose end falls on the end of a piece, and beside it. */
static int text_of_just_a_piece_ends_there(void *arg)
{
    char *large = large_text();
    EACH_WAY(way)
    {
        for (int more = -1; more <= 1; more++) {
            calm_bytes coded = {0}, text = {0};
            size_t len = (size_t)((1 << 20) + more);
            way->add(&coded, large, len);
            write_file(way->name, coded.data, coded.len);
            check_equal(read_all(way->name, 65536, &text), 0);
            check(is_text(&text, large, len));
            calm_bytes_clear(&coded);
            calm_bytes_clear(&text);
        }
    }
    free(large);
    return 0;
}

/* Thirty megabytes of nothing are 30 KiB. */
static int much_from_little_needs_no_memory(void *arg)
{
    static char zeros[1 << 20], buffer[1 << 16];
    EACH_WAY(way)
    {
        calm_bytes coded = {0};
        calm_input *input;
        for (int i = 0; i < 30; i++)
            way->add(&coded, zeros, sizeof zeros);
        write_file(way->name, coded.data, coded.len);
        calm_bytes_clear(&coded);
        ssize_t got = calm_input_open(path_of(way->name), &input);
        check_equal(got, 0);
        size_t sum = 0;
        while (got >= 0 &&
               (got = calm_input_read(input, buffer, sizeof buffer)) > 0)
            sum += (size_t)got;
        check_equal(sum, 30 * sizeof zeros);
        calm_input_close(input);
    }
    return 0;
}

struct copy {
    const char *name;
    const char *text;
};

static int read_copy(void *arg)
{
    struct copy *copy = arg;
    calm_bytes text = {0};
    check_equal(read_all(copy->name, 8192, &text), 0);
    check(is_text(&text, copy->text, LARGE));
    calm_bytes_clear(&text);
    return 0;
}

static int several_inputs_at_once_keep_apart(void *arg)
{
    calm_bytes coded = {0};
    char *large = large_text();
    add_gzip(&coded, large, LARGE);
    write_file("rows.csv.gz", coded.data, coded.len);
    write_file("rows.csv", large, LARGE);
    struct copy copies[] = {{"rows.csv.gz", large}, {"rows.csv", large}};
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 4; i++)
        calm_spawn(&group, read_copy, &copies[i % 2]);
    check_equal(calm_group_end(&group, 0), 0);
    calm_bytes_clear(&coded);
    free(large);
    return 0;
}

static int pipe_gives_what_it_has(void *arg)
{
    int ends[2];
    char buffer[64];
    calm_input *input;
    check_equal(pipe(ends), 0);
    int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    check_equal(calm_input_open("-", &input), 0);
    check_equal(write(ends[1], "1,2\n", 4), 4);
    check_equal(calm_input_read(input, buffer, sizeof buffer), 4);
    check_equal(calm_input_size(input), 0);
    check_equal(calm_input_position(input), 4);
    close(ends[1]);
    check_equal(calm_input_read(input, buffer, sizeof buffer), 0);
    calm_input_close(input);
    close(ends[0]);
    dup2(saved, STDIN_FILENO);
    close(saved);
    return 0;
}

/* ---- damaged ------------------------------------------------------------- */

static int cut_at_any_byte_is_an_error_behind_the_good_part(void *arg)
{
    EACH_WAY(way)
    {
        calm_bytes coded = {0}, text = {0};
        way->add(&coded, small, sizeof small - 1);
        for (size_t len = 0; len < coded.len; len++) {
            write_file(way->name, coded.data, len);
            check_equal(read_all(way->name, 16, &text), CALM_EFORMAT);
            check_contains(calm_message(CALM_EFORMAT), path_of(way->name));
            check_contains(calm_message(CALM_EFORMAT), "cut off");
            check(text.len < sizeof small &&
                  memcmp(calm_bytes_text(&text), small, text.len) == 0);
        }
        calm_bytes_clear(&coded);
        calm_bytes_clear(&text);
    }
    return 0;
}

/* Some bits of a header mean nothing; the text must be right all the same. */
static int damaged_byte_never_gives_another_text(void *arg)
{
    calm_bytes coded = {0}, text = {0};
    add_gzip(&coded, small, sizeof small - 1);
    for (size_t i = 0; i < 8 * coded.len; i++) {
        coded.data[i / 8] ^= (char)(1 << i % 8);
        write_file("rows.csv.gz", coded.data, coded.len);
        int rc = read_all("rows.csv.gz", 4096, &text);
        check(rc == CALM_EFORMAT ||
              (rc == 0 && is_text(&text, small, sizeof small - 1)));
        coded.data[i / 8] ^= (char)(1 << i % 8);
    }
    calm_bytes_clear(&coded);
    calm_bytes_clear(&text);
    return 0;
}

static int data_behind_the_end_is_refused(void *arg)
{
    EACH_WAY(way)
    {
        calm_bytes coded = {0}, text = {0};
        way->add(&coded, small, sizeof small - 1);
        calm_bytes_append_text(&coded, "and then some");
        for (size_t more = 1; more <= 13; more++) {
            write_file(way->name, coded.data, coded.len - 13 + more);
            check_equal(read_all(way->name, 4096, &text), CALM_EFORMAT);
            check(is_text(&text, small, sizeof small - 1));
        }
        calm_bytes_clear(&coded);
        calm_bytes_clear(&text);
    }
    return 0;
}

static int failure_comes_again_with_its_sentence(void *arg)
{
    calm_input *input;
    char buffer[64];
    write_file("rows.csv.gz", "this is no gzip", 15);
    check_equal(calm_input_open(path_of("rows.csv.gz"), &input), 0);
    for (int i = 0; i < 3; i++) {
        calm_error_clear();
        check_equal(
            calm_input_read(input, buffer, sizeof buffer), CALM_EFORMAT);
        check_contains(calm_message(CALM_EFORMAT), "rows.csv.gz");
        check_contains(calm_message(CALM_EFORMAT), "damaged");
    }
    calm_input_close(input);
    return 0;
}

#ifdef TEST_ZSTD
static int zstd_window_has_a_bound(void *arg)
{
    calm_bytes coded = {0}, text = {0};
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 28);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    check_equal(calm_bytes_reserve(&coded, 4096), 0);
    ZSTD_inBuffer in = {small, sizeof small, 0};
    ZSTD_outBuffer out = {coded.data, 4096, 0};
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
    ZSTD_freeCCtx(context);
    write_file("rows.csv.zst", coded.data, out.pos);
    check_equal(read_all("rows.csv.zst", 4096, &text), CALM_ELIMIT);
    check_contains(calm_message(CALM_ELIMIT), "128 MiB");
    calm_bytes_clear(&coded);
    calm_bytes_clear(&text);
    return 0;
}
#endif

static int file_that_cannot_be_read_is_named(void *arg)
{
    calm_input *input;
    char buffer[64];
    check_equal(calm_input_open(path_of("nothing.gz"), &input), -ENOENT);
    check_contains(calm_message(-ENOENT), path_of("nothing.gz"));
    mkdir(path_of("folder"), 0700);
    int rc = calm_input_open(path_of("folder"), &input);
    if (rc == 0) {
        rc = (int)calm_input_read(input, buffer, sizeof buffer);
        calm_input_close(input);
    }
    check_equal(rc, -EISDIR);
    check_contains(calm_message(-EISDIR), path_of("folder"));
    return 0;
}

/* ---- cancelled ----------------------------------------------------------- */

static int close_waits_for_what_is_under_way(void *arg)
{
    calm_bytes coded = {0};
    char *large = large_text(), byte;
    add_gzip(&coded, large, LARGE);
    write_file("rows.csv.gz", coded.data, coded.len);
    for (int i = 0; i < 20; i++) {
        calm_input *input;
        check_equal(calm_input_open(path_of("rows.csv.gz"), &input), 0);
        check_equal(calm_input_read(input, &byte, 1), 1);
        calm_input_close(input);
    }
    calm_input_close(NULL);
    calm_bytes_clear(&coded);
    free(large);
    return 0;
}

/* The first cancelled call leaves the decoding under way; the others find it,
 * and get all of the text. */
static int cancelled_read_loses_nothing(void *arg)
{
    calm_bytes coded = {0}, text = {0};
    char *large = large_text();
    add_gzip(&coded, large, LARGE);
    write_file("rows.csv.gz", coded.data, coded.len);
    calm_input *input;
    check_equal(calm_input_open(path_of("rows.csv.gz"), &input), 0);
    check_equal(calm_bytes_reserve(&text, LARGE + 65536), 0);
    int cancelled = 0;
    for (int turn = 0;; turn++) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, turn % 3 ? CALM_S * 60 : CALM_US * 100);
        ssize_t got =
            calm_input_read(input, text.data + text.len, 65536 + 4096);
        int rc = calm_timeout_end(&timeout, got < 0 ? (int)got : 0);
        if (rc == 0 && got == 0)
            break;
        if (got > 0)
            calm_bytes_advance(&text, (size_t)got);
        cancelled += got < 0;
        if (!check(got > 0 || rc == -ETIMEDOUT) || text.len > LARGE)
            break;
    }
    check(is_text(&text, large, LARGE));
    calm_input_close(input);
    calm_bytes_clear(&coded);
    calm_bytes_clear(&text);
    free(large);
    return 0;
}

static int read_until_cancelled(void *arg)
{
    int *reads = arg;
    calm_input *input;
    char buffer[4096];
    int rc = calm_input_open(path_of("rows.csv.gz"), &input);
    if (rc < 0)
        return rc;
    ssize_t got;
    while ((got = calm_input_read(input, buffer, sizeof buffer)) > 0)
        if (++*reads % 100 == 0)
            calm_checkpoint();
    calm_input_close(input);
    return (int)got;
}

static int cancelled_reader_closes_and_leaks_nothing(void *arg)
{
    calm_bytes coded = {0};
    char *large = large_text();
    add_gzip(&coded, large, LARGE);
    write_file("rows.csv.gz", coded.data, coded.len);
    for (int i = 0; i < 30; i++) {
        int reads = 0;
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(&group, read_until_cancelled, &reads);
        for (int j = 0; j < i; j++)
            calm_checkpoint();
        if (i % 2)
            calm_sleep(CALM_MS);
        calm_group_cancel(&group);
        check_equal(calm_group_end(&group, 0), 0);
    }
    calm_bytes_clear(&coded);
    free(large);
    return 0;
}

static int lack_of_memory_is_an_error_and_no_leak(void *arg)
{
    EACH_WAY(way)
    {
        calm_bytes coded = {0}, text = {0};
        way->add(&coded, small, sizeof small - 1);
        write_file(way->name, coded.data, coded.len);
        check_equal(calm_bytes_reserve(&text, 1024), 0);
        int rc = -ENOMEM;
        for (size_t nth = 1; rc == -ENOMEM && nth < 100; nth++) {
            calm__fault_arm("memory", nth);
            rc = read_all(way->name, 512, &text);
            calm__fault_disarm();
        }
        check_equal(rc, 0);
        check(is_text(&text, small, sizeof small - 1));
        calm_bytes_clear(&coded);
        calm_bytes_clear(&text);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(plain_file_is_read_as_it_is),
        real_test(members_one_after_the_other_are_one_text),
        real_test(many_pieces_arrive_in_order),
        real_test(text_of_just_a_piece_ends_there),
        real_test(much_from_little_needs_no_memory),
        real_test(several_inputs_at_once_keep_apart),
        real_test(pipe_gives_what_it_has),
        real_test(cut_at_any_byte_is_an_error_behind_the_good_part),
        real_test(damaged_byte_never_gives_another_text),
        real_test(data_behind_the_end_is_refused),
        real_test(failure_comes_again_with_its_sentence),
#ifdef TEST_ZSTD
        real_test(zstd_window_has_a_bound),
#endif
        real_test(file_that_cannot_be_read_is_named),
        real_test(close_waits_for_what_is_under_way),
        real_test(cancelled_read_loses_nothing),
        real_test(cancelled_reader_closes_and_leaks_nothing),
        real_test(lack_of_memory_is_an_error_and_no_leak),
    };
    if (!mkdtemp(folder))
        return 1;
    int failed = run_list("input", tests, sizeof tests / sizeof *tests);
    static const char *const names[] = {
        "rows.csv", "rows.csv.gz", "rows.csv.zst"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    rmdir(path_of("folder"));
    rmdir(folder);
    return failed;
}
