/* cli/cli.h - what the subcommands share: exit codes, messages, lists */
#ifndef CALM_CLI_H
#define CALM_CLI_H

#include <calm.h>

#include <stdio.h>

/* Exit codes; signals end the process by themselves. docs/errors.md has what
 * is on the disk then and whether to run again. */
enum {
    EXIT_DONE = 0,
    EXIT_LOCAL = 1,  /* input, output, memory */
    EXIT_USAGE = 2,  /* refused before anything was created */
    EXIT_ROWS = 3,   /* finished, but a row failed */
    EXIT_REMOTE = 4, /* the remote side said stop */
};

/* One subcommand. MAIN gets its own name as argv[0]. */
struct command {
    const char *name;
    const char *what; /* one line for the overview */
    int (*main)(int argc, char **argv);
};

int cmd_predict(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* "calm: ..." on stderr; returns EXIT_USAGE, as most callers end so. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The texts of "a,b,c" as an array that ends with NULL, in place: TEXT is cut
 * at its commas. NULL without memory. */
const char **list_split(char *text);

/* Reads a whole number of at least LEAST from an option's value; complains and
 * returns false when it is none. */
bool number_read(
    const char *option, const char *text, uint64_t least, uint64_t *ret_number);

#endif
