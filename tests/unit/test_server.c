/* test_server.c - a server with clients that are slow, greedy or gone
 *
 * Clients are bare sockets of the same run, so that with the virtual clock
 * minutes of waiting take no time. */
#include "base/fault.h"
#include "test.h"

#include <calm/server.h>

/* A server that runs beside the test. */
struct running {
    calm_server *server;
    calm_group group;
    calm_task *task;
};

static int serve(void *arg)
{
    struct running *running = arg;
    int rc = calm_server_run(running->server);
    return rc == -ECANCELED ? 0 : rc;
}

static bool start(
    struct running *running, calm_handler *handler, calm_server_opts opts)
{
    opts.handler = handler;
    calm_group_begin(&running->group);
    int rc = calm_server_open(&opts, &running->server);
    if (rc == -ENOSYS || !check_equal(rc, 0)) {
        (void)calm_group_end(&running->group, 0);
        return false;
    }
    running->task = calm_spawn(&running->group, serve, running);
    return true;
}

static void stop(struct running *running)
{
    calm_cancel(running->task);
    check_equal(calm_group_end(&running->group, 0), 0);
    check_equal((long long)calm_server_requests(running->server), 0);
    calm_server_close(running->server);
}

static calm_socket *dial(const struct running *running)
{
    calm_socket *socket = NULL;
    check_equal(calm_socket_connect(
                    "127.0.0.1", calm_server_port(running->server), &socket),
        0);
    return socket;
}

static void say(calm_socket *socket, const char *text)
{
    check_equal(calm_socket_send(socket, text, strlen(text)), 0);
}

/* All that comes until the end, and after how many seconds. */
static int64_t hear(calm_socket *socket, calm_bytes *bytes)
{
    int64_t start = calm_now();
    calm_bytes_reset(bytes);
    int rc = calm_socket_recv_all(socket, bytes, 1 << 20);
    check(rc == 0 || rc == -ECONNRESET);
    return (calm_now() - start + CALM_S / 2) / CALM_S;
}

/* Says one request and hears the answer; tells after how many seconds. */
static int64_t ask(
    const struct running *running, const char *request, calm_bytes *answer)
{
    calm_socket *socket = dial(running);
    say(socket, request);
    int64_t seconds = hear(socket, answer);
    calm_socket_close(socket);
    return seconds;
}

#define GET(path)                                                              \
    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static int echo(calm_request *request, void *ctx)
{
    size_t len;
    calm_bytes text = {0};
    const char *header = calm_request_header(request, "X-Test");
    const char *body = calm_request_body(request, &len);
    int rc = calm_bytes_printf(&text, "%s %s ?%s [%s] %.*s",
        calm_request_method(request), calm_request_path(request),
        calm_request_query(request), header ? header : "", (int)len, body);
    if (rc == 0)
        rc = calm_respond_header(request, "X-Answer", "yes");
    if (rc == 0)
        rc = calm_respond_bytes(request, 201, "text/plain", &text);
    calm_bytes_clear(&text);
    return rc;
}

static int a_handler_sees_the_request_and_leaves_an_answer(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, echo, (calm_server_opts){0}))
        return 0;
    ask(&running,
        "POST /a%2Fb/c?d=e HTTP/1.1\r\nHost: x\r\nx-test: t\r\n"
        "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 201 Created\r\n");
    check_contains(calm_bytes_text(&answer), "X-Answer: yes\r\n");
    check_contains(calm_bytes_text(&answer), "POST /a%2Fb/c ?d=e [t] hello");
    ask(&running, "GET http://other/x HTTP/1.0\r\n\r\n", &answer);
    check_contains(calm_bytes_text(&answer), "GET /x ? [] ");
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

static int fail(calm_request *request, void *ctx)
{
    check_equal(calm_respond(request, 99, NULL, NULL, 0), -EINVAL);
    check_equal(calm_respond_header(request, "A b", "c"), -EINVAL);
    check_equal(calm_respond_header(request, "A", "b\r\nC: d"), -EINVAL);
    if (strcmp(calm_request_path(request), "/nothing") == 0)
        return 0;
    return calm_fail(-EIO, "the disk is gone");
}

static int a_handler_that_fails_is_answered_for(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, fail, (calm_server_opts){0}))
        return 0;
    ask(&running, GET("/"), &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 500 ");
    check_contains(calm_bytes_text(&answer), "the disk is gone");
    ask(&running, GET("/nothing"), &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 204 ");
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

/* Sends a byte every second, as long as anybody listens. */
static int trickle(void *arg)
{
    calm_socket *socket = arg;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 1000; i++) {
        rc = calm_sleep(1 * CALM_S);
        if (rc == 0)
            rc = calm_socket_send(socket, "a", 1);
    }
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

/* How long a client that trickles after BEGIN is listened to. */
static int64_t patience(
    const struct running *running, const char *begin, calm_bytes *answer)
{
    calm_group group;
    calm_socket *socket = dial(running);
    say(socket, begin);
    calm_group_begin(&group);
    calm_spawn(&group, trickle, socket);
    int64_t seconds = hear(socket, answer);
    calm_group_cancel(&group);
    (void)calm_group_end(&group, 0);
    calm_socket_close(socket);
    return seconds;
}

static int clients_that_trickle_are_cut_off(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, echo, (calm_server_opts){0}))
        return 0;
    check_equal(patience(&running, "GET / HTTP/1.1\r\nA: ", &answer), 10);
    check_equal((long long)answer.len, 0);
    check_equal(patience(&running,
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999"
                    "\r\n\r\n",
                    &answer),
        60);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 408 ");
    check_equal(
        patience(&running,
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nB:", &answer),
        10);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 201 ");
    calm_socket *idle = dial(&running);
    check_equal(hear(idle, &answer), 10);
    calm_socket_close(idle);
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

static int sixteen_megabytes(calm_request *request, void *ctx)
{
    calm_bytes body = {0};
    int rc = calm_bytes_reserve(&body, 16 << 20);
    if (rc == 0) {
        memset(body.data, 'x', 16 << 20);
        calm_bytes_advance(&body, 16 << 20);
        rc = calm_respond_bytes(request, 200, NULL, &body);
    }
    calm_bytes_clear(&body);
    return rc;
}

static int clients_that_do_not_read_are_cut_off(void *arg)
{
    struct running running;
    if (!start(&running, sixteen_megabytes, (calm_server_opts){0}))
        return 0;
    calm_socket *socket = dial(&running);
    say(socket, GET("/"));
    check_equal(calm_sleep(59 * CALM_S), 0);
    check_equal((long long)calm_server_requests(running.server), 1);
    check_equal(calm_sleep(3 * CALM_S), 0);
    check_equal((long long)calm_server_connections(running.server), 0);
    calm_socket_close(socket);
    stop(&running);
    return 0;
}

static int bodies_beyond_the_bounds_are_refused(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, echo,
            (calm_server_opts){.body_most = 10, .bodies_most = 12}))
        return 0;
    ask(&running,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 413 ");
    calm_socket *holder = dial(&running);
    say(holder, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                "Content-Length: 10\r\n\r\n12345678");
    check_equal(calm_sleep(1 * CALM_S), 0);
    ask(&running,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n12345678",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 503 ");
    say(holder, "90");
    hear(holder, &answer);
    check_contains(calm_bytes_text(&answer), "1234567890");
    calm_socket_close(holder);
    ask(&running,
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Length: 8\r\n\r\n12345678",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 201 ");
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

static int connections_beyond_the_limit_wait(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, echo, (calm_server_opts){.connections_most = 2}))
        return 0;
    calm_socket *first = dial(&running), *second = dial(&running);
    calm_socket *third = dial(&running);
    say(third, GET("/"));
    check_equal(calm_sleep(1 * CALM_S), 0);
    check_equal((long long)calm_server_connections(running.server), 2);
    calm_socket_close(first);
    hear(third, &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 201 ");
    calm_socket_close(second);
    calm_socket_close(third);
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

/* Waits as many seconds as the path says. */
static int wait_seconds(calm_request *request, void *ctx)
{
    int rc = calm_sleep(atol(calm_request_path(request) + 1) * CALM_S);
    return rc < 0 ? rc : calm_respond(request, 200, NULL, "done", 4);
}

static int the_end_waits_for_what_has_begun(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, wait_seconds, (calm_server_opts){0}))
        return 0;
    calm_socket *quick = dial(&running), *long_one = dial(&running);
    say(quick, "GET /5 HTTP/1.1\r\nHost: x\r\n\r\n");
    say(long_one, "GET /3600 HTTP/1.1\r\nHost: x\r\n\r\n");
    check_equal(calm_sleep(1 * CALM_S), 0);
    check(!calm_server_draining(running.server));
    int64_t start = calm_now();
    calm_cancel(running.task);
    check_equal(hear(quick, &answer), 4);
    check(calm_server_draining(running.server));
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 200 ");
    check_contains(calm_bytes_text(&answer), "Connection: close");
    hear(long_one, &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 503 ");
    check_equal(ms_since(start), 10000);
    calm_socket_close(quick);
    calm_socket_close(long_one);
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

/* Every allocation of calm's own fails once; the server lives on. */
static int without_memory_a_client_loses_its_connection(void *arg)
{
    for (size_t nth = 1; nth <= 12; nth++) {
        struct running running;
        calm_bytes answer = {0};
        if (!start(&running, echo, (calm_server_opts){0}))
            return 0;
        calm_socket *socket = dial(&running);
        check_equal(calm_checkpoint(), 0);
        calm__fault_arm("memory", nth);
        say(socket, GET("/one"));
        hear(socket, &answer);
        calm__fault_disarm();
        calm_socket_close(socket);
        ask(&running, GET("/two"), &answer);
        check_contains(calm_bytes_text(&answer), "GET /two ? [] ");
        calm_bytes_clear(&answer);
        stop(&running);
    }
    return 0;
}

/* Asks at once for answers that take a while, of which one cannot have a task
 * or a stack. Returns how many were told so; the others must be served. */
static size_t refused_of_many(const struct running *running, const char *point)
{
    calm_socket *sockets[64];
    calm_bytes answer = {0};
    size_t refused = 0;
    for (size_t i = 0; i < 64; i++)
        sockets[i] = dial(running);
    check_equal(calm_sleep(1 * CALM_S), 0);
    if (point)
        calm__fault_arm(point, 1);
    for (size_t i = 0; i < 64; i++)
        say(sockets[i], GET("/20"));
    for (size_t i = 0; i < 64; i++) {
        hear(sockets[i], &answer);
        const char *text = calm_bytes_text(&answer);
        bool was_refused = strncmp(text, "HTTP/1.1 503 ", 13) == 0;
        refused += was_refused;
        check_contains(
            text, was_refused ? "no memory for the request" : "HTTP/1.1 200 ");
        calm_socket_close(sockets[i]);
    }
    calm__fault_disarm();
    calm_bytes_clear(&answer);
    return refused;
}

static int without_memory_for_a_handler_the_others_go_on(void *arg)
{
    /* Stacks are asked for while there are none to be used again. */
    static const char *const points[] = {"stack", "spawn"};
    for (size_t i = 0; i < 2; i++) {
        struct running running;
        if (!start(&running, wait_seconds, (calm_server_opts){0}))
            return 0;
        check_equal((long long)refused_of_many(&running, points[i]), 1);
        check_equal((long long)refused_of_many(&running, NULL), 0);
        stop(&running);
    }
    return 0;
}

static int doorkeeper(calm_request *request, void *ctx)
{
    size_t len;
    calm_request_body(request, &len);
    check_equal((long long)len, 0);
    if (calm_request_header(request, "X-Key"))
        return calm_respond_header(request, "X-Seen", "yes");
    if (strcmp(calm_request_path(request), "/broken") == 0)
        return calm_fail(-EIO, "the door is stuck");
    if (strcmp(calm_request_path(request), "/quiet") == 0)
        return 1;
    int rc = calm_respond_header(request, "WWW-Authenticate", "Key");
    if (rc == 0)
        rc = calm_respond(request, 401, "text/plain", "no\n", 3);
    return rc < 0 ? rc : 1;
}

static int a_head_can_be_refused_before_its_body(void *arg)
{
    struct running running;
    calm_bytes answer = {0};
    if (!start(&running, echo, (calm_server_opts){.head = doorkeeper}))
        return 0;
    /* The answer is there although no byte of the body was ever sent. */
    check_equal(ask(&running,
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999"
                    "\r\n\r\n",
                    &answer),
        0);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 401 ");
    check_contains(calm_bytes_text(&answer), "WWW-Authenticate: Key\r\n");
    check_contains(calm_bytes_text(&answer), "Connection: close\r\n");
    check_contains(calm_bytes_text(&answer), "\r\n\r\nno\n");
    check_equal(ask(&running,
                    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"
                    "\r\n\r\n",
                    &answer),
        0);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 401 ");
    ask(&running,
        "POST /broken HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 500 ");
    check_contains(calm_bytes_text(&answer), "the door is stuck");
    ask(&running,
        "HEAD /broken HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 500 ");
    check(!strstr(calm_bytes_text(&answer), "the door is stuck"));
    ask(&running,
        "POST /quiet HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 204 No Content\r\n");
    check(!strstr(calm_bytes_text(&answer), "Content-Length"));
    /* Without a body the connection lives on, and the key opens. */
    ask(&running,
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /in HTTP/1.1\r\nHost: x\r\nX-Key: k\r\nConnection: close\r\n"
        "Content-Length: 5\r\n\r\nhello",
        &answer);
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 401 ");
    check_contains(calm_bytes_text(&answer), "HTTP/1.1 201 ");
    check_contains(calm_bytes_text(&answer), "X-Seen: yes\r\n");
    check_contains(calm_bytes_text(&answer), "POST /in ? [] hello");
    calm_bytes_clear(&answer);
    stop(&running);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(a_handler_sees_the_request_and_leaves_an_answer),
        real_test(a_handler_that_fails_is_answered_for),
        virtual_test(clients_that_trickle_are_cut_off),
        virtual_test(clients_that_do_not_read_are_cut_off),
        virtual_test(bodies_beyond_the_bounds_are_refused),
        virtual_test(connections_beyond_the_limit_wait),
        virtual_test(the_end_waits_for_what_has_begun),
        real_test(without_memory_a_client_loses_its_connection),
        virtual_test(without_memory_for_a_handler_the_others_go_on),
        virtual_test(a_head_can_be_refused_before_its_body),
    };
    return run_list("server", tests, sizeof tests / sizeof *tests);
}
