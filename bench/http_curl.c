/* http_curl.c - libcurl's multi interface, as its examples drive it */
#include "http.h"

#include <calm.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static size_t keep(char *data, size_t size, size_t count, void *ctx)
{
    return calm_bytes_append(ctx, data, size * count) < 0 ? 0 : size * count;
}

struct curl_client {
    const struct bench_job *job;
    CURLM *multi;
    calm_bytes bodies[BENCH_CONNECTIONS];
    struct curl_slist *headers;
    int left, flying;
    /* of the socket interface */
    int epoll, timer;
};

static void curl_begin(struct curl_client *client, const struct bench_job *job)
{
    *client = (struct curl_client){.job = job, .left = job->count};
    client->multi = curl_multi_init();
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1024L);
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    client->headers = curl_slist_append(client->headers, "Expect:");
}

static void curl_fly(struct curl_client *client)
{
    bench_url_make(client->job);
    for (int i = 0; i < BENCH_CONNECTIONS; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, bench_target.url);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &client->bodies[i]);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, &client->bodies[i]);
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L << 10);
        if (client->job->post) {
            curl_easy_setopt(
                easy, CURLOPT_POSTFIELDSIZE, (long)bench_target.posted_len);
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, bench_target.posted);
            curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client->headers);
        }
        curl_multi_add_handle(client->multi, easy);
        client->left--, client->flying++;
    }
}

/* Takes what has ended, and lets it fly again. */
static void curl_take(struct curl_client *client)
{
    CURLMsg *message;
    int rest;
    while ((message = curl_multi_info_read(client->multi, &rest))) {
        CURL *easy = message->easy_handle;
        bench_check(message->data.result ? -EIO : 0, "a request of libcurl");
        char *private;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
        calm_bytes *body = (calm_bytes *)private;
        bench_answer_parse(client->job, body->data, body->len);
        calm_bytes_reset(body);
        curl_multi_remove_handle(client->multi, easy);
        client->flying--;
        if (client->left-- > 0) {
            client->flying++;
            curl_multi_add_handle(client->multi, easy);
        } else {
            curl_easy_cleanup(easy);
        }
    }
}

static void curl_end(struct curl_client *client)
{
    curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    for (int i = 0; i < BENCH_CONNECTIONS; i++)
        calm_bytes_clear(&client->bodies[i]);
}

void bench_curl_poll(const struct bench_job *job)
{
    static struct curl_client client;
    curl_begin(&client, job);
    curl_fly(&client);
    while (client.flying > 0) {
        int running;
        curl_multi_perform(client.multi, &running);
        curl_take(&client);
        if (client.flying > 0)
            curl_multi_poll(client.multi, NULL, 0, 1000, NULL);
    }
    curl_end(&client);
}

static int on_socket(
    CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct curl_client *client = ctx;
    struct epoll_event event = {
        .events = (what & CURL_POLL_IN ? EPOLLIN : 0u) |
                  (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
        .data.fd = fd,
    };
    if (what == CURL_POLL_REMOVE)
        return epoll_ctl(client->epoll, EPOLL_CTL_DEL, fd, NULL), 0;
    epoll_ctl(client->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(client->multi, fd, client);
    return 0;
}

static int on_timer(CURLM *multi, long timeout, void *ctx)
{
    struct curl_client *client = ctx;
    client->timer = (int)timeout;
    return 0;
}

void bench_curl_socket(const struct bench_job *job)
{
    static struct curl_client client;
    struct epoll_event events[BENCH_CONNECTIONS];
    int running;
    curl_begin(&client, job);
    client.epoll = epoll_create1(0);
    client.timer = -1;
    curl_multi_setopt(client.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client.multi, CURLMOPT_SOCKETDATA, &client);
    curl_multi_setopt(client.multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client.multi, CURLMOPT_TIMERDATA, &client);
    curl_fly(&client);
    while (client.flying > 0) {
        int count =
            epoll_wait(client.epoll, events, BENCH_CONNECTIONS, client.timer);
        if (count == 0) {
            client.timer = -1;
            curl_multi_socket_action(
                client.multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        for (int i = 0; i < count; i++)
            curl_multi_socket_action(client.multi, events[i].data.fd,
                (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                    (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0),
                &running);
        curl_take(&client);
    }
    curl_end(&client);
    close(client.epoll);
}

static size_t drop(char *data, size_t size, size_t count, void *ctx)
{
    *(int64_t *)ctx += (int64_t)(size * count);
    return size * count;
}

void bench_curl_large(void *ctx, double *ret_figures)
{
    int64_t got = 0;
    bench_url_make(ctx);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, bench_target.url);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &got);
    double start = bench_clock();
    bench_check(curl_easy_perform(easy) ? -EIO : 0, "a download of libcurl");
    ret_figures[0] = (double)got / (bench_clock() - start);
    curl_easy_cleanup(easy);
}
