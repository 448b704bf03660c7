/* bench_file.c - many small files, and one large one
 *
 * Files of 4 and of 64 KiB are read whole, from the page cache by one thread
 * and by two, and from the device after their pages were dropped; they are
 * written to memory (/dev/shm), so that the device does not count. The floor
 * is open, fstat, read, close in a loop, by as many threads. calm reads with
 * 64 tasks in each loop. Figures are files a second.
 */
#include "bench.h"

#include <calm.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES = 10000,
    TASKS = 64,
    THREADS_MOST = 8,
    LARGEST = 64 << 10,
};
static const int64_t LARGE = INT64_C(2) << 30;

/* The part of a run that one thread does, and what to do. */
struct part {
    const char *folder;
    size_t size;
    int from, to;
    bool write;
};

struct work {
    struct part all;
    int threads;       /* of calm */
    int floor_threads; /* of the floor */
    bool cold;
};

static char content[LARGEST];

static void path_make(char *path, size_t size, const struct part *part, int at)
{
    snprintf(path, size, "%s/%zu-%05d", part->folder, part->size, at);
}

/* ---- the files ---- */

static void write_plainly(const char *path, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bench_check(fd, path);
    bench_check(write(fd, content, size) == (ssize_t)size ? 0 : -1, path);
    close(fd);
}

static void files_make(const struct part *part)
{
    char path[256];
    for (int at = part->from; at < part->to; at++) {
        path_make(path, sizeof path, part, at);
        write_plainly(path, part->size);
    }
    sync();
}

static void files_drop(const struct part *part)
{
    char path[256];
    for (int at = part->from; at < part->to; at++) {
        path_make(path, sizeof path, part, at);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bench_check(fd, path);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

static void files_remove(const struct part *part)
{
    char path[256];
    for (int at = part->from; at < part->to; at++) {
        path_make(path, sizeof path, part, at);
        unlink(path);
    }
}

/* ---- the floor ---- */

static void read_plainly(const char *path, char *buffer)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bench_check(fd, path);
    fstat(fd, &status);
    ssize_t got = read(fd, buffer, (size_t)status.st_size);
    bench_check(got == status.st_size ? 0 : -1, path);
    close(fd);
}

static void *floor_part(void *arg)
{
    const struct part *part = arg;
    char path[256], *buffer = malloc(LARGEST);
    for (int at = part->from; at < part->to; at++) {
        path_make(path, sizeof path, part, at);
        if (part->write)
            write_plainly(path, part->size);
        else
            read_plainly(path, buffer);
    }
    free(buffer);
    return NULL;
}

/* ---- calm: each task takes the next file, until there is none ---- */

static int work_task(void *arg)
{
    struct part *part = arg;
    calm_bytes bytes = {0};
    char path[256];
    int rc = 0;
    while (rc == 0 && part->from < part->to) {
        path_make(path, sizeof path, part, part->from++);
        if (part->write)
            rc = calm_file_write_all(path, content, part->size, CALM_REPLACE);
        else
            rc = calm_file_read_all(path, &bytes);
    }
    calm_bytes_clear(&bytes);
    return rc;
}

static int work_main(void *arg)
{
    calm_call calls[TASKS];
    for (int i = 0; i < TASKS; i++)
        calls[i] = (calm_call){work_task, arg};
    return calm_gather(calls, TASKS, NULL);
}

static void *calm_part(void *arg)
{
    struct part part = *(struct part *)arg;
    bench_check(calm_run(work_main, &part), "files");
    return NULL;
}

/* ---- both ---- */

/* Leaves files a second and the CPU's microseconds for each. */
static void work_time(const struct work *work, int threads,
    void *(*run)(void *part), double *ret_figures)
{
    if (work->cold)
        files_drop(&work->all);
    pthread_t started[THREADS_MOST];
    struct part parts[THREADS_MOST];
    double cpu = bench_cpu(), start = bench_clock();
    for (int i = 0; i < threads; i++) {
        parts[i] = work->all;
        parts[i].from = FILES / threads * i;
        parts[i].to = FILES / threads * (i + 1);
        if (i > 0)
            bench_check(
                -pthread_create(&started[i], NULL, run, &parts[i]), "a thread");
    }
    run(&parts[0]);
    for (int i = 1; i < threads; i++)
        pthread_join(started[i], NULL);
    ret_figures[0] = FILES * 1e9 / (bench_clock() - start);
    ret_figures[1] = (bench_cpu() - cpu) / 1e3 / FILES;
}

static void floor_work(void *ctx, double *ret_figures)
{
    const struct work *work = ctx;
    work_time(work, work->floor_threads, floor_part, ret_figures);
}

static void calm_work(void *ctx, double *ret_figures)
{
    const struct work *work = ctx;
    work_time(work, work->threads, calm_part, ret_figures);
}

static void measure(const char *name, const char *cpu_name, struct work work)
{
    bench_run(&(struct bench){.names = {name, cpu_name},
        .floor = floor_work,
        .calm = calm_work,
        .ctx = &work});
}

/* ---- one large file ---- */

static int large_main(void *arg)
{
    calm_bytes bytes = {0};
    double *ret_figures = arg, start = bench_clock();
    int rc = calm_file_read_all("large", &bytes);
    ret_figures[0] = (double)bytes.len / (bench_clock() - start);
    calm_bytes_clear(&bytes);
    return rc;
}

static void calm_large(void *ctx, double *ret_figures)
{
    bench_check(calm_run(large_main, ret_figures), "a large file");
}

static void floor_large(void *ctx, double *ret_figures)
{
    double start = bench_clock();
    int fd = open("large", O_RDONLY | O_CLOEXEC);
    bench_check(fd, "large");
    char *buffer = mmap(NULL, (size_t)LARGE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bench_check(buffer == MAP_FAILED ? -1 : 0, "mmap");
    madvise(buffer, (size_t)LARGE, MADV_HUGEPAGE);
    int64_t done = 0;
    ssize_t got;
    while ((got = read(fd, buffer + done, (size_t)(LARGE - done))) > 0)
        done += got;
    ret_figures[0] = (double)done / (bench_clock() - start);
    munmap(buffer, (size_t)LARGE);
    close(fd);
}

static void large_make(void)
{
    int fd = open("large", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bench_check(fd, "large");
    for (int64_t done = 0; done < LARGE; done += LARGEST)
        bench_check(write(fd, content, LARGEST) == LARGEST ? 0 : -1, "large");
    close(fd);
    sync();
}

/* ---- */

static void measure_sizes(const char *folder)
{
    struct part small = {folder, 4 << 10, 0, FILES, false};
    files_make(&small);
    measure("read_4k", "read_4k_cpu", (struct work){small, 1, 1, false});
    measure("read_4k_two", NULL, (struct work){small, 2, 2, false});
    measure("read_4k_cold", NULL, (struct work){small, 1, 8, true});
    files_remove(&small);
    struct part large = {folder, 64 << 10, 0, FILES, false};
    files_make(&large);
    measure("read_64k", NULL, (struct work){large, 1, 1, false});
    measure("read_64k_two", NULL, (struct work){large, 2, 2, false});
    files_remove(&large);
}

int main(int argc, char **argv)
{
    char folder[] = "calm-bench-XXXXXX",
         memory[] = "/dev/shm/calm-bench-XXXXXX";
    memset(content, 'x', sizeof content);
    bench_check(chdir(argc > 1 ? argv[1] : "."), "the folder to work in");
    bench_check(mkdtemp(folder) && mkdtemp(memory) ? 0 : -1, "mkdtemp");
    measure_sizes(folder);
    struct part written = {memory, 4 << 10, 0, FILES, true};
    measure("write_4k", NULL, (struct work){written, 1, 1, false});
    measure("write_4k_two", NULL, (struct work){written, 2, 2, false});
    files_remove(&written);
    rmdir(memory);
    bench_check(chdir(folder), folder);
    large_make();
    bench_run(&(struct bench){.names = {"read_2g"},
        .floor = floor_large,
        .calm = calm_large,
        .repetitions = 3});
    unlink("large");
    bench_check(chdir(".."), "..");
    rmdir(folder);
    return 0;
}
