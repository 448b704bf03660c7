/* bench_json.c - how fast JSON is read and written, in MB/s of text
 *
 * Each line is the median of several rounds, on one thread: bench_json
 * [megabytes [rounds]]. The text is objects with twelve numbers, once as
 * people write them and once with all of their 17 digits, and reviews with
 * escapes in them. The last lines read a file of the first text through
 * calm_input, plain and compressed; they need the commands gzip and zstd.
 */
#include <calm/file.h>
#include <calm/input.h>
#include <calm/json.h>
#include <calm/run.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MEMBERS 12
#define BLOCK_ROWS 1024
#define ROUNDS_MAX 99

static const char *const names[MEMBERS] = {"radius", "texture", "perimeter",
    "area", "smoothness", "compactness", "concavity", "points", "symmetry",
    "dimension", "height", "width"};

static uint64_t seed = 88172645463325252u;
static uint64_t sink; /* what was found, so that the work is not left out */
static calm_jsonl_reader *reader;

static uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void need(int rc)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_json: %s\n", calm_message(rc));
    exit(1);
}

/* ---- the texts ----------------------------------------------------------- */

/* One to four digits before the point, four behind it, a space behind colons
 * and commas, as Python writes. */
static void make_numeric(calm_bytes *text, size_t size)
{
    static const unsigned ranges[] = {10, 100, 1000, 10000};
    while (text->len < size)
        for (int i = 0; i < MEMBERS; i++)
            need(calm_bytes_printf(text, "%s\"%s\": %s%u.%04u%s",
                i == 0 ? "{" : "", names[i], next_random() % 4 ? "" : "-",
                next_random() % ranges[next_random() % 4],
                next_random() % 10000, i < MEMBERS - 1 ? ", " : "}\n"));
}

static void make_precise(calm_bytes *text, size_t size)
{
    while (text->len < size)
        for (int i = 0; i < MEMBERS; i++)
            need(calm_bytes_printf(text, "%s\"%s\": %.17g%s", i == 0 ? "{" : "",
                names[i], (double)next_random() / 4294967296.0 + 1e-3,
                i < MEMBERS - 1 ? ", " : "}\n"));
}

static void make_reviews(calm_bytes *text, size_t size)
{
    static const char *const words[] = {"it came \\\"late\\\"", "very good",
        "gro\xc3\x9f und sch\xc3\xb6n", "first\\nsecond", "not for me",
        "\\u00e9l\\u00e9gant", "and then it broke after a week of use"};
    while (text->len < size) {
        need(calm_bytes_printf(
            text, "{\"id\": %u, \"text\": \"", next_random()));
        for (unsigned i = next_random() % 12 + 4; i > 0; i--)
            need(calm_bytes_printf(text, "%s ", words[next_random() % 7]));
        need(
            calm_bytes_printf(text, "\", \"stars\": %u}\n", next_random() % 5));
    }
}

/* ---- the work ------------------------------------------------------------ */

static void cut(const calm_bytes *text, void work(const calm_csv_block *))
{
    calm_jsonl_cutter cutter;
    need(calm_jsonl_cutter_init(&cutter, NULL));
    cutter.rows_max = BLOCK_ROWS;
    cutter.at_end = true;
    const char *rest = text->data, *end = rest + text->len;
    calm_csv_block block;
    int rc;
    while ((rc = calm_jsonl_cut(&cutter, rest, (size_t)(end - rest), &block)) >
           0) {
        work(&block);
        rest = block.data + block.len;
    }
    need(rc);
}

static void count_rows(const calm_csv_block *block)
{
    sink += block->rows;
}

static void read_block(const calm_csv_block *block)
{
    calm_json_record record;
    int rc;
    calm_jsonl_split(reader, block);
    while ((rc = calm_jsonl_next(reader, &record)) > 0) {
        need(record.status);
        sink += (uint64_t)record.fields[0].number + record.fields[1].len;
    }
    need(rc);
}

static void only_cut(const calm_bytes *text)
{
    cut(text, count_rows);
}

static void cut_and_read(const calm_bytes *text)
{
    cut(text, read_block);
}

static void check_lines(const calm_bytes *text)
{
    const char *line = text->data, *end;
    for (; (end = strchr(line, '\n')); line = end + 1)
        need(calm_json_check(line, (size_t)(end - line), NULL));
}

/* ---- measuring ----------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *times, int rounds, size_t bytes)
{
    qsort(times, (size_t)rounds, sizeof *times, compare);
    printf("%-28s %7.0f MB/s\n", name, (double)bytes / times[rounds / 2] / 1e6);
    fflush(stdout);
}

static void measure(const char *name, void work(const calm_bytes *),
    const calm_bytes *text, int rounds)
{
    double times[ROUNDS_MAX];
    work(text);
    for (int i = 0; i < rounds; i++) {
        double start = now();
        work(text);
        times[i] = now() - start;
    }
    report(name, times, rounds, text->len);
}

static void measure_reading(const char *name, const calm_bytes *text,
    const char *const *wanted, size_t count, int rounds)
{
    need(calm_jsonl_reader_new(wanted, count, NULL, &reader));
    measure(name, cut_and_read, text, rounds);
    calm_jsonl_reader_free(reader);
}

/* Twelve floats with all of their digits to a row. */
static void measure_writing(size_t size, int rounds)
{
    static float values[BLOCK_ROWS][MEMBERS];
    for (size_t i = 0; i < BLOCK_ROWS; i++)
        for (size_t j = 0; j < MEMBERS; j++)
            values[i][j] = (float)next_random() / 4294967296.0f;
    calm_bytes out = {0};
    double times[ROUNDS_MAX];
    for (int i = -1; i < rounds; i++) {
        calm_bytes_reset(&out);
        calm_json_writer json = {.out = &out};
        double start = now();
        for (size_t row = 0; out.len < size; row++) {
            calm_json_begin_object(&json);
            for (size_t j = 0; j < MEMBERS; j++) {
                calm_json_put_key(&json, names[j]);
                calm_json_put_float(&json, values[row % BLOCK_ROWS][j]);
            }
            calm_json_end_object(&json);
            calm_json_end_line(&json);
        }
        if (i >= 0)
            times[i] = now() - start;
        need(json.error);
    }
    report("write objects of floats", times, rounds, out.len);
    calm_bytes_clear(&out);
}

/* ---- files --------------------------------------------------------------- */

struct file {
    const char *path;
    const calm_bytes *text;
    int rounds;
};

static int read_input(void *arg)
{
    struct file *file = arg;
    static char buffer[1 << 20];
    double times[ROUNDS_MAX];
    size_t bytes = 0;
    for (int i = -1; i < file->rounds; i++) {
        calm_input *input;
        ssize_t got;
        double start = now();
        need(calm_input_open(file->path, &input));
        for (bytes = 0;
             (got = calm_input_read(input, buffer, sizeof buffer)) > 0;
             bytes += (size_t)got)
            sink += (unsigned char)buffer[0];
        need((int)got);
        calm_input_close(input);
        if (i >= 0)
            times[i] = now() - start;
    }
    char name[64];
    const char *dot = strrchr(file->path, '.');
    snprintf(name, sizeof name, "input %s", dot);
    report(name, times, file->rounds, bytes);
    return 0;
}

static int write_input(void *arg)
{
    struct file *file = arg;
    return calm_file_write_all(
        file->path, file->text->data, file->text->len, CALM_REPLACE);
}

static void measure_files(const calm_bytes *text, int rounds)
{
    char folder[] = "/tmp/bench_json_XXXXXX", path[64], command[256];
    if (!mkdtemp(folder))
        return;
    snprintf(path, sizeof path, "%s/rows.jsonl", folder);
    struct file file = {path, text, rounds};
    need(calm_run(write_input, &file));
    need(calm_run(read_input, &file));
    static const char *const ways[] = {".gz", "gzip -6 -k", ".zst", "zstd -q"};
    for (int i = 0; i < 4; i += 2) {
        snprintf(
            command, sizeof command, "%s %s 2>/dev/null", ways[i + 1], path);
        char coded[80];
        snprintf(coded, sizeof coded, "%s%s", path, ways[i]);
        file.path = coded;
        if (system(command) == 0)
            need(calm_run(read_input, &file));
        unlink(coded);
    }
    unlink(path);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 100) * 1000000;
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = 7;
    static const char *const review[] = {"stars", "text"};
    calm_bytes numeric = {0}, precise = {0}, reviews = {0};
    make_numeric(&numeric, size);
    make_precise(&precise, size);
    make_reviews(&reviews, size);
    measure("cut", only_cut, &numeric, rounds);
    measure_reading("read 12 numbers", &numeric, names, MEMBERS, rounds);
    measure_reading("read 2 numbers of 12", &numeric, names + 5, 2, rounds);
    measure_reading("read 12 of 17 digits", &precise, names, MEMBERS, rounds);
    measure_reading("read texts with escapes", &reviews, review, 2, rounds);
    measure("check each line alone", check_lines, &numeric, rounds);
    measure_writing(size, rounds);
    measure_files(&numeric, rounds);
    calm_bytes_clear(&numeric);
    calm_bytes_clear(&precise);
    calm_bytes_clear(&reviews);
    return sink == 0;
}
