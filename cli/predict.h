/* cli/predict.h - what calm predict was asked to do, and how far it is */
#ifndef CALM_CLI_PREDICT_H
#define CALM_CLI_PREDICT_H

#include "cli.h"

enum progress { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

struct job {
    calm_predict_opts opts;
    calm_predict_state state;
    const char *summary;
    enum progress progress;
    bool verbose, quiet;
    const char **missing;
    size_t missing_count;
    int64_t started;
    uint64_t failures_told;
    bool line_shown;
    int code; /* what calm_predict() returned */
    char cause[CALM_MESSAGE_MAX];
};

/* Fills JOB from the arguments, whose memory it keeps pointing to. Returns -1
 * to go on, else the code to exit with: --help and mistakes end here. */
int predict_options_read(struct job *job, int argc, char **argv);

/* Frees what the options took. */
void predict_options_clear(struct job *job);

#endif
