/* host/process.h - a process from inside: spawn.c makes it, process.c cares */
#ifndef CALM_HOST_PROCESS_H
#define CALM_HOST_PROCESS_H

#include <calm/process.h>

struct calm_process {
    pid_t id;
    int fd;       /* a pidfd, -1 once it was reaped */
    int pipes[3]; /* our ends; -1: none, or taken */
    int users;    /* tasks that wait for it or close it */
    bool closed;  /* the last of them frees it */
    bool group;
    int64_t grace;
    int code;       /* 0, or why the exit status was lost */
    calm_exit exit; /* once it was reaped */
};

/* Starts ARGV and fills ID, FD, PIPES of PROCESS. Blocks until the new program
 * was loaded: for a thread of the pool. Returns 0, or an errno with a
 * sentence, and then there is neither a process nor a descriptor. */
int calm__process_spawn(const char *const *argv, const calm_process_opts *opts,
    struct calm_process *process);

/* A program that was started without standard streams gives their numbers to
 * our pipes, which a child's own streams would then overwrite: moves *FD to a
 * higher number. Returns 0 or an errno, and *FD is as it was. */
int calm__fd_above_streams(int *fd);

#endif
