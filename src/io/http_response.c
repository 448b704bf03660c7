/* http_response.c - what comes in: headers, the body, and their bounds
 *
 * libcurl's callbacks, on the loop's stack, while the task that sent the
 * request waits; so they write to its response. Headers are kept as they come,
 * name and value with a NUL behind each, and searched when somebody asks.
 */
#include "io/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { RESERVED_MOST = 1 << 20 }; /* on a server's word alone */

void calm__http_answer_begin(struct calm__http_exchange *exchange)
{
    exchange->at_status = true;
    exchange->headers_over = exchange->encoded = exchange->drop = false;
    exchange->length = -1;
    exchange->decoded = 0;
}

static struct calm__http_exchange *moved(void *ctx)
{
    struct calm__http_handle *handle = ctx;
    struct calm__http_exchange *exchange = handle->exchange;
    exchange->last = calm__loop_time(exchange->client->loop);
    return exchange;
}

/* ---- headers ---- */

static bool is_named(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

static int64_t length_read(const char *text, size_t len)
{
    int64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > INT64_MAX / 10 - 10)
            return -1;
        value = 10 * value + (text[i] - '0');
    }
    return len > 0 ? value : -1;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

/* The empty line: what follows is the body, unless this was but a word in
 * between (100, 103). */
static int headers_end(struct calm__http_exchange *exchange)
{
    const calm_http_request *request = exchange->request;
    calm_http_response *response = exchange->response;
    long status = 0;
    curl_easy_getinfo(exchange->handle->easy, CURLINFO_RESPONSE_CODE, &status);
    exchange->at_status = status >= 100 && status < 200;
    if (exchange->at_status)
        return 0;
    response->status = (int)status;
    exchange->headers_over = true;
    exchange->drop = request->redirects > 0 && is_redirect((int)status) &&
                     calm_http_header_get(response, "Location");
    size_t most = exchange->client->body_max;
    if (exchange->length > 0 && (uint64_t)exchange->length > most &&
        !exchange->drop && !request->on_body &&
        strcmp(exchange->method, "HEAD") != 0 && status != 304)
        return calm__http_because(exchange, CALM_ELIMIT,
            "the answer has %lld bytes, more than %zu",
            (long long)exchange->length, most);
    return 0;
}

static size_t trimmed(const char **text, size_t len)
{
    while (len > 0 && (**text == ' ' || **text == '\t'))
        ++*text, len--;
    while (len > 0 && strchr(" \t\r\n", (*text)[len - 1]))
        len--;
    return len;
}

/* A line that begins with a space goes on with the value before. */
static int header_continue(calm_bytes *headers, const char *text, size_t len)
{
    len = trimmed(&text, len);
    if (headers->len == 0)
        return 0;
    int rc = calm_bytes_reserve(headers, len + 2);
    if (rc < 0)
        return rc;
    headers->data[headers->len - 1] = ' ';
    memcpy(headers->data + headers->len, text, len);
    headers->data[headers->len + len] = '\0';
    calm_bytes_advance(headers, len + 1);
    return 0;
}

static int header_add(
    struct calm__http_exchange *exchange, const char *line, size_t len)
{
    calm_bytes *headers = &exchange->response->headers;
    const char *colon = memchr(line, ':', len);
    if (*line == ' ' || *line == '\t')
        return header_continue(headers, line, len);
    if (!colon || memchr(line, '\0', len))
        return 0;
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1;
    size_t value_len = trimmed(&value, len - name_len - 1);
    int rc = calm_bytes_reserve(headers, name_len + value_len + 2);
    if (rc < 0)
        return rc;
    char *at = headers->data + headers->len;
    memcpy(at, line, name_len);
    at[name_len] = '\0';
    memcpy(at + name_len + 1, value, value_len);
    at[name_len + 1 + value_len] = '\0';
    calm_bytes_advance(headers, name_len + value_len + 2);
    if (is_named(line, name_len, "Content-Length"))
        exchange->length = length_read(value, value_len);
    else if (is_named(line, name_len, "Content-Encoding"))
        exchange->encoded |= !is_named(value, value_len, "identity");
    return 0;
}

/* One line, with its end. A trailer's are left out: they come too late for
 * what they could mean. */
size_t calm__http_on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct calm__http_exchange *exchange = moved(ctx);
    calm_bytes *headers = &exchange->response->headers;
    size_t len = size * count;
    int rc = 0;
    if (exchange->headers_over)
        return len;
    if (exchange->at_status && len > 5 && memcmp(data, "HTTP/", 5) == 0) {
        exchange->at_status = false;
        exchange->length = -1;
        exchange->encoded = false;
        calm_bytes_reset(headers);
    } else if (len == 0 || *data == '\r' || *data == '\n') {
        rc = headers_end(exchange);
    } else if (headers->len + len > CALM__HTTP_HEADERS) {
        rc = calm__http_because(exchange, CALM_ELIMIT,
            "the answer has more than %d KiB of headers",
            CALM__HTTP_HEADERS >> 10);
    } else if (header_add(exchange, data, len) < 0) {
        rc = calm__http_because(exchange, -ENOMEM, "no memory");
    }
    return rc < 0 ? 0 : len;
}

/* ---- the body ---- */

enum { PIECE = 16 << 10 }; /* so much at least is received at once */

/* A bomb: a few bytes that decode to gigabytes. */
static int ratio_check(struct calm__http_exchange *exchange)
{
    curl_off_t received = 0;
    if (!exchange->encoded || exchange->decoded <= CALM__HTTP_RATIO_FREE)
        return 0;
    curl_easy_getinfo(
        exchange->handle->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    /* curl counts a piece after it was decoded. */
    if (exchange->decoded / CALM__HTTP_RATIO <= received + PIECE)
        return 0;
    return calm__http_because(exchange, CALM_ELIMIT,
        "the answer decodes to more than %d times its size", CALM__HTTP_RATIO);
}

static int body_add(
    struct calm__http_exchange *exchange, const char *data, size_t len)
{
    calm_bytes *body = &exchange->response->body;
    size_t most = exchange->client->body_max;
    if (len > most || body->len > most - len)
        return calm__http_because(
            exchange, CALM_ELIMIT, "the answer has more than %zu bytes", most);
    int rc = 0;
    if (body->len == 0 && !exchange->encoded &&
        exchange->length > (int64_t)len) {
        size_t whole = exchange->length < RESERVED_MOST
                           ? (size_t)exchange->length
                           : RESERVED_MOST;
        rc = calm_bytes_reserve(body, whole > len ? whole : len);
    }
    if (rc == 0)
        rc = calm_bytes_append(body, data, len);
    return rc < 0 ? calm__http_because(exchange, -ENOMEM, "no memory") : 0;
}

size_t calm__http_on_data(char *data, size_t size, size_t count, void *ctx)
{
    struct calm__http_exchange *exchange = moved(ctx);
    size_t len = size * count;
    exchange->decoded += (int64_t)len;
    if (ratio_check(exchange) < 0)
        return len + 1;
    if (exchange->drop) {
        if (exchange->decoded <= (int64_t)exchange->client->body_max)
            return len;
        calm__http_because(
            exchange, CALM_ELIMIT, "the answer of a redirect is too long");
        return len + 1;
    }
    if (exchange->request->on_body) {
        size_t taken = calm__http_stream_data(exchange, data, len);
        if (taken == CURL_WRITEFUNC_PAUSE)
            exchange->decoded -= (int64_t)len; /* it will come again */
        return taken;
    }
    return body_add(exchange, data, len) < 0 ? len + 1 : len;
}

/* ---- redirects ---- */

/* libcurl joins the two; a space in a location, which servers do send, is
 * encoded. Where it may lead the task looks at. */
int calm__http_redirect(struct calm__http_exchange *exchange)
{
    const char *location = calm_http_header_get(exchange->response, "Location");
    CURLU *url = curl_url();
    char *joined = NULL;
    CURLUcode code = CURLUE_OUT_OF_MEMORY;
    if (url)
        code = curl_url_set(url, CURLUPART_URL, exchange->url.text, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(url, CURLUPART_URL, location, CURLU_URLENCODE);
    if (code == CURLUE_OK)
        code = curl_url_get(url, CURLUPART_URL, &joined, 0);
    if (code == CURLUE_OK) {
        exchange->next_url = calm__alloc(strlen(joined) + 1);
        if (exchange->next_url)
            memcpy(exchange->next_url, joined, strlen(joined) + 1);
        else
            code = CURLUE_OUT_OF_MEMORY;
    }
    curl_free(joined);
    curl_url_cleanup(url);
    if (code == CURLUE_OUT_OF_MEMORY)
        return calm__http_because(exchange, -ENOMEM, "no memory");
    if (code != CURLUE_OK)
        return calm__http_because(
            exchange, CALM_EHTTP, "it redirects to what is no URL");
    return 0;
}

/* ---- for the caller ---- */

bool calm_http_header_at(const calm_http_response *response, size_t index,
    calm_http_header *ret_header)
{
    const calm_bytes *headers = &response->headers;
    for (size_t at = 0; at < headers->len;) {
        const char *name = headers->data + at;
        const char *value = name + strlen(name) + 1;
        if (index-- == 0) {
            if (ret_header)
                *ret_header = (calm_http_header){name, value};
            return true;
        }
        at = (size_t)(value - headers->data) + strlen(value) + 1;
    }
    return false;
}

const char *calm_http_header_get(
    const calm_http_response *response, const char *wanted)
{
    const calm_bytes *headers = &response->headers;
    for (size_t at = 0; at < headers->len;) {
        const char *name = headers->data + at;
        const char *value = name + strlen(name) + 1;
        if (strcasecmp(name, wanted) == 0)
            return value;
        at = (size_t)(value - headers->data) + strlen(value) + 1;
    }
    return NULL;
}

void calm_http_response_clear(calm_http_response *response)
{
    calm_bytes_clear(&response->body);
    calm_bytes_clear(&response->headers);
    *response = (calm_http_response){0};
}
