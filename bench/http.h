/* http.h - what the clients and the server of bench_http.c share
 *
 *     bench_http.c    calm's side, and the measuring
 *     http_server.c   whom all of them ask
 *     http_plain.c    the floor: plain sockets on epoll
 *     http_curl.c     libcurl's two interfaces
 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include "bench.h"

#include <stdint.h>
#include <sys/types.h>

enum {
    BENCH_CONNECTIONS = 64,
    BENCH_ANSWER_MOST = 256 << 10,
    BENCH_POSTED = 4 << 10,
};
#define BENCH_LARGE (INT64_C(1) << 30) /* bytes of the download */

struct bench_job {
    const char *path;
    bool post; /* 4 KiB of JSON, and the answer is parsed */
    int count;
};

/* Where the server is, and what is posted to it. */
struct bench_target {
    int port;
    char url[256];
    char posted[BENCH_POSTED + 1];
    size_t posted_len;
};
extern struct bench_target bench_target;

/* Makes the URL of a job; parses the answer if the job wants that. */
void bench_url_make(const struct bench_job *job);
void bench_answer_parse(
    const struct bench_job *job, const char *text, size_t len);

/* Writes what there is to serve; starts a server, "nginx" or "own", in a
 * process of its own, which is -1 when there is none. */
void bench_server_files(void);
pid_t bench_server_start(const char *kind);

/* Each does all requests of a job. */
void bench_plain(const struct bench_job *job);
void bench_curl_poll(const struct bench_job *job);
void bench_curl_socket(const struct bench_job *job);

/* Downloads the job's file, a bench_fn: bytes per nanosecond. */
void bench_curl_large(void *ctx, double *ret_figures);

#endif
