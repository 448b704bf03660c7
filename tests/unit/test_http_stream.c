/* test_http_stream.c - bodies in pieces, and redirects */
#include "http_server.h"

static struct server server;
static calm_http *http;
static calm_http_response response;
static char url[128];

static void begin(int (*talk)(struct server *, calm_socket *))
{
    server = (struct server){.talk = talk};
    server_begin(&server);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/path?secret=1", server.port);
    check_equal(calm_http_open(NULL, &http), 0);
    response = (calm_http_response){0};
}

static int end(void)
{
    calm_http_response_clear(&response);
    calm_http_close(http);
    server_end(&server);
    return 0;
}

/* ---- answers in pieces ---- */

enum { LARGE = 24 << 20 };

static size_t sent, told, furthest;
static int64_t pause_each;
static int fail_at;

static char pattern(size_t at)
{
    return (char)('a' + at % 23);
}

static int talk_large(struct server *at, calm_socket *socket)
{
    static char block[60000];
    char head[96];
    snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: %d\r\n\r\n", LARGE);
    server_send(socket, head);
    for (sent = 0; sent < LARGE;) {
        size_t len = LARGE - sent < sizeof block ? LARGE - sent : sizeof block;
        for (size_t i = 0; i < len; i++)
            block[i] = pattern(sent + i);
        if (calm_socket_send(socket, block, len) < 0)
            return 1;
        sent += len;
        if (sent - told > furthest)
            furthest = sent - told;
    }
    return 0;
}

static int take(void *ctx, const char *data, size_t len)
{
    check_equal(response.status, 200);
    check_text(calm_http_header_get(&response, "etag"), "\"x\"");
    bool good = true;
    for (size_t i = 0; i < len; i++)
        good &= data[i] == pattern(told + i);
    check(good);
    told += len;
    if (fail_at > 0 && --fail_at == 0)
        return calm_fail(-EIO, "the disk is full of it");
    return pause_each > 0 ? calm_sleep(pause_each) : 0;
}

static int get_large(void)
{
    told = furthest = 0;
    return calm_http_send(
        http, &(calm_http_request){.url = url, .on_body = take}, &response);
}

static int a_large_answer_comes_in_pieces(void *arg)
{
    begin(talk_large);
    pause_each = 0;
    check_equal(get_large(), 0);
    check_equal((long long)told, LARGE);
    check_equal((long long)response.body.len, 0);
    check_equal(get_large(), 0);
    check(response.reused);
    return end();
}

/* What lies ahead is what the kernel's buffers take, and half a megabyte. And
 * 40 s for each piece are not the server's silence. */
static int a_slow_reader_makes_the_server_wait(void *arg)
{
    begin(talk_large);
    pause_each = 40 * CALM_S;
    check_equal(get_large(), 0);
    check_equal((long long)told, LARGE);
    check(furthest < LARGE / 2);
    return end();
}

static int what_the_reader_returns_ends_the_request(void *arg)
{
    begin(talk_large);
    pause_each = 0;
    fail_at = 3;
    check_equal(get_large(), -EIO);
    check_text(calm_message(-EIO), "the disk is full of it");
    check(told < LARGE);
    check_equal(response.status, 200);
    check_equal(get_large(), 0);
    check(!response.reused);
    return end();
}

static int get_large_task(void *arg)
{
    return get_large();
}

static int a_reader_that_sleeps_can_be_cancelled(void *arg)
{
    begin(talk_large);
    pause_each = 3600 * CALM_S;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, get_large_task, NULL);
    check_equal(calm_sleep(CALM_S), 0);
    calm_cancel(task);
    int result;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(calm_group_end(&group, 0), 0);
    pause_each = 0;
    return end();
}

static int a_client_may_close_under_a_sleeping_reader(void *arg)
{
    begin(talk_large);
    pause_each = 10 * CALM_S;
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, get_large_task, NULL);
    check_equal(calm_sleep(CALM_S), 0);
    calm_http_close(http);
    http = NULL;
    calm_shield shield;
    calm_shield_begin(&shield);
    int result;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -EBADF);
    calm_shield_end(&shield);
    check_equal(calm_group_end(&group, 0), -EBADF);
    pause_each = 0;
    return end();
}

static int talk_short(struct server *at, calm_socket *socket)
{
    server_send(socket, "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n"
                        "Content-Length: 9\r\n\r\nabcd");
    return 1;
}

static int what_came_before_the_end_is_told(void *arg)
{
    begin(talk_short);
    check_equal(get_large(), -ENODATA);
    check_equal((long long)told, 4);
    return end();
}

/* ---- requests in pieces ---- */

struct source {
    size_t size, given;
    int64_t pause;
    int code; /* at its end */
};

static ssize_t give(void *ctx, void *buffer, size_t len)
{
    struct source *source = ctx;
    if (source->pause && calm_sleep(source->pause) < 0)
        return -ECANCELED;
    size_t rest = source->size - source->given;
    if (rest == 0)
        return source->code;
    len = len < rest ? len : rest;
    len = len < 10000 ? len : 10000;
    for (size_t i = 0; i < len; i++)
        ((char *)buffer)[i] = pattern(source->given + i);
    source->given += len;
    return (ssize_t)len;
}

static int talk_taken(struct server *at, calm_socket *socket)
{
    const calm_bytes *bytes = &at->request;
    if (strstr(bytes->data, "Content-Length: ")) {
        bool good = true;
        for (size_t i = at->body_at; i < bytes->len; i++)
            good &= bytes->data[i] == pattern(i - at->body_at);
        check(good);
        at->number = (int)(bytes->len - at->body_at);
    }
    return server_send(
        socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static int put(struct source *source, size_t announced)
{
    return calm_http_send(http,
        &(calm_http_request){.url = url,
            .method = "PUT",
            .read_body = give,
            .body_len = announced,
            .ctx = source},
        &response);
}

static int a_body_of_known_size_is_sent_in_pieces(void *arg)
{
    begin(talk_taken);
    struct source source = {.size = 1234567};
    check_equal(put(&source, source.size), 0);
    check_equal(server.number, 1234567);
    check_equal(response.status, 200);
    check(strstr(server.request.data, "PUT /path"));
    return end();
}

static int a_body_of_unknown_size_is_sent_in_chunks(void *arg)
{
    begin(talk_taken);
    struct source source = {.size = 100000};
    check_equal(put(&source, 0), 0);
    check(strstr(server.request.data, "Transfer-Encoding: chunked"));
    check(!strstr(server.request.data, "Expect"));
    check(server.request.len > 100000);
    source = (struct source){.size = 0};
    check_equal(put(&source, 0), 0);
    return end();
}

static int a_slow_writer_is_no_silence(void *arg)
{
    begin(talk_taken);
    struct source source = {.size = 50000, .pause = 45 * CALM_S};
    check_equal(put(&source, source.size), 0);
    check_equal(server.number, 50000);
    return end();
}

static int a_body_of_another_size_than_announced_is_refused(void *arg)
{
    begin(talk_taken);
    struct source source = {.size = 5000};
    check_equal(put(&source, 6000), -EINVAL);
    check_contains(calm_message(-EINVAL), "shorter than the 6000 bytes");
    source = (struct source){.size = 5000};
    check_equal(put(&source, 4000), -EINVAL);
    check_contains(calm_message(-EINVAL), "longer than the 4000 bytes");
    return end();
}

static int what_the_writer_returns_ends_the_request(void *arg)
{
    begin(talk_taken);
    struct source source = {.size = 20000, .code = -EIO};
    check_equal(put(&source, 50000), -EIO);
    source = (struct source){.size = 20000, .code = -EIO};
    check_equal(put(&source, 0), -EIO);
    check_equal(server.requests, 0);
    return end();
}

/* ---- redirects ---- */

static char seen[4096];
static int other_port;

static int talk_redirects(struct server *at, calm_socket *socket)
{
    char answer[512], location[256], path[100] = "";
    const char *text = calm_bytes_text(&at->request);
    int status = 302;
    snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s\n",
        (int)strcspn(text, "\r"), text);
    if (sscanf(text, "%*s /%99[^ ?]", path) != 1)
        return 1;
    if (strncmp(path, "end", 3) == 0)
        return server_send(
            socket, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend");
    snprintf(location, sizeof location, "/end");
    if (strcmp(path, "relative/a") == 0)
        snprintf(location, sizeof location, "../end?x=1");
    else if (strcmp(path, "loop") == 0)
        snprintf(location, sizeof location, "/loop");
    else if (strcmp(path, "file") == 0)
        snprintf(location, sizeof location, "file:///etc/passwd");
    else if (strcmp(path, "bad") == 0)
        snprintf(location, sizeof location, "http://[::1/");
    else if (strcmp(path, "other") == 0)
        snprintf(
            location, sizeof location, "http://127.0.0.1:%d/end/o", other_port);
    else if (strcmp(path, "space") == 0)
        snprintf(location, sizeof location, "/end a b");
    else if (strspn(path, "0123456789") == 3)
        status = atoi(path);
    snprintf(answer, sizeof answer,
        "HTTP/1.1 %d x\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nmove",
        status, location);
    return server_send(socket, answer);
}

static int follow(calm_http_request request, const char *path)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", server.port, path);
    request.url = url;
    request.redirects = 5;
    seen[0] = '\0';
    return calm_http_send(http, &request, &response);
}

static int redirects_are_followed_when_asked(void *arg)
{
    begin(talk_redirects);
    const calm_http_request get = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%d/302", server.port);
    check_equal(calm_http_get(http, url, &response), 302);
    check_text(calm_bytes_text(&response.body), "move");
    check_equal(follow(get, "302"), 0);
    check_equal(response.status, 200);
    check_text(calm_bytes_text(&response.body), "end");
    check(calm_http_header_get(&response, "Location") == NULL);
    check_equal(follow(get, "relative/a"), 0);
    check_text(seen, "GET /relative/a HTTP/1.1\nGET /end?x=1 HTTP/1.1\n");
    check_equal(follow(get, "space"), 0);
    check_equal(response.status, 200);
    return end();
}

static int methods_change_as_browsers_do(void *arg)
{
    begin(talk_redirects);
    const calm_http_request post = {.body = "x", .body_len = 1};
    const calm_http_request head = {.method = "HEAD"};
    const calm_http_request put = {.method = "PUT", .body = "x", .body_len = 1};
    check_equal(follow(post, "301"), 0);
    check_text(seen, "POST /301 HTTP/1.1\nGET /end HTTP/1.1\n");
    check_equal(follow(post, "303"), 0);
    check_text(seen, "POST /303 HTTP/1.1\nGET /end HTTP/1.1\n");
    check(!strstr(server.request.data, "Content-Length"));
    check_equal(follow(post, "307"), 0);
    check_text(seen, "POST /307 HTTP/1.1\nPOST /end HTTP/1.1\n");
    check_text(server.request.data + server.body_at, "x");
    check_equal(follow(put, "302"), 0);
    check_text(seen, "PUT /302 HTTP/1.1\nPUT /end HTTP/1.1\n");
    check_equal(follow(put, "303"), 0);
    check_text(seen, "PUT /303 HTTP/1.1\nGET /end HTTP/1.1\n");
    check_equal(follow(post, "304"), 0);
    check_equal(response.status, 304);
    check_equal(follow(head, "404"), 0);
    check_equal(response.status, 404);
    return end();
}

static int redirects_have_bounds(void *arg)
{
    begin(talk_redirects);
    const calm_http_request get = {0};
    check_equal(follow(get, "loop"), CALM_EHTTP);
    check_contains(calm_message(CALM_EHTTP), "/loop': more than 5 redirects");
    check_equal(server.requests, 6);
    check_equal(follow(get, "file"), CALM_EHTTP);
    check_contains(calm_message(CALM_EHTTP), "neither http:// nor https://");
    check_equal(follow(get, "bad"), CALM_EHTTP);
    struct source source = {.size = 10};
    check_equal(follow(
                    (calm_http_request){
                        .method = "PUT", .read_body = give, .ctx = &source},
                    "307"),
        CALM_EHTTP);
    check_contains(calm_message(CALM_EHTTP), "cannot be sent again");
    return end();
}

static int no_secret_goes_to_another_host(void *arg)
{
    struct server other = {.talk = talk_redirects};
    begin(talk_redirects);
    server_begin(&other);
    other_port = other.port;
    const calm_http_header headers[] = {{"Authorization", "Bearer s3cret"},
        {"Cookie", "s3cret"}, {"X-Api-Key", "s3cret"}, {"Range", "bytes=3-"},
        {"If-Range", "\"e\""}, {"Accept", "a/b"}};
    const calm_http_request get = {.headers = headers, .header_count = 6};
    check_equal(follow(get, "302"), 0);
    check(strstr(server.request.data, "X-Api-Key: s3cret"));
    check_equal(follow(get, "other"), 0);
    check_equal(response.status, 200);
    check(!strstr(other.request.data, "s3cret"));
    check(strstr(other.request.data, "Range: bytes=3-\r\n"));
    check(strstr(other.request.data, "If-Range: \"e\"\r\n"));
    check(strstr(other.request.data, "Accept: a/b\r\n"));
    server_end(&other);
    return end();
}

static int count_pieces(void *ctx, const char *data, size_t len)
{
    *(size_t *)ctx += len;
    return 0;
}

static int a_redirect_is_not_told_to_the_reader(void *arg)
{
    size_t count = 0;
    begin(talk_redirects);
    check_equal(
        follow(
            (calm_http_request){.on_body = count_pieces, .ctx = &count}, "302"),
        0);
    check_equal((long long)count, 3);
    return end();
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(a_large_answer_comes_in_pieces),
        virtual_test(a_slow_reader_makes_the_server_wait),
        virtual_test(what_the_reader_returns_ends_the_request),
        virtual_test(a_reader_that_sleeps_can_be_cancelled),
        virtual_test(a_client_may_close_under_a_sleeping_reader),
        virtual_test(what_came_before_the_end_is_told),
        virtual_test(a_body_of_known_size_is_sent_in_pieces),
        virtual_test(a_body_of_unknown_size_is_sent_in_chunks),
        virtual_test(a_slow_writer_is_no_silence),
        virtual_test(a_body_of_another_size_than_announced_is_refused),
        virtual_test(what_the_writer_returns_ends_the_request),
        virtual_test(redirects_are_followed_when_asked),
        virtual_test(methods_change_as_browsers_do),
        virtual_test(redirects_have_bounds),
        virtual_test(no_secret_goes_to_another_host),
        virtual_test(a_redirect_is_not_told_to_the_reader),
    };
    return run_list("http_stream", tests, sizeof tests / sizeof *tests);
}
