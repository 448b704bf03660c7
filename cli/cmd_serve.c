/* cmd_serve.c - calm serve: models as an inference server */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void on_report(void *ctx, const char *text)
{
    const struct serving *serving = ctx;
    if (serving->verbose)
        complain("%s", text);
}

/* For scripts that let the kernel choose the port. */
static int port_write(const struct serving *serving, const calm_serve *service)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%d\n", calm_serve_port(service));
    return serving->port_file ? calm_file_write_all(serving->port_file, text,
                                    (size_t)len, CALM_ATOMIC)
                              : 0;
}

static void summary_print(
    const struct serving *serving, const calm_serve *service)
{
    calm_serve_state state;
    calm_serve_look(service, &state);
    fprintf(stderr,
        "calm: %llu request%s: %llu ok, %llu failed; %llu row%s in %llu "
        "batch%s, %.2f s\n",
        (unsigned long long)state.requests, plural(state.requests),
        (unsigned long long)(state.requests - state.failed),
        (unsigned long long)state.failed, (unsigned long long)state.rows,
        plural(state.rows), (unsigned long long)state.batches,
        state.batches == 1 ? "" : "es", calm_seconds_since(serving->started));
}

static int serve(struct serving *serving, calm_serve *service)
{
    size_t count = serving->opts.model_count;
    int rc = port_write(serving, service);
    if (rc < 0)
        return rc;
    serving->open = true;
    if (!serving->quiet)
        fprintf(stderr, "calm: serving %zu model%s on %s\n", count,
            plural(count), calm_serve_url(service));
    rc = calm_serve_run(service);
    if (serving->port_file)
        unlink(serving->port_file);
    if (!serving->quiet)
        summary_print(serving, service);
    return rc;
}

static int work(void *arg)
{
    struct serving *serving = arg;
    calm_serve *service;
    serving->started = calm_now();
    int rc = calm_serve_open(&serving->opts, &service);
    if (rc == 0) {
        rc = serve(serving, service);
        calm_serve_close(service);
    }
    serving->code = rc;
    if (rc < 0 && rc != -ECANCELED)
        complain("%s", calm_message(rc));
    return rc;
}

/* Before it served it is the command that must change, unless the machine
 * failed. */
static int exit_code(const struct serving *serving)
{
    int code = serving->code;
    bool machine = code == -ENOMEM || code == -EIO || code == -ENOSPC ||
                   code == -EMFILE || code == -ENFILE;
    if (code == 0 || code == -ECANCELED)
        return EXIT_DONE;
    return serving->open || machine ? EXIT_LOCAL : EXIT_USAGE;
}

static int run(struct serving *serving)
{
    calm_run_opts opts = {
        .sigterm = true, .report = on_report, .report_ctx = serving};
    int rc = calm_run_with(work, serving, &opts); /* raises SIGINT, SIGTERM */
    if (rc < 0 && serving->code == 0) {
        serving->code = rc;
        complain("%s", calm_message(rc));
    }
    return exit_code(serving);
}

int cmd_serve(int argc, char **argv)
{
    struct serving serving = {.code = 0};
    int code = serve_options_read(&serving, argc, argv);
    if (code < 0)
        code = run(&serving);
    serve_options_clear(&serving);
    return code;
}
