/* http_server.c - nginx, or a small server in its place */
#include "http.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct bench_target bench_target;

/* Arrays of numbers in as many bytes as SIZE allows. */
static size_t json_write(char *text, size_t size, const char *name)
{
    size_t len = (size_t)snprintf(text, size, "{\"%s\":[", name);
    for (int i = 0; len + 40 < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s[%.4f,%.4f]",
            i ? "," : "", i / 7.0, i / 3.0);
    return len + (size_t)snprintf(text + len, size - len, "]}");
}

static void file_write(const char *name, const char *data, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bench_check(fd, name);
    bench_check(write(fd, data, len) == (ssize_t)len ? 0 : -1, name);
    close(fd);
}

void bench_server_files(void)
{
    static char data[32 << 10];
    memset(data, 'x', sizeof data);
    mkdir("http", 0777);
    file_write("http/1k", data, 1 << 10);
    file_write("http/32k", data, 32 << 10);
    size_t len = json_write(data, BENCH_POSTED, "predictions");
    file_write("http/post", data, len);
    bench_target.posted_len =
        json_write(bench_target.posted, sizeof bench_target.posted, "samples");
    int fd = open("http/1g", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bench_check(fd < 0 ? fd : ftruncate(fd, BENCH_LARGE), "http/1g");
    close(fd);
}

static int listener_open(int *ret_port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bench_check(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
    bench_check(listen(fd, 1024), "listen");
    getsockname(fd, (struct sockaddr *)&at, &len);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* A request is whole when its head is, and its 4 KiB for a POST; the answer
 * is written in one piece, as all of it fits into the kernel's buffer, but for
 * the download. */
static void own_answer(int fd, const char *request)
{
    static char answer[BENCH_ANSWER_MOST];
    char path[300], name[256] = "";
    if (sscanf(request, "%*s /%255[^ ]", name) != 1)
        return;
    snprintf(path, sizeof path, "http/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status = {0};
    fstat(file, &status);
    int len = snprintf(answer, sizeof answer,
        "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n",
        (long long)status.st_size);
    ssize_t got;
    while ((got = read(file, answer + len, sizeof answer - (size_t)len)) > 0) {
        len += (int)got;
        fcntl(fd, F_SETFL, 0);
        for (int done = 0; done < len; done += (int)got)
            if ((got = write(fd, answer + done, (size_t)(len - done))) <= 0)
                break;
        len = 0;
    }
    close(file);
}

static void own_server(int listener)
{
    static struct {
        char request[16 << 10];
        size_t len;
    } * all;
    struct epoll_event events[64], event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    all = calloc(1024, sizeof *all);
    event.data.fd = listener;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd, on = 1;
            if (fd == listener) {
                event.data.fd = fd = accept(listener, NULL, NULL);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                all[fd].len = 0;
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            char *request = all[fd].request;
            ssize_t got = read(fd, request + all[fd].len,
                sizeof all->request - all[fd].len - 1);
            if (got <= 0) {
                close(fd);
                continue;
            }
            all[fd].len += (size_t)got;
            request[all[fd].len] = '\0';
            const char *end = strstr(request, "\r\n\r\n");
            size_t body = *request == 'P' ? bench_target.posted_len : 0;
            if (!end || all[fd].len < (size_t)(end - request) + 4 + body)
                continue;
            all[fd].len = 0;
            own_answer(fd, request);
        }
    }
}

/* nginx, on the port that was free a moment ago. */
static void nginx_exec(void)
{
    char text[1500], folder[256];
    if (!getcwd(folder, sizeof folder))
        _exit(1);
    int len = snprintf(text, sizeof text,
        "daemon off;\nmaster_process off;\nworker_processes 1;\n"
        "error_log stderr crit;\npid %s/nginx.pid;\n"
        "events { worker_connections 1024; }\n"
        "http {\n  access_log off; sendfile on; tcp_nodelay on;\n"
        "  keepalive_requests 100000000; open_file_cache max=10;\n"
        "  client_body_temp_path %s/nginx-body;\n"
        "  proxy_temp_path %s/nginx-a; fastcgi_temp_path %s/nginx-b;\n"
        "  uwsgi_temp_path %s/nginx-c; scgi_temp_path %s/nginx-d;\n"
        "  server {\n    listen 127.0.0.1:%d;\n    root %s/http;\n"
        "    error_page 405 =200 $uri;\n  }\n}\n",
        folder, folder, folder, folder, folder, folder, bench_target.port,
        folder);
    file_write("nginx.conf", text, (size_t)len);
    char conf[300];
    snprintf(conf, sizeof conf, "%s/nginx.conf", folder);
    execlp("nginx", "nginx", "-e", "stderr", "-p", folder, "-c", conf, NULL);
    execl("/usr/sbin/nginx", "nginx", "-e", "stderr", "-p", folder, "-c", conf,
        NULL);
    _exit(127);
}

static bool answers(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)bench_target.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool good = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return good;
}

pid_t bench_server_start(const char *kind)
{
    int listener = listener_open(&bench_target.port);
    bool nginx = strcmp(kind, "nginx") == 0;
    if (nginx)
        close(listener);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (nginx)
            nginx_exec();
        own_server(listener);
    }
    if (!nginx)
        close(listener);
    for (int i = 0; i < 200; i++) {
        if (answers())
            return child;
        if (waitpid(child, NULL, WNOHANG) == child)
            return -1;
        usleep(10000);
    }
    return -1;
}
