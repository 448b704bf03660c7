/* server_head.c - whether a request's head is one that all read alike
 *
 * What two programs on a request's way could read differently, one of them a
 * proxy, lets a second request pass unseen inside of the first. libmicrohttpd
 * accepts some such heads, also when it is told to be strict.
 */
#include "io/server_inside.h"

#include <microhttpd.h>
#include <string.h>
#include <strings.h>

/* What the head says of the body's length. */
struct framing {
    int lengths, codings;
    bool unknown_coding;
    uint64_t length;
    bool too_long; /* a length that no number holds, or none at all */
    bool bad_name;
};

static void length_read(struct framing *framing, const char *text)
{
    uint64_t length = 0;
    framing->lengths++;
    framing->too_long |= *text == '\0';
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || length > UINT64_MAX / 10 - 1) {
            framing->too_long = true;
            return;
        }
        length = length * 10 + (uint64_t)(*text - '0');
    }
    framing->length = length;
}

static enum MHD_Result framing_read(
    void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *framing = cls;
    framing->bad_name |= !calm__header_is_name(name);
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        length_read(framing, value ? value : "");
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->codings++;
        framing->unknown_coding |= !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

struct calm__head calm__head_check(
    const calm_request *request, const char *version)
{
    const calm_server_opts *opts = &request->server->opts;
    struct framing framing = {0};
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (info && info->header_size > opts->header_most)
        return (struct calm__head){431, "the head of the request is too large"};
    MHD_get_connection_values(
        request->connection, MHD_HEADER_KIND, framing_read, &framing);
    /* "Content-Length : 5" is a length to some and nothing to others. */
    if (framing.bad_name)
        return (struct calm__head){400, "the name of a header is none"};
    if (framing.lengths > 1 || framing.codings > 1 ||
        (framing.lengths && framing.codings))
        return (struct calm__head){400, "the length of the body is ambiguous"};
    if (framing.codings && strcmp(version, "HTTP/1.1") != 0)
        return (struct calm__head){400, "only HTTP/1.1 has chunks"};
    if (framing.unknown_coding)
        return (struct calm__head){501, "this transfer coding is not known"};
    if (framing.too_long || framing.length > opts->body_most)
        return (struct calm__head){413, "the body is too large"};
    return (struct calm__head){.has_body = framing.length || framing.codings};
}
