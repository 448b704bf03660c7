/* test_socket.c - stream sockets: every state, every way to end */
#include "test.h"

#include "base/fault.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static calm_socket *pair[2];

static void pair_open(void)
{
    check_equal(calm_socket_pair(pair), 0);
}

static void pair_close(void)
{
    calm_socket_close(pair[0]);
    calm_socket_close(pair[1]);
}

/* ---- tasks ---- */

struct receive {
    calm_socket *socket;
    char buffer[16];
    ssize_t got;
};

static int receive(void *arg)
{
    struct receive *receive = arg;
    receive->got = calm_socket_recv(receive->socket, receive->buffer, 16);
    return 0;
}

static int send_much(void *arg)
{
    static char data[4 << 20];
    return calm_socket_send(arg, data, sizeof data);
}

static int accept_one(void *arg)
{
    calm_socket *socket = NULL;
    int rc = calm_socket_accept(arg, &socket);
    calm_socket_close(socket);
    return rc;
}

static int fd_readable(void *arg)
{
    return calm_fd_wait((int)(intptr_t)arg, CALM_FD_READABLE);
}

static int echo(void *arg)
{
    calm_socket *socket = arg;
    char buffer[4096];
    ssize_t got;
    int rc = 0;
    while (rc == 0 && (got = calm_socket_recv(socket, buffer, 4096)) > 0)
        rc = calm_socket_send(socket, buffer, (size_t)got);
    if (rc == 0 && got < 0)
        rc = (int)got;
    calm_socket_close(socket);
    return rc;
}

static int serve(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    int rc;
    calm_socket *socket;
    while ((rc = calm_socket_accept(arg, &socket)) == 0)
        if (calm_spawn(&group, echo, socket) == NULL)
            calm_socket_close(socket);
    return calm_group_end(&group, rc);
}

/* Waits until TASK does not run any more but waits. */
static void let_run(void)
{
    for (int i = 0; i < 5; i++)
        check_equal(calm_checkpoint(), 0);
}

/* ---- a pair ---- */

static int what_is_sent_is_received(void *arg)
{
    char text[8] = "";
    pair_open();
    check_equal(calm_socket_send(pair[0], "hello", 5), 0);
    check_equal(calm_socket_recv(pair[1], text, sizeof text), 5);
    check_text(text, "hello");
    check_equal(calm_socket_recv(pair[1], text, 0), 0);
    pair_close();
    return 0;
}

static int a_receive_waits_for_the_peer(void *arg)
{
    pair_open();
    struct receive waiter = {.socket = pair[1]};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, receive, &waiter);
    let_run();
    check_equal(calm_socket_send(pair[0], "late", 4), 0);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(waiter.got, 4);
    check_text(waiter.buffer, "late");
    pair_close();
    return 0;
}

static int a_cancelled_receive_leaves_the_array_and_the_bytes(void *arg)
{
    pair_open();
    struct receive first = {.socket = pair[1], .buffer = "untouched"};
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, receive, &first);
    let_run();
    calm_cancel(task);
    check_equal(calm_socket_send(pair[0], "bytes", 5), 0);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(first.got, -ECANCELED);
    check_text(first.buffer, "untouched");
    char text[16] = "";
    check_equal(calm_socket_recv(pair[1], text, sizeof text), 5);
    check_text(text, "bytes");
    check_text(first.buffer, "untouched");
    pair_close();
    return 0;
}

static int a_cancelled_task_neither_receives_nor_sends(void *arg)
{
    char byte = 'x';
    pair_open();
    calm_timeout timeout;
    check_equal(calm_socket_send(pair[0], "y", 1), 0);
    calm_timeout_begin(&timeout, 0);
    calm_socket *socket;
    check_equal(calm_socket_recv(pair[1], &byte, 1), -ECANCELED);
    check_equal(calm_socket_send(pair[1], &byte, 1), -ECANCELED);
    check_equal(calm_socket_connect("127.0.0.1", 1, &socket), -ECANCELED);
    check_equal(calm_socket_connect("localhost", 1, &socket), -ECANCELED);
    check_equal(calm_fd_wait(0, CALM_FD_READABLE), -ECANCELED);
    check_equal(calm_timeout_end(&timeout, -ECANCELED), -ETIMEDOUT);
    check_equal(byte, 'x');
    check_equal(calm_socket_recv(pair[1], &byte, 1), 1);
    check_equal(byte, 'y');
    pair_close();
    return 0;
}

static int a_second_reader_is_told_busy(void *arg)
{
    pair_open();
    struct receive waiter = {.socket = pair[1]};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, receive, &waiter);
    let_run();
    char byte;
    check_equal(calm_socket_recv(pair[1], &byte, 1), -EBUSY);
    check_contains(calm_message(-EBUSY), "another task receives from");
    check_equal(
        calm_fd_wait(calm_socket_fd(pair[1]), CALM_FD_READABLE), -EBUSY);
    check_equal(calm_socket_send(pair[1], "the other way", 13), 0);
    check_equal(calm_socket_send(pair[0], "x", 1), 0);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(waiter.got, 1);
    pair_close();
    return 0;
}

static int closing_wakes_reader_and_writer(void *arg)
{
    pair_open();
    struct receive waiter = {.socket = pair[1]};
    calm_group group;
    int sent = 0;
    calm_group_begin(&group);
    calm_spawn(&group, receive, &waiter);
    calm_task *writer = calm_spawn(&group, send_much, pair[1]);
    let_run();
    int64_t start = calm_now();
    calm_socket_close(pair[1]);
    check_equal(calm_await(writer, &sent), 0);
    check_equal(sent, -EBADF);
    check_contains(calm_message(-EBADF), "closed by another task");
    check_equal(calm_group_end(&group, 0), -EBADF);
    check_equal(waiter.got, -EBADF);
    check(ms_since(start) < 1000);
    calm_socket_close(pair[0]);
    return 0;
}

/* The number of the descriptor is used again at once: nothing of the closed
 * socket may stick to it. */
static int a_number_that_is_used_again_is_a_new_socket(void *arg)
{
    for (int i = 0; i < 100; i++) {
        pair_open();
        struct receive waiter = {.socket = pair[1]};
        calm_group group;
        calm_group_begin(&group);
        calm_spawn(&group, receive, &waiter);
        let_run();
        if (i % 2)
            calm_socket_close(pair[1]);
        else
            check_equal(calm_socket_send(pair[0], "x", 1), 0);
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(waiter.got, i % 2 ? -EBADF : 1);
        if (i % 2 == 0)
            calm_socket_close(pair[1]);
        calm_socket_close(pair[0]);
    }
    return 0;
}

static int a_cancelled_send_returns(void *arg)
{
    pair_open();
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 20 * CALM_MS);
    check_equal(calm_timeout_end(&timeout, send_much(pair[0])), -ETIMEDOUT);
    pair_close();
    return 0;
}

static int much_data_arrives_whole_in_both_directions(void *arg)
{
    pair_open();
    calm_group group;
    calm_bytes bytes[2] = {0};
    calm_group_begin(&group);
    calm_spawn(&group, send_much, pair[0]);
    calm_spawn(&group, echo, pair[1]);
    size_t left = 4 << 20;
    char *buffer = malloc(left);
    check_equal(calm_socket_recv_exactly(pair[0], buffer, left), 1);
    check_equal(calm_socket_shutdown(pair[0]), 0);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(calm_socket_recv_all(pair[0], &bytes[0], 10), 0);
    check_equal(bytes[0].len, 0);
    free(buffer);
    calm_bytes_clear(&bytes[0]);
    calm_socket_close(pair[0]);
    return 0;
}

static int after_a_half_close_the_other_direction_goes_on(void *arg)
{
    char text[8] = "";
    pair_open();
    check_equal(calm_socket_send(pair[0], "end", 3), 0);
    check_equal(calm_socket_shutdown(pair[0]), 0);
    check_equal(calm_socket_recv(pair[1], text, sizeof text), 3);
    check_equal(calm_socket_recv(pair[1], text, sizeof text), 0);
    check_equal(calm_socket_send(pair[1], "answer", 6), 0);
    check_equal(calm_socket_recv(pair[0], text, sizeof text), 6);
    check_equal(calm_socket_send(pair[0], "x", 1), -EPIPE);
    pair_close();
    return 0;
}

static int an_end_in_the_middle_is_told_from_a_clean_one(void *arg)
{
    char text[8];
    pair_open();
    check_equal(calm_socket_send(pair[0], "half", 4), 0);
    check_equal(calm_socket_shutdown(pair[0]), 0);
    check_equal(calm_socket_recv_exactly(pair[1], text, 8), -ENODATA);
    check_contains(calm_message(-ENODATA), "after 4 of 8 bytes");
    check_equal(calm_socket_recv_exactly(pair[1], text, 8), 0);
    pair_close();
    return 0;
}

static int receiving_all_keeps_its_bound(void *arg)
{
    calm_bytes bytes = {0};
    pair_open();
    check_equal(calm_socket_send(pair[0], "0123456789", 10), 0);
    check_equal(calm_socket_shutdown(pair[0]), 0);
    check_equal(calm_socket_recv_all(pair[1], &bytes, 9), CALM_ELIMIT);
    calm_bytes_clear(&bytes);
    pair_close();
    pair_open();
    check_equal(calm_socket_send(pair[0], "0123456789", 10), 0);
    check_equal(calm_socket_shutdown(pair[0]), 0);
    check_equal(calm_socket_recv_all(pair[1], &bytes, 10), 0);
    check_text(calm_bytes_text(&bytes), "0123456789");
    calm_bytes_clear(&bytes);
    pair_close();
    return 0;
}

static bool stop_yielding;

static int yield_on(void *arg)
{
    while (!stop_yielding)
        calm_checkpoint();
    return 0;
}

/* Of the processor: others may use it too, and while the two yield every
 * nanosecond of this thread is theirs. */
static int64_t time_used(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * CALM_S + used.tv_nsec;
}

static int receive_with_time(void *arg)
{
    int64_t *took = arg, start = time_used();
    char byte;
    ssize_t got = calm_socket_recv(pair[1], &byte, 1);
    *took = time_used() - start;
    return got == 1 ? 0 : -EIO;
}

static int sleep_with_time(void *arg)
{
    int64_t *took = arg, start = time_used();
    int rc = calm_sleep(5 * CALM_MS);
    *took = time_used() - start;
    check_equal(calm_socket_send(pair[0], "x", 1), 0);
    return rc;
}

static int yielding_tasks_hold_up_neither_sockets_nor_timers(void *arg)
{
    int64_t received = 0, slept = 0;
    int result = 0;
    pair_open();
    calm_group group;
    stop_yielding = false;
    calm_group_begin(&group);
    calm_spawn(&group, yield_on, NULL);
    calm_spawn(&group, yield_on, NULL);
    calm_task *receiver = calm_spawn(&group, receive_with_time, &received);
    calm_spawn(&group, sleep_with_time, &slept);
    check_equal(calm_await(receiver, &result), 0);
    check_equal(result, 0);
    stop_yielding = true;
    check_equal(calm_group_end(&group, 0), 0);
    int64_t most = (test_sanitized ? 200 : 20) * CALM_MS;
    check(slept < most);
    check(received < most);
    pair_close();
    return 0;
}

static int talk_all_the_time(void *arg)
{
    char byte = 'x';
    for (int i = 0; i < 20000; i++)
        if (calm_socket_send(pair[0], &byte, 1) < 0 ||
            calm_socket_recv(pair[1], &byte, 1) != 1)
            return -EIO;
    ++*(int *)arg;
    return 0;
}

static int a_socket_that_is_always_ready_lets_others_run(void *arg)
{
    int done = 0;
    pair_open();
    calm_group group;
    calm_group_begin(&group);
    calm_task *talker = calm_spawn(&group, talk_all_the_time, &done);
    for (int i = 0; i < 20; i++)
        check_equal(calm_checkpoint(), 0);
    check_equal(done, 0);
    calm_release(talker);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(done, 1);
    pair_close();
    return 0;
}

/* ---- descriptors ---- */

static int a_pipe_is_a_stream_too(void *arg)
{
    int ends[2];
    calm_socket *from = NULL, *to = NULL;
    calm_bytes bytes = {0};
    check_equal(pipe(ends), 0);
    check_equal(calm_socket_from_fd(ends[0], NULL, &from), 0);
    check_equal(calm_socket_from_fd(ends[1], "the kitchen", &to), 0);
    check_text(calm_socket_name(from), "a pipe");
    calm_group group;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, send_much, to);
    static char buffer[4 << 20];
    check_equal(calm_socket_recv_exactly(from, buffer, sizeof buffer), 1);
    check_equal(calm_await(task, NULL), 0);
    check_equal(calm_socket_shutdown(to), -ENOTSOCK);
    calm_socket_close(from);
    check_equal(calm_socket_send(to, "x", 1), -EPIPE);
    check_text(
        calm_message(-EPIPE), "cannot send to 'the kitchen': Broken pipe");
    calm_socket_close(to);
    calm_bytes_clear(&bytes);
    check_equal(calm_socket_from_fd(-1, NULL, &from), -EBADF);
    return calm_group_end(&group, 0);
}

static int a_raw_descriptor_is_waited_for_and_forgotten(void *arg)
{
    int ends[2], result = 0;
    check_equal(pipe(ends), 0);
    check_equal(calm_fd_wait(ends[1], CALM_FD_WRITABLE), 0);
    calm_group group;
    calm_group_begin(&group);
    calm_task *first = calm_spawn(&group, fd_readable, number(ends[0]));
    let_run();
    check_equal(calm_fd_wait(ends[0], CALM_FD_READABLE), -EBUSY);
    check_equal(write(ends[1], "x", 1), 1);
    check_equal(calm_await(first, &result), 0);
    check_equal(result, 0);
    char byte;
    check_equal(read(ends[0], &byte, 1), 1);
    first = calm_spawn(&group, fd_readable, number(ends[0]));
    let_run();
    calm_fd_forget(ends[0]);
    close(ends[0]);
    check_equal(calm_await(first, &result), 0);
    check_equal(result, -EBADF);
    calm_fd_forget(ends[1]);
    close(ends[1]);
    check_equal(calm_group_end(&group, 0), -EBADF);
    check_equal(calm_fd_wait(ends[1], CALM_FD_READABLE), -EBADF);
    check_equal(calm_fd_wait(-1, CALM_FD_READABLE), -EBADF);
    return 0;
}

/* ---- TCP ---- */

static calm_socket *listener_open(void)
{
    calm_socket *listener = NULL;
    check_equal(calm_socket_listen(NULL, 0, &listener), 0);
    check(calm_socket_port(listener) > 0);
    return listener;
}

static int a_listener_is_on_loopback_by_default(void *arg)
{
    char name[64];
    calm_socket *listener = listener_open();
    snprintf(name, sizeof name, "127.0.0.1:%d", calm_socket_port(listener));
    check_text(calm_socket_name(listener), name);
    calm_socket *second = NULL;
    check_equal(calm_socket_listen(NULL, calm_socket_port(listener), &second),
        -EADDRINUSE);
    check_contains(calm_message(-EADDRINUSE), name);
    calm_socket_close(listener);
    return 0;
}

static int connect_and_accept(const char *host, calm_socket *listener)
{
    calm_socket *client, *server;
    char text[8] = "";
    int rc = calm_socket_connect(host, calm_socket_port(listener), &client);
    if (rc < 0)
        return rc;
    check_equal(calm_socket_accept(listener, &server), 0);
    check_text(calm_socket_name(client), calm_socket_name(listener));
    check_equal(calm_socket_send(client, "hi", 2), 0);
    check_equal(calm_socket_recv(server, text, sizeof text), 2);
    calm_socket_close(server);
    check_equal(calm_socket_recv(client, text, sizeof text), 0);
    calm_socket_close(client);
    return 0;
}

static int connecting_by_number_and_by_name(void *arg)
{
    calm_socket *listener = listener_open();
    check_equal(connect_and_accept("127.0.0.1", listener), 0);
    check_equal(connect_and_accept("localhost", listener), 0);
    calm_socket_close(listener);
    return 0;
}

static int an_ipv6_address_is_shown_in_brackets(void *arg)
{
    calm_socket *listener;
    int rc = calm_socket_listen("::1", 0, &listener);
    if (rc < 0)
        return 0; /* a machine without IPv6 */
    check_contains(calm_socket_name(listener), "[::1]:");
    check_equal(connect_and_accept("::1", listener), 0);
    calm_socket_close(listener);
    return 0;
}

static int an_address_found_elsewhere_is_used(void *arg)
{
    calm_socket *listener = listener_open(), *client = NULL;
    struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)calm_socket_port(listener)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check_equal(calm_socket_connect_address(
                    (struct sockaddr *)&address, sizeof address, &client),
        0);
    calm_socket_close(client);
    check_equal(
        calm_socket_connect_address((struct sockaddr *)&address, 1, &client),
        -EINVAL);
    calm_socket_close(listener);
    return 0;
}

static int nobody_listening_is_a_refusal_with_the_address(void *arg)
{
    char sentence[128];
    calm_socket *listener = listener_open(), *client;
    int port = calm_socket_port(listener);
    calm_socket_close(listener);
    check_equal(calm_socket_connect("127.0.0.1", port, &client), -ECONNREFUSED);
    snprintf(sentence, sizeof sentence,
        "cannot connect to '127.0.0.1:%d': Connection refused", port);
    check_text(calm_message(-ECONNREFUSED), sentence);
    check_equal(calm_socket_connect("localhost", port, &client), -ECONNREFUSED);
    check_contains(calm_message(-ECONNREFUSED), "'localhost' (");
    return 0;
}

static int a_port_that_is_none_is_refused(void *arg)
{
    calm_socket *socket;
    check_equal(calm_socket_connect("127.0.0.1", 65536, &socket), -EINVAL);
    check_equal(calm_socket_connect("127.0.0.1", -1, &socket), -EINVAL);
    return 0;
}

/* ".invalid" is reserved for names that never exist; without a network the
 * name server may not answer at all. */
static int an_unknown_name_says_so(void *arg)
{
    calm_socket *socket;
    calm_timeout timeout;
    int64_t start = calm_now();
    calm_timeout_begin(&timeout, 2 * CALM_S);
    int rc = calm_timeout_end(
        &timeout, calm_socket_connect("calm.invalid", 80, &socket));
    check(rc == -ENOENT || rc == -EAGAIN || rc == -ETIMEDOUT);
    if (rc != -ETIMEDOUT)
        check_contains(calm_message(rc), "'calm.invalid'");
    check(ms_since(start) < 3000);
    return 0;
}

static int look_up(void *arg)
{
    calm_socket *socket = NULL;
    int rc = calm_socket_connect("localhost", 1, &socket);
    calm_socket_close(socket);
    return rc;
}

static int a_look_up_is_cancelled_in_every_state(void *arg)
{
    for (int steps = 0; steps < 20; steps++) {
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, look_up, NULL);
        for (int i = 0; i < steps; i++)
            calm_checkpoint();
        int result = 0;
        calm_cancel(task);
        check_equal(calm_await(task, &result), 0);
        check(result == -ECANCELED || result == -ECONNREFUSED);
        int rc = calm_group_end(&group, 0);
        check(rc == 0 || rc == -ECONNREFUSED);
    }
    return 0;
}

/* A backlog of 0 holds one connection; the next one's first packet is dropped
 * and the connect waits. */
static int a_connect_that_nobody_answers_ends_by_its_scope(void *arg)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    check_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    check_equal(listen(fd, 0), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    calm_socket *sockets[8] = {0};
    int rc = 0, count = 0;
    int64_t start = calm_now();
    while (rc == 0 && count < 8) {
        calm_timeout timeout;
        calm_timeout_begin(&timeout, 50 * CALM_MS);
        rc = calm_timeout_end(
            &timeout, calm_socket_connect("127.0.0.1", ntohs(address.sin_port),
                          &sockets[count]));
        count += rc == 0;
    }
    check_equal(rc, -ETIMEDOUT);
    check(ms_since(start) < 2000);
    for (int i = 0; i < count; i++)
        calm_socket_close(sockets[i]);
    close(fd);
    return 0;
}

static int an_accept_is_cancelled_and_loses_no_connection(void *arg)
{
    calm_socket *listener = listener_open(), *client, *server;
    calm_group group;
    int result = 0;
    calm_group_begin(&group);
    calm_task *task = calm_spawn(&group, accept_one, listener);
    let_run();
    calm_cancel(task);
    check_equal(
        calm_socket_connect("127.0.0.1", calm_socket_port(listener), &client),
        0);
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -ECANCELED);
    check_equal(calm_socket_accept(listener, &server), 0);
    calm_socket_close(server);
    calm_socket_close(client);
    task = calm_spawn(&group, accept_one, listener);
    let_run();
    calm_socket_close(listener);
    check_equal(calm_await(task, &result), 0);
    check_equal(result, -EBADF);
    check_equal(calm_group_end(&group, 0), -EBADF);
    return 0;
}

static int a_reset_by_the_peer_is_told_with_its_address(void *arg)
{
    calm_socket *listener = listener_open(), *client, *server;
    check_equal(
        calm_socket_connect("127.0.0.1", calm_socket_port(listener), &client),
        0);
    check_equal(calm_socket_accept(listener, &server), 0);
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(
        calm_socket_fd(server), SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    struct receive waiter = {.socket = client};
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, receive, &waiter);
    let_run();
    calm_socket_close(server);
    check_equal(calm_group_end(&group, 0), 0);
    check_equal(waiter.got, -ECONNRESET);
    check_equal(calm_socket_send(client, "x", 1), -EPIPE);
    check_contains(calm_message(-EPIPE), calm_socket_name(listener));
    calm_socket_close(client);
    calm_socket_close(listener);
    return 0;
}

static int without_descriptors_the_connection_waits(void *arg)
{
    calm_socket *listener = listener_open(), *client, *server;
    check_equal(
        calm_socket_connect("127.0.0.1", calm_socket_port(listener), &client),
        0);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    check_equal(calm_socket_accept(listener, &server), -EMFILE);
    check_contains(calm_message(-EMFILE), "ulimit -n");
    setrlimit(RLIMIT_NOFILE, &before);
    check_equal(calm_socket_accept(listener, &server), 0);
    calm_socket_close(server);
    calm_socket_close(client);
    calm_socket_close(listener);
    return 0;
}

/* Each failure of the allocator in turn leaves nothing behind; the sanitizer
 * and the count of descriptors look. */
static int without_memory_nothing_leaks(void *arg)
{
    calm_socket *listener = listener_open();
    int before = open_descriptors();
    for (size_t nth = 1; nth < 6; nth++) {
        calm_socket *client = NULL, *server = NULL;
        calm__fault_arm("memory", nth);
        int rc = calm_socket_connect(
            "localhost", calm_socket_port(listener), &client);
        if (rc == 0)
            rc = calm_socket_accept(listener, &server);
        calm__fault_disarm();
        check(rc == 0 || rc == -ENOMEM);
        calm_socket_close(client);
        calm_socket_close(server);
        while (client && !server) {
            check_equal(calm_socket_accept(listener, &server), 0);
            calm_socket_close(server);
        }
    }
    check_equal(open_descriptors(), before);
    calm_socket_close(listener);
    return 0;
}

enum { CONNECTIONS = 1000 };

static int ask(void *arg)
{
    char text[16], answer[16] = "";
    static int counter;
    calm_socket *socket;
    int rc = calm_socket_connect("127.0.0.1", *(int *)arg, &socket);
    if (rc < 0)
        return rc;
    int len =
        snprintf(text, sizeof text, "question %d", counter++ % CONNECTIONS);
    for (int i = 0; rc >= 0 && i < 3; i++) {
        rc = calm_socket_send(socket, text, (size_t)len);
        if (rc == 0)
            rc = calm_socket_recv_exactly(socket, answer, (size_t)len);
        check(rc == 1 && memcmp(text, answer, (size_t)len) == 0);
    }
    calm_socket_close(socket);
    return rc < 0 ? rc : 0;
}

static int a_thousand_connections_echo(void *arg)
{
    calm_socket *listener = listener_open();
    int before = open_descriptors(), port = calm_socket_port(listener);
    calm_group server, clients;
    calm_group_begin(&server);
    calm_task *serving = calm_spawn(&server, serve, listener);
    calm_group_begin(&clients);
    for (int i = 0; i < CONNECTIONS; i++)
        calm_spawn(&clients, ask, &port);
    check_equal(calm_group_end(&clients, 0), 0);
    calm_cancel(serving);
    check_equal(calm_group_end(&server, 0), 0);
    check_equal(open_descriptors(), before);
    calm_socket_close(listener);
    return 0;
}

/* ---- Unix sockets ---- */

static int a_unix_socket_lives_as_long_as_its_listener(void *arg)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/calm-test-%d", (int)getpid());
    calm_socket *listener, *second, *client, *server;
    check_equal(calm_socket_listen_unix(path, &listener), 0);
    check_equal(calm_socket_listen_unix(path, &second), -EADDRINUSE);
    check_equal(calm_socket_port(listener), 0);
    check_equal(calm_socket_connect_unix(path, &client), 0);
    check_text(calm_socket_name(client), path);
    check_equal(calm_socket_accept(listener, &server), 0);
    calm_socket_close(server);
    calm_socket_close(client);
    calm_socket_close(listener);
    check_equal(access(path, F_OK), -1);
    check_equal(calm_socket_connect_unix(path, &client), -ENOENT);
    check_contains(calm_message(-ENOENT), path);
    return 0;
}

static int a_left_over_unix_socket_is_replaced_but_no_file_is(void *arg)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/calm-test-%d", (int)getpid());
    struct sockaddr_un {
        sa_family_t family;
        char path[108];
    } address = {.family = AF_UNIX};
    strcpy(address.path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    check_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    calm_socket *listener;
    check_equal(calm_socket_listen_unix(path, &listener), 0);
    calm_socket_close(listener);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    check_equal(calm_socket_listen_unix(path, &listener), -EADDRINUSE);
    check_equal(access(path, F_OK), 0);
    unlink(path);
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[199] = '\0';
    check_equal(calm_socket_listen_unix(longer, &listener), -ENAMETOOLONG);
    check_equal(calm_socket_connect_unix("", &listener), -EINVAL);
    return 0;
}

static int connect_unix(void *arg)
{
    calm_socket *client;
    int rc = calm_socket_connect_unix(arg, &client);
    if (rc == 0)
        calm_socket_close(client);
    return rc;
}

static int a_busy_unix_listener_is_asked_again(void *arg)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/calm-test-%d", (int)getpid());
    calm_socket *listener, *server;
    check_equal(calm_socket_listen_unix(path, &listener), 0);
    listen(calm_socket_fd(listener), 0);
    calm_group group;
    calm_group_begin(&group);
    for (int i = 0; i < 5; i++)
        calm_spawn(&group, connect_unix, path);
    check_equal(calm_sleep(10 * CALM_MS), 0);
    check(calm_group_size(&group) > 0);
    for (int i = 0; i < 5; i++) {
        check_equal(calm_socket_accept(listener, &server), 0);
        calm_socket_close(server);
    }
    check_equal(calm_group_end(&group, 0), 0);
    calm_socket_close(listener);
    return 0;
}

static int every_call_outside_of_a_run_fails_cleanly(void *arg)
{
    char byte;
    calm_socket *socket = NULL;
    check_equal(calm_socket_connect("127.0.0.1", 1, &socket), -EPERM);
    check_equal(calm_socket_pair(pair), 0);
    check_equal(calm_socket_recv(pair[0], &byte, 1), -EPERM);
    check_equal(calm_socket_send(pair[0], &byte, 1), -EPERM);
    check_equal(calm_fd_wait(0, CALM_FD_READABLE), -EPERM);
    pair_close();
    calm_socket_close(NULL);
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(what_is_sent_is_received),
        real_test(a_receive_waits_for_the_peer),
        real_test(a_cancelled_receive_leaves_the_array_and_the_bytes),
        real_test(a_cancelled_task_neither_receives_nor_sends),
        real_test(a_second_reader_is_told_busy),
        real_test(closing_wakes_reader_and_writer),
        real_test(a_number_that_is_used_again_is_a_new_socket),
        virtual_test(a_cancelled_send_returns),
        real_test(much_data_arrives_whole_in_both_directions),
        real_test(after_a_half_close_the_other_direction_goes_on),
        real_test(an_end_in_the_middle_is_told_from_a_clean_one),
        real_test(receiving_all_keeps_its_bound),
        real_test(yielding_tasks_hold_up_neither_sockets_nor_timers),
        real_test(a_socket_that_is_always_ready_lets_others_run),
        real_test(a_pipe_is_a_stream_too),
        real_test(a_raw_descriptor_is_waited_for_and_forgotten),
        real_test(a_listener_is_on_loopback_by_default),
        real_test(connecting_by_number_and_by_name),
        real_test(an_ipv6_address_is_shown_in_brackets),
        real_test(an_address_found_elsewhere_is_used),
        real_test(nobody_listening_is_a_refusal_with_the_address),
        real_test(a_port_that_is_none_is_refused),
        real_test(an_unknown_name_says_so),
        real_test(a_look_up_is_cancelled_in_every_state),
        real_test(a_connect_that_nobody_answers_ends_by_its_scope),
        real_test(an_accept_is_cancelled_and_loses_no_connection),
        real_test(a_reset_by_the_peer_is_told_with_its_address),
        real_test(without_descriptors_the_connection_waits),
        real_test(without_memory_nothing_leaks),
        real_test(a_thousand_connections_echo),
        real_test(a_unix_socket_lives_as_long_as_its_listener),
        real_test(a_left_over_unix_socket_is_replaced_but_no_file_is),
        real_test(a_busy_unix_listener_is_asked_again),
        plain_test(every_call_outside_of_a_run_fails_cleanly),
    };
    return run_list("socket", tests, sizeof tests / sizeof *tests);
}
