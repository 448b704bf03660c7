/* cli/serve.h - what calm serve was asked to do */
#ifndef CALM_CLI_SERVE_H
#define CALM_CLI_SERVE_H

#include "cli.h"

struct serving {
    calm_serve_opts opts;
    calm_serve_model *models;
    char *token; /* from a file; the environment's is the environment's */
    const char *port_file;
    const char **drills;
    bool verbose, quiet;
    bool open; /* it got so far */
    int64_t started;
    int code; /* why it ended; 0 or the cancel by a signal */
};

/* Fills SERVING from the arguments, whose memory it keeps pointing to. Returns
 * -1 to go on, else the code to exit with: --help and mistakes end here. */
int serve_options_read(struct serving *serving, int argc, char **argv);

/* Frees what the options took. */
void serve_options_clear(struct serving *serving);

#endif
