/* io/address.h - addresses of sockets, and looking them up by name */
#ifndef CALM_IO_ADDRESS_H
#define CALM_IO_ADDRESS_H

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

/* A Unix socket's. Returns 0, or -ENAMETOOLONG, -EINVAL with a sentence. */
int calm__address_local(const char *path, struct calm__address *ret_address);

/* For people: "127.0.0.1:80", "[::1]:80", a path. */
void calm__address_text(
    const struct calm__address *address, char text[CALM__ADDRESS_TEXT]);

#endif
