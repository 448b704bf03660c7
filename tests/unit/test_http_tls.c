/* test_http_tls.c - the HTTP client over TLS: who is trusted, and who is not
 *
 * Certificates are made anew by openssl, whose s_server is the other side.
 * Without it the tests that need it are left out.
 */
#include "http_server.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/calm-test-tls-XXXXXX";
static char ca_file[64];
static pid_t child;
static int port;
static calm_http *http;
static calm_http_response response;
static char url[128];

/* An authority, a certificate of it for "localhost", and a server. */
static bool certificates_make(void)
{
    char command[1200];
    if (!mkdtemp(folder))
        return false;
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    snprintf(command, sizeof command,
        "cd %s && exec >/dev/null 2>&1 && "
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key "
        "-out ca.pem -subj /CN=calm-test-authority && "
        "openssl req -newkey rsa:2048 -nodes -keyout key.pem -out key.csr "
        "-subj /CN=localhost && "
        "echo subjectAltName=DNS:localhost >names && "
        "openssl x509 -req -in key.csr -CA ca.pem -CAkey ca.key -days 2 "
        "-CAcreateserial -out cert.pem -extfile names",
        folder);
    return system(command) == 0;
}

static void server_exec(int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (chdir(folder) == 0)
        execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0",
            "-cert", "cert.pem", "-key", "key.pem", "-www", NULL);
    _exit(127);
}

/* It says "ACCEPT 127.0.0.1:PORT". */
static bool tls_server_start(void)
{
    int ends[2];
    char line[256];
    if (pipe(ends) < 0)
        return false;
    child = fork();
    if (child == 0)
        server_exec(ends[1]);
    close(ends[1]);
    FILE *out = fdopen(ends[0], "r");
    while (!port && fgets(line, sizeof line, out))
        if (strncmp(line, "ACCEPT ", 7) == 0)
            port = atoi(strrchr(line, ':') + 1);
    return port > 0; /* OUT stays open, or the server would die of it */
}

static void tls_server_stop(void)
{
    char command[64];
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (system(command) != 0)
        fprintf(stderr, "'%s' is left\n", folder);
}

static int get(const char *host, const char *trusted)
{
    check_equal(
        calm_http_open(&(calm_http_opts){.ca_file = trusted}, &http), 0);
    response = (calm_http_response){0};
    snprintf(url, sizeof url, "https://%s:%d/?secret", host, port);
    return calm_http_get(http, url, &response);
}

static void done(void)
{
    calm_http_response_clear(&response);
    calm_http_close(http);
}

static int a_trusted_server_answers(void *arg)
{
    check_equal(get("localhost", ca_file), 200);
    check_contains(calm_bytes_text(&response.body), "s_server");
    done();
    return 0;
}

static int the_environment_may_name_whom_to_trust(void *arg)
{
    setenv("SSL_CERT_FILE", ca_file, 1);
    check_equal(get("localhost", NULL), 200);
    unsetenv("SSL_CERT_FILE");
    done();
    return 0;
}

static void refused(const char *host, const char *trusted)
{
    check_equal(get(host, trusted), CALM_ETLS);
    check_contains(calm_message(CALM_ETLS), "GET 'https://");
    check(!strstr(calm_message(CALM_ETLS), "secret"));
    check(!response.sent);
    done();
}

static int a_server_that_nobody_vouches_for_is_refused(void *arg)
{
    refused("localhost", NULL);
    check_contains(calm_message(CALM_ETLS), "\nhint: SSL_CERT_FILE");
    return 0;
}

static int a_certificate_for_another_host_is_refused(void *arg)
{
    refused("127.0.0.1", ca_file);
    return 0;
}

static int a_file_without_certificates_is_refused(void *arg)
{
    refused("localhost", "/dev/null");
    refused("localhost", "/no/such/file");
    return 0;
}

static const char plain[] = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";

static int talk_at_once(void *arg)
{
    struct server *server = arg;
    calm_socket *socket;
    if (calm_socket_accept(server->listener, &socket) < 0)
        return 0;
    char buffer[1024];
    if (calm_socket_recv(socket, buffer, sizeof buffer) > 0 && server->answer)
        server_send(socket, server->answer);
    if (server->number)
        calm_sleep(CALM_FOREVER);
    calm_socket_close(socket);
    return 0;
}

/* A server that speaks no TLS, which answers, closes or is silent. */
static int get_from_stranger(const char *answer, bool silent)
{
    struct server server = {.answer = answer, .number = silent};
    check_equal(calm_socket_listen("127.0.0.1", 0, &server.listener), 0);
    int tls_port = port;
    port = calm_socket_port(server.listener);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, talk_at_once, &server);
    int rc = get("127.0.0.1", NULL);
    done();
    calm_group_cancel(&group);
    calm_group_end(&group, 0);
    calm_socket_close(server.listener);
    port = tls_port;
    return rc;
}

static int a_server_without_tls_is_told_apart(void *arg)
{
    check_equal(get_from_stranger(plain, false), CALM_ETLS);
    check_equal(get_from_stranger(NULL, false), -ECONNRESET);
    return 0;
}

static int a_handshake_that_stands_still_is_given_up(void *arg)
{
    int64_t start = calm_now();
    check_equal(get_from_stranger(NULL, true), -ETIMEDOUT);
    check_contains(calm_message(-ETIMEDOUT), "no connection within 10 s");
    check_equal(ms_since(start) / 1000, 10);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(a_server_without_tls_is_told_apart),
        virtual_test(a_handshake_that_stands_still_is_given_up),
        real_test(a_trusted_server_answers),
        real_test(the_environment_may_name_whom_to_trust),
        real_test(a_server_that_nobody_vouches_for_is_refused),
        real_test(a_certificate_for_another_host_is_refused),
        real_test(a_file_without_certificates_is_refused),
    };
    size_t count = sizeof tests / sizeof *tests;
    bool there = certificates_make() && tls_server_start();
    if (!there) {
        printf("there is no openssl to be the server: left out\n");
        count = 2;
    }
    int failed = run_list("http_tls", tests, count);
    tls_server_stop();
    return failed;
}
