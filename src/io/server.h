/* io/server.h - a server from inside, and for those who misbehave on purpose
 *
 * libmicrohttpd parses; everything else is decided here. Its daemon has an
 * epoll descriptor for which a task waits. The way of a connection:
 *
 *              head read        body read        answered
 *     IDLE ----------> BODY ----------> HANDLING -------> SENDING
 *      ^                 |                                   |
 *      |                 +--> DROPPING (what still comes)    |
 *      +------------------------ answer sent ----------------+
 *
 * In HANDLING the connection is the handler's task's. libmicrohttpd asks once
 * more whether there is an answer; if there is none yet it is suspended, and
 * libmicrohttpd forgets it until it is resumed. In every other phase it has a
 * time limit, which is the same for all connections in that phase: a list in
 * the order in which they came has the next to expire at its front.
 *
 * If the client resets the connection before it is suspended, libmicrohttpd
 * drops it at once. The record is then an orphan: without a connection, but
 * there until both its handler has returned and the connection is closed.
 */
#ifndef CALM_IO_SERVER_H
#define CALM_IO_SERVER_H

#include "core/await.h"

#include <calm/server.h>
#include <calm/sync.h>

enum calm__phase {
    CALM__IDLE,     /* between requests, or in the midst of a head */
    CALM__BODY,     /* the head was read */
    CALM__HANDLING, /* a task has the request */
    CALM__SENDING,  /* the answer is on its way */
    CALM__DROPPING, /* an answer was sent; what still comes is dropped */
    CALM__PHASES,
};

/* What an answer may do beside arriving. */
enum calm__misdeed {
    CALM__NO_MISDEED,
    CALM__CUT,   /* declare the whole body, send a part, and close */
    CALM__RESET, /* send nothing, and reset the connection */
};

struct MHD_Connection;
struct MHD_Response;

struct calm__header {
    struct calm__header *next;
    char *value; /* behind the name, in the same memory */
    char name[];
};

/* Bytes that the next request may use again. */
enum { CALM__BODY_KEPT = 64 << 10 };

/* One for each connection, used again for each of its requests. */
struct calm_request {
    calm_server *server;
    struct MHD_Connection *connection; /* NULL for an orphan */
    calm_request *next, *previous;     /* in the list of its phase */
    int64_t since;                     /* when it came there */
    enum calm__phase phase;
    bool begun;    /* its head was looked at */
    bool shut;     /* we have shut the connection down */
    bool answered; /* the handler has returned */
    bool suspended;
    bool orphan;
    bool closed; /* an orphan's connection is, too: its handler frees it */
    struct calm__awaiter handling; /* is told that the handler has ended */

    char *target; /* the path, cut at the '?' */
    char *query;
    char method[16];
    calm_bytes body;
    size_t held; /* of the server's bodies_held */

    int status; /* 0: none yet */
    calm_bytes answer;
    char type[96];
    struct calm__header *headers;
    enum calm__misdeed misdeed;
};

struct calm__phase_list {
    calm_request *first, *last;
    size_t count;
};

/* Whether it is letters, digits and a few signs (RFC 9110, a token). */
bool calm__header_is_name(const char *name);

/* Makes the answer misbehave. */
void calm__respond_cut(calm_request *request); /* in the middle */
void calm__respond_reset(calm_request *request);

/* Takes so many bytes off the end of the answer. */
void calm__respond_shorten(calm_request *request, size_t bytes);

/* Forgets what was asked and answered, for the next request. */
void calm__request_reset(calm_request *request);
void calm__request_free(calm_request *request);

/* The answer as libmicrohttpd wants it; takes the bytes. NULL without memory.
 * CLOSE: tell the client that the connection ends. */
struct MHD_Response *calm__request_response(calm_request *request, bool close);

/* The descriptor of the connection. */
int calm__request_fd(const calm_request *request);

/* Leaves {"error": REASON} as the answer, which is empty without memory. */
void calm__respond_reason(
    calm_request *request, int status, const char *reason);

/* Sends the answer that was left past libmicrohttpd, and that the connection
 * closes: for a client that is still sending what nobody wants. */
void calm__request_push(calm_request *request);

#endif
