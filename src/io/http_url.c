/* http_url.c - URLs: what may be requested, and what may be shown
 *
 * libcurl takes a URL apart itself, when it connects. This look at it comes
 * before, for the host to look up, for the origin of a redirect, and to say
 * what is wrong; so it is stricter than libcurl: what the two could read in
 * different ways is refused.
 */
#include "io/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_host_byte(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

static int refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return -EINVAL;
}

/* The host of LEN bytes, in brackets when it is an IPv6 address. */
static int host_parse(const char *text, size_t len, bool in_brackets,
    struct calm__http_url *url, const char **ret_reason)
{
    if (len == 0)
        return refuse(ret_reason, "it has no host");
    if (len >= sizeof url->host)
        return refuse(ret_reason, "its host is too long");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        c = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A') : c;
        if (c >= 0x80)
            return refuse(ret_reason,
                "its host has letters beyond ASCII\nhint: write the name in "
                "its 'xn--' form");
        if (!in_brackets && !is_host_byte(c))
            return refuse(ret_reason, "its host is not a name");
        url->host[i] = (char)c;
    }
    url->host[len] = '\0';
    struct calm__address address;
    char bare[sizeof url->host];
    size_t bare_len = strcspn(url->host, "%"); /* the zone of an address */
    memcpy(bare, url->host, bare_len);
    bare[bare_len] = '\0';
    url->numeric = calm__address_numeric(bare, 0, &address);
    if (in_brackets && (!url->numeric || address.any.sa_family != AF_INET6))
        return refuse(ret_reason, "its host is no IPv6 address");
    return 0;
}

static int port_parse(const char *text, size_t len, int *ret_port)
{
    int port = 0;
    if (len > 5)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        port = 10 * port + (text[i] - '0');
    }
    if (len > 0 && (port == 0 || port > 65535))
        return -EINVAL;
    if (len > 0)
        *ret_port = port;
    return 0;
}

int calm__http_authority_parse(const char *text, size_t len,
    struct calm__http_url *url, const char **ret_reason)
{
    const char *at = memrchr(text, '@', len), *end = text + len;
    const char *host = at ? at + 1 : text, *host_end, *port;
    bool in_brackets = host < end && *host == '[';
    if (in_brackets) {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end)
            return refuse(ret_reason, "its '[' is not closed");
        port = host_end + 1;
        if (port < end && *port != ':')
            return refuse(ret_reason, "something stands behind its ']'");
    } else {
        port = memchr(host, ':', (size_t)(end - host));
        host_end = port ? port : end;
        port = host_end;
    }
    if (port < end &&
        port_parse(port + 1, (size_t)(end - port - 1), &url->port) < 0)
        return refuse(ret_reason, "its port is none\nhint: 1 to 65535");
    return host_parse(
        host, (size_t)(host_end - host), in_brackets, url, ret_reason);
}

int calm__http_url_parse(
    const char *text, struct calm__http_url *url, const char **ret_reason)
{
    url->text = text;
    if (!text || !*text)
        return refuse(ret_reason, "it is empty");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= ' ' || *c == 0x7f)
            return refuse(ret_reason,
                "it has a space or a control byte in it\nhint: a space is "
                "written %20");
    if (strncasecmp(text, "http://", 7) == 0)
        text += 7, url->secure = false, url->port = 80;
    else if (strncasecmp(text, "https://", 8) == 0)
        text += 8, url->secure = true, url->port = 443;
    else
        return refuse(ret_reason, "it is neither http:// nor https://");
    size_t len = strcspn(text, "/?#");
    if (memchr(text, '\\', len))
        return refuse(ret_reason, "it has a '\\' before its path");
    return calm__http_authority_parse(text, len, url, ret_reason);
}

/* Whether LEN bytes are a name or an address in brackets, with a port or
 * without. */
static bool is_host(const char *text, size_t len, bool *ret_has_port)
{
    const char *end = text + len;
    const char *bracket =
        len > 0 && *text == '[' ? memchr(text, ']', len) : NULL;
    const char *name_end = bracket ? bracket + 1 : text;
    const char *colon = memchr(name_end, ':', (size_t)(end - name_end));
    *ret_has_port = colon != NULL;
    if (!colon)
        return !bracket || name_end == end;
    size_t digits = strspn(colon + 1, "0123456789");
    return (!bracket || colon == name_end) && digits > 0 && digits <= 5 &&
           colon + 1 + digits == end;
}

/* Copies what is printable up to END; returns the new length. */
static size_t show(
    const char *from, const char *end, char *text, size_t len, size_t size)
{
    for (; from < end && len + 1 < size; from++) {
        unsigned char c = (unsigned char)*from;
        text[len++] = c < ' ' || c == 0x7f ? '?' : (char)c;
    }
    text[len] = '\0';
    return len;
}

/* The '/', '?', '#' and '@' of a password should be escaped. Where they may
 * not have been, what looks like the host is a part of it: nothing behind the
 * scheme is shown then, or nothing behind the port. */
const char *calm_http_url_show(const char *url, char *text, size_t size)
{
    static const char dots[] = "...";
    size_t scheme = strspn(url, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    const char *authority =
        strncmp(url + scheme, "://", 3) == 0 ? url + scheme + 3 : url;
    const char *path = authority + strcspn(authority, "/?#");
    const char *end = path + strcspn(path, "?#");
    const char *user = memrchr(authority, '@', (size_t)(path - authority));
    const char *host = user ? user + 1 : authority;
    bool has_port;
    bool is_good = is_host(host, (size_t)(path - host), &has_port);
    if (size == 0)
        return text;
    size_t len = show(url, authority, text, 0, size);
    bool is_odd = !is_good || path == host || (user && *path == '/');
    if (is_odd && strchr(path, '@')) {
        show(dots, dots + 3, text, len, size);
        return text;
    }
    bool is_doubtful = (has_port || authority == url) &&
                       memchr(path, '@', (size_t)(end - path));
    len = show(host, is_doubtful ? path + 1 : end, text, len, size);
    if (is_doubtful)
        show(dots, dots + 3, text, len, size);
    return text;
}
