/* io/address.h - addresses of sockets, and looking them up by name */
#ifndef CALM_IO_ADDRESS_H
#define CALM_IO_ADDRESS_H

#include "host/pool.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    CALM__ADDRESSES_MOST = 16, /* of one name; further ones are not tried */
    CALM__ADDRESS_TEXT = 128,
};

struct calm__address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    };
    socklen_t len;
};

/* The addresses of HOST for TCP, with PORT, in the order in which to try them.
 * A numeric one is answered at once; a name by the blocking pool. Returns how
 * many, at least one, or an error with a sentence. A cancel returns at once;
 * the thread goes on alone and what it finds is thrown away. */
int calm__address_find(const char *host, int port,
    struct calm__address ret_addresses[CALM__ADDRESSES_MOST]);

/* The address that HOST is the text of; false for a name. */
bool calm__address_numeric(
    const char *host, int port, struct calm__address *ret_address);

/* ---- looking up without a task ---- */

/* A look-up under way, or its result. */
struct calm__lookup {
    struct calm__job job; /* first: the two are cast to each other */
    void (*done)(struct calm__lookup *lookup); /* NULL: nobody waits */
    void *ctx;                                 /* the one who waits */
    int port;
    int code, saved_errno; /* getaddrinfo's */
    int count;
    struct calm__address addresses[CALM__ADDRESSES_MOST];
    char host[];
};

/* Starts one on the blocking pool. DONE is called with it on the loop's stack
 * and owns it from then on, to be freed by free(). The run does not end before
 * that. Returns 0, -ENOMEM, or an errno when no thread can be made. */
int calm__lookup_start(const char *host, int port,
    void (*done)(struct calm__lookup *lookup), void *ctx,
    struct calm__lookup **ret_lookup);

/* DONE will not be called any more, and the look-up frees itself. */
void calm__lookup_leave(struct calm__lookup *lookup);

/* What was found: how many addresses, or -ENOENT, -EAGAIN, -ENOMEM or another
 * errno, and a reason for people. */
int calm__lookup_result(
    const struct calm__lookup *lookup, const char **ret_reason);

/* A Unix socket's. Returns 0, or -ENAMETOOLONG, -EINVAL with a sentence. */
int calm__address_local(const char *path, struct calm__address *ret_address);

/* For people: "127.0.0.1:80", "[::1]:80", a path. */
void calm__address_text(
    const struct calm__address *address, char text[CALM__ADDRESS_TEXT]);

#endif
