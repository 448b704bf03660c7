/* compare_work.c - what a task of a comparison does, blocking or suspending
 *
 * Both forms do the same, by the means that a program would have: a system
 * call that blocks, or a call of calm.
 */
#include "monitor/compare.h"

#include <calm/file.h>
#include <calm/pool.h>
#include <calm/time.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int calm__job_compute(uint64_t amount)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < amount; i++) {
        sum += i * i;
        __asm__ volatile("" : "+r"(sum)); /* or clang knows the closed form */
    }
    /* (n - 1) n (2n - 1) / 6 modulo 2^64: what is divided is divided first. */
    uint64_t factors[3] = {amount - 1, amount, 2 * amount - 1};
    if (amount == 0)
        return 0;
    factors[amount % 2 == 0] /= 2;
    for (int i = 0; i < 3; i++)
        if (factors[i] % 3 == 0) {
            factors[i] /= 3;
            break;
        }
    if (sum == factors[0] * factors[1] * factors[2])
        return 0;
    return calm_fail(-EDOM, "the sum of the squares is wrong");
}

static int sleep_blocking(int64_t duration)
{
    struct timespec rest = {duration / CALM_S, duration % CALM_S};
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        continue;
    return 0;
}

static int read_whole(int fd, const char *path)
{
    char buffer[64 << 10];
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) != 0)
        if (got < 0 && errno != EINTR)
            return calm_fail(-errno, "cannot read '%s': %m", path);
    return 0;
}

static int read_blocking(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return calm_fail(-errno, "cannot open '%s': %m", path);
    int rc = read_whole(fd, path);
    close(fd);
    return rc;
}

static const char *path_of(const struct calm__job *job, size_t index)
{
    return job->folder.paths[index % job->folder.count];
}

bool calm__job_requests(const struct calm__job *job)
{
    return job->opts.work == CALM_WORK_HTTP ||
           job->opts.work == CALM_WORK_MIXED;
}

int calm__job_block(const struct calm__job *job, size_t index)
{
    switch (job->opts.work) {
    case CALM_WORK_IO:
        return sleep_blocking(job->opts.duration);
    case CALM_WORK_FILES:
        return read_blocking(path_of(job, index));
    default:
        return calm__job_compute(job->opts.amount);
    }
}

static int read_suspending(const char *path)
{
    calm_bytes bytes = {0};
    int rc = calm_file_read_all(path, &bytes);
    calm_bytes_clear(&bytes);
    return rc;
}

/* Our own service is told how long to take. calm_http_send() names the URL in
 * its errors, without what may be secret. */
static int request(const struct calm__job *job, calm_http *http)
{
    char delay[48];
    snprintf(
        delay, sizeof delay, "delay=%lldns", (long long)job->opts.duration);
    calm_http_header drill = {"X-Calm-Drill", delay};
    calm_http_response response = {0};
    int rc = calm_http_send(http,
        &(calm_http_request){.url = job->url,
            .headers = &drill,
            .header_count = job->server > 0},
        &response);
    if (rc == 0 && response.status >= 300)
        rc = calm_fail(CALM_EHTTP, "the server answered %d", response.status);
    calm_http_response_clear(&response);
    return rc;
}

int calm__job_alone(const struct calm__job *job, calm_http *http, size_t index)
{
    int rc = request(job, http);
    if (rc == 0 && job->opts.work == CALM_WORK_MIXED)
        rc = calm__job_compute(job->opts.amount);
    return rc;
}

static int compute(void *arg)
{
    return calm__job_compute(((const struct calm__job *)arg)->opts.amount);
}

/* What computes beside requests would hold them up, so it goes to the CPU
 * pool, as a program would do it; alone there is nothing to hold up. */
int calm__job_suspend(
    const struct calm__job *job, calm_http *http, size_t index)
{
    int rc;
    switch (job->opts.work) {
    case CALM_WORK_IO:
        return calm_sleep(job->opts.duration);
    case CALM_WORK_FILES:
        return read_suspending(path_of(job, index));
    case CALM_WORK_CPU:
        return calm__job_compute(job->opts.amount);
    case CALM_WORK_HTTP:
        return request(job, http);
    default:
        rc = request(job, http);
        return rc < 0 ? rc : calm_cpu(compute, (void *)job);
    }
}
