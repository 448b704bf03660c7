/* http_open.c - a client is opened and closed */
#include "io/http.h"

#include "host/lifetime.h"
#include "host/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PER_HOST = 256,
    TOTAL = 1024,
    BODY_MAX = 16 << 20,
};

static int copy(const char *text, char **ret_copy)
{
    if (!text)
        return 0;
    *ret_copy = calm__alloc(strlen(text) + 1);
    if (!*ret_copy)
        return -ENOMEM;
    memcpy(*ret_copy, text, strlen(text) + 1);
    return 0;
}

static CURLcode library_ready;

static void library_open(void)
{
    library_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int multi_open(struct calm_http *client)
{
    CURLM *multi = client->multi = curl_multi_init();
    if (!multi)
        return -ENOMEM;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, calm__http_on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, calm__http_on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(
        multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)client->per_host);
    curl_multi_setopt(
        multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)client->total);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)client->total);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return 0;
}

static int client_open(struct calm_http *client, const calm_http_opts *opts)
{
    const char *ca_file =
        opts->ca_file ? opts->ca_file : getenv("SSL_CERT_FILE");
    int rc = copy(opts->unix_path, &client->unix_path);
    if (rc == 0)
        rc = copy(ca_file && *ca_file ? ca_file : NULL, &client->ca_file);
    if (rc == 0)
        rc = copy(opts->user_agent ? opts->user_agent : "calm/" CALM_VERSION,
            &client->user_agent);
    if (rc == 0)
        rc = calm__http_proxies_read(&client->proxies);
    return rc == 0 ? multi_open(client) : rc;
}

/* What is not the loop's. */
static void client_clear(struct calm_http *client)
{
    calm__http_proxies_clear(&client->proxies);
    calm_bytes_clear(&client->lines);
    free(client->sockets);
    free(client->unix_path);
    free(client->ca_file);
    free(client->user_agent);
    free(client);
}

static int opts_check(const calm_http_opts *opts)
{
    if (opts->connect_timeout < 0 || opts->silence < 0)
        return calm_fail(-EINVAL, "a limit of time is negative");
    if (opts->per_host > INT32_MAX || opts->total > INT32_MAX)
        return calm_fail(-EINVAL, "too many connections");
    if (opts->user_agent && strpbrk(opts->user_agent, "\r\n"))
        return calm_fail(-EINVAL, "the user agent has a line end in it");
    return 0;
}

static int library_check(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_open);
    if (library_ready != CURLE_OK)
        return calm_fail(-ENOMEM, "libcurl cannot be used: %s",
            curl_easy_strerror(library_ready));
    return 0;
}

int calm_http_open(const calm_http_opts *given, calm_http **ret_http)
{
    static const calm_http_opts defaults;
    const calm_http_opts *opts = given ? given : &defaults;
    int rc = opts_check(opts);
    if (rc == 0 && !calm__loop_here)
        rc = calm_fail(-EPERM, "an HTTP client was opened outside of a run");
    if (rc == 0)
        rc = library_check();
    if (rc < 0)
        return rc;
    struct calm_http *client = calm__alloc(sizeof *client);
    if (!client)
        return calm_fail(-ENOMEM, "no memory for an HTTP client");
    *client = (struct calm_http){
        .post.run = calm__http_pump,
        .holds = 1,
        .loop = calm__loop_here,
        .timer_due = CALM_FOREVER,
        .refuses = curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000,
        .connect_timeout =
            opts->connect_timeout ? opts->connect_timeout : 10 * CALM_S,
        .silence = opts->silence ? opts->silence : 30 * CALM_S,
        .body_max = opts->body_max ? opts->body_max : BODY_MAX,
        .per_host = opts->per_host ? opts->per_host : PER_HOST,
        .total = opts->total ? opts->total : TOTAL,
    };
    rc = client_open(client, opts);
    if (rc == 0)
        rc = calm__alarm_open(&client->timer, calm__http_timer_ring);
    if (rc == 0 &&
        (rc = calm__alarm_open(&client->limits, calm__http_limits_ring)) < 0)
        calm__alarm_close(&client->timer);
    if (rc < 0) {
        curl_multi_cleanup(client->multi);
        client_clear(client);
        return calm_fail(rc, "no memory for an HTTP client");
    }
    *ret_http = client;
    return 0;
}

static void pile_free(struct calm__http_handle *handle)
{
    while (handle) {
        struct calm__http_handle *next = handle->next;
        calm__http_handle_free(handle);
        handle = next;
    }
}

static void exchanges_end(struct calm_http *client)
{
    struct calm__http_exchange *exchange;
    while ((exchange = client->live_first) || (exchange = client->ask_first)) {
        calm__http_because(
            exchange, -EBADF, "the client was closed by another task");
        calm__http_end(exchange, -EBADF);
    }
}

/* Waits in flight for its sockets outlive it a little;
 * the last of them frees it. */
void calm__http_shut(struct calm_http *client)
{
    exchanges_end(client);
    calm__http_names_clear(client);
    pile_free(client->handles);
    pile_free(client->stream_handles);
    curl_multi_cleanup(client->multi);
    calm__http_sockets_forget(client);
    calm__alarm_close(&client->timer);
    calm__alarm_close(&client->limits);
    calm__http_release(client);
}

void calm__http_release(struct calm_http *client)
{
    if (--client->holds > 0)
        return;
    calm__loop_expect(client->loop, -1);
    if (client->senders == 0)
        client_clear(client);
}

void calm__http_leave(struct calm_http *client)
{
    if (--client->senders == 0 && client->holds == 0)
        client_clear(client);
}

void calm_http_close(calm_http *client)
{
    if (!client || client->closing || calm__forked())
        return;
    assert(client->loop == calm__loop_here);
    client->closing = true;
    calm__loop_expect(client->loop, 1);
    if (!client->posted)
        calm__loop_post(client->loop, &client->post);
    client->posted = true;
}
