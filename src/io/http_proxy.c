/* http_proxy.c - the proxies that the environment names
 *
 * The variables are those that curl reads, with curl's meaning: in lower case,
 * or in upper case too but for http_proxy, which a CGI server could set from a
 * request's header. libcurl would read them itself, at every request; they are
 * read here because the host to look up is then the proxy's and not the
 * server's, and once, because it is cheaper.
 */
#include "io/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- reading ---- */

static const char *variable(const char *lower, const char *upper)
{
    const char *value = getenv(lower);
    if (!value && upper)
        value = getenv(upper);
    return value && *value ? value : NULL;
}

static int copy(const char *text, char **ret_copy)
{
    *ret_copy = NULL;
    if (!text)
        return 0;
    size_t size = strlen(text) + 1;
    *ret_copy = calm__alloc(size);
    if (!*ret_copy)
        return -ENOMEM;
    memcpy(*ret_copy, text, size);
    return 0;
}

int calm__http_proxies_read(struct calm__http_proxies *proxies)
{
    const char *all = variable("all_proxy", "ALL_PROXY");
    const char *http = variable("http_proxy", NULL);
    const char *https = variable("https_proxy", "HTTPS_PROXY");
    int rc = copy(http ? http : all, &proxies->http);
    if (rc == 0)
        rc = copy(https ? https : all, &proxies->https);
    if (rc == 0)
        rc = copy(variable("no_proxy", "NO_PROXY"), &proxies->none);
    return rc;
}

void calm__http_proxies_clear(struct calm__http_proxies *proxies)
{
    free(proxies->http);
    free(proxies->https);
    free(proxies->none);
    *proxies = (struct calm__http_proxies){0};
}

/* ---- who goes direct ---- */

/* Whether the first BITS of two addresses of LEN bytes are the same. */
static bool same_network(
    const void *first, const void *second, size_t len, unsigned bits)
{
    const unsigned char *a = first, *b = second;
    if (bits > 8 * len)
        return false;
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

/* PATTERN is an address, or one with "/BITS" behind it. */
static bool address_matches(const char *host, char *pattern)
{
    unsigned char ours[16], theirs[16];
    char *slash = strchr(pattern, '/');
    if (slash)
        *slash = '\0';
    int family = strchr(host, ':') ? AF_INET6 : AF_INET;
    size_t len = family == AF_INET6 ? 16 : 4;
    if (inet_pton(family, host, ours) != 1 ||
        inet_pton(family, pattern, theirs) != 1)
        return false;
    unsigned long bits = slash ? strtoul(slash + 1, NULL, 10) : 8 * len;
    return same_network(ours, theirs, len, bits > 128 ? 129 : (unsigned)bits);
}

/* PATTERN is a name, which stands for those below it too. */
static bool name_matches(const char *host, const char *pattern)
{
    size_t host_len = strlen(host), len;
    if (host_len > 0 && host[host_len - 1] == '.')
        host_len--;
    if (*pattern == '.')
        pattern++;
    len = strlen(pattern);
    if (len > 0 && pattern[len - 1] == '.')
        len--;
    if (len == 0 || len > host_len ||
        strncasecmp(host + host_len - len, pattern, len) != 0)
        return false;
    return len == host_len || host[host_len - len - 1] == '.';
}

static bool goes_direct(const char *none, const struct calm__http_url *url)
{
    if (!none)
        return false;
    if (strcmp(none, "*") == 0)
        return true;
    for (const char *at = none; *at;) {
        at += strspn(at, ", \t");
        size_t len = strcspn(at, ", \t");
        char pattern[256];
        const char *from = at;
        at += len;
        if (len > 2 && from[0] == '[' && from[len - 1] == ']')
            from++, len -= 2;
        if (len == 0 || len >= sizeof pattern)
            continue;
        memcpy(pattern, from, len);
        pattern[len] = '\0';
        if (url->numeric ? address_matches(url->host, pattern)
                         : name_matches(url->host, pattern))
            return true;
    }
    return false;
}

const char *calm__http_proxy_for(
    const struct calm__http_proxies *proxies, const struct calm__http_url *url)
{
    const char *proxy = url->secure ? proxies->https : proxies->http;
    return proxy && !goes_direct(proxies->none, url) ? proxy : NULL;
}
