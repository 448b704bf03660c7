/* child.h - tests in a process of their own, which may die */
#ifndef CALM_TESTS_CHILD_H
#define CALM_TESTS_CHILD_H

#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs FN in a child, with what it writes to fd 2 in OUTPUT; returns how it
 * ended, as waitpid() tells. A child that hangs is ended after a minute. */
static inline int run_in_child(
    void (*fn)(void *arg), void *arg, char *output, size_t size)
{
    int ends[2], status = -1;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(60);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        fn(arg);
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t got;
    char rest[256];
    while ((got = read(ends[0], len + 1 < size ? output + len : rest,
                len + 1 < size ? size - 1 - len : sizeof rest)) > 0)
        if (len + 1 < size)
            len += (size_t)got;
    if (size > 0)
        output[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static inline bool exited_with(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static inline bool died_of(int status, int number)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

#endif
