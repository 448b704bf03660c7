/* calm/http.h - an HTTP client: requests that wait without holding up others
 *
 *     calm_http *http;
 *     int rc = calm_http_open(NULL, &http);
 *     if (rc < 0)
 *         return rc;
 *     calm_http_response response = {0};
 *     rc = calm_http_get(http, "http://localhost:8080/v2", &response);
 *     if (rc == 200)
 *         puts(calm_bytes_text(&response.body));
 *     calm_http_response_clear(&response);
 *     calm_http_close(http);
 *
 * A client keeps its connections and uses them again, for all tasks of its
 * thread at once: open one and share it. http:// is HTTP/1.1, https:// is
 * HTTP/2 where the server offers it. Certificates are always verified; there
 * is no switch. Answers come in decoded (gzip and the like). Proxies are those
 * of the environment when the client is opened: http_proxy, https_proxy,
 * all_proxy, no_proxy, as curl reads them.
 *
 * How long a request may take is for a timeout scope of <calm/time.h> to say;
 * the client itself bounds only the time to a connection, and the time without
 * a byte in either direction. A cancel, at any moment, ends the request and
 * closes its connection, as nobody knows in which state that is.
 *
 * The outcome is one of three: an answer, whatever its status, is 0; an error
 * is negative, with a sentence that names the URL without its query and user,
 * and never a header's value:
 *
 *     -EINVAL        the URL or a header is none that can be sent
 *     -ENOENT        nobody knows the host's name
 *     -EAGAIN        no name server answers now
 *     -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH    nobody there
 *     -ETIMEDOUT     no connection within connect_timeout, or silence
 *     -ECONNRESET, -EPIPE   the server broke the connection off
 *     -ENODATA       it closed the connection before the answer was whole
 *     CALM_ETLS      the certificate or the handshake is not good
 *     CALM_EHTTP     the answer is not HTTP
 *     CALM_ELIMIT    the answer is larger than a bound
 *     -EBADF         the client was closed meanwhile
 *     -ECANCELED, -ENOMEM, -EMFILE
 *
 * A connection that was kept and that the server closed before the first byte
 * of an answer is not an error: the request is sent again on a new one.
 */
#ifndef CALM_HTTP_H
#define CALM_HTTP_H

#include <calm/bytes.h>
#include <calm/json.h>
#include <calm/task.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_http calm_http;

/* ---- a client ---- */

/* What is zero is the default. Texts are copied. */
typedef struct calm_http_opts {
    size_t per_host;         /* connections to one host; 256 */
    size_t total;            /* connections in all; 1024 */
    int64_t connect_timeout; /* for name, TCP and TLS together; 10 s */
    int64_t silence;         /* without a byte in either direction; 30 s */
    size_t body_max;         /* decoded bytes of an answer; 16 MiB */
    const char *unix_path;   /* all connections go to this Unix socket */
    const char *ca_file;     /* PEM; trusted in place of the system's, or of
                              * those of SSL_CERT_FILE in the environment */
    const char *user_agent;  /* "calm/VERSION" */
} calm_http_opts;

/* Makes a client for the tasks of this thread. OPTS may be NULL. Returns 0 and
 * a client that the caller closes, or -EINVAL for options out of their range,
 * -EPERM outside of a run, -ENOMEM. Does not suspend. */
int calm_http_open(const calm_http_opts *opts, calm_http **ret_http)
    __attribute__((warn_unused_result));

/* Closes; NULL is fine. Requests that wait return -EBADF. The connections are
 * closed when the loop next turns, at the latest before the run ends; a client
 * must be closed within its run. Does not suspend. */
void calm_http_close(calm_http *http);

/* ---- requests and answers ---- */

typedef struct calm_http_header {
    const char *name, *value;
} calm_http_header;

/* Everything in it stays the caller's, and as it is until the call returns. */
typedef struct calm_http_request {
    const char *method; /* default: GET, or POST when there is a body */
    const char *url;    /* http:// or https:// */
    const calm_http_header *headers;
    size_t header_count;
    const void *body; /* BODY_LEN bytes; NULL: none */
    size_t body_len;

    /* How many redirects to follow; default none: a 3xx is the answer. Never
     * to another scheme than http and https. To another host, port or scheme
     * goes no header that could be a secret: only Accept*, Range, If-*,
     * Cache-Control, User-Agent, Content-Type and -Encoding. 303, and 301 and
     * 302 of a POST, go on as GET. Too many of them: CALM_EHTTP. */
    int redirects;

    /* Takes the answer piece by piece instead of response.body, and without
     * body_max. It is called by the task that sends, with the response's
     * status and headers complete, and may suspend: the server then has to
     * wait when half a megabyte lies ahead. A negative result ends the request
     * and is returned by it. Also called for answers that are not 200. */
    int (*on_body)(void *ctx, const char *data, size_t len);

    /* Gives the request's body piece by piece instead of BODY: puts at most
     * LEN bytes, at least one, into BUFFER and returns how many, 0 at the end
     * or a negative code, which ends the request and is returned by it. May
     * suspend. BODY_LEN is then the size of it all, or 0 when that is not
     * known. Such a body cannot be sent again, so it goes over a new
     * connection and follows no redirect. */
    ssize_t (*read_body)(void *ctx, void *buffer, size_t len);

    void *ctx; /* of the two */
} calm_http_request;

/* An answer. Begins as {0}, may be used for one request after the other, which
 * saves allocations, and is cleared in the end. */
typedef struct calm_http_response {
    int status;         /* 200; 0 when no answer came */
    calm_bytes body;    /* decoded; empty after a failure */
    bool reused;        /* the connection had served a request before */
    bool sent;          /* the server may have seen the request */
    calm_bytes headers; /* private: see calm_http_header_get() */
} calm_http_response;

/* Sends a request and waits for the answer. Returns 0 when one came, whatever
 * its status, or one of the errors above. When it fails after the headers have
 * come, status and headers are there. After -ECANCELED the server may have
 * done what it was asked, as `sent` tells. */
CALM_SUSPENDS int calm_http_send(calm_http *http,
    const calm_http_request *request, calm_http_response *response)
    __attribute__((warn_unused_result));

/* ---- every day ---- */

/* GET; POST of LEN bytes of JSON. Return the answer's status, from 200 to 599
 * mostly, or an error of calm_http_send(). */
CALM_SUSPENDS int calm_http_get(calm_http *http, const char *url,
    calm_http_response *response) __attribute__((warn_unused_result));
CALM_SUSPENDS int calm_http_post_json(calm_http *http, const char *url,
    const char *json, size_t len, calm_http_response *response)
    __attribute__((warn_unused_result));

/* The same, and reads the answer as JSON. Return 0 and a document that the
 * caller frees by calm_json_free(); CALM_EHTTP when the status is not 2xx,
 * with a sentence such as "GET 'http://localhost/v2/models/x': 404 Not Found:
 * no model 'x'"; what calm_json_parse() may say; or an error of
 * calm_http_send(). */
CALM_SUSPENDS int calm_http_get_json(calm_http *http, const char *url,
    calm_json_doc **ret_doc) __attribute__((warn_unused_result));
CALM_SUSPENDS int calm_http_post_get_json(calm_http *http, const char *url,
    const char *json, size_t len, calm_json_doc **ret_doc)
    __attribute__((warn_unused_result));

/* ---- reading an answer; none of these suspends ---- */

/* The value of the header NAME, in whatever case; of several the first. NULL
 * if there is none. The response's memory. */
const char *calm_http_header_get(
    const calm_http_response *response, const char *name);

/* The headers in their order, repeated ones too; those of a trailer are left
 * out. False behind the last. RET_HEADER may be NULL. */
bool calm_http_header_at(const calm_http_response *response, size_t index,
    calm_http_header *ret_header);

/* "Not Found" for 404; "" for a status that is not well known. */
const char *calm_http_status_text(int status);

/* Sentence and code for an answer that is not good: puts "WHAT: 404 Not Found:
 * TEXT" into the slot, where TEXT is what the body says: "error", "message" or
 * "detail" of its JSON, or its first line. Returns CALM_EHTTP. */
int calm_http_fail(const calm_http_response *response, const char *what);

/* URL for people: without user, query and fragment, cut to SIZE - 1 bytes.
 * Returns TEXT. */
const char *calm_http_url_show(const char *url, char *text, size_t size);

/* Frees the memory; the response is {0} again. */
void calm_http_response_clear(calm_http_response *response);

#ifdef __cplusplus
}
#endif
#endif
