/* io/server_inside.h - what the files of the server share: server.c opens it
 * and is called by libmicrohttpd, server_head.c judges heads, server_run.c has
 * its tasks */
#ifndef CALM_IO_SERVER_INSIDE_H
#define CALM_IO_SERVER_INSIDE_H

#include "io/server.h"
#include "io/socket.h"

struct MHD_Daemon;

struct calm_server {
    calm_server_opts opts;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    calm_socket *listener;
    int port;
    char name[CALM__ADDRESS_TEXT];

    calm_group *handlers; /* while it runs */
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

/* The list of a phase; moving through the phases is server.c's. */
void calm__phase_leave(calm_request *request);
void calm__phase_enter(calm_request *request, enum calm__phase phase);

/* The status and the reason to refuse a request with, or 0. VERSION is that of
 * its protocol. */
struct calm__verdict {
    int status;
    const char *reason;
};

struct calm__verdict calm__head_check(
    const calm_request *request, const char *version);

#endif
