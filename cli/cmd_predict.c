/* cmd_predict.c - calm predict: a dataset through a model */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAME_MOST = 10, PROGRESS_EVERY = 100 };

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
    int code;        /* what calm_predict() returned */
    char cause[CALM_MESSAGE_MAX];
};

static const char help[] =
    "Usage: calm predict INPUT --model MODEL -o OUTPUT [OPTIONS]\n"
    "\n"
    "Runs the rows of INPUT through MODEL and writes a prediction for each.\n"
    "\n"
    "  INPUT                a .csv or .jsonl file, also .gz or .zst; - is stdin\n"
    "  --model MODEL        an XGBoost model, .json or .ubj\n"
    "  -o, --output OUTPUT  a .csv or .jsonl file; - is stdout\n"
    "\n"
    "Columns:\n"
    "  --features a,b,c     what the model is given, in its order; default: its\n"
    "                       own names, else every column but id and truth\n"
    "  --id COLUMN          copied to the output; default: sample_id or id,\n"
    "                       else the row's number\n"
    "  --truth COLUMN       not given to the model; the summary tells the\n"
    "                       accuracy, or the RMSE of numbers\n"
    "  --keep a,b           further columns to copy to the output\n"
    "  --missing TEXT       read as no value, beside the empty field; may be\n"
    "                       given several times\n"
    "\n"
    "How:\n"
    "  --batch-size N       rows in a batch (4096)\n"
    "  --threads N          batches computed at once (the processors)\n"
    "  --in-flight N        batches between reading and writing\n"
    "  --limit ROWS         read no more rows than these\n"
    "  --unordered          write as answers come, with the row's number\n"
    "  --overwrite          replace an output that exists\n"
    "  --separator C        of CSV: a character, or tab\n"
    "  --ragged HOW         rows with other fields than the header: fail, pad\n"
    "                       or skip\n"
    "  --invalid-utf8 HOW   fail, replace or pass\n"
    "  --csv-safe           no cell of the output is a formula\n"
    "  --model-sha256 HEX   refuse another model file than this\n"
    "  --progress WHEN      auto, always or never\n"
    "  --summary FILE       the summary as JSON, too\n"
    "  -v, --verbose        tell more;  -q, --quiet  only errors\n"
    "\n"
    "Exit codes: 0 done, 1 stopped by an error, 2 refused to start, 3 some\n"
    "rows failed (see OUTPUT.errors.jsonl).\n";

/* ---- progress ---- */

static void line_clear(struct job *job)
{
    if (job->line_shown)
        fputs("\r\033[K", stderr);
    job->line_shown = false;
}

static void line_show(struct job *job)
{
    const calm_predict_state *state = &job->state;
    if (state->started == 0)
        return;
    double seconds = calm_seconds_since(state->started);
    uint64_t done = state->ok + state->failed;
    fprintf(stderr, "\r\033[K%llu rows, %.0f/s", (unsigned long long)done,
        seconds > 0 ? (double)done / seconds : 0);
    if (state->size > 0 && state->bytes > 0) {
        double part = (double)state->bytes / (double)state->size;
        fprintf(stderr, ", %.0f %%, %.0f s left", 100 * part,
            part > 0 ? seconds / part - seconds : 0);
    }
    fprintf(stderr, ", %llu in flight, %llu failed",
        (unsigned long long)state->in_flight,
        (unsigned long long)state->failed);
    fflush(stderr);
    job->line_shown = true;
}

static int show_progress(void *arg)
{
    struct job *job = arg;
    calm_name("progress");
    int rc;
    while ((rc = calm_sleep(PROGRESS_EVERY * CALM_MS)) == 0)
        line_show(job);
    return rc;
}

static bool wants_progress(const struct job *job)
{
    if (job->quiet || job->progress == PROGRESS_NEVER)
        return false;
    return job->progress == PROGRESS_ALWAYS || isatty(STDERR_FILENO);
}

/* ---- messages ---- */

/* The first ten are told one by one; the summary counts the rest. */
static void row_failed(
    void *ctx, uint64_t row, uint64_t line, const char *cause)
{
    struct job *job = ctx;
    if (job->failures_told++ >= SAME_MOST || job->quiet)
        return;
    line_clear(job);
    fprintf(stderr, "calm: row %llu of '%s': %s\n", (unsigned long long)row,
        job->opts.input, cause);
    if (job->failures_told == SAME_MOST)
        fputs("calm: further rows that fail are counted, not shown\n", stderr);
}

static void on_report(void *ctx, const char *text)
{
    struct job *job = ctx;
    if (job->verbose)
        complain("%s", text);
}

static void quality_print(const calm_predict_state *state)
{
    if (state->compared == 0)
        return;
    if (state->classes)
        fprintf(stderr, ", accuracy %.4f (%llu of %llu)",
            (double)state->right / (double)state->compared,
            (unsigned long long)state->right,
            (unsigned long long)state->compared);
    else
        fprintf(stderr, ", RMSE %.6g over %llu rows",
            sqrt(state->squared_error / (double)state->compared),
            (unsigned long long)state->compared);
}

static void summary_print(struct job *job)
{
    const calm_predict_state *state = &job->state;
    double seconds = calm_seconds_since(job->started);
    uint64_t done = state->ok + state->failed;
    line_clear(job);
    if (job->quiet)
        return;
    fprintf(stderr, "calm: %llu rows: %llu ok, %llu failed, %llu left, "
                    "0 retries, %.2f s",
        (unsigned long long)state->rows, (unsigned long long)state->ok,
        (unsigned long long)state->failed,
        (unsigned long long)(state->rows - done), seconds);
    if (done > 0 && seconds > 0)
        fprintf(stderr, " (%.0f rows/s)", (double)done / seconds);
    quality_print(state);
    fputc('\n', stderr);
}

static int summary_write(struct job *job)
{
    const calm_predict_state *state = &job->state;
    calm_bytes text = {0};
    calm_json_writer json = {.out = &text};
    calm_json_begin_object(&json);
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {{"rows", state->rows}, {"ok", state->ok},
        {"failed", state->failed},
        {"left", state->rows - state->ok - state->failed}, {"retries", 0}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        calm_json_put_key(&json, counts[i].name);
        calm_json_put_uint(&json, counts[i].value);
    }
    calm_json_put_key(&json, "seconds");
    calm_json_put_double(&json, calm_seconds_since(job->started));
    if (state->compared > 0) {
        calm_json_put_key(&json, state->classes ? "accuracy" : "rmse");
        double compared = (double)state->compared;
        calm_json_put_double(&json,
            state->classes ? (double)state->right / compared
                           : sqrt(state->squared_error / compared));
        calm_json_put_key(&json, "compared");
        calm_json_put_uint(&json, state->compared);
    }
    calm_json_put_key(&json, "complete");
    calm_json_put_bool(&json, state->committed);
    if (job->code < 0) {
        calm_json_put_key(&json, "error");
        calm_json_put_text(&json, job->cause);
    }
    calm_json_end_object(&json);
    int rc = calm_json_end_line(&json);
    calm_shield shield; /* also after Ctrl-C */
    calm_shield_begin(&shield);
    if (rc == 0)
        rc = calm_file_write_all(job->summary, text.data, text.len, CALM_ATOMIC);
    calm_shield_end(&shield);
    calm_bytes_clear(&text);
    return rc;
}

/* What is left behind by a run that has not finished, and what to do next. */
static void kept_print(const struct job *job)
{
    if (!job->state.created || strcmp(job->opts.output, "-") == 0)
        return;
    fprintf(stderr, "calm: the partial output is '%s.calm-part'; run the same "
                    "command again to begin anew\n", job->opts.output);
}

/* ---- the run ---- */

static int work(void *arg)
{
    struct job *job = arg;
    calm_group group;
    calm_group_begin(&group);
    if (wants_progress(job))
        calm_spawn(&group, show_progress, job);
    job->started = calm_now();
    job->code = calm_predict(&job->opts, &job->state);
    if (job->code < 0)
        snprintf(job->cause, sizeof job->cause, "%s",
            job->code == -ECANCELED ? "interrupted" : calm_message(job->code));
    calm_group_cancel(&group);
    calm_group_end(&group, 0);
    line_clear(job);
    if (job->code < 0 && job->code != -EPIPE)
        complain("%s", job->cause);
    if (job->code < 0)
        kept_print(job);
    summary_print(job);
    if (!job->summary)
        return job->code;
    int rc = summary_write(job);
    if (rc < 0)
        complain("%s", calm_message(rc));
    if (job->code == 0 && rc < 0)
        job->code = rc;
    return job->code;
}

/* Before anything was created it is the command that must change, unless the
 * machine failed. */
static int exit_code(const struct job *job)
{
    if (job->code == 0)
        return job->state.failed > 0 ? EXIT_ROWS : EXIT_DONE;
    bool machine = job->code == -ENOMEM || job->code == -EIO ||
        job->code == -ENOSPC || job->code == -EMFILE ||
        job->code == CALM_EFORMAT || job->code == CALM_ELIMIT;
    return job->state.created || machine ? EXIT_LOCAL : EXIT_USAGE;
}

static int run(struct job *job)
{
    job->opts.on_failed = row_failed;
    job->opts.ctx = job;
    job->opts.drain = 10 * CALM_S;
    calm_run_opts opts = {
        .sigterm = true, .report = on_report, .report_ctx = job};
    int rc = calm_run_with(work, job, &opts); /* raises SIGINT, SIGTERM */
    if (rc < 0 && job->code == 0) {
        job->code = rc;
        complain("%s", calm_message(rc));
    }
    if (job->code == -EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    return exit_code(job);
}

/* ---- options ---- */

enum {
    OPT_MODEL = 256,
    OPT_FEATURES,
    OPT_ID,
    OPT_TRUTH,
    OPT_KEEP,
    OPT_MISSING,
    OPT_BATCH_SIZE,
    OPT_THREADS,
    OPT_IN_FLIGHT,
    OPT_LIMIT,
    OPT_UNORDERED,
    OPT_OVERWRITE,
    OPT_SEPARATOR,
    OPT_RAGGED,
    OPT_INVALID_UTF8,
    OPT_CSV_SAFE,
    OPT_MODEL_SHA256,
    OPT_PROGRESS,
    OPT_SUMMARY,
    OPT_HELP,
};

static const struct option options[] = {
    {"model", required_argument, NULL, OPT_MODEL},
    {"output", required_argument, NULL, 'o'},
    {"features", required_argument, NULL, OPT_FEATURES},
    {"id", required_argument, NULL, OPT_ID},
    {"truth", required_argument, NULL, OPT_TRUTH},
    {"keep", required_argument, NULL, OPT_KEEP},
    {"missing", required_argument, NULL, OPT_MISSING},
    {"batch-size", required_argument, NULL, OPT_BATCH_SIZE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"in-flight", required_argument, NULL, OPT_IN_FLIGHT},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"unordered", no_argument, NULL, OPT_UNORDERED},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"separator", required_argument, NULL, OPT_SEPARATOR},
    {"ragged", required_argument, NULL, OPT_RAGGED},
    {"invalid-utf8", required_argument, NULL, OPT_INVALID_UTF8},
    {"csv-safe", no_argument, NULL, OPT_CSV_SAFE},
    {"model-sha256", required_argument, NULL, OPT_MODEL_SHA256},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"summary", required_argument, NULL, OPT_SUMMARY},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* The number of TEXT among NAMES, which end with NULL; -1 with a complaint. */
static int choice_read(
    const char *option, const char *text, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    complain("predict: %s: '%s' is not one of its words", option, text);
    return -1;
}

static bool choice_option(struct job *job, int option, const char *text)
{
    static const char *const progress[] = {"auto", "always", "never", NULL};
    static const char *const ragged[] = {"fail", "pad", "skip", NULL};
    static const char *const utf8[] = {"fail", "replace", "pass", NULL};
    int choice;
    if (option == OPT_PROGRESS) {
        choice = choice_read("--progress", text, progress);
        job->progress = (enum progress)choice;
    } else if (option == OPT_RAGGED) {
        choice = choice_read("--ragged", text, ragged);
        job->opts.csv.ragged = (enum calm_csv_ragged)choice;
    } else {
        choice = choice_read("--invalid-utf8", text, utf8);
        job->opts.csv.invalid_utf8 = (enum calm_csv_utf8)choice;
    }
    return choice >= 0;
}

static bool number_option(struct job *job, int option, const char *text)
{
    uint64_t number = 0;
    bool good = false;
    if (option == OPT_BATCH_SIZE) {
        good = number_read("predict: --batch-size", text, 1, &number) &&
            number <= 1000000;
        if (number > 1000000)
            complain("predict: --batch-size: 1000000 rows at most");
        job->opts.batch_size = (size_t)number;
    } else if (option == OPT_THREADS) {
        good = number_read("predict: --threads", text, 1, &number) &&
            number <= 1024;
        if (number > 1024)
            complain("predict: --threads: 1024 at most");
        job->opts.threads = (size_t)number;
    } else if (option == OPT_IN_FLIGHT) {
        good = number_read("predict: --in-flight", text, 1, &number) &&
            number <= 65536;
        if (number > 65536)
            complain("predict: --in-flight: 65536 batches at most");
        job->opts.in_flight = (size_t)number;
    } else {
        good = number_read("predict: --limit", text, 1, &number);
        job->opts.limit = number;
    }
    return good;
}

static bool separator_option(struct job *job, const char *text)
{
    if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0)
        text = "\t";
    if (strlen(text) != 1)
        return complain("predict: --separator: one character, or tab"), false;
    job->opts.csv.separator = text[0];
    return true;
}

static bool missing_option(struct job *job, const char *text)
{
    const char **missing = realloc(
        job->missing, (job->missing_count + 2) * sizeof *job->missing);
    if (!missing)
        return complain("predict: no memory"), false;
    missing[job->missing_count++] = text;
    missing[job->missing_count] = NULL;
    job->missing = missing;
    job->opts.missing = missing;
    return true;
}

static bool list_option(const char *const **list, char *text)
{
    free((void *)*list);
    *list = list_split(text);
    return *list != NULL;
}

static bool text_option(struct job *job, int option, char *text)
{
    calm_predict_opts *opts = &job->opts;
    switch (option) {
    case OPT_MODEL:
        opts->model = text;
        break;
    case 'o':
        opts->output = text;
        break;
    case OPT_ID:
        opts->id = text;
        break;
    case OPT_TRUTH:
        opts->truth = text;
        break;
    case OPT_MODEL_SHA256:
        opts->model_sha256 = text;
        break;
    case OPT_SUMMARY:
        job->summary = text;
        break;
    case OPT_FEATURES:
        return list_option(&opts->features, text);
    case OPT_KEEP:
        return list_option(&opts->keep, text);
    case OPT_MISSING:
        return missing_option(job, text);
    case OPT_SEPARATOR:
        return separator_option(job, text);
    case OPT_PROGRESS:
    case OPT_RAGGED:
    case OPT_INVALID_UTF8:
        return choice_option(job, option, text);
    default:
        return number_option(job, option, text);
    }
    return true;
}

static bool flag_option(struct job *job, int option)
{
    switch (option) {
    case OPT_UNORDERED:
        return job->opts.unordered = true;
    case OPT_OVERWRITE:
        return job->opts.overwrite = true;
    case OPT_CSV_SAFE:
        return job->opts.csv_safe = true;
    case 'v':
        return job->verbose = true;
    case 'q':
        return job->quiet = true;
    }
    return false;
}

/* Returns -1 to go on, else the code to exit with. */
static int options_read(struct job *job, int argc, char **argv)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:vq", options, NULL)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (option == '?')
            return complain("predict: unknown option '%s'\n"
                            "hint: see 'calm predict --help'",
                argv[optind - 1]);
        if (option == ':')
            return complain(
                "predict: '%s' needs a value", argv[optind - 1]);
        if (!(optarg ? text_option(job, option, optarg)
                     : flag_option(job, option)))
            return EXIT_USAGE;
    }
    if (optind != argc - 1)
        return complain("predict: %s\nhint: see 'calm predict --help'",
            optind == argc ? "an INPUT is needed" : "one INPUT at a time");
    job->opts.input = argv[optind];
    if (!job->opts.model)
        return complain("predict: a model is needed: --model MODEL");
    if (!job->opts.output)
        return complain("predict: an output is needed: -o OUTPUT, - is stdout");
    return -1;
}

int cmd_predict(int argc, char **argv)
{
    struct job job = {.progress = PROGRESS_AUTO};
    int code = options_read(&job, argc, argv);
    if (code < 0)
        code = run(&job);
    free((void *)job.opts.features);
    free((void *)job.opts.keep);
    free(job.missing);
    return code;
}
