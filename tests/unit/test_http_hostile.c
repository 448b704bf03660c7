/* test_http_hostile.c - the HTTP client against servers that break every rule
 *
 * Each must end with an error that says what it is, or with the answer, and
 * the next request must find nothing of it.
 */
#include "http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <zlib.h>

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

static const char *said;
static size_t said_len;

static int talk_said(struct server *at, calm_socket *socket)
{
    int rc = calm_socket_send(socket, said, said_len);
    return rc < 0 || !strstr(said, "Content-Length: 5\r\n");
}

static int get_said(const char *text)
{
    said = text;
    said_len = strlen(text);
    begin(talk_said);
    int rc = calm_http_get(http, url, &response);
    check(rc > 0 || strstr(calm_message(rc), "GET 'http://127.0.0.1:"));
    check(rc > 0 || !strstr(calm_message(rc), "secret"));
    return rc;
}

static void expect(const char *text, int code)
{
    check_equal(get_said(text), code);
    if (code < 0)
        check_equal((long long)response.body.len, 0);
    end();
}

static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static int what_is_no_http_is_told_apart(void *arg)
{
    expect("", -ENODATA);
    expect("SSH-2.0-OpenSSH_9.2p1 Debian\r\n", CALM_EHTTP);
    expect("\x16\x03\x01 nonsense\n", CALM_EHTTP);
    expect("HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n", CALM_EHTTP);
    expect("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", CALM_EHTTP);
    expect("HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n", CALM_EHTTP);
    return 0;
}

static int a_body_that_ends_too_early_is_no_answer(void *arg)
{
    expect("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", -ENODATA);
    expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        -ENODATA);
    expect(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        -ENODATA);
    return 0;
}

static int a_bad_chunk_is_no_answer(void *arg)
{
    int rc = get_said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "xyz\r\nhello\r\n0\r\n\r\n");
    check_equal(rc, CALM_EHTTP);
    end();
    rc = get_said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "fffffffffffffffffff\r\nhello\r\n");
    check_equal(rc, CALM_EHTTP);
    return end();
}

static int a_body_beyond_the_bound_is_refused_at_its_head(void *arg)
{
    expect(
        "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", CALM_ELIMIT);
    return 0;
}

/* Sends TEXT again and again until the client has gone. */
static int talk_forever(struct server *at, calm_socket *socket)
{
    static char block[64 << 10];
    server_send(socket, at->answer);
    size_t len = sizeof block - sizeof block % strlen(said);
    for (size_t i = 0; i < len; i++)
        block[i] = said[i % strlen(said)];
    while (calm_socket_send(socket, block, len) == 0)
        continue;
    return 1;
}

static void endless(const char *head, const char *again)
{
    begin(talk_forever);
    server.answer = head;
    said = again;
    check_equal(calm_http_get(http, url, &response), CALM_ELIMIT);
    check(response.body.capacity <= 33 << 20);
    check(response.headers.capacity <= 1 << 20);
    end();
}

static int what_never_ends_is_cut_off(void *arg)
{
    endless("HTTP/1.1 200 OK\r\n\r\n", "body without an end ");
    endless("HTTP/1.1 200 OK\r\n", "X-Header: of many\r\n");
    endless("HTTP/1.1 200 OK\r\nX-Line: ", "without an end");
    endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "5\r\nhello\r\n");
    return 0;
}

static int talk_bytes(struct server *at, calm_socket *socket)
{
    for (size_t i = 0; i < strlen(good); i++)
        if (calm_socket_send(socket, good + i, 1) < 0 || calm_sleep(CALM_S) < 0)
            return 1;
    return 0;
}

static int an_answer_may_come_byte_by_byte(void *arg)
{
    begin(talk_bytes);
    for (int i = 0; i < 2; i++) {
        check_equal(calm_http_get(http, url, &response), 200);
        check_text(calm_bytes_text(&response.body), "hello");
        check_equal(response.reused, i > 0);
        check_equal(calm_sleep(10 * CALM_S), 0);
    }
    return end();
}

/* Sends the first bytes and closes, orderly or with a reset. */
static bool resets;

static int talk_cut(struct server *at, calm_socket *socket)
{
    if (calm_socket_send(socket, good, (size_t)at->number) < 0)
        return 1;
    if (calm_sleep(CALM_MS) < 0)
        return 1;
    const struct linger linger = {.l_onoff = 1};
    if (resets)
        setsockopt(calm_socket_fd(socket), SOL_SOCKET, SO_LINGER, &linger,
            sizeof linger);
    return 1;
}

static int an_answer_cut_at_any_byte_is_never_taken_for_whole(void *arg)
{
    for (int i = 0; i < 2; i++) {
        resets = i > 0;
        begin(talk_cut);
        for (int at = 0; at <= (int)strlen(good); at++) {
            server.number = at;
            int rc = calm_http_get(http, url, &response);
            if (at == (int)strlen(good))
                check_equal(rc, 200);
            else
                check(rc == -ENODATA || rc == -ECONNRESET || rc == CALM_EHTTP);
            if (rc < 0)
                check_equal((long long)response.body.len, 0);
            if (at < 5 && resets)
                check_equal(rc, -ECONNRESET);
            if (at == 0 && !resets)
                check_equal(rc, -ENODATA);
        }
        end();
    }
    return 0;
}

/* More than was announced: the rest is not the next answer's. */
static int talk_too_much(struct server *at, calm_socket *socket)
{
    return server_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                               "helloHTTP/1.1 200 OK\r\nContent-Length: 4"
                               "\r\n\r\nevil");
}

static int what_comes_unasked_is_no_answer(void *arg)
{
    begin(talk_too_much);
    for (int i = 0; i < 3; i++) {
        check_equal(calm_http_get(http, url, &response), 200);
        check_text(calm_bytes_text(&response.body), "hello");
        check_equal(calm_sleep(CALM_S), 0);
    }
    return end();
}

static int talk_strange_gzip(struct server *at, calm_socket *socket)
{
    server_send(socket, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                        "Content-Length: 10\r\n\r\nnot gzip!!");
    return 1;
}

static int what_cannot_be_decoded_is_no_answer(void *arg)
{
    begin(talk_strange_gzip);
    check_equal(calm_http_get(http, url, &response), CALM_EHTTP);
    check_contains(calm_message(CALM_EHTTP), "decoded");
    return end();
}

/* Zeros by the megabyte, about 1000:1. Empty stored blocks would do as well,
 * but zlib is what a bomber has. */
static calm_bytes bomb;

static int talk_bomb(struct server *at, calm_socket *socket)
{
    char head[128];
    snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        "Content-Length: %zu\r\n\r\n",
        bomb.len);
    server_send(socket, head);
    return calm_socket_send(socket, bomb.data, bomb.len) < 0;
}

static void bomb_make(size_t size)
{
    static unsigned char zeros[1 << 16];
    z_stream stream = {0};
    calm_bytes_reset(&bomb);
    check_equal(calm_bytes_reserve(&bomb, size / 500 + 4096), 0);
    check_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, 0), Z_OK);
    stream.next_out = (Bytef *)bomb.data;
    stream.avail_out = (uInt)bomb.capacity;
    for (size_t done = 0; done < size; done += sizeof zeros) {
        stream.next_in = zeros;
        stream.avail_in = sizeof zeros;
        deflate(&stream, Z_NO_FLUSH);
    }
    check_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    calm_bytes_advance(&bomb, stream.total_out);
    deflateEnd(&stream);
}

static int count_body(void *ctx, const char *data, size_t len)
{
    *(size_t *)ctx += len;
    return 0;
}

static int a_bomb_is_not_decoded_to_its_end(void *arg)
{
    size_t told = 0;
    bomb_make(64 << 20);
    begin(talk_bomb);
    check_equal(calm_http_get(http, url, &response), CALM_ELIMIT);
    check_contains(calm_message(CALM_ELIMIT), "200 times");
    /* Nor where there is no other bound. */
    check_equal(calm_http_send(http,
                    &(calm_http_request){
                        .url = url, .on_body = count_body, .ctx = &told},
                    &response),
        CALM_ELIMIT);
    check(told < 20 << 20);
    /* A megabyte may be of any ratio. */
    bomb_make(1 << 20);
    check_equal(calm_http_get(http, url, &response), 200);
    check_equal((long long)response.body.len, 1 << 20);
    calm_bytes_clear(&bomb);
    return end();
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(what_is_no_http_is_told_apart),
        virtual_test(a_body_that_ends_too_early_is_no_answer),
        virtual_test(a_bad_chunk_is_no_answer),
        virtual_test(a_body_beyond_the_bound_is_refused_at_its_head),
        real_test(what_never_ends_is_cut_off),
        virtual_test(an_answer_may_come_byte_by_byte),
        virtual_test(an_answer_cut_at_any_byte_is_never_taken_for_whole),
        virtual_test(what_comes_unasked_is_no_answer),
        virtual_test(what_cannot_be_decoded_is_no_answer),
        real_test(a_bomb_is_not_decoded_to_its_end),
    };
    return run_list("http_hostile", tests, sizeof tests / sizeof *tests);
}
