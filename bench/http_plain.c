/* http_plain.c - plain sockets on epoll, which do no more than they must */
#include "http.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct plain {
    int fd;
    size_t got, wanted;
    char answer[BENCH_ANSWER_MOST];
};

static size_t request_write(
    const struct bench_job *job, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size,
        "%s /%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", job->post ? "POST" : "GET",
        job->path, bench_target.port);
    if (job->post)
        return len + (size_t)snprintf(text + len, size - len,
                         "Content-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         bench_target.posted_len, bench_target.posted);
    return len + (size_t)snprintf(text + len, size - len, "\r\n");
}

/* Whether the answer is whole. */
static bool plain_read(const struct bench_job *job, struct plain *plain)
{
    ssize_t got = read(plain->fd, plain->answer + plain->got,
        sizeof plain->answer - plain->got - 1);
    bench_check(got > 0 ? 0 : -1, "the server closed");
    plain->got += (size_t)got;
    plain->answer[plain->got] = '\0';
    if (plain->wanted == 0) {
        const char *end = strstr(plain->answer, "\r\n\r\n");
        const char *length = strstr(plain->answer, "Content-Length: ");
        if (!end || !length)
            return false;
        plain->wanted =
            (size_t)(end - plain->answer) + 4 + strtoul(length + 16, NULL, 10);
        if (plain->got >= plain->wanted)
            bench_answer_parse(job, end + 4,
                plain->wanted - (size_t)(end + 4 - plain->answer));
    }
    if (plain->got < plain->wanted)
        return false;
    plain->got = plain->wanted = 0;
    return true;
}

void bench_plain(const struct bench_job *job)
{
    static struct plain all[BENCH_CONNECTIONS];
    static char request[BENCH_POSTED + 1024];
    size_t len = request_write(job, request, sizeof request);
    struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)bench_target.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event events[BENCH_CONNECTIONS];
    int epoll = epoll_create1(0), left = job->count, flying = 0, on = 1;
    for (int i = 0; i < BENCH_CONNECTIONS; i++) {
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        bench_check(
            connect(all[i].fd, (struct sockaddr *)&at, sizeof at), "connect");
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        events[0] =
            (struct epoll_event){.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &events[0]);
        left--, flying++;
        bench_check(
            write(all[i].fd, request, len) == (ssize_t)len ? 0 : -1, "write");
    }
    while (flying > 0) {
        int count = epoll_wait(epoll, events, BENCH_CONNECTIONS, -1);
        for (int i = 0; i < count; i++) {
            struct plain *plain = events[i].data.ptr;
            if (!plain_read(job, plain))
                continue;
            flying--;
            if (left-- <= 0)
                continue;
            flying++;
            bench_check(write(plain->fd, request, len) == (ssize_t)len ? 0 : -1,
                "write");
        }
    }
    for (int i = 0; i < BENCH_CONNECTIONS; i++)
        close(all[i].fd);
    close(epoll);
}
