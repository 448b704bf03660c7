/* serve_options.c - the options of calm serve */
#include "serve.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "Usage: calm serve [NAME=]MODEL... [OPTIONS]\n"
    "\n"
    "Serves XGBoost models over HTTP until it is interrupted.\n"
    "\n"
    "  [NAME=]MODEL         a .json or .ubj file; its name without folder and\n"
    "                       ending is the model's, unless NAME is given\n"
    "\n"
    "Where:\n"
    "  --port N             default 8080; 0: the kernel chooses\n"
    "  --port-file FILE     write the port there once it listens\n"
    "  --host ADDRESS       default 127.0.0.1\n"
    "  --expose             others than this machine may connect; needs a "
    "token\n"
    "  --token-file FILE    what clients must send as a bearer token; "
    "default:\n"
    "                       CALM_SERVE_TOKEN from the environment, if set\n"
    "\n"
    "How:\n"
    "  --max-batch ROWS     predicted together (256); 1 batches nothing\n"
    "  --max-delay TIME     that rows wait for others while a thread is free\n"
    "                       and another predicts (2ms)\n"
    "  --queue ROWS         that may wait; beyond it 503 (16384)\n"
    "  --threads N          batches predicted at once (the processors)\n"
    "  --max-body BYTES     of a request (8388608)\n"
    "  --connections N      at once (1024)\n"
    "  --drain TIME         for what is in flight at the end (10s)\n"
    "  -v, --verbose        tell more;  -q, --quiet  only errors\n"
    "\n"
    "To try clients:\n"
    "  --drill WHAT         misbehave: delay=50ms, fail=503:0.1 and others, "
    "see\n"
    "                       calm-serve(1); may be given several times\n"
    "  --allow-drill        a request may ask for it, by X-Calm-Drill: WHAT\n"
    "  --seed N             of the chance in it (0)\n"
    "\n"
    "GET /v2 and /metrics tell about it; POST /predict, "
    "/v2/models/NAME/infer\n"
    "and /v1/models/NAME:predict predict.\n"
    "\n"
    "Exit codes: 1 stopped by an error, 2 refused to start; else it dies by "
    "the\nsignal that ended it.\n";

enum {
    DEFAULT_PORT = 8080,
    TOKEN_MOST = 4096,
    OPT_PORT = 256,
    OPT_PORT_FILE,
    OPT_HOST,
    OPT_EXPOSE,
    OPT_TOKEN_FILE,
    OPT_MAX_BATCH,
    OPT_MAX_DELAY,
    OPT_QUEUE,
    OPT_THREADS,
    OPT_MAX_BODY,
    OPT_CONNECTIONS,
    OPT_DRAIN,
    OPT_DRILL,
    OPT_ALLOW_DRILL,
    OPT_SEED,
    OPT_HELP = 'h',
};

static const struct option options[] = {
    {"port", required_argument, NULL, OPT_PORT},
    {"port-file", required_argument, NULL, OPT_PORT_FILE},
    {"host", required_argument, NULL, OPT_HOST},
    {"expose", no_argument, NULL, OPT_EXPOSE},
    {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
    {"max-batch", required_argument, NULL, OPT_MAX_BATCH},
    {"max-delay", required_argument, NULL, OPT_MAX_DELAY},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"max-body", required_argument, NULL, OPT_MAX_BODY},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"drain", required_argument, NULL, OPT_DRAIN},
    {"drill", required_argument, NULL, OPT_DRILL},
    {"allow-drill", no_argument, NULL, OPT_ALLOW_DRILL},
    {"seed", required_argument, NULL, OPT_SEED},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool size_option(
    const char *option, const char *text, uint64_t most, size_t *ret_size)
{
    uint64_t number;
    if (!number_read(option, text, 1, &number))
        return false;
    if (number > most)
        return complain("%s: '%s' is more than %llu", option, text,
                   (unsigned long long)most),
               false;
    *ret_size = (size_t)number;
    return true;
}

static bool port_option(struct serving *serving, const char *text)
{
    uint64_t port;
    if (!number_read("--port", text, 0, &port))
        return false;
    if (port > 65535)
        return complain("--port: '%s' is more than 65535", text), false;
    serving->opts.port = (int)port;
    return true;
}

static bool time_option(const char *option, const char *text, int64_t *ret_time)
{
    int rc = calm_duration_parse(text, strlen(text), ret_time);
    if (rc < 0)
        return complain("%s: %s", option, calm_message(rc)), false;
    return true;
}

/* The library's zero is its default, so none at all is the least there is. */
static bool delay_option(
    const char *option, const char *text, int64_t *ret_time)
{
    if (!time_option(option, text, ret_time))
        return false;
    if (*ret_time == 0)
        *ret_time = 1;
    return true;
}

/* The first line of a file. Never an argument: those are seen by all users of
 * the machine. */
static bool token_option(struct serving *serving, const char *path)
{
    char text[TOKEN_MOST];
    FILE *file = fopen(path, "re");
    if (!file)
        return complain("cannot open '%s': %s", path, strerror(errno)), false;
    bool good = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    text[good ? strcspn(text, "\r\n") : 0] = '\0';
    if (!text[0])
        return complain("--token-file: '%s' has no token", path), false;
    free(serving->token);
    serving->token = strdup(text);
    explicit_bzero(text, sizeof text);
    if (!serving->token)
        return complain("serve: no memory"), false;
    serving->opts.token = serving->token;
    return true;
}

static bool drill_option(struct serving *serving, const char *text)
{
    size_t count = serving->opts.drill_count + 1;
    const char **drills = realloc(serving->drills, count * sizeof *drills);
    if (!drills)
        return complain("serve: no memory"), false;
    drills[count - 1] = text;
    serving->drills = drills;
    serving->opts.drills = drills;
    serving->opts.drill_count = count;
    return true;
}

static bool number_option(struct serving *serving, int option, const char *text)
{
    calm_serve_opts *opts = &serving->opts;
    switch (option) {
    case OPT_MAX_BATCH:
        return size_option("--max-batch", text, 1 << 20, &opts->batch_most);
    case OPT_QUEUE:
        return size_option("--queue", text, 1 << 30, &opts->queue_most);
    case OPT_THREADS:
        return size_option("--threads", text, 1024, &opts->threads);
    case OPT_MAX_BODY:
        return size_option("--max-body", text, 1 << 30, &opts->body_most);
    default:
        return size_option(
            "--connections", text, 1 << 20, &opts->connections_most);
    }
}

static bool text_option(struct serving *serving, int option, char *text)
{
    switch (option) {
    case OPT_PORT:
        return port_option(serving, text);
    case OPT_PORT_FILE:
        serving->port_file = text;
        return true;
    case OPT_HOST:
        serving->opts.host = text;
        return true;
    case OPT_TOKEN_FILE:
        return token_option(serving, text);
    case OPT_MAX_DELAY:
        return delay_option("--max-delay", text, &serving->opts.max_delay);
    case OPT_DRILL:
        return drill_option(serving, text);
    case OPT_SEED:
        return number_read("--seed", text, 0, &serving->opts.seed);
    case OPT_DRAIN:
        return delay_option("--drain", text, &serving->opts.drain);
    default:
        return number_option(serving, option, text);
    }
}

static bool flag_option(struct serving *serving, int option)
{
    switch (option) {
    case OPT_EXPOSE:
        return serving->opts.expose = true;
    case OPT_ALLOW_DRILL:
        return serving->opts.allow_drill = true;
    case 'v':
        return serving->verbose = true;
    case 'q':
        return serving->quiet = true;
    }
    return false;
}

/* A letter may stand between others, in an argument not yet passed. */
static int unknown_option(const char *argument)
{
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_letter = optopt > 0 && optopt < 256 && !strchr("vq", optopt);
    return complain("serve: unknown option '%s'\n"
                    "hint: see 'calm serve --help'",
        is_letter ? letter : argument);
}

/* NAME=FILE, unless there is a file of that whole name. */
static void model_argument(calm_serve_model *model, char *text)
{
    char *sign = strchr(text, '=');
    model->path = text;
    if (!sign || access(text, F_OK) == 0)
        return;
    *sign = '\0';
    model->name = text;
    model->path = sign + 1;
}

static int models_read(struct serving *serving, int count, char **arguments)
{
    if (count == 0)
        return complain("serve: a MODEL is needed\n"
                        "hint: see 'calm serve --help'");
    serving->models = calloc((size_t)count, sizeof *serving->models);
    if (!serving->models)
        return complain("serve: no memory"), EXIT_LOCAL;
    for (int i = 0; i < count; i++)
        model_argument(&serving->models[i], arguments[i]);
    serving->opts.models = serving->models;
    serving->opts.model_count = (size_t)count;
    return -1;
}

int serve_options_read(struct serving *serving, int argc, char **argv)
{
    int option;
    opterr = 0;
    serving->opts.port = DEFAULT_PORT;
    const char *token = getenv("CALM_SERVE_TOKEN");
    serving->opts.token = token && *token ? token : NULL;
    while ((option = getopt_long(argc, argv, ":hvq", options, NULL)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (option == '?')
            return unknown_option(argv[optind - 1]);
        if (option == ':')
            return complain("serve: '%s' needs a value", argv[optind - 1]);
        if (!(optarg ? text_option(serving, option, optarg)
                     : flag_option(serving, option)))
            return EXIT_USAGE;
    }
    return models_read(serving, argc - optind, argv + optind);
}

void serve_options_clear(struct serving *serving)
{
    free(serving->models);
    free(serving->drills);
    if (serving->token)
        explicit_bzero(serving->token, strlen(serving->token));
    free(serving->token);
}
