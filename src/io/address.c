/* address.c - addresses of sockets, and looking them up by name
 *
 * getaddrinfo() may talk to name servers for half a minute and cannot be
 * stopped, so it runs on the blocking pool with a record of its own: who does
 * not want to wait any longer leaves, and the record is freed by whoever of
 * the two comes last. A numeric address needs neither.
 */
#include "io/address.h"

#include "base/fault.h"
#include "core/sched.h"
#include "host/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text and numbers ---- */

void calm__address_text(
    const struct calm__address *address, char text[CALM__ADDRESS_TEXT])
{
    char number[INET6_ADDRSTRLEN] = "";
    switch (address->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->v4.sin_addr, number, sizeof number);
        snprintf(text, CALM__ADDRESS_TEXT, "%s:%d", number,
            ntohs(address->v4.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &address->v6.sin6_addr, number, sizeof number);
        snprintf(text, CALM__ADDRESS_TEXT, "[%s]:%d", number,
            ntohs(address->v6.sin6_port));
        break;
    case AF_UNIX: {
        /* The path need not end in a NUL, and an unnamed one is empty. */
        int most =
            (int)address->len - (int)offsetof(struct sockaddr_un, sun_path);
        const char *path = address->local.sun_path;
        if (most > 0 && path[0])
            snprintf(text, CALM__ADDRESS_TEXT, "%.*s", most, path);
        else
            snprintf(text, CALM__ADDRESS_TEXT, "a Unix socket");
        break;
    }
    default:
        snprintf(text, CALM__ADDRESS_TEXT, "a socket");
    }
}

int calm__address_local(const char *path, struct calm__address *ret_address)
{
    size_t len = strlen(path);
    if (len == 0)
        return calm_fail(-EINVAL, "the path of a Unix socket is empty");
    if (len >= sizeof ret_address->local.sun_path)
        return calm_fail(-ENAMETOOLONG,
            "'%s' is too long for a Unix socket\nhint: at most %zu bytes; "
            "change to its folder and use a relative path",
            path, sizeof ret_address->local.sun_path - 1);
    *ret_address = (struct calm__address){
        .local.sun_family = AF_UNIX, .len = sizeof ret_address->local};
    memcpy(ret_address->local.sun_path, path, len + 1);
    return 0;
}

bool calm__address_numeric(
    const char *host, int port, struct calm__address *ret)
{
    *ret = (struct calm__address){0};
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)port);
        ret->len = sizeof ret->v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)port);
        ret->len = sizeof ret->v6;
        return true;
    }
    return false;
}

/* ---- names ---- */

/* In a thread of the pool. */
static void lookup_work(struct calm__job *job)
{
    struct calm__lookup *lookup = (struct calm__lookup *)job;
    struct addrinfo *list = NULL,
                    hints = {
                        .ai_socktype = SOCK_STREAM,
                        .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV,
                    };
    char port[16];
    snprintf(port, sizeof port, "%d", lookup->port);
    lookup->code = getaddrinfo(lookup->host, port, &hints, &list);
    lookup->saved_errno = errno;
    for (struct addrinfo *each = lookup->code == 0 ? list : NULL;
         each && lookup->count < CALM__ADDRESSES_MOST; each = each->ai_next) {
        struct calm__address *address = &lookup->addresses[lookup->count++];
        address->len = each->ai_addrlen;
        memcpy(&address->any, each->ai_addr, each->ai_addrlen);
    }
    if (lookup->code == 0)
        freeaddrinfo(list);
}

/* Back on the loop's stack. */
static void lookup_done(struct calm__post *post)
{
    struct calm__lookup *lookup = (struct calm__lookup *)post;
    calm__loop_expect(lookup->job.loop, -1);
    if (lookup->done)
        lookup->done(lookup);
    else
        free(lookup);
}

int calm__lookup_start(const char *host, int port,
    void (*done)(struct calm__lookup *lookup), void *ctx,
    struct calm__lookup **ret_lookup)
{
    size_t len = strlen(host) + 1;
    struct calm__lookup *lookup = calm__alloc(sizeof *lookup + len);
    if (!lookup)
        return -ENOMEM;
    *lookup = (struct calm__lookup){
        .job = {.post.run = lookup_done,
            .work = lookup_work,
            .loop = calm__loop_here},
        .done = done,
        .ctx = ctx,
        .port = port,
    };
    memcpy(lookup->host, host, len);
    calm__loop_expect(calm__loop_here, 1);
    int rc = calm__pool_start(&calm__blocking_pool, &lookup->job);
    if (rc < 0) {
        calm__loop_expect(calm__loop_here, -1);
        free(lookup);
        return rc;
    }
    *ret_lookup = lookup;
    return 0;
}

void calm__lookup_leave(struct calm__lookup *lookup)
{
    lookup->done = NULL;
    if (calm__pool_drop(&calm__blocking_pool, &lookup->job)) {
        calm__loop_expect(lookup->job.loop, -1);
        free(lookup);
    }
}

int calm__lookup_result(
    const struct calm__lookup *lookup, const char **ret_reason)
{
    int code = lookup->code, rc;
    if (lookup->count > 0)
        return lookup->count;
    if (code == EAI_SYSTEM)
        rc = lookup->saved_errno ? -lookup->saved_errno : -EIO;
    else if (code == EAI_AGAIN)
        rc = -EAGAIN;
    else if (code == EAI_MEMORY)
        rc = -ENOMEM;
    else
        rc = -ENOENT;
    *ret_reason = code == EAI_SYSTEM ? strerror(-rc) : gai_strerror(code);
    return rc;
}

/* ---- a task that waits for one ---- */

static void task_lookup_done(struct calm__lookup *lookup)
{
    calm__unpark(lookup->ctx, 0);
}

static void task_lookup_cancel(struct calm_task *task, void *object)
{
    calm__lookup_leave(object);
    calm__unpark(task, -ECANCELED);
}

static int find_by_name(
    const char *host, int port, struct calm__address *ret_addresses)
{
    static const struct calm__wait wait = {
        .what = "the address of a host", .cancel = task_lookup_cancel};
    struct calm__lookup *lookup;
    int rc =
        calm__lookup_start(host, port, task_lookup_done, calm__self(), &lookup);
    if (rc < 0)
        return calm_fail(
            rc, "cannot begin to look '%s' up: %s", host, strerror(-rc));
    rc = calm__park(&wait, lookup);
    if (rc < 0)
        return rc; /* the record is not ours any more */
    const char *reason;
    rc = calm__lookup_result(lookup, &reason);
    if (rc < 0)
        calm_fail(rc, "cannot find the address of '%s': %s", host, reason);
    else
        memcpy(ret_addresses, lookup->addresses,
            (size_t)rc * sizeof *ret_addresses);
    free(lookup);
    return rc;
}

int calm__address_find(const char *host, int port,
    struct calm__address ret_addresses[CALM__ADDRESSES_MOST])
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (port < 0 || port > 65535)
        return calm_fail(-EINVAL, "%d is no port\nhint: 0 to 65535", port);
    if (calm__address_numeric(host, port, ret_addresses))
        return 1;
    return find_by_name(host, port, ret_addresses);
}
