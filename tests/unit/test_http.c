/* test_http.c - the HTTP client against servers of every kind */
#include "http_server.h"

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

int main(void)
{
    static const struct test tests[] = {
        virtual_test(a_get_returns_status_headers_and_body),
        virtual_test(a_connection_is_used_again),
        virtual_test(json_is_posted_with_its_type),
        virtual_test(a_refused_connection_says_so),
        virtual_test(silence_ends_a_request),
        virtual_test(a_scope_bounds_a_request),
    };
    return run_list("http", tests, sizeof tests / sizeof *tests);
}
