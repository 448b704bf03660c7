/* floor_predict.c - the floor of `calm predict`: plain C that only does the
 * work
 *
 * usage: floor_predict INPUT.csv MODEL OUTPUT.csv
 *
 * Maps a CSV file of an id and numbers, parses it, predicts by XGBoost's C
 * interface on two threads, writes sample_id,prediction,label in order, and
 * prints rows/s. It believes what it reads: no quotes, no missing values, no
 * error in any row, and numbers that need not be rounded to the last bit.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include <xgboost/c_api.h>

enum {
    THREADS = 2,
    BLOCK = 512 << 10, /* bytes of input */
    ROWS_MOST = BLOCK / 16,
    LINE_MOST = 64, /* of the output */
    SLOTS = 16,     /* blocks between reading and writing */
};

/* The output of a block, until all before it are written. */
struct slot {
    char *text;
    size_t size, rows;
    bool ready;
};

struct floor {
    BoosterHandle booster;
    const char *begin, *end;
    int columns; /* without the id */
    int output;
    size_t rows;
    size_t next; /* the block that is read next */
    size_t turn; /* the block that is written next */
    bool writing;
    struct slot slots[SLOTS];
    mtx_t lock;
    cnd_t turned;
};

/* What one thread works with. */
struct worker {
    struct floor *floor;
    size_t rows;
    float *matrix;
    const char **ids;
    uint8_t *id_sizes;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "floor_predict: %s: %m %s\n", what, XGBGetLastError());
    exit(1);
}

/* ---- parsing ---- */

static const double tenths[] = {1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7,
    1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17};

/* Reads a number and the separator behind it. */
static const char *number_parse(const char *at, float *ret_value)
{
    bool negative = *at == '-';
    uint64_t digits = 0;
    at += negative;
    for (; (unsigned)(*at - '0') < 10; at++)
        digits = digits * 10 + (unsigned)(*at - '0');
    double value = (double)digits;
    if (*at == '.') {
        const char *point = ++at;
        for (; (unsigned)(*at - '0') < 10; at++)
            digits = digits * 10 + (unsigned)(*at - '0');
        value = (double)digits * tenths[at - point];
    }
    *ret_value = (float)(negative ? -value : value);
    return at + 1;
}

static void block_parse(struct worker *worker, const char *at, const char *end)
{
    float *value = worker->matrix;
    for (worker->rows = 0; at < end; worker->rows++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        worker->ids[worker->rows] = at;
        worker->id_sizes[worker->rows] = (uint8_t)(comma - at);
        at = comma + 1;
        for (int i = 0; i < worker->floor->columns; i++)
            at = number_parse(at, value++);
    }
}

/* ---- writing ---- */

/* A probability with seven digits, which is what a float holds of it. */
static char *probability_write(char *at, float value)
{
    uint32_t digits = (uint32_t)((double)value * 1e7 + 0.5);
    *at++ = (char)('0' + digits / 10000000);
    *at++ = '.';
    for (int i = 6; i >= 0; i--, digits /= 10)
        at[i] = (char)('0' + digits % 10);
    return at + 7;
}

static size_t block_format(
    const struct worker *worker, const float *values, char *text)
{
    char *at = text;
    for (size_t i = 0; i < worker->rows; i++) {
        at = mempcpy(at, worker->ids[i], worker->id_sizes[i]);
        *at++ = ',';
        at = probability_write(at, values[i]);
        *at++ = ',';
        *at++ = values[i] > 0.5f ? '1' : '0';
        *at++ = '\n';
    }
    return (size_t)(at - text);
}

/* Takes the next block; waits while there is no slot for its output. */
static size_t block_take(struct floor *all)
{
    mtx_lock(&all->lock);
    size_t block = all->next++;
    while (block >= all->turn + SLOTS)
        cnd_wait(&all->turned, &all->lock);
    mtx_unlock(&all->lock);
    return block;
}

/* Hands a block's output in. Whoever finds nobody writing writes all that is
 * ready and in order. */
static void block_put(struct floor *all, struct slot *slot)
{
    mtx_lock(&all->lock);
    slot->ready = true;
    if (all->writing) {
        mtx_unlock(&all->lock);
        return;
    }
    all->writing = true;
    while ((slot = &all->slots[all->turn % SLOTS])->ready) {
        mtx_unlock(&all->lock);
        must(write(all->output, slot->text, slot->size) == (ssize_t)slot->size,
            "write");
        mtx_lock(&all->lock);
        slot->ready = false;
        all->rows += slot->rows;
        all->turn++;
        cnd_broadcast(&all->turned);
    }
    all->writing = false;
    mtx_unlock(&all->lock);
}

/* ---- a thread ---- */

static const float *block_predict(struct worker *worker)
{
    static const char config[] =
        "{\"type\":0,\"training\":false,\"iteration_begin\":0,"
        "\"iteration_end\":0,\"missing\":NaN,\"strict_shape\":true,"
        "\"cache_id\":0}";
    char array[128];
    const bst_ulong *shape;
    bst_ulong dimensions;
    const float *values;
    snprintf(array, sizeof array,
        "{\"data\":[%zu,true],\"shape\":[%zu,%d],\"typestr\":\"<f4\","
        "\"version\":3}",
        (size_t)worker->matrix, worker->rows, worker->floor->columns);
    must(XGBoosterPredictFromDense(worker->floor->booster, array, config, NULL,
             &shape, &dimensions, &values) == 0,
        "predict");
    return values;
}

/* The first line that begins at or behind the place. */
static const char *line_find(const struct floor *all, size_t place)
{
    if (place == 0)
        return all->begin;
    if (place >= (size_t)(all->end - all->begin))
        return all->end;
    const char *from = all->begin + place - 1;
    const char *found = memchr(from, '\n', (size_t)(all->end - from));
    return found ? found + 1 : all->end;
}

static int worker_main(void *arg)
{
    struct worker *worker = arg;
    struct floor *all = worker->floor;
    for (;;) {
        size_t block = block_take(all);
        struct slot *slot = &all->slots[block % SLOTS];
        const char *begin = line_find(all, block * BLOCK);
        if (begin == all->end)
            return 0;
        block_parse(worker, begin, line_find(all, (block + 1) * BLOCK));
        const float *values = worker->rows ? block_predict(worker) : NULL;
        slot->size = block_format(worker, values, slot->text);
        slot->rows = worker->rows;
        block_put(all, slot);
    }
}

static void *memory(size_t size)
{
    void *place = malloc(size);
    must(place, "memory");
    return place;
}

static void threads_run(struct floor *all)
{
    thrd_t threads[THREADS];
    struct worker workers[THREADS];
    for (size_t i = 0; i < SLOTS; i++)
        all->slots[i].text = memory(ROWS_MOST * LINE_MOST);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.floor = all,
            .matrix = memory(ROWS_MOST * (size_t)all->columns * sizeof(float)),
            .ids = memory(ROWS_MOST * sizeof(char *)),
            .id_sizes = memory(ROWS_MOST)};
        must(thrd_create(&threads[i], worker_main, &workers[i]) == 0, "thread");
    }
    for (size_t i = 0; i < THREADS; i++) {
        thrd_join(threads[i], NULL);
        free(workers[i].matrix);
        free(workers[i].ids);
        free(workers[i].id_sizes);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(all->slots[i].text);
}

/* ---- the program ---- */

static void input_map(struct floor *all, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 0, path);
    size_t size = (size_t)status.st_size;
    char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    must(data != MAP_FAILED, path);
    must(data[size - 1] == '\n', "the last line has no end");
    close(fd);
    all->end = data + size;
    all->begin = (char *)memchr(data, '\n', size) + 1;
    for (const char *at = data; at < all->begin; at++)
        all->columns += *at == ',';
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const char header[] = "sample_id,prediction,label\n";
    struct floor all = {0};
    if (argc != 4) {
        fputs("usage: floor_predict INPUT.csv MODEL OUTPUT.csv\n", stderr);
        return 2;
    }
    must(XGBoosterCreate(NULL, 0, &all.booster) == 0 &&
             XGBoosterLoadModel(all.booster, argv[2]) == 0 &&
             XGBoosterSetParam(all.booster, "nthread", "1") == 0,
        argv[2]);
    mtx_init(&all.lock, mtx_plain);
    cnd_init(&all.turned);
    double start = seconds();
    input_map(&all, argv[1]);
    all.output = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    must(all.output >= 0, argv[3]);
    must(write(all.output, header, sizeof header - 1) > 0, argv[3]);
    threads_run(&all);
    must(close(all.output) == 0, argv[3]);
    printf("%.0f\n", (double)all.rows / (seconds() - start));
    return 0;
}
