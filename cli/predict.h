/* cli/predict.h - what calm predict was asked to do, and how far it is */
#ifndef CALM_CLI_PREDICT_H
#define CALM_CLI_PREDICT_H

#include "cli.h"

enum progress { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

enum { HEADERS_MOST = 64 };

struct job {
    calm_predict_opts opts;
    calm_predict_state state;
    const char *summary;
    enum progress progress;
    bool verbose, quiet;
    const char **missing;
    size_t missing_count;
    calm_http_header headers[HEADERS_MOST];
    char *secrets[HEADERS_MOST]; /* values that came from files, or NULL */
    char *key;
    const char *key_file;
    int64_t started;
    uint64_t failures_told;
    bool line_shown;
    bool ended; /* the run itself */
    int code;   /* what calm_predict() returned */
    char cause[CALM_MESSAGE_MAX];
};

/* The options of a model behind a URL, remote_options.c. */
enum {
    OPT_REMOTE = 512,
    OPT_URL = OPT_REMOTE,
    OPT_API,
    OPT_TEMPLATE,
    OPT_RESULT_PATH,
    OPT_CONCURRENCY,
    OPT_RATE,
    OPT_TOKEN_RATE,
    OPT_TIMEOUT,
    OPT_RETRIES,
    OPT_PATIENCE,
    OPT_MAX_FAILURES,
    OPT_HEADER,
    OPT_API_KEY_FILE,
    OPT_CA_FILE,
    OPT_UNIX_SOCKET,
};

extern const char remote_help[];

/* Takes one of them; complains and returns false when its value is none. */
bool remote_option(struct job *job, int option, char *text);

/* Takes what the environment adds when all options are read. */
void remote_options_end(struct job *job);
void remote_options_clear(struct job *job);

/* Fills JOB from the arguments, whose memory it keeps pointing to. Returns -1
 * to go on, else the code to exit with: --help and mistakes end here. */
int predict_options_read(struct job *job, int argc, char **argv);

/* Frees what the options took. */
void predict_options_clear(struct job *job);

#endif
