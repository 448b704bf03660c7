/* http_name.c - the addresses of the hosts that a client connects to
 *
 * libcurl's own look-up would start a thread, and wait for it when a request
 * is cancelled. So names are looked up on the blocking pool before libcurl
 * hears of the request, once for all exchanges that wait for the same, and are
 * handed over as an entry for its table of names. Until a request has surely
 * loaded the entry all bring it along; later ones do not.
 *
 * Addresses are good for a minute. When no name server answers after that, the
 * old ones do for another: a long run should not stumble over it.
 */
#include "io/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const int64_t good_for = 60 * CALM_S;
enum {
    NAMES_MOST = 1000, /* those beyond are forgotten, the oldest first */
    PROXY_PORT = 1080, /* libcurl's default, of all proxies but https:// */
};

/* ---- who to look up ---- */

/* libcurl answers these itself, without asking anybody. */
static bool is_localhost(const char *host)
{
    return strcmp(host, "localhost") == 0;
}

static int proxy_parse(const char *proxy, struct calm__http_url *ret_url)
{
    const char *scheme_end = strstr(proxy, "://"), *reason;
    const char *authority = scheme_end ? scheme_end + 3 : proxy;
    *ret_url = (struct calm__http_url){
        .port = strncasecmp(proxy, "https://", 8) == 0 ? 443 : PROXY_PORT};
    return calm__http_authority_parse(
        authority, strcspn(authority, "/?#"), ret_url, &reason);
}

/* ---- the table ---- */

static void name_free(struct calm__http_name *name)
{
    if (name->lookup)
        calm__lookup_leave(name->lookup);
    calm_bytes_clear(&name->addresses);
    free(name);
}

static bool is_used(
    const struct calm_http *client, const struct calm__http_name *name)
{
    struct calm__http_exchange *each = client->live_first;
    while (each && each->name != name)
        each = each->live_next;
    return each || name->lookup;
}

static void names_trim(struct calm_http *client)
{
    int count = 0;
    struct calm__http_name **place = &client->names;
    while (*place) {
        struct calm__http_name *name = *place;
        if (++count <= NAMES_MOST || is_used(client, name)) {
            place = &name->next;
        } else {
            *place = name->next;
            name_free(name);
        }
    }
}

static struct calm__http_name *name_get(
    struct calm_http *client, const char *host, int port)
{
    struct calm__http_name **place = &client->names, *name;
    for (; (name = *place); place = &name->next)
        if (name->port == port && strcmp(name->host, host) == 0)
            return name;
    size_t len = strlen(host) + 1;
    name = calm__alloc(sizeof *name + len);
    if (!name)
        return NULL;
    *name = (struct calm__http_name){.client = client, .port = port};
    memcpy(name->host, host, len);
    name->next = client->names;
    client->names = name;
    names_trim(client);
    return name;
}

void calm__http_names_clear(struct calm_http *client)
{
    struct calm__http_name *name;
    while ((name = client->names)) {
        client->names = name->next;
        name_free(name);
    }
}

/* ---- looking up ---- */

/* "+HOST:PORT:ADDRESS,ADDRESS"; the plus lets it age. */
static int addresses_write(const struct calm__http_name *name,
    const struct calm__lookup *lookup, calm_bytes *text)
{
    int rc = calm_bytes_printf(text, "+%s:%d:", name->host, name->port);
    for (int i = 0; rc == 0 && i < lookup->count; i++) {
        char number[INET6_ADDRSTRLEN] = "";
        const struct calm__address *address = &lookup->addresses[i];
        bool six = address->any.sa_family == AF_INET6;
        inet_ntop(address->any.sa_family,
            six ? (const void *)&address->v6.sin6_addr : &address->v4.sin_addr,
            number, sizeof number);
        rc = calm_bytes_printf(
            text, six ? "%s[%s]" : "%s%s", i > 0 ? "," : "", number);
    }
    return rc;
}

static int take_over(
    struct calm__http_name *name, const struct calm__lookup *lookup)
{
    calm_bytes text = {0};
    int rc = addresses_write(name, lookup, &text);
    if (rc < 0) {
        calm_bytes_clear(&text);
        return rc;
    }
    calm_bytes_clear(&name->addresses);
    name->addresses = text;
    name->version++;
    return 0;
}

static void found(struct calm__lookup *lookup)
{
    struct calm__http_name *name = lookup->ctx;
    const char *reason = "no memory";
    name->lookup = NULL;
    int rc = calm__lookup_result(lookup, &reason);
    if (rc > 0)
        rc = take_over(name, lookup);
    else if (rc == -EAGAIN && name->addresses.len > 0)
        rc = 0;
    free(lookup);
    name->expires =
        rc == 0 ? calm__loop_time(name->client->loop) + good_for : INT64_MIN;
    calm__http_named(name, rc, reason);
}

int calm__http_name_find(struct calm__http_exchange *exchange)
{
    struct calm_http *client = exchange->client;
    const struct calm__http_url *url = &exchange->url;
    struct calm__http_url proxy;
    if (client->unix_path)
        return 1;
    if (exchange->proxy) {
        if (proxy_parse(exchange->proxy, &proxy) < 0)
            return calm__http_because(exchange, -EINVAL,
                "the proxy of the environment is no URL\nhint: look at "
                "http_proxy, https_proxy and all_proxy");
        url = &proxy;
    }
    if (url->numeric || is_localhost(url->host))
        return 1;
    struct calm__http_name *name = name_get(client, url->host, url->port);
    if (!name)
        return calm__http_because(exchange, -ENOMEM, "no memory");
    exchange->name = name;
    if (name->addresses.len > 0 &&
        name->expires > calm__loop_time(client->loop))
        return 1;
    if (name->lookup)
        return 0;
    int rc =
        calm__lookup_start(name->host, name->port, found, name, &name->lookup);
    if (rc < 0)
        return calm__http_because(
            exchange, rc, "cannot look '%s' up: %s", name->host, strerror(-rc));
    return 0;
}
