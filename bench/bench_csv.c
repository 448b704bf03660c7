/* bench_csv.c - how fast CSV is read and written, in MB/s of text
 *
 * Each line is the median of several rounds over a buffer in memory, on one
 * thread: bench_csv [megabytes [rounds]]. The two floors are what plain C gets
 * that does only this work: memchr() from newline to newline, and a loop over
 * the bytes that finds fields, quotes minded.
 */
#include <calm/csv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COLUMNS 12
#define BLOCK_ROWS 1024
#define ROUNDS_MAX 99

static uint64_t seed = 88172645463325252u;

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
    fprintf(stderr, "bench_csv: %s\n", calm_message(rc));
    exit(1);
}

/* ---- the texts ----------------------------------------------------------- */

/* Measurements: one to four digits before the point, four behind it. */
static void make_numeric(calm_bytes *text, size_t size)
{
    static const unsigned ranges[] = {10, 100, 1000, 10000};
    while (text->len < size)
        for (int i = 0; i < COLUMNS; i++)
            need(calm_bytes_printf(text, "%s%u.%04u%c",
                next_random() % 4 ? "" : "-",
                next_random() % ranges[next_random() % 4],
                next_random() % 10000, i < COLUMNS - 1 ? ',' : '\n'));
}

/* Half of the fields are quoted words, some with separators, a few with
 * doubled quotes. */
static void make_quoted(calm_bytes *text, size_t size)
{
    static const char *const words[] = {"\"red, green\"", "\"Main Street 12\"",
        "\"a somewhat longer text, as reviews have\"", "\"\"", "\"blue\"",
        "\"first line\nsecond line\"", "\"it is 12 km\"", "\"name\""};
    while (text->len < size)
        for (int i = 0; i < COLUMNS; i++) {
            char end = i < COLUMNS - 1 ? ',' : '\n';
            uint32_t dice = next_random();
            if (dice % 2)
                need(calm_bytes_printf(text, "%u%c", dice % 100000, end));
            else if (dice % 100 == 0)
                need(calm_bytes_printf(text, "\"a \"\"b\"\" c\"%c", end));
            else
                need(calm_bytes_printf(
                    text, "%s%c", words[dice / 128 % 8], end));
        }
}

/* ---- the work ------------------------------------------------------------ */

static uint64_t sink; /* what was found, so that the work is not left out */

static void floor_memchr(const calm_bytes *text)
{
    const char *p = text->data, *end = p + text->len;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        sink++;
    }
}

static void floor_loop(const calm_bytes *text)
{
    static calm_csv_field fields[COLUMNS + 1];
    const char *start = text->data, *end = start + text->len;
    size_t count = 0;
    bool quoted = false;
    for (const char *p = start; p < end; p++) {
        if (*p == '"')
            quoted = !quoted;
        if (quoted || (*p != ',' && *p != '\n'))
            continue;
        fields[count++] = (calm_csv_field){start, (uint32_t)(p - start), false};
        start = p + 1;
        if (*p == '\n') {
            sink += count + fields[count - 1].len;
            count = 0;
        }
    }
}

static void cut(const calm_bytes *text, void work(const calm_csv_block *))
{
    calm_csv_cutter cutter;
    need(calm_csv_cutter_init(&cutter, NULL));
    cutter.rows_max = BLOCK_ROWS;
    cutter.at_end = true;
    const char *rest = text->data, *end = rest + text->len;
    calm_csv_block block;
    int rc;
    while (
        (rc = calm_csv_cut(&cutter, rest, (size_t)(end - rest), &block)) > 0) {
        work(&block);
        rest = block.data + block.len;
    }
    need(rc);
}

static calm_csv_splitter *splitter;

static void count_rows(const calm_csv_block *block)
{
    sink += block->rows;
}

static void split_block(const calm_csv_block *block)
{
    calm_csv_split(splitter, block);
    calm_csv_record record;
    int rc;
    while ((rc = calm_csv_next(splitter, &record)) > 0) {
        need(record.status);
        sink += record.count + record.fields[record.count - 1].len;
    }
    need(rc);
}

static void convert_block(const calm_csv_block *block)
{
    static float values[BLOCK_ROWS * COLUMNS];
    static calm_csv_row rows[BLOCK_ROWS];
    static const size_t columns[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const calm_csv_floats floats = {.columns = columns, .count = COLUMNS};
    calm_csv_split(splitter, block);
    int count =
        calm_csv_next_floats(splitter, &floats, values, rows, BLOCK_ROWS);
    need(count);
    for (int i = 0; i < count; i++)
        need(rows[i].status);
    sink += (uint64_t)values[0];
}

static void only_cut(const calm_bytes *text)
{
    cut(text, count_rows);
}

static void cut_and_split(const calm_bytes *text)
{
    cut(text, split_block);
}

static void cut_and_convert(const calm_bytes *text)
{
    cut(text, convert_block);
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

/* Twelve floats with all of their digits to a row. */
static void measure_writing(size_t size, int rounds)
{
    static float values[BLOCK_ROWS][COLUMNS];
    for (size_t i = 0; i < BLOCK_ROWS; i++)
        for (size_t j = 0; j < COLUMNS; j++)
            values[i][j] = (float)next_random() / 4294967296.0f;
    calm_bytes out = {0};
    double times[ROUNDS_MAX];
    for (int i = -1; i < rounds; i++) {
        calm_bytes_reset(&out);
        calm_csv_writer writer = {.out = &out};
        double start = now();
        for (size_t row = 0; out.len < size; row++) {
            calm_csv_put_floats(&writer, values[row % BLOCK_ROWS], COLUMNS);
            calm_csv_end_row(&writer);
        }
        if (i >= 0)
            times[i] = now() - start;
        need(writer.error);
    }
    report("write floats", times, rounds, out.len);
    calm_bytes_clear(&out);
}

int main(int argc, char **argv)
{
    size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 100) * 1000000;
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        rounds = 7;
    calm_bytes numeric = {0}, quoted = {0};
    make_numeric(&numeric, size);
    make_quoted(&quoted, size);
    need(calm_csv_splitter_new(NULL, &splitter));
    measure("floor: memchr numeric", floor_memchr, &numeric, rounds);
    measure("floor: plain loop numeric", floor_loop, &numeric, rounds);
    measure("floor: plain loop quoted", floor_loop, &quoted, rounds);
    measure("cut numeric", only_cut, &numeric, rounds);
    measure("cut quoted", only_cut, &quoted, rounds);
    measure("cut and split numeric", cut_and_split, &numeric, rounds);
    measure("cut and split quoted", cut_and_split, &quoted, rounds);
    measure("cut, split, into floats", cut_and_convert, &numeric, rounds);
    measure_writing(size, rounds);
    calm_csv_splitter_free(splitter);
    calm_bytes_clear(&numeric);
    calm_bytes_clear(&quoted);
    return sink == 0;
}
