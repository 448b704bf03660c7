/* io/server_inside.h - what the files of the server share
 *
 *     server.c             opens and closes it
 *     server_run.c         its tasks, its time limits, its end
 *     server_connection.c  the way of a connection, as libmicrohttpd tells it
 *     server_head.c        judges heads
 *     server_request.c     what a handler sees, and its answer
 */
#ifndef CALM_IO_SERVER_INSIDE_H
#define CALM_IO_SERVER_INSIDE_H

#include "io/server.h"

#include <calm/gather.h>
#include "io/socket.h"

struct MHD_Daemon;

struct calm_server {
    calm_server_opts opts;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    calm_socket *listener;
    int port;
    char name[CALM__ADDRESS_TEXT];

    calm_group *handlers;  /* while it runs */
    calm_result unhandled; /* of the last handler that could not run */
    bool draining;
    calm_event stop;  /* to begin the drain */
    calm_event quiet; /* no request has begun */
    calm_event room;  /* for another connection */
    calm_event some;  /* there are connections */
    calm_event work;  /* for the turn task */
    calm_event turned;
    size_t connections;
    size_t bodies_held;
    struct calm__phase_list phases[CALM__PHASES];
};

/* The list of a phase; moving through the phases is server_connection.c's. */
void calm__phase_leave(calm_request *request);
void calm__phase_enter(calm_request *request, enum calm__phase phase);

/* What a head comes to: a status and a reason to refuse it with, or 0. */
struct calm__head {
    int status;
    const char *reason;
    bool has_body;
};

/* VERSION is that of its protocol. */
struct calm__head calm__head_check(
    const calm_request *request, const char *version);

/* Starts libmicrohttpd, which is then to be stopped. Returns 0 or -ENOMEM. */
int calm__server_daemon(calm_server *server);

/* Frees the record of a connection that is closed. */
void calm__request_drop(calm_request *request);

#endif
