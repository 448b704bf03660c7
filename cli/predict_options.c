/* predict_options.c - the options of calm predict */
#include "predict.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "Usage: calm predict INPUT --model MODEL -o OUTPUT [OPTIONS]\n"
    "       calm predict INPUT --url URL -o OUTPUT [OPTIONS]\n"
    "\n"
    "Runs the rows of INPUT through MODEL and writes a prediction for each.\n"
    "\n"
    "  INPUT                a .csv or .jsonl file, also .gz or .zst; - is "
    "stdin\n"
    "  --model MODEL        an XGBoost model, .json or .ubj\n"
    "  --url URL            a model behind HTTP\n"
    "  -o, --output OUTPUT  a .csv or .jsonl file; - is stdout\n"
    "\n"
    "Columns:\n"
    "  --features a,b,c     what the model is given, in its order; default: "
    "its\n"
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
    "  --batch-size N       rows in a batch (4096; 32 for a URL)\n"
    "  --threads N          batches computed at once (the processors)\n"
    "  --in-flight N        batches between reading and writing\n"
    "  --limit ROWS         read no more rows than these\n"
    "  --unordered          write as answers come, with the row's number\n"
    "  --overwrite          replace an output that exists, and begin anew\n"
    "  --force-resume       resume also with another input, model or options\n"
    "  --retry-failed       predict the rows that failed again, and put them\n"
    "                       into the finished output\n"
    "  --separator C        of CSV: a character, or tab\n"
    "  --ragged HOW         rows with other fields than the header: fail, pad\n"
    "                       or skip\n"
    "  --invalid-utf8 HOW   fail, replace or pass\n"
    "  --csv-safe           no cell of the output is a formula\n"
    "  --model-sha256 HEX   refuse another model file than this\n"
    "  --progress WHEN      auto, always or never\n"
    "  --summary FILE       the summary as JSON, too\n"
    "  -v, --verbose        tell more;  -q, --quiet  only errors\n";

static const char codes[] =
    "\n"
    "Exit codes: 0 done, 1 stopped by an error, 2 refused to start, 3 some\n"
    "rows failed (see OUTPUT.errors.jsonl), 4 stopped by the server.\n";

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
    OPT_FORCE_RESUME,
    OPT_RETRY_FAILED,
    OPT_SEPARATOR,
    OPT_RAGGED,
    OPT_INVALID_UTF8,
    OPT_CSV_SAFE,
    OPT_MODEL_SHA256,
    OPT_PROGRESS,
    OPT_SUMMARY,
    OPT_HELP = 'h',
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
    {"force-resume", no_argument, NULL, OPT_FORCE_RESUME},
    {"retry-failed", no_argument, NULL, OPT_RETRY_FAILED},
    {"separator", required_argument, NULL, OPT_SEPARATOR},
    {"ragged", required_argument, NULL, OPT_RAGGED},
    {"invalid-utf8", required_argument, NULL, OPT_INVALID_UTF8},
    {"csv-safe", no_argument, NULL, OPT_CSV_SAFE},
    {"model-sha256", required_argument, NULL, OPT_MODEL_SHA256},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"summary", required_argument, NULL, OPT_SUMMARY},
    {"url", required_argument, NULL, OPT_URL},
    {"api", required_argument, NULL, OPT_API},
    {"template", required_argument, NULL, OPT_TEMPLATE},
    {"result-path", required_argument, NULL, OPT_RESULT_PATH},
    {"concurrency", required_argument, NULL, OPT_CONCURRENCY},
    {"rate", required_argument, NULL, OPT_RATE},
    {"token-rate", required_argument, NULL, OPT_TOKEN_RATE},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"retries", required_argument, NULL, OPT_RETRIES},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {"max-failures", required_argument, NULL, OPT_MAX_FAILURES},
    {"header", required_argument, NULL, OPT_HEADER},
    {"api-key-file", required_argument, NULL, OPT_API_KEY_FILE},
    {"ca-file", required_argument, NULL, OPT_CA_FILE},
    {"unix-socket", required_argument, NULL, OPT_UNIX_SOCKET},
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
    const char **missing =
        realloc(job->missing, (job->missing_count + 2) * sizeof *job->missing);
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
    if (option >= OPT_REMOTE)
        return remote_option(job, option, text);
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
    case OPT_FORCE_RESUME:
        return job->opts.force_resume = true;
    case OPT_RETRY_FAILED:
        return job->opts.retry_failed = true;
    case OPT_CSV_SAFE:
        return job->opts.csv_safe = true;
    case 'v':
        return job->verbose = true;
    case 'q':
        return job->quiet = true;
    }
    return false;
}

/* The same name, or two names of one file. */
static bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &first) == 0 && stat(b, &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

static const char *last_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* To be freed; NULL without memory. */
static char *folder_of(const char *path)
{
    size_t len = (size_t)(last_of(path) - path);
    return len > 0 ? strndup(path, len) : strdup(".");
}

/* Two names of one file, which need not be there yet. */
static bool same_place(const char *a, const char *b)
{
    if (same_file(a, b))
        return true;
    if (strcmp(last_of(a), last_of(b)) != 0)
        return false;
    char *first = folder_of(a), *second = folder_of(b);
    bool same = first && second && same_file(first, second);
    free(first);
    free(second);
    return same;
}

/* A letter may stand between others, in an argument not yet passed. */
static int unknown_option(const char *argument)
{
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_letter = optopt > 0 && optopt < 256 && !strchr("ovq", optopt);
    return complain("predict: unknown option '%s'\n"
                    "hint: see 'calm predict --help'",
        is_letter ? letter : argument);
}

/* What is read, the output, and what it is before it is whole. */
static bool is_used(const struct job *job, const char *name)
{
    const calm_predict_opts *opts = &job->opts;
    const char *const read[] = {opts->input, opts->model,
        opts->remote.template_file, opts->remote.ca_file, job->key_file};
    static const char *const ends[] = {"", ".calm-part", ".calm-journal",
        ".errors.jsonl", ".errors.jsonl.calm-part"};
    bool used = false;
    for (size_t i = 0; i < sizeof read / sizeof *read; i++)
        used |= read[i] && same_place(name, read[i]);
    for (size_t i = 0; i < sizeof ends / sizeof *ends && !used; i++) {
        char *output;
        if (asprintf(&output, "%s%s", opts->output, ends[i]) < 0)
            return true;
        used = same_place(name, output);
        free(output);
    }
    return used;
}

/* Told now, and not when a day of work is to be summed up. */
static int summary_check(const struct job *job)
{
    const char *summary = job->summary;
    if (!summary)
        return -1;
    if (is_used(job, summary))
        return complain("predict: --summary: '%s' is used otherwise", summary);
    char *folder = folder_of(summary);
    bool good = folder && access(folder, W_OK | X_OK) == 0;
    free(folder);
    return good ? -1
                : complain("predict: --summary: '%s' cannot be written: %s",
                      summary, strerror(errno));
}

int predict_options_read(struct job *job, int argc, char **argv)
{
    int option, index = 0;
    const char *remote = NULL; /* an option that only a URL can use */
    opterr = 0;
    while (
        (option = getopt_long(argc, argv, ":ho:vq", options, &index)) != -1) {
        if (option == OPT_HELP) {
            printf("%s%s%s", help, remote_help, codes);
            return EXIT_DONE;
        }
        if (option == '?')
            return unknown_option(argv[optind - 1]);
        if (option == ':')
            return complain("predict: '%s' needs a value", argv[optind - 1]);
        if (!(optarg ? text_option(job, option, optarg)
                     : flag_option(job, option)))
            return EXIT_USAGE;
        if (option > OPT_URL)
            remote = options[index].name;
    }
    if (optind != argc - 1)
        return complain("predict: %s\nhint: see 'calm predict --help'",
            optind == argc ? "an INPUT is needed" : "one INPUT at a time");
    job->opts.input = argv[optind];
    if (!job->opts.model == !job->opts.remote.url)
        return complain(job->opts.model
                            ? "predict: --model or --url, but not both"
                            : "predict: a model is needed: --model MODEL or "
                              "--url URL");
    if (job->opts.model && remote)
        return complain("predict: --%s is for a model behind --url", remote);
    if (!job->opts.output)
        return complain("predict: an output is needed: -o OUTPUT, - is stdout");
    remote_options_end(job);
    return summary_check(job);
}

void predict_options_clear(struct job *job)
{
    free((void *)job->opts.features);
    free((void *)job->opts.keep);
    free(job->missing);
    remote_options_clear(job);
}
