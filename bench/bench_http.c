/* bench_http.c - many small requests on kept connections, and one download
 *
 * 64 requests are in flight at any time, against nginx where it is installed,
 * else against a small server of this file, in a process of its own. Clients
 * are calm, libcurl's multi interface as its examples drive it, once by its
 * poll and once by its socket interface, and plain sockets on epoll that do no
 * more than they must: the floor. All meet the same server, by turns. Figures
 * are requests a second, and the client's CPU for each.
 */
#include "bench.h"

#include <calm.h>

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CONNECTIONS = 64,
    ANSWER_MOST = 256 << 10,
    POSTED = 4 << 10,
};
static const int64_t LARGE = INT64_C(1) << 30;

/* ---- what is asked ---- */

struct job {
    const char *path;
    bool post; /* 4 KiB of JSON, and the answer is parsed */
    int count;
};

static int port;
static char posted[POSTED + 1], url[256];
static size_t posted_len;

static void url_make(const struct job *job)
{
    snprintf(url, sizeof url, "http://127.0.0.1:%d/%s", port, job->path);
}

static void answer_parse(const struct job *job, const char *text, size_t len)
{
    calm_json_doc *doc;
    if (!job->post)
        return;
    bench_check(calm_json_parse(text, len, NULL, &doc), "the answer");
    calm_json_free(doc);
}

/* Arrays of numbers in as many bytes as SIZE allows. */
static size_t json_write(char *text, size_t size, const char *name)
{
    size_t len = (size_t)snprintf(text, size, "{\"%s\":[", name);
    for (int i = 0; len + 40 < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s[%.4f,%.4f]",
            i ? "," : "", i / 7.0, i / 3.0);
    return len + (size_t)snprintf(text + len, size - len, "]}");
}

/* ---- the server ---- */

static void file_write(const char *name, const char *data, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bench_check(fd, name);
    bench_check(write(fd, data, len) == (ssize_t)len ? 0 : -1, name);
    close(fd);
}

static void files_make(void)
{
    static char data[32 << 10];
    memset(data, 'x', sizeof data);
    mkdir("http", 0777);
    file_write("http/1k", data, 1 << 10);
    file_write("http/32k", data, 32 << 10);
    size_t len = json_write(data, POSTED, "predictions");
    file_write("http/post", data, len);
    posted_len = json_write(posted, sizeof posted, "samples");
    int fd = open("http/1g", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bench_check(fd < 0 ? fd : ftruncate(fd, LARGE), "http/1g");
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
    static char answer[ANSWER_MOST];
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
            size_t body = *request == 'P' ? posted_len : 0;
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
        folder, folder, folder, folder, folder, folder, port, folder);
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
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool good = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return good;
}

static pid_t server_start(const char *kind)
{
    int listener = listener_open(&port);
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

/* ---- the floor: plain sockets ---- */

struct plain {
    int fd;
    size_t got, wanted;
    char answer[ANSWER_MOST];
};

static size_t request_write(const struct job *job, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size,
        "%s /%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", job->post ? "POST" : "GET",
        job->path, port);
    if (job->post)
        return len + (size_t)snprintf(text + len, size - len,
                         "Content-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         posted_len, posted);
    return len + (size_t)snprintf(text + len, size - len, "\r\n");
}

/* Whether the answer is whole. */
static bool plain_read(const struct job *job, struct plain *plain)
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
            answer_parse(job, end + 4,
                plain->wanted - (size_t)(end + 4 - plain->answer));
    }
    if (plain->got < plain->wanted)
        return false;
    plain->got = plain->wanted = 0;
    return true;
}

static void plain_run(const struct job *job)
{
    static struct plain all[CONNECTIONS];
    static char request[POSTED + 1024];
    size_t len = request_write(job, request, sizeof request);
    struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event events[CONNECTIONS];
    int epoll = epoll_create1(0), left = job->count, flying = 0, on = 1;
    for (int i = 0; i < CONNECTIONS; i++) {
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
        int count = epoll_wait(epoll, events, CONNECTIONS, -1);
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
    for (int i = 0; i < CONNECTIONS; i++)
        close(all[i].fd);
    close(epoll);
}

/* ---- libcurl's multi interface ---- */

static size_t keep(char *data, size_t size, size_t count, void *ctx)
{
    return calm_bytes_append(ctx, data, size * count) < 0 ? 0 : size * count;
}

struct curl_client {
    const struct job *job;
    CURLM *multi;
    calm_bytes bodies[CONNECTIONS];
    struct curl_slist *headers;
    int left, flying;
    /* of the socket interface */
    int epoll, timer;
};

static void curl_begin(struct curl_client *client, const struct job *job)
{
    *client = (struct curl_client){.job = job, .left = job->count};
    client->multi = curl_multi_init();
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1024L);
    client->headers = curl_slist_append(NULL, "Content-Type: application/json");
    client->headers = curl_slist_append(client->headers, "Expect:");
}

static void curl_fly(struct curl_client *client)
{
    url_make(client->job);
    for (int i = 0; i < CONNECTIONS; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &client->bodies[i]);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, &client->bodies[i]);
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 64L << 10);
        if (client->job->post) {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)posted_len);
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, posted);
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
        answer_parse(client->job, body->data, body->len);
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
    for (int i = 0; i < CONNECTIONS; i++)
        calm_bytes_clear(&client->bodies[i]);
}

static void curl_poll_run(const struct job *job)
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

static void curl_socket_run(const struct job *job)
{
    static struct curl_client client;
    struct epoll_event events[CONNECTIONS];
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
        int count = epoll_wait(client.epoll, events, CONNECTIONS, client.timer);
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

/* ---- calm ---- */

struct calm_client {
    const struct job *job;
    calm_http *http;
    int left;
};

static int calm_task_run(void *arg)
{
    struct calm_client *client = arg;
    calm_http_response response = {0};
    int rc = 0;
    while (rc >= 0 && client->left-- > 0) {
        if (client->job->post)
            rc = calm_http_post_json(
                client->http, url, posted, posted_len, &response);
        else
            rc = calm_http_get(client->http, url, &response);
        if (rc >= 0)
            answer_parse(client->job, response.body.data, response.body.len);
    }
    calm_http_response_clear(&response);
    return rc < 0 ? rc : 0;
}

static int calm_main(void *arg)
{
    struct calm_client client = {arg, NULL, ((struct job *)arg)->count};
    calm_call calls[CONNECTIONS];
    bench_check(calm_http_open(NULL, &client.http), "a client");
    url_make(client.job);
    for (int i = 0; i < CONNECTIONS; i++)
        calls[i] = (calm_call){calm_task_run, &client};
    int rc = calm_gather(calls, CONNECTIONS, NULL);
    calm_http_close(client.http);
    return rc;
}

static void calm_do(const struct job *job)
{
    bench_check(calm_run(calm_main, (void *)job), "requests");
}

/* ---- a download that is dropped ---- */

static size_t drop(char *data, size_t size, size_t count, void *ctx)
{
    *(int64_t *)ctx += (int64_t)(size * count);
    return size * count;
}

static void large_curl(void *ctx, double *ret_figures)
{
    int64_t got = 0;
    url_make(ctx);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &got);
    double start = bench_clock();
    bench_check(curl_easy_perform(easy) ? -EIO : 0, "a download of libcurl");
    ret_figures[0] = (double)got / (bench_clock() - start);
    curl_easy_cleanup(easy);
}

static int large_piece(void *ctx, const char *data, size_t len)
{
    *(int64_t *)ctx += (int64_t)len;
    return 0;
}

static int large_main(void *arg)
{
    int64_t got = 0;
    calm_http *http;
    calm_http_response response = {0};
    bench_check(calm_http_open(NULL, &http), "a client");
    double start = bench_clock();
    int rc = calm_http_send(http,
        &(calm_http_request){.url = url, .on_body = large_piece, .ctx = &got},
        &response);
    *(double *)arg = (double)got / (bench_clock() - start);
    bench_check(rc == 0 && got == LARGE ? 0 : -EIO, "a download");
    calm_http_response_clear(&response);
    calm_http_close(http);
    return 0;
}

static void large_calm(void *ctx, double *ret_figures)
{
    url_make(ctx);
    bench_check(calm_run(large_main, ret_figures), "a download");
}

/* ---- */

struct side {
    void (*run)(const struct job *job);
    const struct job *job;
};

static void measure_side(const struct side *side, double *ret_figures)
{
    double cpu = bench_cpu(), start = bench_clock();
    side->run(side->job);
    double took = bench_clock() - start;
    ret_figures[0] = (bench_cpu() - cpu) / 1e3 / side->job->count;
    ret_figures[1] = side->job->count * 1e9 / took;
}

static void side_calm(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){calm_do, ctx}, ret_figures);
}

static void side_plain(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){plain_run, ctx}, ret_figures);
}

static void side_poll(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){curl_poll_run, ctx}, ret_figures);
}

static void side_socket(void *ctx, double *ret_figures)
{
    measure_side(&(struct side){curl_socket_run, ctx}, ret_figures);
}

/* CPU and rate, and the CPU once more beside each of libcurl's interfaces. */
static void measure(struct job job, const char *const names[4])
{
    bench_run(&(struct bench){.names = {names[0], names[1]},
        .floor = side_plain,
        .calm = side_calm,
        .ctx = &job});
    bench_run(&(struct bench){.names = {names[2]},
        .floor = side_poll,
        .calm = side_calm,
        .ctx = &job});
    bench_run(&(struct bench){.names = {names[3]},
        .floor = side_socket,
        .calm = side_calm,
        .ctx = &job});
}

/* One side only, for a profiler: bench_http SIDE PATH COUNT. */
static void profile(char **argv)
{
    struct job job = {argv[2], strcmp(argv[2], "post") == 0, atoi(argv[3])};
    void (*run)(const struct job *) = calm_do;
    if (strcmp(argv[1], "plain") == 0)
        run = plain_run;
    else if (strcmp(argv[1], "poll") == 0)
        run = curl_poll_run;
    else if (strcmp(argv[1], "socket") == 0)
        run = curl_socket_run;
    double figures[2];
    measure_side(&(struct side){run, &job}, figures);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr, "%s %s: %.0f requests/s, %.2f us of CPU, %ld faults\n",
        argv[1], argv[2], figures[1], figures[0], usage.ru_minflt);
}

/* A command that measures another client against the same server. */
static void beside(void)
{
    char command[1200];
    const char *given = getenv("BENCH_BESIDE");
    if (!given)
        return;
    snprintf(command, sizeof command, "%s %d", given, port);
    if (system(command) != 0)
        fprintf(stderr, "bench: failed: %s\n", given);
}

int main(int argc, char **argv)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    files_make();
    pid_t server = getenv("BENCH_OWN_SERVER") ? -1 : server_start("nginx");
    if (server < 0)
        server = server_start("own");
    bench_check(server, "a server");
    if (argc == 4) {
        profile(argv);
    } else {
        measure((struct job){"1k", false, 40000},
            (const char *[]){"http_get_1k_cpu", "http_get_1k",
                "http_get_1k_poll", "http_get_1k_socket"});
        measure((struct job){"32k", false, 20000},
            (const char *[]){"http_get_32k_cpu", "http_get_32k",
                "http_get_32k_poll", "http_get_32k_socket"});
        measure((struct job){"post", true, 20000},
            (const char *[]){"http_post_4k_cpu", "http_post_4k",
                "http_post_4k_poll", "http_post_4k_socket"});
        struct job large = {"1g", false, 1};
        bench_run(&(struct bench){.names = {"http_1g"},
            .floor = large_curl,
            .calm = large_calm,
            .ctx = &large,
            .repetitions = 3});
    }
    beside();
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink("http/1g");
    return 0;
}
