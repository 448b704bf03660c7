/* cmd_compare.c - calm compare: the same work sync, async, in threads and in
 * processes
 *
 * The library measures and judges; here are options, progress and files.
 */
#include "cli.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char help[] =
    "Usage: calm compare [io|files|http|cpu|mixed|all] [OPTIONS]\n"
    "\n"
    "Does the same work one after the other, as tasks, in threads and in\n"
    "processes, and says which to use.\n"
    "\n"
    "  io                wait, by a timer\n"
    "  files             read the files of a folder\n"
    "  http              request a URL\n"
    "  cpu               sum squares, and check the sum\n"
    "  mixed             request a URL, then sum squares\n"
    "  all               each of them, the default\n"
    "\n"
    "  --tasks N         how many times (10; files: each file once)\n"
    "  --duration MS     how long a task of io waits (100), and a server of\n"
    "                    its own takes to answer (20)\n"
    "  --work N          how many squares a task sums (cpu: 50000000, mixed:\n"
    "                    5000000)\n"
    "  --repeat R        repetitions that are measured (5)\n"
    "  --warmup W        repetitions before that do not count (1)\n"
    "  --url URL         what is requested (a calm serve of its own)\n"
    "  --dir FOLDER      whose files are read (one made for it)\n"
    "  --json FILE       all figures; - is stdout, in place of the table\n"
    "  --plot FILE.svg   bars of the times\n"
    "\n"
    "A repetition is cut off after 1.5 s and multiplied up, which a ~ tells.\n"
    "\n"
    "Exit codes: 0 done, 1 something could not be measured or written, 2\n"
    "refused to start.\n";

enum {
    OPT_TASKS = 256,
    OPT_DURATION,
    OPT_WORK,
    OPT_REPEAT,
    OPT_WARMUP,
    OPT_URL,
    OPT_DIR,
    OPT_JSON,
    OPT_PLOT,
    OPT_HELP = 'h',
};

static const struct option options[] = {
    {"tasks", required_argument, NULL, OPT_TASKS},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"work", required_argument, NULL, OPT_WORK},
    {"repeat", required_argument, NULL, OPT_REPEAT},
    {"warmup", required_argument, NULL, OPT_WARMUP},
    {"url", required_argument, NULL, OPT_URL},
    {"dir", required_argument, NULL, OPT_DIR},
    {"json", required_argument, NULL, OPT_JSON},
    {"plot", required_argument, NULL, OPT_PLOT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct comparing {
    calm_compare_opts opts;
    bool works[CALM_WORKS];
    bool all; /* of them were asked for, not each by name */
    const char *json, *plot;
    calm_comparison done[CALM_WORKS];
    size_t count;
    bool shown; /* a line of progress */
};

/* ---- options ---- */

static bool bounded_read(
    const char *option, uint64_t least, uint64_t most, uint64_t *ret_number)
{
    if (!number_read(option, optarg, least, ret_number))
        return false;
    if (*ret_number <= most)
        return true;
    complain(
        "%s: '%s' is more than %llu", option, optarg, (unsigned long long)most);
    return false;
}

static bool number_option(calm_compare_opts *opts, int option)
{
    uint64_t number;
    switch (option) {
    case OPT_TASKS:
        if (!bounded_read("--tasks", 1, 1000000, &number))
            return false;
        opts->tasks = (size_t)number;
        return true;
    case OPT_DURATION:
        if (!bounded_read("--duration", 0, 3600000, &number))
            return false;
        opts->duration = number ? (int64_t)number * CALM_MS : -1;
        return true;
    case OPT_WORK:
        return bounded_read("--work", 1, UINT64_C(1) << 50, &opts->amount);
    case OPT_REPEAT:
        if (!bounded_read("--repeat", 1, CALM_REPEAT_MOST, &number))
            return false;
        opts->repeat = (int)number;
        return true;
    default:
        if (!bounded_read("--warmup", 0, CALM_REPEAT_MOST, &number))
            return false;
        opts->warmup = number ? (int)number : -1;
        return true;
    }
}

static bool work_option(struct comparing *comparing, const char *name)
{
    bool all = strcmp(name, "all") == 0, found = false;
    for (int i = 0; i < CALM_WORKS; i++)
        if (all || strcmp(name, calm_work_name(i)) == 0)
            found = comparing->works[i] = true;
    if (!found)
        complain("compare: '%s' is no work to compare", name);
    comparing->all = all;
    return found;
}

static bool ends_in_svg(const char *path)
{
    size_t len = strlen(path);
    return strcmp(path, "-") == 0 ||
           (len > 4 && strcasecmp(path + len - 4, ".svg") == 0);
}

/* Measuring for a minute and then not to be able to write would be sad. */
static bool can_write(const char *option, const char *path)
{
    if (strcmp(path, "-") == 0 || access(path, W_OK) == 0)
        return true;
    char *copy = strdup(path);
    bool good =
        copy && access(path, F_OK) != 0 && access(dirname(copy), W_OK) == 0;
    if (!good)
        complain("%s: cannot write '%s': %s", option, path, strerror(errno));
    free(copy);
    return good;
}

/* Returns an exit code, or -1 to go on. */
static int options_read(struct comparing *comparing, int argc, char **argv)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) >= 0) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (option == '?' || option == ':')
            return complain("compare: %s '%s'\nhint: see 'calm compare --help'",
                option == '?' ? "unknown option" : "no value for",
                argv[optind - 1]);
        if (option == OPT_URL)
            comparing->opts.url = optarg;
        else if (option == OPT_DIR)
            comparing->opts.folder = optarg;
        else if (option == OPT_JSON)
            comparing->json = optarg;
        else if (option == OPT_PLOT)
            comparing->plot = optarg;
        else if (!number_option(&comparing->opts, option))
            return EXIT_USAGE;
    }
    if (optind == argc && !work_option(comparing, "all"))
        return EXIT_USAGE;
    for (; optind < argc; optind++)
        if (!work_option(comparing, argv[optind]))
            return EXIT_USAGE;
    if (comparing->json && !can_write("--json", comparing->json))
        return EXIT_USAGE;
    if (comparing->plot && !ends_in_svg(comparing->plot))
        return complain("compare: --plot: '%s' does not end in .svg, which is "
                        "what is drawn",
            comparing->plot);
    if (comparing->plot && !can_write("--plot", comparing->plot))
        return EXIT_USAGE;
    return -1;
}

/* ---- progress ---- */

static void progress_clear(struct comparing *comparing)
{
    if (comparing->shown)
        fputs("\r\033[K", stderr);
    comparing->shown = false;
}

static void progress(
    void *ctx, enum calm_work work, enum calm_approach approach)
{
    struct comparing *comparing = ctx;
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[Kmeasuring %s: %s ...", calm_work_name(work),
        calm_approach_name(approach));
    fflush(stderr);
    comparing->shown = true;
}

/* ---- results ---- */

static int show(const calm_comparison *comparison, bool first)
{
    calm_bytes text = {0};
    int rc = calm_compare_text(comparison, &text);
    if (rc == 0)
        printf("%s%s", first ? "" : "\n", calm_bytes_text(&text));
    if (rc == 0 && fflush(stdout) != 0)
        rc = calm_fail(-errno, "cannot write to standard output: %m");
    calm_bytes_clear(&text);
    return rc;
}

static bool failures_tell(const calm_comparison *comparison)
{
    bool failed = false;
    for (int i = 0; i < CALM_APPROACHES; i++) {
        const calm_compare_figures *figures = &comparison->approaches[i];
        if (figures->code < 0)
            complain("%s, %s: %s", calm_work_name(comparison->work),
                calm_approach_name(i), figures->message);
        failed |= figures->code < 0;
    }
    return failed;
}

/* Returns 1 when something failed that the others do not suffer from. */
static int measure(struct comparing *comparing)
{
    int failed = 0;
    for (int i = 0; i < CALM_WORKS; i++) {
        if (!comparing->works[i])
            continue;
        calm_comparison *comparison = &comparing->done[comparing->count];
        comparing->opts.work = (enum calm_work)i;
        int rc = calm_compare(&comparing->opts, comparison);
        progress_clear(comparing);
        if (rc == -EINTR)
            return rc;
        if (rc < 0) {
            complain("%s: %s", calm_work_name(i), calm_message(rc));
            /* A build without a server still compares the others. */
            failed |= !(rc == -ENOSYS && comparing->all);
            continue;
        }
        failed |= failures_tell(comparison);
        bool first = comparing->count++ == 0;
        if (!(comparing->json && strcmp(comparing->json, "-") == 0) &&
            (rc = show(comparison, first)) < 0)
            return rc;
    }
    return failed;
}

static int write_out(const char *path, const calm_bytes *bytes)
{
    if (strcmp(path, "-") != 0)
        return calm_file_write_all(path, bytes->data, bytes->len, CALM_ATOMIC);
    if (fwrite(bytes->data, 1, bytes->len, stdout) == bytes->len &&
        fflush(stdout) == 0)
        return 0;
    return calm_fail(-EIO, "cannot write to standard output: %m");
}

static int write_files(void *arg)
{
    struct comparing *comparing = arg;
    calm_bytes bytes = {0};
    int rc = 0;
    if (comparing->json) {
        rc = calm_compare_json(comparing->done, comparing->count, &bytes);
        if (rc == 0)
            rc = write_out(comparing->json, &bytes);
        calm_bytes_reset(&bytes);
    }
    if (rc == 0 && comparing->plot) {
        rc = calm_compare_svg(comparing->done, comparing->count, &bytes);
        if (rc == 0)
            rc = write_out(comparing->plot, &bytes);
    }
    calm_bytes_clear(&bytes);
    return rc;
}

int cmd_compare(int argc, char **argv)
{
    static struct comparing comparing; /* too large for a stack */
    int code = options_read(&comparing, argc, argv);
    if (code >= 0)
        return code;
    comparing.opts.progress = progress;
    comparing.opts.progress_ctx = &comparing;
    int rc = measure(&comparing);
    bool failed = rc > 0;
    if (rc >= 0 && comparing.count > 0)
        rc = calm_run(write_files, &comparing);
    if (rc < 0)
        complain("%s", calm_message(rc));
    return rc < 0 || failed ? EXIT_LOCAL : EXIT_DONE;
}
