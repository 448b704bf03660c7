/* http_everyday.c - the short calls, and sentences about bad answers */
#include "io/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- what a status means ---- */

const char *calm_http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].text;
    return "";
}

/* ---- what a body says ---- */

enum { TEXT = 240 };

/* One line, without what a terminal could take for a command. */
static void text_take(char text[TEXT], const char *from, size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < len && at < TEXT - 1; i++) {
        unsigned char c = (unsigned char)from[i];
        if (at > 0 && (c == '\n' || c == '\r'))
            break;
        if (c < ' ' || c == 0x7f) {
            if (at == 0)
                continue;
            c = ' ';
        }
        text[at++] = (char)c;
    }
    text[at] = '\0';
}

static const calm_json_value *member_said(const calm_json_value *value)
{
    static const char *const names[] = {"error", "message", "detail"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const calm_json_value *member = calm_json_get(value, names[i]);
        if (member)
            return member;
    }
    return NULL;
}

/* {"error": "text"}, {"error": {"message": "text"}}, {"detail": "text"} */
static bool json_says(const calm_bytes *body, char text[TEXT])
{
    calm_json_doc *doc;
    size_t len;
    if (body->len == 0 || *body->data != '{' ||
        calm_json_parse(body->data, body->len, NULL, &doc) < 0)
        return false;
    const calm_json_value *said = member_said(calm_json_root(doc));
    if (calm_json_kind_of(said) == CALM_JSON_OBJECT)
        said = member_said(said);
    bool good = calm_json_kind_of(said) == CALM_JSON_STRING;
    if (good) {
        const char *string = calm_json_text(said, &len);
        text_take(text, string, len);
    }
    calm_json_free(doc);
    return good;
}

int calm_http_fail(const calm_http_response *response, const char *what)
{
    char text[TEXT] = "";
    const calm_bytes *body = &response->body;
    const char *type = calm_http_header_get(response, "Content-Type");
    const char *meaning = calm_http_status_text(response->status);
    bool is_page = type && strstr(type, "html");
    calm_error_clear();
    if (!json_says(body, text) && !is_page && body->len > 0)
        text_take(text, body->data, body->len);
    return calm_fail(CALM_EHTTP, "%s: %d%s%s%s%s", what, response->status,
        *meaning ? " " : "", meaning, *text ? ": " : "", text);
}

/* ---- the short calls ---- */

int calm_http_get(
    calm_http *http, const char *url, calm_http_response *response)
{
    const calm_http_request request = {.url = url};
    int rc = calm_http_send(http, &request, response);
    return rc < 0 ? rc : response->status;
}

int calm_http_post_json(calm_http *http, const char *url, const char *json,
    size_t len, calm_http_response *response)
{
    static const calm_http_header headers[] = {
        {"Content-Type", "application/json"}};
    const calm_http_request request = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = 1,
        .body = json,
        .body_len = len,
    };
    int rc = calm_http_send(http, &request, response);
    return rc < 0 ? rc : response->status;
}

/* The answer with STATUS as a document. */
static int document(const calm_http_response *response, int status,
    const char *method, const char *url, calm_json_doc **ret_doc)
{
    char shown[CALM__HTTP_SHOWN], what[CALM__HTTP_SHOWN + 16];
    if (status < 0)
        return status;
    calm_http_url_show(url, shown, sizeof shown);
    snprintf(what, sizeof what, "%s '%s'", method, shown);
    if (status < 200 || status > 299)
        return calm_http_fail(response, what);
    const calm_json_opts opts = {
        .size_max = response->body.len > (16 << 20) ? 1 << 30 : 0};
    int rc = calm_json_parse(
        calm_bytes_text(&response->body), response->body.len, &opts, ret_doc);
    return calm_while(rc, "%s", what);
}

int calm_http_get_json(
    calm_http *http, const char *url, calm_json_doc **ret_doc)
{
    calm_http_response response = {0};
    int rc = calm_http_get(http, url, &response);
    rc = document(&response, rc, "GET", url, ret_doc);
    calm_http_response_clear(&response);
    return rc;
}

int calm_http_post_get_json(calm_http *http, const char *url, const char *json,
    size_t len, calm_json_doc **ret_doc)
{
    calm_http_response response = {0};
    int rc = calm_http_post_json(http, url, json, len, &response);
    rc = document(&response, rc, "POST", url, ret_doc);
    calm_http_response_clear(&response);
    return rc;
}
