/* io/socket.h - a socket from inside, for those who make one and those who use
 * it: connect.c, listen.c, socket.c */
#ifndef CALM_IO_SOCKET_H
#define CALM_IO_SOCKET_H

#include "core/sched.h"
#include "io/address.h"

#include <calm/socket.h>

struct calm_socket {
    int fd;    /* -1: closed */
    int users; /* tasks that are in one of its calls */
    bool pipe; /* no socket for the kernel: read and write */
    bool receiving, sending;
    char *path; /* a Unix listener's file, to be removed */
    char name[CALM__ADDRESS_TEXT];
};

/* A socket around FD, or without one for -1. NULL without memory: then FD is
 * still the caller's. */
calm_socket *calm__socket_new(int fd);

/* The descriptor of a new stream socket, ready for use, or an errno. */
int calm__socket_descriptor(int family);
void calm__socket_send_at_once(int fd, int family);

/* Names it after its own address, with the port that it got. */
void calm__socket_name_self(calm_socket *socket);

/* Frees SOCKET, which nobody uses, and returns its descriptor, now the
 * caller's. */
int calm__socket_release(calm_socket *socket);

/* A task's stay in a socket, in one direction, whose flag is IN_USE. Between
 * begin and end the record does not go away; after a failure of begin it may
 * be gone. The wait tells whether the socket was closed meanwhile. */
int calm__socket_stay_begin(calm_socket *socket, bool *in_use);
int calm__socket_stay_wait(const calm_socket *socket, enum calm__op_kind kind);
void calm__socket_stay_end(calm_socket *socket, bool *in_use);

/* Waits for a bare descriptor. */
int calm__socket_wait_fd(int fd, enum calm__op_kind kind);

/* The sentence for RC: "cannot WHAT 'name': ...". Returns RC. */
int calm__socket_described(const calm_socket *socket, int rc, const char *what);

#endif
