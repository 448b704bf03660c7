/* outputs_open.c - begins the outputs anew, or takes up what is there
 *
 *     journal          run            --overwrite is given
 *     none             anew           anew
 *     damaged          refused        anew
 *     of another run   refused        anew
 *     complete         finished       finished
 *     unfinished       resumed        anew, unless the run that began it was
 *                                     given it, too: the same command resumes
 *
 * Until the last question is answered nothing is created or changed.
 */
#include "ml/outputs.h"

#include "base/error.h"
#include "base/random.h"

#include <calm/pool.h>

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ---- */

static bool status_of(const char *path, int standard, struct stat *ret_status)
{
    return (strcmp(path, "-") == 0 ? fstat(standard, ret_status)
                                   : stat(path, ret_status)) == 0;
}

/* Writing to a file that is also read would lose what it was made from, or
 * feed the output to itself; by inode, because a file has many names. */
static int name_is_free(
    const calm_predict_opts *opts, const char *name, int standard)
{
    const char *const read[] = {opts->input, opts->model};
    struct stat written, other;
    if (!status_of(name, standard, &written) || !S_ISREG(written.st_mode))
        return 0;
    for (size_t i = 0; i < 2; i++)
        if (read[i] && status_of(read[i], STDIN_FILENO, &other) &&
            other.st_dev == written.st_dev && other.st_ino == written.st_ino)
            return calm_fail(-EINVAL,
                "the output would be written to '%s', "
                "which is read",
                strcmp(read[i], "-") == 0 ? "standard input" : read[i]);
    return 0;
}

/* Told now and not when the first row fails. */
static int output_name_check(const char *output, size_t longest_end)
{
    const char *slash = strrchr(output, '/');
    size_t len = strlen(slash ? slash + 1 : output);
    if (len == 0)
        return calm_fail(-EINVAL, "the output '%s' has no name", output);
    if (len + longest_end > NAME_MAX)
        return calm_fail(-ENAMETOOLONG,
            "the name of the output has %zu bytes, %zu at most", len,
            NAME_MAX - longest_end);
    return 0;
}

/* Another end would promise what is not written. */
static int output_kind_check(const char *output)
{
    static const char *const ends[] = {".csv", ".jsonl", ".ndjson"};
    size_t len = strlen(output);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (len > end && strcasecmp(output + len - end, ends[i]) == 0)
            return 0;
    }
    return calm_fail(-EINVAL,
        "the output '%s' ends neither in .csv nor in .jsonl\n"
        "hint: these two are written, and .ndjson; - is standard output",
        output);
}

int calm__outputs_check(struct calm__outputs *outputs,
    const calm_predict_opts *opts, calm_predict_state *state)
{
    /* The output, what it is before it is whole, and the same of the errors. */
    static const char *const ends[] = {"", CALM__PART_END, ".calm-journal",
        ".errors.jsonl", ".errors.jsonl" CALM__PART_END};
    size_t count = sizeof ends / sizeof *ends;
    *outputs = (struct calm__outputs){.opts = opts, .state = state};
    if (strcmp(opts->output, "-") == 0)
        return name_is_free(opts, opts->output, STDOUT_FILENO);
    int rc = output_name_check(opts->output, strlen(ends[count - 1]));
    if (rc == 0)
        rc = output_kind_check(opts->output);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char *name;
        if (asprintf(&name, "%s%s", opts->output, ends[i]) < 0)
            return calm_fail(-ENOMEM, "no memory for a name");
        rc = name_is_free(opts, name, /* standard= */ -1);
        if (i == 2)
            outputs->journal_path = name;
        else if (i == 3)
            outputs->errors_path = name;
        else
            free(name);
    }
    outputs->takes_name = opts->overwrite || opts->retry_failed;
    struct stat status;
    if (rc == 0 && lstat(outputs->journal_path, &status) < 0)
        rc = calm__sink_name_check(opts->output, outputs->takes_name);
    return rc;
}

/* ---- anew ---- */

void calm__outputs_note(
    const struct calm__outputs *outputs, const char *format, ...)
{
    const calm_predict_opts *opts = outputs->opts;
    char text[CALM_MESSAGE_MAX];
    va_list args;
    if (!opts->on_note)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    opts->on_note(opts->ctx, text);
}

static int output_open(
    struct calm__outputs *outputs, const struct calm__journal_file *kept)
{
    int rc =
        calm__sink_open(&(struct calm__sink_opts){.path = outputs->opts->output,
                            .overwrite = outputs->takes_name,
                            .marked = outputs->journal != NULL,
                            .kept = kept},
            &outputs->output);
    if (rc == 0)
        outputs->state->created = true;
    return rc;
}

static int head_write(
    struct calm__outputs *outputs, const struct calm__outputs_plan *plan)
{
    int rc = 0;
    if (plan->head->len > 0)
        rc = calm__sink_write(outputs->output, plan->head);
    if (rc == 0 && outputs->journal)
        outputs->mark.output = calm__sink_mark(outputs->output);
    return rc;
}

static int journal_begin(
    struct calm__outputs *outputs, const struct calm__outputs_plan *plan)
{
    struct calm__journal_head head = {.run = {calm__random(), calm__random()},
        .overwrite = outputs->opts->overwrite,
        .retry = outputs->opts->retry_failed,
        .identity = *plan->identity};
    *plan->identity = (struct calm__identity){0};
    outputs->state->resumable = true;
    return calm__journal_begin(outputs->journal, &head);
}

static int name_call(void *arg)
{
    const struct calm__outputs *outputs = arg;
    return calm__sink_name_check(outputs->opts->output, outputs->takes_name);
}

/* What was created for a run that is refused goes again. */
static void journal_drop(struct calm__outputs *outputs)
{
    struct calm__error *error = calm__error_take();
    if (outputs->journal && calm__journal_remove(outputs->journal) < 0)
        calm_error_clear();
    outputs->journal = NULL;
    calm__error_set(error);
}

/* Nobody knows what of it is good. */
static void lost_part_tell(const struct calm__outputs *outputs)
{
    const char *output = outputs->opts->output;
    char name[PATH_MAX];
    struct stat status;
    snprintf(name, sizeof name, "%s" CALM__PART_END, output);
    if (!outputs->opts->overwrite && stat(name, &status) == 0 &&
        status.st_size > 0)
        calm__outputs_note(
            outputs, "'%s' has no journal, and is begun anew", name);
}

/* The journal that is there, if one is, is not wanted any more. */
static int open_anew(
    struct calm__outputs *outputs, const struct calm__outputs_plan *plan)
{
    int rc = calm_blocking(name_call, outputs);
    bool was_there = outputs->journal != NULL;
    if (rc == 0 && !was_there)
        lost_part_tell(outputs);
    if (rc == 0 && plan->can_resume && !was_there)
        rc = calm__journal_open(
            outputs->journal_path, /* create= */ true, &outputs->journal);
    if (rc < 0)
        return rc;
    if (!plan->can_resume)
        journal_drop(outputs);
    rc = output_open(outputs, /* kept= */ NULL);
    if (rc < 0 && !was_there)
        journal_drop(outputs);
    if (rc == 0 && outputs->journal)
        rc = journal_begin(outputs, plan);
    return rc < 0 ? rc : head_write(outputs, plan);
}

/* ---- what is there ---- */

/* How the run that the journal is of differs from this one. */
static int refuse_other(
    const struct calm__outputs *outputs, const struct calm__identity_item *item)
{
    const char *name = outputs->journal_path;
    const char *input = outputs->opts->input;
    static const char hint[] =
        "hint: --force-resume goes on all the same, --overwrite begins anew";
    switch (item->kind) {
    case CALM__IDENTITY_LAYOUT:
        return calm_fail(-EINVAL,
            "'%s' is of a run whose output has other columns\n"
            "hint: --overwrite begins anew",
            name);
    case CALM__IDENTITY_INPUT:
        return calm_fail(-EINVAL,
            "'%s' is of a run with another input: '%s' differs in its %s\n%s",
            name, input, item->name, hint);
    case CALM__IDENTITY_BEFORE:
        return calm_fail(-EINVAL,
            "'%s' is of a run that began with another output or other rows "
            "that had failed\nhint: remove it to begin anew",
            name);
    case CALM__IDENTITY_MODEL:
        return calm_fail(-EINVAL, "'%s' is of a run with another %s\n%s", name,
            item->name, hint);
    default:
        return calm_fail(-EINVAL,
            "'%s' is of a run that was given another %s\n%s", name, item->name,
            hint);
    }
}

static int refuse_mode(const struct calm__outputs *outputs)
{
    if (outputs->opts->retry_failed)
        return calm_fail(-EINVAL,
            "'%s' is of a run that is not finished\n"
            "hint: the same command without --retry-failed resumes it",
            outputs->journal_path);
    return calm_fail(-EINVAL,
        "'%s' is of a run that predicts failed rows again\n"
        "hint: --retry-failed resumes it",
        outputs->journal_path);
}

static int refuse_pipe(const struct calm__outputs *outputs)
{
    return calm_fail(-EINVAL,
        "'%s' is of a run that is not finished, and '%s' cannot be read twice\n"
        "hint: --overwrite begins anew",
        outputs->journal_path, outputs->opts->input);
}

enum found { ANEW, RESUME, FINISH };

/* Returns an enum found, or an error by which the run is refused. */
static int decide(const struct calm__outputs *outputs,
    const struct calm__outputs_plan *plan,
    const struct calm__journal_contents *contents)
{
    const calm_predict_opts *opts = outputs->opts;
    const struct calm__journal_head *head = &contents->head;
    if (!contents->has_head)
        return ANEW;
    if (!plan->can_resume)
        return opts->overwrite ? ANEW : refuse_pipe(outputs);
    if (head->retry != opts->retry_failed)
        return opts->overwrite ? ANEW : refuse_mode(outputs);
    const struct calm__identity_item *item =
        calm__identity_differ(&head->identity, plan->identity);
    /* The output before is replaced when all is complete. */
    if (item && item->kind == CALM__IDENTITY_BEFORE && contents->last.complete)
        item = NULL;
    bool forced = opts->force_resume && item &&
                  item->kind != CALM__IDENTITY_LAYOUT &&
                  item->kind != CALM__IDENTITY_BEFORE;
    if (item && !forced)
        return opts->overwrite ? ANEW : refuse_other(outputs, item);
    if (contents->last.complete)
        return FINISH;
    return opts->overwrite && !head->overwrite ? ANEW : RESUME;
}

/* ---- resuming ---- */

static void counts_take(struct calm__outputs *outputs,
    const struct calm__journal_contents *contents)
{
    calm_predict_state *state = outputs->state;
    const struct calm__journal_record *last = &contents->last;
    outputs->mark = *last;
    state->ok = last->ok;
    state->failed = last->failed;
    state->retries = last->retries;
    state->compared = last->compared;
    state->right = last->right;
    state->squared_error = last->squared_error;
    state->resumed = state->rows = last->ok + last->failed;
    state->torn = contents->torn;
}

static int resume_hint(const struct calm__outputs *outputs, int rc)
{
    if (rc != CALM_EFORMAT)
        return rc;
    return calm_fail(rc, "%s\nhint: remove '%s' to begin anew",
        calm_message(rc), outputs->journal_path);
}

/* How many rows there are is known once the end of the input was seen. */
static void resume_note(const struct calm__outputs *outputs,
    const struct calm__journal_record *last)
{
    unsigned long long done = outputs->state->resumed, rows = last->rows;
    if (rows > 0)
        calm__outputs_note(
            outputs, "resuming: %llu of %llu rows are done", done, rows);
    else
        calm__outputs_note(outputs, "resuming: %llu rows are done", done);
}

static int resume(struct calm__outputs *outputs,
    const struct calm__outputs_plan *plan,
    const struct calm__journal_contents *contents)
{
    const struct calm__journal_record *last = &contents->last;
    bool begun = last->number > 0;
    int rc = calm_blocking(name_call, outputs);
    if (rc == 0)
        rc = output_open(outputs, begun ? &last->output : NULL);
    if (rc == 0 && last->errors.size > 0)
        rc = calm__outputs_open_errors(outputs, &last->errors);
    if (rc < 0)
        return resume_hint(outputs, rc);
    counts_take(outputs, contents);
    outputs->state->resumable = true;
    rc = calm__journal_resume(outputs->journal);
    if (rc == 0 && !begun)
        rc = head_write(outputs, plan);
    resume_note(outputs, last);
    return rc;
}

/* ---- finishing ---- */

/* A file that is whole is under its partial name, and is opened, or has its
 * final one. */
static int finish_file(struct calm__outputs *outputs, const char *path,
    const struct calm__journal_file *file,
    int (*open)(struct calm__outputs *, const struct calm__journal_file *))
{
    int rc = calm__sink_is_file(path, CALM__PART_END, file);
    if (rc > 0)
        return open(outputs, file);
    if (rc == 0)
        rc = calm__sink_is_file(path, "", file);
    if (rc == 0)
        rc = calm_fail(
            CALM_EFORMAT, "'%s' is not what its journal says it is", path);
    return rc < 0 ? resume_hint(outputs, rc) : 0;
}

/* The run died when all rows were done, between one name and another. */
static int take_finished(struct calm__outputs *outputs,
    const struct calm__journal_contents *contents)
{
    const struct calm__journal_record *last = &contents->last;
    outputs->takes_name |= contents->head.overwrite;
    int rc = 0;
    if (last->errors.size > 0)
        rc = finish_file(outputs, outputs->errors_path, &last->errors,
            calm__outputs_open_errors);
    if (rc == 0)
        rc = finish_file(
            outputs, outputs->opts->output, &last->output, output_open);
    if (rc < 0)
        return rc;
    outputs->state->created = true;
    outputs->finished = true;
    outputs->state->whole = true;
    counts_take(outputs, contents);
    calm__outputs_note(outputs, "finishing: all %llu rows are done",
        (unsigned long long)outputs->state->resumed);
    return 0;
}

/* ---- open ---- */

static int take_up(struct calm__outputs *outputs,
    const struct calm__outputs_plan *plan, struct calm__selection *ret_done)
{
    const struct calm__journal_contents *contents = outputs->found;
    int rc = decide(outputs, plan, contents);
    if (rc < 0)
        return rc;
    if (rc == ANEW)
        return open_anew(outputs, plan);
    rc = rc == FINISH ? take_finished(outputs, contents)
                      : resume(outputs, plan, contents);
    static const struct calm__selection none;
    if (rc == 0)
        rc = calm__selection_without(&contents->done, &none, ret_done);
    return rc;
}

int calm__outputs_find(struct calm__outputs *outputs)
{
    if (!outputs->journal_path)
        return 0;
    int rc = calm__journal_open(
        outputs->journal_path, /* create= */ false, &outputs->journal);
    if (rc < 0 || !outputs->journal)
        return rc;
    rc = calm__journal_read(outputs->journal, &outputs->found);
    bool damaged = rc == CALM_EFORMAT || rc == -EINVAL;
    if (damaged && outputs->opts->overwrite)
        return 0;
    return damaged ? calm_fail(rc, "%s\nhint: --overwrite begins anew",
                         calm_message(rc))
                   : rc;
}

static int open_all(struct calm__outputs *outputs,
    const struct calm__outputs_plan *plan, struct calm__selection *ret_done)
{
    if (outputs->found)
        return take_up(outputs, plan, ret_done);
    if (outputs->journal_path)
        return open_anew(outputs, plan);
    int rc = output_open(outputs, /* kept= */ NULL);
    return rc < 0 ? rc : head_write(outputs, plan);
}

int calm__outputs_open(struct calm__outputs *outputs,
    const struct calm__outputs_plan *plan, struct calm__selection *ret_done)
{
    *ret_done = (struct calm__selection){0};
    int rc = open_all(outputs, plan, ret_done);
    calm__identity_clear(plan->identity);
    return rc;
}
