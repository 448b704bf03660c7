/* test_http.c - the HTTP client: requests, answers, ends of every kind
 *
 * The servers here mostly keep to the rules; test_http_hostile.c has those
 * that do not, test_http_stream.c streams and redirects.
 */
#include "http_server.h"

#include "base/fault.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static struct server server;
static calm_http *http;
static calm_http_response response;
static char url[128];

static void open_with(const calm_http_opts *opts)
{
    check_equal(calm_http_open(opts, &http), 0);
    response = (calm_http_response){0};
}

static void begin(const char *answer)
{
    server = (struct server){.answer = answer};
    server_begin(&server);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/path?secret=1", server.port);
    open_with(NULL);
}

static int end(void)
{
    calm_http_response_clear(&response);
    calm_http_close(http);
    server_end(&server);
    return 0;
}

static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                            "X-One: 1\r\nx-two:  a b \r\nX-ONE: again\r\n\r\n"
                            "hello";

static int a_get_returns_status_headers_and_body(void *arg)
{
    begin(hello);
    check_equal(calm_http_get(http, url, &response), 200);
    check_equal(response.status, 200);
    check_text(calm_bytes_text(&response.body), "hello");
    check_text(calm_http_header_get(&response, "x-one"), "1");
    check_text(calm_http_header_get(&response, "X-Two"), "a b");
    check(calm_http_header_get(&response, "X-Three") == NULL);
    check(response.sent && !response.reused);
    calm_http_header header;
    check(calm_http_header_at(&response, 3, &header));
    check_text(header.name, "X-ONE");
    check_text(header.value, "again");
    check(!calm_http_header_at(&response, 4, &header));
    check(strstr(server.request.data, "GET /path?secret=1 HTTP/1.1\r\n"));
    return end();
}

static int a_connection_is_used_again(void *arg)
{
    begin(hello);
    for (int i = 0; i < 10; i++) {
        check_equal(calm_http_get(http, url, &response), 200);
        check_equal(response.reused, i > 0);
        check_text(calm_bytes_text(&response.body), "hello");
    }
    check_equal(server.connections, 1);
    check_equal(server.requests, 10);
    return end();
}

static int json_is_posted_with_its_type(void *arg)
{
    begin(hello);
    check_equal(calm_http_post_json(http, url, "[1]", 3, &response), 200);
    check(strstr(server.request.data, "POST /path"));
    check(strstr(server.request.data, "Content-Type: application/json\r\n"));
    check(strstr(server.request.data, "Content-Length: 3\r\n"));
    check(!strstr(server.request.data, "Expect"));
    check_text(server.request.data + server.body_at, "[1]");
    return end();
}

static int a_refused_connection_says_so(void *arg)
{
    begin(hello);
    server_end(&server);
    check_equal(calm_http_get(http, url, &response), -ECONNREFUSED);
    check_contains(calm_message(-ECONNREFUSED), "GET 'http://127.0.0.1:");
    check_contains(calm_message(-ECONNREFUSED), "refused");
    check(!strstr(calm_message(-ECONNREFUSED), "secret"));
    check(!response.sent);
    calm_http_response_clear(&response);
    calm_http_close(http);
    return 0;
}

static int talk_never(struct server *at, calm_socket *socket)
{
    return calm_sleep(CALM_FOREVER) < 0;
}

static int silence_ends_a_request(void *arg)
{
    begin(NULL);
    server.talk = talk_never;
    int64_t start = calm_now();
    check_equal(calm_http_get(http, url, &response), -ETIMEDOUT);
    check_equal(ms_since(start) / 1000, 30);
    check_contains(calm_message(-ETIMEDOUT), "no byte has moved for 30 s");
    check(response.sent);
    return end();
}

static int a_scope_bounds_a_request(void *arg)
{
    begin(NULL);
    server.talk = talk_never;
    calm_timeout timeout;
    int64_t start = calm_now();
    calm_timeout_begin(&timeout, 2 * CALM_S);
    int rc = calm_http_get(http, url, &response);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal(ms_since(start), 2000);
    return end();
}

/* ---- forms of an answer ---- */

static void expect(const char *answer, int status, const char *body)
{
    begin(answer);
    check_equal(calm_http_get(http, url, &response), status);
    check_text(calm_bytes_text(&response.body), body);
    end();
}

static int answers_without_a_body_end_at_their_head(void *arg)
{
    expect("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    expect("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "");
    expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
    return 0;
}

static int a_chunked_answer_is_joined_and_its_trailer_left_out(void *arg)
{
    begin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n"
          "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Late: 1\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        check_equal(calm_http_get(http, url, &response), 200);
        check_text(calm_bytes_text(&response.body), "abcdefg");
        check_text(calm_http_header_get(&response, "X-A"), "1");
        check(calm_http_header_get(&response, "X-Late") == NULL);
    }
    check_equal(server.connections, 1);
    return end();
}

static int talk_and_close(struct server *at, calm_socket *socket)
{
    server_send(socket, at->answer);
    return 1;
}

static int an_answer_may_end_with_its_connection(void *arg)
{
    begin("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end");
    server.talk = talk_and_close;
    check_equal(calm_http_get(http, url, &response), 200);
    check_text(calm_bytes_text(&response.body), "to the end");
    check_equal(calm_http_get(http, url, &response), 200);
    check_equal(server.connections, 2);
    return end();
}

static int words_in_between_are_passed_over(void *arg)
{
    begin("HTTP/1.1 100 Continue\r\nX-A: no\r\n\r\n"
          "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
          "HTTP/1.1 200 OK\r\nX-A: yes\r\nContent-Length: 2\r\n\r\nok");
    check_equal(calm_http_get(http, url, &response), 200);
    check_text(calm_http_header_get(&response, "X-A"), "yes");
    check(calm_http_header_get(&response, "Link") == NULL);
    check_text(calm_bytes_text(&response.body), "ok");
    return end();
}

static int a_head_request_gets_headers_only(void *arg)
{
    begin("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    const calm_http_request request = {.url = url, .method = "HEAD"};
    for (int i = 0; i < 2; i++) {
        check_equal(calm_http_send(http, &request, &response), 0);
        check_text(
            calm_http_header_get(&response, "content-length"), "99999999999");
        check_equal((long long)response.body.len, 0);
    }
    check_equal(server.connections, 1);
    return end();
}

static int folded_header_lines_are_joined(void *arg)
{
    begin("HTTP/1.1 200 OK\r\nX-A: one\r\n  two\r\n\tthree\r\n"
          "Content-Length: 0\r\n\r\n");
    check_equal(calm_http_get(http, url, &response), 200);
    check_text(calm_http_header_get(&response, "X-A"), "one two three");
    return end();
}

/* "compressed" */
static const unsigned char zipped[] = {31, 139, 8, 0, 0, 0, 0, 0, 2, 255, 75,
    206, 207, 45, 40, 74, 45, 46, 78, 77, 1, 0, 30, 75, 86, 151, 10, 0, 0, 0};

static int talk_zipped(struct server *at, calm_socket *socket)
{
    char head[128];
    snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        "Content-Length: %zu\r\n\r\n",
        sizeof zipped);
    server_send(socket, head);
    return calm_socket_send(socket, zipped, sizeof zipped) < 0;
}

static int a_compressed_answer_comes_in_decoded(void *arg)
{
    begin(NULL);
    server.talk = talk_zipped;
    check_equal(calm_http_get(http, url, &response), 200);
    check_text(calm_bytes_text(&response.body), "compressed");
    check(strstr(server.request.data, "Accept-Encoding: gzip\r\n"));
    return end();
}

/* ---- what is sent ---- */

static int headers_and_method_are_sent_as_given(void *arg)
{
    begin(hello);
    const calm_http_header headers[] = {{"X-Key", "value"}, {"X-Empty", ""},
        {"Accept", "text/plain"}, {"X-Key", "twice"}};
    calm_http_request request = {.url = url,
        .method = "PUT",
        .headers = headers,
        .header_count = 4,
        .body = "ab\0c",
        .body_len = 4};
    check_equal(calm_http_send(http, &request, &response), 0);
    const char *text = server.request.data;
    check(strstr(text, "PUT /path?secret=1 HTTP/1.1\r\n"));
    check(strstr(text, "\r\nX-Key: value\r\n"));
    check(strstr(text, "\r\nX-Key: twice\r\n"));
    check(strstr(text, "\r\nX-Empty:\r\n"));
    check(strstr(text, "\r\nAccept: text/plain\r\n"));
    check(strstr(text, "\r\nUser-Agent: calm/"));
    check(!strstr(text, "Content-Type"));
    check(memcmp(text + server.body_at, "ab\0c", 4) == 0);
    /* Nothing of it is left in what the next request sends. */
    check_equal(calm_http_get(http, url, &response), 200);
    check(strstr(server.request.data, "GET /path"));
    check(!strstr(server.request.data, "X-Key"));
    check(!strstr(server.request.data, "Content-Length"));
    request = (calm_http_request){.url = url, .method = "DELETE"};
    check_equal(calm_http_send(http, &request, &response), 0);
    check(strstr(server.request.data, "DELETE /path"));
    check_equal(calm_http_get(http, url, &response), 200);
    check(strstr(server.request.data, "GET /path"));
    request = (calm_http_request){.url = url, .method = "POST"};
    check_equal(calm_http_send(http, &request, &response), 0);
    check(strstr(server.request.data, "Content-Length: 0\r\n"));
    check_equal(server.connections, 1);
    return end();
}

static void refused(calm_http_request request, const char *why)
{
    if (!request.url)
        request.url = url;
    check_equal(calm_http_send(http, &request, &response), -EINVAL);
    check_contains(calm_message(-EINVAL), why);
    check(!strstr(calm_message(-EINVAL), "s3cret"));
}

static void header_refused(const char *name, const char *value, const char *why)
{
    const calm_http_header header = {name, value};
    refused((calm_http_request){.headers = &header, .header_count = 1}, why);
}

static int what_would_break_a_request_is_refused(void *arg)
{
    begin(hello);
    header_refused("X-A", "s3cret\r\nX-B: 1", "control byte");
    header_refused("X-A", "s3cret\n", "control byte");
    header_refused("X-A", "s3cret\x7f", "control byte");
    header_refused("X-A", NULL, "control byte");
    header_refused("X A", "s3cret", "name");
    header_refused("X:", "s3cret", "name");
    header_refused("", "s3cret", "name");
    header_refused(NULL, "s3cret", "name");
    header_refused("content-length", "7", "not the caller's");
    header_refused("Transfer-Encoding", "chunked", "not the caller's");
    refused((calm_http_request){.method = "GE T"}, "method");
    refused((calm_http_request){.method = ""}, "method");
    refused((calm_http_request){.method = "GET\r\n"}, "method");
    refused((calm_http_request){.method = "HEAD", .body = "", .body_len = 1},
        "HEAD");
    refused((calm_http_request){.body_len = 3}, "length only");
    refused((calm_http_request){.url = "http://u:s3cret@h:0/"}, "port");
    refused((calm_http_request){.url = "ftp://u:s3cret@h/?s3cret"},
        "cannot request 'ftp://h/': it is neither http:// nor https://");
    refused((calm_http_request){.url = "http://h/a b"}, "space");
    refused((calm_http_request){.url = "http://h/\r\nX:?s3cret"}, "control");
    check_equal(server.connections, 0);
    return end();
}

/* ---- connections ---- */

static int talk_once_then_close(struct server *at, calm_socket *socket)
{
    server_send(socket, at->answer);
    /* Later: the client has put the connection away by then. */
    calm_sleep(CALM_MS);
    return 1;
}

static int a_connection_that_the_server_closed_is_not_used(void *arg)
{
    begin(hello);
    server.talk = talk_once_then_close;
    for (int i = 1; i <= 5; i++) {
        check_equal(calm_http_get(http, url, &response), 200);
        check_equal(server.connections, i);
        check_equal(calm_sleep(10 * CALM_MS), 0);
    }
    return end();
}

/* The second request on a connection is taken, and the connection closed. */
static int talk_every_second(struct server *at, calm_socket *socket)
{
    if (at->number++ % 2 == 1)
        return 1;
    return server_send(socket, at->answer);
}

static int a_request_that_meets_a_closing_connection_is_sent_again(void *arg)
{
    begin(hello);
    server.talk = talk_every_second;
    check_equal(calm_http_post_json(http, url, "[1]", 3, &response), 200);
    check_equal(calm_http_post_json(http, url, "[2]", 3, &response), 200);
    check_text(server.request.data + server.body_at, "[2]");
    check_equal(server.connections, 2);
    check_equal(server.requests, 3);
    check(!response.reused);
    return end();
}

static int busy, busiest;

static int talk_slowly(struct server *at, calm_socket *socket)
{
    if (++busy > busiest)
        busiest = busy;
    int rc = calm_sleep(CALM_S);
    busy--;
    return rc < 0 ? 1 : server_send(socket, at->answer);
}

static int get_task(void *arg)
{
    calm_http_response own = {0};
    int rc = calm_http_get(http, arg ? arg : url, &own);
    calm_http_response_clear(&own);
    return rc;
}

static void get_many(int count, int expected)
{
    calm_call calls[300];
    static calm_result results[300];
    for (int i = 0; i < count; i++)
        calls[i] = (calm_call){get_task, NULL};
    check_equal(calm_gather(calls, (size_t)count, results), 0);
    for (int i = 0; i < count; i++)
        check_equal(results[i].code, expected);
}

static int many_requests_run_side_by_side(void *arg)
{
    begin(hello);
    server.talk = talk_slowly;
    busy = busiest = 0;
    int64_t start = calm_now();
    get_many(100, 200);
    check_equal(busiest, 100);
    check_equal(ms_since(start) / 1000, 1);
    return end();
}

static int connections_to_a_host_are_limited(void *arg)
{
    begin(hello);
    calm_http_close(http);
    open_with(&(calm_http_opts){.per_host = 3});
    server.talk = talk_slowly;
    busy = busiest = 0;
    get_many(12, 200);
    check_equal(busiest, 3);
    check_equal(server.connections, 3);
    calm_http_close(http);
    open_with(&(calm_http_opts){.total = 4});
    busy = busiest = 0;
    get_many(12, 200);
    check_equal(busiest, 4);
    return end();
}

/* 40 seconds in the queue behind others are not silence. */
static int waiting_for_a_connection_is_no_silence(void *arg)
{
    begin(hello);
    calm_http_close(http);
    open_with(&(calm_http_opts){.per_host = 1});
    server.talk = talk_slowly;
    get_many(40, 200);
    check_equal(server.connections, 1);
    return end();
}

static int a_unix_socket_takes_the_place_of_tcp(void *arg)
{
    char path[] = "/tmp/calm-test-http-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    server = (struct server){.answer = hello};
    check_equal(calm_socket_listen_unix(path, &server.listener), 0);
    calm_group_begin(&server.group);
    calm_spawn(&server.group, server_accept, &server);
    open_with(&(calm_http_opts){.unix_path = path});
    check_equal(calm_http_get(http, "http://no.such.host/v2", &response), 200);
    check(strstr(server.request.data, "GET /v2 HTTP/1.1\r\nHost: no.such"));
    end();
    open_with(&(calm_http_opts){.unix_path = path});
    check_equal(calm_http_get(http, "http://h/", &response), -ENOENT);
    calm_http_close(http);
    return 0;
}

/* ---- names ---- */

static int localhost_is_found(void *arg)
{
    begin(hello);
    snprintf(url, sizeof url, "http://LocalHost:%d/", server.port);
    check_equal(calm_http_get(http, url, &response), 200);
    return end();
}

static int a_name_is_looked_up_on_the_pool_once(void *arg)
{
    char name[200] = "";
    calm_socket *socket = NULL;
    server = (struct server){.answer = hello};
    gethostname(name, sizeof name - 1);
    check_equal(calm_socket_listen("0.0.0.0", 0, &server.listener), 0);
    server.port = calm_socket_port(server.listener);
    calm_group_begin(&server.group);
    calm_spawn(&server.group, server_accept, &server);
    open_with(NULL);
    /* Where the machine does not know its own name there is none to try. */
    if (calm_socket_connect(name, server.port, &socket) == 0) {
        snprintf(url, sizeof url, "http://%.60s:%d/", name, server.port);
        get_many(20, 200);
        get_many(20, 200);
    } else {
        printf("this machine's name has no address: left out\n");
    }
    calm_socket_close(socket);
    return end();
}

static int an_unknown_host_says_so(void *arg)
{
    open_with(NULL);
    snprintf(url, sizeof url, "http://no-such-host.invalid:1/");
    int rc = calm_http_get(http, url, &response);
    check(rc == -ENOENT || rc == -EAGAIN);
    check_contains(calm_message(rc),
        "GET 'http://no-such-host.invalid:1/': cannot find the address of "
        "'no-such-host.invalid': ");
    check(!response.sent);
    calm_http_close(http);
    return 0;
}

static int a_cancel_does_not_wait_for_a_name(void *arg)
{
    open_with(NULL);
    snprintf(url, sizeof url, "http://no-such-host.invalid:1/");
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, get_task, NULL);
    calm_checkpoint();
    calm_checkpoint();
    calm_cancel(task);
    int result = 0;
    check_equal(calm_await(task, &result), 0);
    check(result == -ECANCELED || result == -ENOENT || result == -EAGAIN);
    check_equal(calm_group_end(&group, 0), 0);
    calm_http_close(http);
    return 0;
}

static int a_proxy_of_the_environment_is_used(void *arg)
{
    char proxy[64];
    server = (struct server){.answer = hello};
    server_begin(&server);
    snprintf(proxy, sizeof proxy, "http://u:s3cret@127.0.0.1:%d", server.port);
    setenv("http_proxy", proxy, 1);
    setenv("no_proxy", "direct.test, 127.0.0.0/8", 1);
    open_with(NULL);
    unsetenv("http_proxy");
    unsetenv("no_proxy");
    check_equal(calm_http_get(http, "http://far.invalid/x?y", &response), 200);
    check(strstr(server.request.data, "GET http://far.invalid/x?y HTTP/1.1"));
    check(strstr(server.request.data, "Proxy-Authorization: Basic "));
    snprintf(url, sizeof url, "http://127.0.0.1:%d/near", server.port);
    check_equal(calm_http_get(http, url, &response), 200);
    check(strstr(server.request.data, "GET /near HTTP/1.1"));
    server_end(&server);
    check_equal(
        calm_http_get(http, "http://far.invalid/x", &response), -ECONNREFUSED);
    check_contains(calm_message(-ECONNREFUSED), "proxy");
    check(!strstr(calm_message(-ECONNREFUSED), "s3cret"));
    calm_http_response_clear(&response);
    calm_http_close(http);
    return 0;
}

/* ---- limits of time ---- */

/* Nobody accepts, and the kernel's queue is full: a connect gets no answer. */
static int a_connection_that_does_not_come_about_is_given_up(void *arg)
{
    calm_socket *listener, *fillers[4];
    check_equal(calm_socket_listen("127.0.0.1", 0, &listener), 0);
    check_equal(listen(calm_socket_fd(listener), 0), 0);
    int filled = 0;
    for (; filled < 4; filled++) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, CALM_S);
        int rc = calm_socket_connect(
            "127.0.0.1", calm_socket_port(listener), &fillers[filled]);
        if (calm_timeout_end(&timeout, rc) < 0)
            break;
    }
    check(filled < 4);
    open_with(NULL);
    snprintf(
        url, sizeof url, "http://127.0.0.1:%d/", calm_socket_port(listener));
    int64_t start = calm_now();
    check_equal(calm_http_get(http, url, &response), -ETIMEDOUT);
    check_equal(ms_since(start), 10000);
    check_contains(calm_message(-ETIMEDOUT), "no connection within 10 s");
    check(!response.sent);
    calm_http_close(http);
    while (filled > 0)
        calm_socket_close(fillers[--filled]);
    calm_socket_close(listener);
    return 0;
}

/* A byte of the head every 20 s, and after some no more. */
static int talk_dripping(struct server *at, calm_socket *socket)
{
    for (size_t i = 0; i < (size_t)at->number; i++) {
        if (calm_sleep(20 * CALM_S) < 0)
            return 1;
        if (calm_socket_send(socket, at->answer + i, 1) < 0)
            return 1;
    }
    return calm_sleep(CALM_FOREVER) < 0;
}

static int bytes_of_a_slow_head_count(void *arg)
{
    begin(hello);
    server.talk = talk_dripping;
    server.number = 10;
    int64_t start = calm_now();
    check_equal(calm_http_get(http, url, &response), -ETIMEDOUT);
    check_equal(ms_since(start) / 1000, 10 * 20 + 30);
    server.number = (int)strlen(hello);
    check_equal(calm_http_get(http, url, &response), 200);
    return end();
}

static int silence_in_the_middle_of_a_body_ends_it(void *arg)
{
    begin(hello);
    server.talk = talk_dripping;
    server.number = (int)strlen(hello) - 2;
    check_equal(calm_http_get(http, url, &response), -ETIMEDOUT);
    check_equal(response.status, 200);
    check_equal((long long)response.body.len, 0);
    return end();
}

/* ---- the ends of a request ---- */

static int cancelled_requests_leave_nothing(void *arg)
{
    begin(NULL);
    server.talk = talk_never;
    for (int steps = 0; steps < 12; steps++) {
        calm_group group;
        calm_group_begin(&group);
        for (int i = 0; i < 5; i++)
            calm_spawn(&group, get_task, NULL);
        for (int i = 0; i < steps; i++)
            calm_checkpoint();
        calm_group_cancel(&group);
        check_equal(calm_group_end(&group, 0), 0);
    }
    server.talk = NULL;
    server.answer = hello;
    check_equal(calm_http_get(http, url, &response), 200);
    check(!response.reused);
    return end();
}

static int talk_half(struct server *at, calm_socket *socket)
{
    int rc = calm_socket_send(socket, at->answer, strlen(at->answer) - 2);
    return rc < 0 || calm_sleep(CALM_FOREVER) < 0;
}

static int a_connection_with_half_an_answer_is_not_used_again(void *arg)
{
    begin(hello);
    server.talk = talk_half;
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM_S);
    int rc = calm_http_get(http, url, &response);
    check_equal(calm_timeout_end(&timeout, rc), -ETIMEDOUT);
    check_equal((long long)response.body.len, 0);
    server.talk = NULL;
    check_equal(calm_http_get(http, url, &response), 200);
    check_equal(server.connections, 2);
    return end();
}

static int a_cancelled_task_sends_nothing(void *arg)
{
    begin(hello);
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, get_task, NULL);
    calm_cancel(task);
    int result;
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(server.connections, 0);
    return end();
}

static int closed_under_it(void *arg)
{
    check_equal(get_task(NULL), -EBADF);
    ++*(int *)arg;
    return 0;
}

static int requests_in_a_client_that_closes_return(void *arg)
{
    int returned = 0;
    begin(NULL);
    server.talk = talk_never;
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 5; i++)
        calm_spawn(&group, closed_under_it, &returned);
    check_equal(calm_sleep(CALM_S), 0);
    calm_spawn(&group, closed_under_it, &returned);
    calm_checkpoint();
    calm_http_close(http);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(returned, 6);
    server_end(&server);
    return 0;
}

static int open_and_leave(void *arg)
{
    begin(hello);
    check_equal(calm_http_get(http, url, &response), 200);
    return end();
}

static int descriptors(void)
{
    struct stat status;
    int count = 0;
    for (int fd = 0; fd < 500; fd++)
        count += fstat(fd, &status) == 0;
    return count;
}

static int a_closed_client_has_no_descriptors(void *arg)
{
    int before = descriptors();
    for (int i = 0; i < 3; i++)
        check_equal(run_virtual(open_and_leave, NULL), 0);
    check_equal(descriptors(), before);
    return 0;
}

static int idle_connections_do_not_hide_a_deadlock_main(void *arg)
{
    begin(hello);
    check_equal(calm_http_get(http, url, &response), 200);
    calm_group_cancel(&server.group);
    calm_group_end(&server.group, 0);
    calm_event never = {0};
    int rc = calm_event_wait(&never);
    calm_group_begin(&server.group);
    end();
    return rc;
}

static int idle_connections_do_not_hide_a_deadlock(void *arg)
{
    check_equal(run_virtual(idle_connections_do_not_hide_a_deadlock_main, NULL),
        -EDEADLK);
    return 0;
}

static int outside_of_a_run_there_is_no_client(void *arg)
{
    calm_http *none = NULL;
    check_equal(calm_http_open(NULL, &none), -EPERM);
    check(none == NULL);
    calm_http_close(NULL);
    return 0;
}

static int options_out_of_range_are_refused(void *arg)
{
    calm_http *none;
    check_equal(
        calm_http_open(&(calm_http_opts){.silence = -1}, &none), -EINVAL);
    check_equal(
        calm_http_open(&(calm_http_opts){.user_agent = "a\r\nX: 1"}, &none),
        -EINVAL);
    return 0;
}

/* Each thread has a server, a client and a hundred requests. */
static int thread_main(void *arg)
{
    struct server own = {.answer = hello};
    calm_http *client;
    calm_http_response answer = {0};
    char where[64];
    server_begin(&own);
    snprintf(where, sizeof where, "http://127.0.0.1:%d/", own.port);
    check_equal(calm_http_open(NULL, &client), 0);
    for (int i = 0; i < 100; i++)
        check_equal(calm_http_get(client, where, &answer), 200);
    calm_http_response_clear(&answer);
    calm_http_close(client);
    server_end(&own);
    return 0;
}

static void *thread_run(void *arg)
{
    check_equal(run_real(thread_main, NULL), 0);
    return NULL;
}

static int clients_run_in_several_threads(void *arg)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, thread_run, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* ---- JSON ---- */

static int json_comes_as_a_document(void *arg)
{
    begin("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 7 }");
    calm_json_doc *doc;
    check_equal(calm_http_get_json(http, url, &doc), 0);
    const calm_json_value *a = calm_json_get(calm_json_root(doc), "a");
    check(calm_json_number(a) == 7);
    calm_json_free(doc);
    check_equal(calm_http_post_get_json(http, url, "1", 1, &doc), 0);
    calm_json_free(doc);
    return end();
}

static void json_fails(const char *answer, int code, const char *sentence)
{
    calm_json_doc *doc;
    begin(answer);
    check_equal(calm_http_get_json(http, url, &doc), code);
    check_contains(calm_message(code), sentence);
    check(!strstr(calm_message(code), "secret"));
    end();
}

static int a_bad_status_says_what_the_server_says(void *arg)
{
    json_fails("HTTP/1.1 404 Nope\r\nContent-Length: 23\r\n\r\n"
               "{\"error\": \"no model x\"}",
        CALM_EHTTP, "/path': 404 Not Found: no model x");
    json_fails("HTTP/1.1 429 x\r\nContent-Length: 35\r\n\r\n"
               "{\"error\": {\"message\": \"too many\"} }",
        CALM_EHTTP, "429 Too Many Requests: too many");
    json_fails("HTTP/1.1 500 x\r\nContent-Length: 11\r\n\r\nfire\x1b[2J\nno",
        CALM_EHTTP, "500 Internal Server Error: fire [2J");
    json_fails("HTTP/1.1 502 x\r\nContent-Type: text/html\r\n"
               "Content-Length: 6\r\n\r\n<html>",
        CALM_EHTTP, "502 Bad Gateway");
    json_fails(
        "HTTP/1.1 299 x\r\nContent-Length: 1\r\n\r\n{", CALM_EFORMAT, "line 1");
    json_fails("HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", CALM_EFORMAT,
        "GET 'http://127.0.0.1:");
    return 0;
}

/* ---- memory ---- */

static int everything_fails_once(void *arg)
{
    for (size_t n = 1;; n++) {
        server = (struct server){.answer = hello};
        server_begin(&server);
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", server.port);
        check_equal(calm_checkpoint(), 0);
        response = (calm_http_response){0};
        calm__fault_arm(NULL, n);
        int rc = calm_http_open(NULL, &http);
        if (rc == 0) {
            calm_http_header header = {"X-A", "1"};
            rc = calm_http_send(http,
                &(calm_http_request){.url = url,
                    .headers = &header,
                    .header_count = 1,
                    .body = "x",
                    .body_len = 1},
                &response);
            calm_http_close(http);
        }
        bool over = calm__fault_disarm() < n;
        calm_http_response_clear(&response);
        server_end(&server);
        /* The server's memory fails, too, which cancels its group. */
        check(rc == 0 || rc == -ENOMEM || rc == -EMFILE || rc == -ECANCELED);
        if (over) {
            check_equal(rc, 0);
            return 0;
        }
    }
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(a_get_returns_status_headers_and_body),
        virtual_test(a_connection_is_used_again),
        virtual_test(json_is_posted_with_its_type),
        virtual_test(a_refused_connection_says_so),
        virtual_test(silence_ends_a_request),
        virtual_test(a_scope_bounds_a_request),
        virtual_test(answers_without_a_body_end_at_their_head),
        virtual_test(a_chunked_answer_is_joined_and_its_trailer_left_out),
        virtual_test(an_answer_may_end_with_its_connection),
        virtual_test(words_in_between_are_passed_over),
        virtual_test(a_head_request_gets_headers_only),
        virtual_test(folded_header_lines_are_joined),
        virtual_test(a_compressed_answer_comes_in_decoded),
        virtual_test(headers_and_method_are_sent_as_given),
        virtual_test(what_would_break_a_request_is_refused),
        virtual_test(a_connection_that_the_server_closed_is_not_used),
        virtual_test(a_request_that_meets_a_closing_connection_is_sent_again),
        virtual_test(many_requests_run_side_by_side),
        virtual_test(connections_to_a_host_are_limited),
        virtual_test(waiting_for_a_connection_is_no_silence),
        virtual_test(a_unix_socket_takes_the_place_of_tcp),
        virtual_test(localhost_is_found),
        virtual_test(a_name_is_looked_up_on_the_pool_once),
        virtual_test(an_unknown_host_says_so),
        virtual_test(a_cancel_does_not_wait_for_a_name),
        virtual_test(a_proxy_of_the_environment_is_used),
        virtual_test(a_connection_that_does_not_come_about_is_given_up),
        virtual_test(bytes_of_a_slow_head_count),
        virtual_test(silence_in_the_middle_of_a_body_ends_it),
        virtual_test(cancelled_requests_leave_nothing),
        virtual_test(a_connection_with_half_an_answer_is_not_used_again),
        virtual_test(a_cancelled_task_sends_nothing),
        virtual_test(requests_in_a_client_that_closes_return),
        plain_test(a_closed_client_has_no_descriptors),
        plain_test(idle_connections_do_not_hide_a_deadlock),
        plain_test(outside_of_a_run_there_is_no_client),
        virtual_test(options_out_of_range_are_refused),
        plain_test(clients_run_in_several_threads),
        virtual_test(json_comes_as_a_document),
        virtual_test(a_bad_status_says_what_the_server_says),
        virtual_test(everything_fails_once),
    };
    return run_list("http", tests, sizeof tests / sizeof *tests);
}
