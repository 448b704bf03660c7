/* cmd_predict.c - calm predict: a dataset through a model */
#include "predict.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { SAME_MOST = 10, PROGRESS_EVERY = 100 };

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
        seconds > 0 ? (double)(done - state->resumed) / seconds : 0);
    if (state->size > 0 && state->bytes > 0) {
        double part = (double)state->bytes / (double)state->size;
        fprintf(stderr, ", %.0f %%, %.0f s left", 100 * part,
            part > 0 ? seconds / part - seconds : 0);
    }
    fprintf(stderr, ", %llu in flight, %llu failed",
        (unsigned long long)state->in_flight,
        (unsigned long long)state->failed);
    if (state->at_once > 0)
        fprintf(stderr, ", %llu retries, %.0f at once",
            (unsigned long long)state->retries, state->at_once);
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

/* A cancel reaches this task when it reaches the run. */
static int tell_stop(void *arg)
{
    struct job *job = arg;
    calm_name("stop message");
    int rc = calm_sleep(CALM_FOREVER);
    if (job->ended || job->quiet)
        return rc;
    line_clear(job);
    complain("stopping, up to 10 s for what is in flight; press Ctrl-C again "
             "to stop at once");
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
    complain("row %llu of '%s': %s", (unsigned long long)row, job->opts.input,
        cause);
    if (job->failures_told == SAME_MOST)
        complain("further rows that fail are counted, not shown");
}

static void on_warning(void *ctx, const char *text)
{
    struct job *job = ctx;
    line_clear(job);
    if (!job->quiet)
        complain("warning: %s", text);
}

static void on_note(void *ctx, const char *text)
{
    struct job *job = ctx;
    if (job->quiet)
        return;
    line_clear(job);
    complain("%s", text);
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
    fprintf(stderr,
        "calm: %llu rows: %llu ok, %llu failed, %llu left%s, "
        "%llu retries, %.2f s",
        (unsigned long long)state->rows, (unsigned long long)state->ok,
        (unsigned long long)state->failed,
        (unsigned long long)(state->rows - done),
        state->created && !state->whole ? " and what was not read" : "",
        (unsigned long long)state->retries, seconds);
    if (state->resumed > 0)
        fprintf(stderr, ", %llu of them resumed",
            (unsigned long long)state->resumed);
    if (done > state->resumed && seconds > 0)
        fprintf(stderr, " (%.0f rows/s)",
            (double)(done - state->resumed) / seconds);
    if (state->torn > 0)
        fprintf(stderr, ", %llu torn bytes cut off the journal",
            (unsigned long long)state->torn);
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
        {"left", state->rows - state->ok - state->failed},
        {"retries", state->retries}, {"resumed", state->resumed},
        {"torn_bytes", state->torn}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        calm_json_put_key(&json, counts[i].name);
        calm_json_put_uint(&json, counts[i].value);
    }
    calm_json_put_key(&json, "seconds");
    calm_json_put_double(&json, calm_seconds_since(job->started));
    if (state->compared > 0) {
        calm_json_put_key(&json, state->classes ? "accuracy" : "rmse");
        double compared = (double)state->compared;
        calm_json_put_double(
            &json, state->classes ? (double)state->right / compared
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
        rc =
            calm_file_write_all(job->summary, text.data, text.len, CALM_ATOMIC);
    calm_shield_end(&shield);
    calm_bytes_clear(&text);
    return rc;
}

/* What is left behind by a run that has not finished, and what to do next. */
static void kept_print(const struct job *job)
{
    if (!job->state.created || strcmp(job->opts.output, "-") == 0)
        return;
    if (job->state.committed) {
        fprintf(stderr,
            "calm: '%s' is complete all the same; its journal, if it is still "
            "there, can be removed\n",
            job->opts.output);
        return;
    }
    fprintf(stderr,
        "calm: the partial output is '%s.calm-part'; run the same "
        "command again to %s\n",
        job->opts.output, job->state.resumable ? "resume" : "begin anew");
}

/* ---- the run ---- */

static int work(void *arg)
{
    struct job *job = arg;
    calm_group group;
    calm_group_begin(&group);
    if (wants_progress(job))
        calm_spawn(&group, show_progress, job);
    calm_spawn(&group, tell_stop, job);
    job->started = calm_now();
    job->code = calm_predict(&job->opts, &job->state);
    if (job->code < 0)
        snprintf(job->cause, sizeof job->cause, "%s",
            job->code == -ECANCELED ? "interrupted" : calm_message(job->code));
    job->ended = true;
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
    if (job->code == CALM_EREMOTE)
        return EXIT_REMOTE;
    bool machine = job->code == -ENOMEM || job->code == -EIO ||
                   job->code == -ENOSPC || job->code == -EMFILE ||
                   job->code == CALM_EFORMAT || job->code == CALM_ELIMIT;
    return job->state.created || machine ? EXIT_LOCAL : EXIT_USAGE;
}

static int run(struct job *job)
{
    job->opts.on_failed = row_failed;
    job->opts.on_warning = on_warning;
    job->opts.on_note = on_note;
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

int cmd_predict(int argc, char **argv)
{
    struct job job = {.progress = PROGRESS_AUTO};
    int code = predict_options_read(&job, argc, argv);
    if (code < 0)
        code = run(&job);
    predict_options_clear(&job);
    return code;
}
