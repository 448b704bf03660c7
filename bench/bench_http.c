/* bench_http.c - many small requests on kept connections, and one download
 *
 * 64 requests are in flight at any time, against nginx where it is installed,
 * else against a small server of our own, in a process of its own. Clients
 * are calm, libcurl's multi interface as its examples drive it, once by its
 * poll and once by its socket interface, and plain sockets on epoll that do no
 * more than they must: the floor. All meet the same server, by turns. Figures
 * are requests a second, and the client's CPU for each.
 */
#include "http.h"

#include <calm.h>

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what is asked ---- */

void bench_url_make(const struct bench_job *job)
{
    snprintf(bench_target.url, sizeof bench_target.url,
        "http://127.0.0.1:%d/%s", bench_target.port, job->path);
}

void bench_answer_parse(
    const struct bench_job *job, const char *text, size_t len)
{
    calm_json_doc *doc;
    if (!job->post)
        return;
    bench_check(calm_json_parse(text, len, NULL, &doc), "the answer");
    calm_json_free(doc);
}

/* ---- calm ---- */

struct calm_client {
    const struct bench_job *job;
    calm_http *http;
    int left;
};

static int calm_task_run(void *arg)
{
    struct calm_client *client = arg;
    calm_http_response response = {0};
    int rc = 0;
    while (rc >= 0 && client->left-- > 0) {
        if (client->job->post)
            rc = calm_http_post_json(client->http, bench_target.url,
                bench_target.posted, bench_target.posted_len, &response);
        else
            rc = calm_http_get(client->http, bench_target.url, &response);
        if (rc >= 0)
            bench_answer_parse(
                client->job, response.body.data, response.body.len);
    }
    calm_http_response_clear(&response);
    return rc < 0 ? rc : 0;
}

static int calm_main(void *arg)
{
    struct calm_client client = {arg, NULL, ((struct bench_job *)arg)->count};
    calm_call calls[BENCH_CONNECTIONS];
    bench_check(calm_http_open(NULL, &client.http), "a client");
    bench_url_make(client.job);
    for (int i = 0; i < BENCH_CONNECTIONS; i++)
        calls[i] = (calm_call){calm_task_run, &client};
    int rc = calm_gather(calls, BENCH_CONNECTIONS, NULL);
    calm_http_close(client.http);
    return rc;
}

static void calm_do(const struct bench_job *job)
{
    bench_check(calm_run(calm_main, (void *)job), "requests");
}

/* ---- a download that is dropped ---- */

static int large_piece(void *ctx, const char *data, size_t len)
{
    *(int64_t *)ctx += (int64_t)len;
    return 0;
}

static int large_main(void *arg)
{
    int64_t got = 0;
    calm_http *http;
    calm_http_response response = {0};
    bench_check(calm_http_open(NULL, &http), "a client");
    double start = bench_clock();
    int rc = calm_http_send(http,
        &(calm_http_request){
            .url = bench_target.url, .on_body = large_piece, .ctx = &got},
        &response);
    *(double *)arg = (double)got / (bench_clock() - start);
    bench_check(rc == 0 && got == BENCH_LARGE ? 0 : -EIO, "a download");
    calm_http_response_clear(&response);
    calm_http_close(http);
    return 0;
}

static void large_calm(void *ctx, double *ret_figures)
{
    bench_url_make(ctx);
    bench_check(calm_run(large_main, ret_figures), "a download");
}

/* ---- */

struct side {
    void (*run)(const struct bench_job *job);
    const struct bench_job *job;
};

static void measure_side(const struct side *side, double *ret_figures)
{
    double cpu = bench_cpu(), start = bench_clock();
    side->run(side->job);
    double took = bench_clock() - start;
    ret_figures[0] = (bench_cpu() - cpu) / 1e3 / side->job->count;
    ret_figures[1] = side->job->count * 1e9 / took;
}

static void side_calm(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){calm_do, ctx}, ret_figures);
}

static void side_plain(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){bench_plain, ctx}, ret_figures);
}

static void side_poll(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){bench_curl_poll, ctx}, ret_figures);
}

static void side_socket(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){bench_curl_socket, ctx}, ret_figures);
}

/* CPU and rate, and the CPU once more beside each of libcurl's interfaces. */
static void measure(struct bench_job job, const char *const names[4])
{
    bench_run(&(struct bench){.names = {names[0], names[1]},
        .floor = side_plain,
        .calm = side_calm,
        .ctx = &job});
    bench_run(&(struct bench){.names = {names[2]},
        .floor = side_poll,
        .calm = side_calm,
        .ctx = &job});
    bench_run(&(struct bench){.names = {names[3]},
        .floor = side_socket,
        .calm = side_calm,
        .ctx = &job});
}

/* One side only, for a profiler: bench_http SIDE PATH COUNT. */
static void profile(char **argv)
{
    struct bench_job job = {
        argv[2], strcmp(argv[2], "post") == 0, atoi(argv[3])};
    void (*run)(const struct bench_job *) = calm_do;
    if (strcmp(argv[1], "plain") == 0)
        run = bench_plain;
    else if (strcmp(argv[1], "poll") == 0)
        run = bench_curl_poll;
    else if (strcmp(argv[1], "socket") == 0)
        run = bench_curl_socket;
    double figures[2];
    measure_side(&(struct side){run, &job}, figures);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr, "%s %s: %.0f requests/s, %.2f us of CPU, %ld faults\n",
        argv[1], argv[2], figures[1], figures[0], usage.ru_minflt);
}

/* A command that measures another client against the same server. */
static void beside(void)
{
    char command[1200];
    const char *given = getenv("BENCH_BESIDE");
    if (!given)
        return;
    snprintf(command, sizeof command, "%s %d", given, bench_target.port);
    if (system(command) != 0)
        fprintf(stderr, "bench: failed: %s\n", given);
}

int main(int argc, char **argv)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    bench_server_files();
    pid_t server =
        getenv("BENCH_OWN_SERVER") ? -1 : bench_server_start("nginx");
    if (server < 0)
        server = bench_server_start("own");
    bench_check(server, "a server");
    if (argc == 4) {
        profile(argv);
    } else {
        measure((struct bench_job){"1k", false, 40000},
            (const char *[]){"http_get_1k_cpu", "http_get_1k",
                "http_get_1k_poll", "http_get_1k_socket"});
        measure((struct bench_job){"32k", false, 20000},
            (const char *[]){"http_get_32k_cpu", "http_get_32k",
                "http_get_32k_poll", "http_get_32k_socket"});
        measure((struct bench_job){"post", true, 20000},
            (const char *[]){"http_post_4k_cpu", "http_post_4k",
                "http_post_4k_poll", "http_post_4k_socket"});
        struct bench_job large = {"1g", false, 1};
        bench_run(&(struct bench){.names = {"http_1g"},
            .floor = bench_curl_large,
            .calm = large_calm,
            .ctx = &large,
            .repetitions = 3});
    }
    beside();
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink("http/1g");
    return 0;
}
