/* http_request.c - what is sent: checks, and libcurl's handles
 *
 * A handle is kept with all its settings when a request is over. The next one
 * that takes it mostly goes to the same place with the same headers, so only
 * what differs is set: each setting of a text is an allocation and a copy.
 */
#include "io/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    METHOD_LONGEST = 32,
    BUFFER = 64 << 10,         /* received at once */
    STREAM_BUFFER = 256 << 10, /* the same of a stream */
};

enum kind {
    KIND_NEW, /* nothing is set yet */
    KIND_GET,
    KIND_HEAD,
    KIND_NO_BODY,
    KIND_BODY,
    KIND_STREAM,
};

/* ---- checks, by the task ---- */

static bool is_token(const char *text, size_t longest)
{
    size_t len = text ? strnlen(text, longest + 1) : 0;
    if (len == 0 || len > longest)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                (c >= '0' && c <= '9') || strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return true;
}

static bool is_value(const char *text)
{
    if (!text)
        return false;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

/* What says how long a body is, is not for the caller to say. */
static bool is_reserved(const char *name)
{
    static const char *const reserved[] = {
        "Content-Length", "Transfer-Encoding", "Expect", "Upgrade"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcasecmp(name, reserved[i]) == 0)
            return true;
    return false;
}

static int header_check(const calm_http_header *header)
{
    if (!is_token(header->name, 256))
        return calm_fail(-EINVAL, "the name of a header is none");
    if (is_reserved(header->name))
        return calm_fail(-EINVAL, "the header '%s' is not the caller's to set",
            header->name);
    if (!is_value(header->value))
        return calm_fail(-EINVAL,
            "the value of the header '%s' has a control byte in it",
            header->name);
    return 0;
}

int calm__http_request_check(const calm_http_request *request)
{
    if (request->method && !is_token(request->method, METHOD_LONGEST))
        return calm_fail(-EINVAL, "the method of a request is none");
    if (request->body && request->read_body)
        return calm_fail(-EINVAL, "a request has a body and reads one too");
    if (!request->body && !request->read_body && request->body_len > 0)
        return calm_fail(-EINVAL, "a request's body has a length only");
    if ((request->body || request->read_body) && request->method &&
        strcmp(request->method, "HEAD") == 0)
        return calm_fail(-EINVAL, "a HEAD request has a body");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < request->header_count; i++)
        rc = header_check(&request->headers[i]);
    return rc;
}

/* ---- a handle's life ---- */

/* A connection is there, and the request is sent next. */
static int on_request(
    void *ctx, char *peer, char *own, int peer_port, int own_port)
{
    struct calm__http_handle *handle = ctx;
    struct calm__http_exchange *exchange = handle->exchange;
    /* On loopback the kernel may connect a socket to itself. */
    if (peer_port == own_port && peer_port > 0 && strcmp(peer, own) == 0) {
        calm__http_because(
            exchange, -ECONNREFUSED, "%s", strerror(ECONNREFUSED));
        return CURL_PREREQFUNC_ABORT;
    }
    exchange->response->sent = true;
    calm__http_phase_set(exchange, CALM__HTTP_TALKING);
    return CURL_PREREQFUNC_OK;
}

#define SET(option, value)                                                     \
    (failed |= curl_easy_setopt(easy, option, value) != CURLE_OK)

static bool set_for_good(
    CURL *easy, struct calm__http_handle *handle, struct calm_http *client)
{
    bool failed = false;
    /* Beyond calm's own limit, which does not count the wait for a free
     * connection. */
    long connect_ms = client->connect_timeout / CALM_MS < 1000000000
                          ? (long)(client->connect_timeout / CALM_MS) + 5000
                          : 1000000000;
    SET(CURLOPT_PRIVATE, handle);
    SET(CURLOPT_ERRORBUFFER, handle->error);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
    SET(CURLOPT_USERAGENT, client->user_agent);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    SET(CURLOPT_DNS_CACHE_TIMEOUT, 3600L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_HEADERFUNCTION, calm__http_on_header);
    SET(CURLOPT_HEADERDATA, handle);
    SET(CURLOPT_WRITEFUNCTION, calm__http_on_data);
    SET(CURLOPT_WRITEDATA, handle);
    SET(CURLOPT_READFUNCTION, calm__http_on_read);
    SET(CURLOPT_READDATA, handle);
    SET(CURLOPT_PREREQFUNCTION, on_request);
    SET(CURLOPT_PREREQDATA, handle);
    SET(CURLOPT_OPENSOCKETFUNCTION, calm__http_on_open);
    SET(CURLOPT_OPENSOCKETDATA, handle);
    SET(CURLOPT_CLOSESOCKETFUNCTION, calm__http_on_close);
    SET(CURLOPT_CLOSESOCKETDATA, client);
    if (client->unix_path)
        SET(CURLOPT_UNIX_SOCKET_PATH, client->unix_path);
    if (client->ca_file) {
        SET(CURLOPT_CAINFO, client->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    return !failed;
}

struct calm__http_handle *calm__http_handle_new(struct calm_http *client)
{
    struct calm__http_handle *handle = calm__alloc(sizeof *handle);
    if (!handle)
        return NULL;
    *handle = (struct calm__http_handle){.easy = curl_easy_init()};
    if (handle->easy && set_for_good(handle->easy, handle, client))
        return handle;
    calm__http_handle_free(handle);
    return NULL;
}

void calm__http_handle_free(struct calm__http_handle *handle)
{
    curl_easy_cleanup(handle->easy);
    curl_slist_free_all(handle->headers);
    curl_slist_free_all(handle->addresses);
    calm_bytes_clear(&handle->header_text);
    free(handle->url);
    free(handle->method);
    free(handle->proxy);
    free(handle);
}

/* ---- setting what differs ---- */

/* Whether *KEPT is TEXT already; else it becomes a copy of it, or NULL without
 * memory, and libcurl is to be told. */
static bool is_kept(char **kept, const char *text)
{
    if (*kept && text && strcmp(*kept, text) == 0)
        return true;
    if (!*kept && !text)
        return true;
    free(*kept);
    *kept = NULL;
    if (text && (*kept = calm__alloc(strlen(text) + 1)))
        memcpy(*kept, text, strlen(text) + 1);
    return false;
}

static enum kind kind_of(const struct calm__http_exchange *exchange)
{
    if (exchange->request->read_body)
        return KIND_STREAM;
    if (exchange->body || strcmp(exchange->method, "POST") == 0)
        return KIND_BODY;
    if (strcmp(exchange->method, "GET") == 0)
        return KIND_GET;
    return strcmp(exchange->method, "HEAD") == 0 ? KIND_HEAD : KIND_NO_BODY;
}

static bool set_method(CURL *easy, struct calm__http_handle *handle,
    const struct calm__http_exchange *exchange)
{
    bool failed = false;
    enum kind kind = kind_of(exchange);
    bool same = is_kept(&handle->method, exchange->method);
    if (!same || (int)kind != handle->kind) {
        SET(CURLOPT_HTTPGET, 1L);
        SET(CURLOPT_CUSTOMREQUEST, NULL);
        if (kind == KIND_HEAD)
            SET(CURLOPT_NOBODY, 1L);
        else if (kind == KIND_BODY)
            SET(CURLOPT_POST, 1L);
        else if (kind == KIND_STREAM)
            SET(CURLOPT_UPLOAD, 1L);
        if (kind >= KIND_NO_BODY)
            SET(CURLOPT_CUSTOMREQUEST, exchange->method);
        SET(CURLOPT_FRESH_CONNECT, kind == KIND_STREAM ? 1L : 0L);
    }
    handle->kind = failed || !handle->method ? KIND_NEW : (int)kind;
    curl_off_t size = (curl_off_t)exchange->body_len;
    if (kind == KIND_BODY) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, size);
        SET(CURLOPT_POSTFIELDS, exchange->body ? exchange->body : "");
    } else if (kind == KIND_STREAM) {
        SET(CURLOPT_INFILESIZE_LARGE, size > 0 ? size : (curl_off_t)-1);
    }
    return !failed;
}

static bool set_url(CURL *easy, struct calm__http_handle *handle,
    const struct calm__http_exchange *exchange)
{
    bool failed = false;
    bool secure = exchange->url.secure;
    if (!is_kept(&handle->url, exchange->url.text))
        SET(CURLOPT_URL, exchange->url.text);
    if (handle->kind == KIND_NEW || handle->secure != secure) {
        SET(CURLOPT_HTTP_VERSION,
            (long)(secure ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
        /* The second request waits for what the first learns: whether one
         * connection serves them all. */
        SET(CURLOPT_PIPEWAIT, secure ? 1L : 0L);
        handle->secure = secure;
    }
    if (!is_kept(&handle->proxy, exchange->proxy))
        SET(CURLOPT_PROXY, exchange->proxy ? exchange->proxy : "");
    return !failed && handle->url && (handle->proxy || !exchange->proxy);
}

/* The addresses go along until libcurl has surely loaded them. */
static bool set_addresses(CURL *easy, struct calm__http_handle *handle,
    const struct calm__http_exchange *exchange)
{
    bool failed = false;
    const struct calm__http_name *name = exchange->name;
    bool news = name && name->loaded != name->version;
    if (!news && !handle->addresses)
        return true;
    SET(CURLOPT_RESOLVE, NULL);
    curl_slist_free_all(handle->addresses);
    handle->addresses = NULL;
    if (!news)
        return true;
    handle->addresses = curl_slist_append(NULL, name->addresses.data);
    handle->version = name->version;
    SET(CURLOPT_RESOLVE, handle->addresses);
    return handle->addresses && !failed;
}

/* ---- headers ---- */

/* May go to whoever a redirect leads to. */
static bool is_harmless(const char *name)
{
    static const char *const harmless[] = {"Range", "Cache-Control",
        "User-Agent", "Content-Type", "Content-Encoding"};
    if (strncasecmp(name, "Accept", 6) == 0 || strncasecmp(name, "If-", 3) == 0)
        return true;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcasecmp(name, harmless[i]) == 0)
            return true;
    return false;
}

/* All lines, each with a NUL behind it. libcurl takes "Name:" for a header to
 * leave out, and "Name;" for one that is empty. */
static int lines_write(
    const struct calm__http_exchange *exchange, calm_bytes *lines)
{
    const calm_http_request *request = exchange->request;
    bool has_body = kind_of(exchange) >= KIND_BODY, has_type = false;
    bool lost_body = !has_body && (request->body || request->read_body);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < request->header_count; i++) {
        const calm_http_header *header = &request->headers[i];
        bool is_of_body = strncasecmp(header->name, "Content-", 8) == 0;
        has_type |= strcasecmp(header->name, "Content-Type") == 0;
        if ((exchange->strange && !is_harmless(header->name)) ||
            (is_of_body && lost_body))
            continue;
        rc = calm_bytes_append_text(lines, header->name);
        if (rc == 0)
            rc = calm_bytes_append_text(lines, *header->value ? ": " : ";");
        if (rc == 0)
            rc = calm_bytes_append(
                lines, header->value, strlen(header->value) + 1);
    }
    if (rc == 0 && has_body)
        rc = calm_bytes_append(lines, "Expect:", sizeof "Expect:");
    if (rc == 0 && has_body && !has_type)
        rc = calm_bytes_append(lines, "Content-Type:", sizeof "Content-Type:");
    return rc;
}

static struct curl_slist *list_make(const calm_bytes *lines)
{
    struct curl_slist *list = NULL;
    for (size_t at = 0; at < lines->len; at += strlen(lines->data + at) + 1) {
        struct curl_slist *longer = curl_slist_append(list, lines->data + at);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static bool set_headers(CURL *easy, struct calm__http_handle *handle,
    const struct calm__http_exchange *exchange)
{
    bool failed = false;
    calm_bytes *lines = &exchange->client->lines;
    calm_bytes_reset(lines);
    if (lines_write(exchange, lines) < 0)
        return false;
    if (lines->len == handle->header_text.len &&
        (lines->len == 0 ||
            memcmp(lines->data, handle->header_text.data, lines->len) == 0))
        return true;
    SET(CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(handle->headers);
    calm_bytes_reset(&handle->header_text);
    handle->headers = list_make(lines);
    if (lines->len > 0 &&
        (!handle->headers || calm_bytes_append(&handle->header_text,
                                 lines->data, lines->len) < 0))
        return false;
    SET(CURLOPT_HTTPHEADER, handle->headers);
    return !failed;
}

int calm__http_handle_set(
    struct calm__http_handle *handle, struct calm__http_exchange *exchange)
{
    CURL *easy = handle->easy;
    bool failed = false;
    bool streams = exchange->request->on_body || exchange->request->read_body;
    handle->error[0] = '\0';
    if (handle->kind == KIND_NEW)
        SET(CURLOPT_BUFFERSIZE, (long)(streams ? STREAM_BUFFER : BUFFER));
    return !failed && set_url(easy, handle, exchange) &&
                   set_method(easy, handle, exchange) &&
                   set_addresses(easy, handle, exchange) &&
                   set_headers(easy, handle, exchange)
               ? 0
               : -ENOMEM;
}
