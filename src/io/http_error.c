/* http_error.c - what libcurl's codes mean
 *
 * Who retries must tell apart whether nobody is there, whether somebody hung
 * up, and whether the answer will never be good; who reads wants a sentence.
 * libcurl's own texts are used for TLS only: others may quote the answer.
 */
#include "io/http.h"

#include <errno.h>
#include <string.h>

/* Of the connection's last system call that failed; 0 if unknown. */
static int os_code(const struct calm__http_exchange *exchange)
{
    long code = 0;
    curl_easy_getinfo(exchange->handle->easy, CURLINFO_OS_ERRNO, &code);
    return (int)code;
}

static int by_system(
    struct calm__http_exchange *exchange, int code, const char *what)
{
    return calm__http_because(exchange, -code, "%s: %s", what, strerror(code));
}

static int not_connected(struct calm__http_exchange *exchange)
{
    int code = os_code(exchange);
    long answer = 0;
    curl_easy_getinfo(
        exchange->handle->easy, CURLINFO_HTTP_CONNECTCODE, &answer);
    if (answer >= 400)
        return calm__http_because(exchange, -EACCES,
            "the proxy refuses the connection: %ld %s", answer,
            calm_http_status_text((int)answer));
    return by_system(exchange, code ? code : ECONNREFUSED,
        exchange->proxy ? "cannot connect to the proxy" : "cannot connect");
}

/* libcurl says CURLE_RECV_ERROR of a chunk that is none, too. */
static bool is_of_network(const struct calm__http_exchange *exchange)
{
    const char *text = exchange->handle->error;
    return !*text || strncmp(text, "Recv failure", 12) == 0 ||
           strncmp(text, "Send failure", 12) == 0 || strstr(text, "SSL") ||
           strstr(text, "HTTP/2");
}

static int broken_off(struct calm__http_exchange *exchange, int otherwise)
{
    int code = os_code(exchange);
    bool known = code == ECONNRESET || code == EPIPE || code == ETIMEDOUT ||
                 code == EHOSTUNREACH || code == ENETUNREACH ||
                 code == ENETDOWN || code == ECONNABORTED;
    if (exchange->proxy && !exchange->response->sent)
        return not_connected(exchange);
    /* libcurl's own bound, of all lines together. */
    if (!exchange->headers_over &&
        strncmp(exchange->handle->error, "Too large", 9) == 0)
        return calm__http_because(
            exchange, CALM_ELIMIT, "the answer has too long a head");
    if (!is_of_network(exchange))
        return calm__http_because(
            exchange, CALM_EHTTP, "the answer is not good HTTP");
    return by_system(
        exchange, known ? code : otherwise, "the connection broke off");
}

static int not_secure(struct calm__http_exchange *exchange, CURLcode code)
{
    const char *text = exchange->handle->error;
    bool unknown_issuer = code == CURLE_PEER_FAILED_VERIFICATION;
    /* A reset or an end in the middle of the handshake is the network's. */
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(text, "Connection reset"))
        return by_system(exchange, ECONNRESET, "the connection broke off");
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(text, "SSL_ERROR_SYSCALL"))
        return calm__http_because(exchange, -ECONNRESET,
            "the connection was closed in the handshake");
    return calm__http_because(exchange, CALM_ETLS, "%.200s%s",
        *text ? text : curl_easy_strerror(code),
        unknown_issuer ? "\nhint: SSL_CERT_FILE may name the certificates "
                         "to trust"
                       : "");
}

int calm__http_code(struct calm__http_exchange *exchange, CURLcode code)
{
    const char *reason = NULL;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return not_connected(exchange);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return calm__http_because(
            exchange, -ENOENT, "cannot find the address of the host");
    case CURLE_OPERATION_TIMEDOUT:
        return calm__http_because(exchange, -ETIMEDOUT, "no connection");
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
        return broken_off(exchange, EPIPE);
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2_STREAM:
        return broken_off(exchange, ECONNRESET);
    case CURLE_PROXY:
        return not_connected(exchange);
    case CURLE_GOT_NOTHING:
        return calm__http_because(
            exchange, -ENODATA, "the server closed without an answer");
    case CURLE_PARTIAL_FILE:
        return calm__http_because(
            exchange, -ENODATA, "the answer ended too early");
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
        return not_secure(exchange, code);
    case CURLE_FILESIZE_EXCEEDED:
        return calm__http_because(
            exchange, CALM_ELIMIT, "the answer is too long");
    case CURLE_OUT_OF_MEMORY:
        /* Before 8.6 libcurl says so, too, of a line beyond its bound. */
        if (exchange->response->sent && !exchange->headers_over)
            return calm__http_because(exchange, CALM_ELIMIT,
                "the answer has a line of more than 100 KiB in its head");
        return calm__http_because(exchange, -ENOMEM, "no memory");
    case CURLE_URL_MALFORMAT:
        return calm__http_because(exchange, -EINVAL, "it is no URL");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        reason = "the answer is not HTTP";
        break;
    case CURLE_HTTP2:
        reason = "the answer is not good HTTP/2";
        break;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR:
        reason = "the answer cannot be decoded";
        break;
    default:
#if LIBCURL_VERSION_NUM >= 0x080600
        if (code == CURLE_TOO_LARGE)
            return calm__http_because(exchange, CALM_ELIMIT,
                "the answer has a line that is too long in its head");
#endif
        reason = curl_easy_strerror(code);
    }
    return calm__http_because(exchange, CALM_EHTTP, "%s", reason);
}
