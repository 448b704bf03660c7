/* server_request.c - what a handler sees of a request, and its answer */
#include "io/server.h"

#include "base/fault.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- asked ---- */

const char *calm_request_method(const calm_request *request)
{
    return request->method;
}

const char *calm_request_path(const calm_request *request)
{
    return request->target;
}

const char *calm_request_query(const calm_request *request)
{
    return request->query ? request->query : "";
}

const char *calm_request_header(const calm_request *request, const char *name)
{
    return request->connection ? MHD_lookup_connection_value(
                                     request->connection, MHD_HEADER_KIND, name)
                               : NULL;
}

const char *calm_request_body(const calm_request *request, size_t *ret_len)
{
    if (ret_len)
        *ret_len = request->body.len;
    return calm_bytes_text(&request->body);
}

int calm__request_fd(const calm_request *request)
{
    const union MHD_ConnectionInfo *info =
        request->connection ? MHD_get_connection_info(request->connection,
                                  MHD_CONNECTION_INFO_CONNECTION_FD)
                            : NULL;
    return info ? info->connect_fd : -1;
}

bool calm_request_gone(const calm_request *request)
{
    char byte;
    ssize_t got =
        recv(calm__request_fd(request), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

/* ---- answered ---- */

static int status_check(calm_request *request, int status, const char *type)
{
    if (status < 200 || status > 599)
        return calm_fail(-EINVAL, "%d is no status of an answer", status);
    if (type && strlen(type) >= sizeof request->type)
        return calm_fail(-EINVAL, "a type of %zu bytes", strlen(type));
    return 0;
}

static void status_set(calm_request *request, int status, const char *type)
{
    request->status = status;
    snprintf(request->type, sizeof request->type, "%s", type ? type : "");
}

int calm_respond(calm_request *request, int status, const char *type,
    const void *data, size_t len)
{
    int rc = status_check(request, status, type);
    if (rc < 0)
        return rc;
    calm_bytes body = {0};
    rc = len > 0 ? calm_bytes_append(&body, data, len) : 0;
    if (rc < 0)
        return calm_fail(rc, "no memory for an answer of %zu bytes", len);
    calm_bytes_clear(&request->answer);
    request->answer = body;
    status_set(request, status, type);
    return 0;
}

int calm_respond_bytes(
    calm_request *request, int status, const char *type, calm_bytes *body)
{
    int rc = status_check(request, status, type);
    if (rc < 0)
        return rc;
    calm_bytes_clear(&request->answer);
    request->answer = *body;
    *body = (calm_bytes){0};
    status_set(request, status, type);
    return 0;
}

bool calm__header_is_name(const char *name)
{
    static const char signs[] = "!#$%&'*+-.^_`|~";
    for (const char *at = name; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                (*at >= '0' && *at <= '9') || strchr(signs, *at)))
            return false;
    return *name != '\0';
}

static bool is_value(const char *value)
{
    for (const char *at = value; *at; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

int calm_respond_header(
    calm_request *request, const char *name, const char *value)
{
    if (!calm__header_is_name(name) || !is_value(value))
        return calm_fail(-EINVAL, "no header can be '%s: %s'", name, value);
    size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;
    struct calm__header *header =
        calm__alloc(sizeof *header + name_size + value_size);
    if (!header)
        return calm_fail(-ENOMEM, "no memory for a header");
    memcpy(header->name, name, name_size);
    header->value = header->name + name_size;
    memcpy(header->value, value, value_size);
    header->next = NULL;
    struct calm__header **end = &request->headers;
    while (*end)
        end = &(*end)->next;
    *end = header;
    return 0;
}

void calm__respond_cut(calm_request *request)
{
    request->misdeed = CALM__CUT;
}

void calm__respond_shorten(calm_request *request, size_t bytes)
{
    size_t *len = &request->answer.len;
    *len -= *len < bytes ? *len : bytes;
}

void calm__respond_reset(calm_request *request)
{
    request->misdeed = CALM__RESET;
}

/* ---- for libmicrohttpd ---- */

/* A body that ends too early: what follows the cut is an error, upon which
 * libmicrohttpd closes the connection. */
struct cut_body {
    char *data;
    size_t at;
};

static ssize_t cut_read(void *cls, uint64_t position, char *buffer, size_t most)
{
    const struct cut_body *body = cls;
    if (position >= body->at)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t len = body->at - (size_t)position;
    if (len > most)
        len = most;
    memcpy(buffer, body->data + position, len);
    return (ssize_t)len;
}

static void cut_free(void *cls)
{
    struct cut_body *body = cls;
    free(body->data);
    free(body);
}

static struct MHD_Response *cut_response(calm_request *request)
{
    struct cut_body *body = calm__alloc(sizeof *body);
    if (!body)
        return NULL;
    size_t len = request->answer.len;
    *body = (struct cut_body){request->answer.data, len / 2};
    struct MHD_Response *response =
        MHD_create_response_from_callback(len, 4096, cut_read, body, cut_free);
    if (response)
        request->answer = (calm_bytes){0};
    else
        free(body);
    return response;
}

static struct MHD_Response *body_response(calm_request *request)
{
    static char nothing[1];
    size_t len = request->answer.len;
    if (len == 0)
        return MHD_create_response_from_buffer(
            0, nothing, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback(
            len, request->answer.data, free);
    if (response)
        request->answer = (calm_bytes){0};
    return response;
}

static bool headers_add(
    const calm_request *request, struct MHD_Response *response, bool close)
{
    bool good = true;
    if (request->type[0])
        good = MHD_add_response_header(
            response, MHD_HTTP_HEADER_CONTENT_TYPE, request->type);
    for (struct calm__header *header = request->headers; header && good;
         header = header->next)
        good = MHD_add_response_header(response, header->name, header->value);
    if (close && good)
        good = MHD_add_response_header(
            response, MHD_HTTP_HEADER_CONNECTION, "close");
    return good;
}

struct MHD_Response *calm__request_response(calm_request *request, bool close)
{
    struct MHD_Response *response =
        request->misdeed == CALM__CUT && request->answer.len > 0
            ? cut_response(request)
            : body_response(request);
    if (response && headers_add(request, response, close))
        return response;
    if (response)
        MHD_destroy_response(response);
    return NULL;
}

void calm__respond_reason(calm_request *request, int status, const char *reason)
{
    char body[256];
    int len = snprintf(body, sizeof body, "{\"error\":\"%s\"}\n", reason);
    if (calm_respond(request, status, "application/json", body, (size_t)len) <
        0)
        request->status = status;
    calm_error_clear();
}

/* The answer as it goes over the wire. */
static int answer_write(const calm_request *request, calm_bytes *text)
{
    const char *reason = MHD_get_reason_phrase_for((unsigned)request->status);
    bool empty = request->status == MHD_HTTP_NO_CONTENT;
    int rc = calm_bytes_printf(text, "HTTP/1.1 %d %s\r\nConnection: close\r\n",
        request->status, reason);
    if (rc == 0 && !empty)
        rc = calm_bytes_printf(
            text, "Content-Length: %zu\r\n", request->answer.len);
    if (rc == 0 && request->type[0])
        rc = calm_bytes_printf(text, "Content-Type: %s\r\n", request->type);
    for (const struct calm__header *header = request->headers;
         rc == 0 && header; header = header->next)
        rc = calm_bytes_printf(text, "%s: %s\r\n", header->name, header->value);
    if (rc == 0)
        rc = calm_bytes_append_text(text, "\r\n");
    if (rc < 0 || empty || strcmp(request->method, "HEAD") == 0)
        return rc;
    return calm_bytes_append(text, request->answer.data, request->answer.len);
}

void calm__request_push(calm_request *request)
{
    int fd = calm__request_fd(request);
    calm_bytes text = {0};
    /* What is short fits into the empty buffer of a socket, or the client is
     * gone. */
    if (answer_write(request, &text) == 0 &&
        send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
            (ssize_t)text.len)
        shutdown(fd, SHUT_WR);
    calm_bytes_clear(&text);
}

/* ---- life ---- */

void calm__request_reset(calm_request *request)
{
    free(request->target);
    request->target = request->query = NULL;
    request->method[0] = '\0';
    request->begun = request->answered = request->suspended = false;
    if (request->body.capacity > CALM__BODY_KEPT)
        calm_bytes_clear(&request->body);
    calm_bytes_reset(&request->body);
    calm_bytes_clear(&request->answer);
    request->status = 0;
    request->type[0] = '\0';
    request->misdeed = CALM__NO_MISDEED;
    while (request->headers) {
        struct calm__header *header = request->headers;
        request->headers = header->next;
        free(header);
    }
}

void calm__request_free(calm_request *request)
{
    calm__request_reset(request);
    calm_bytes_clear(&request->body);
    free(request);
}
