/* commit.c - what is saved, to the device and into the journal
 *
 *     save ... save ... save ...           the pipeline goes on meanwhile
 *        \ mark                \ mark
 *         sync, append, sync    sync, append, sync
 *
 * A commit takes what is saved when it begins. The next one begins 200 ms or
 * 1,000 rows later, but never before this one is done, nor in so short a time
 * that commits were more than a twentieth of it: a slow device, or a fast
 * model, gets fewer and larger commits. Without that a model that does a
 * million rows a second lost a sixth of its speed to syncs.
 */
#include "ml/outputs.h"

#include "base/error.h"

#include <calm/time.h>

#include <errno.h>

/* Moves DONE to COMMITTING, whose memory DONE takes over. */
static void take_done(struct calm__outputs *outputs)
{
    struct calm__selection emptied = outputs->committing;
    calm__selection_reset(&emptied);
    calm__selection_sort(&outputs->done);
    outputs->committing = outputs->done;
    outputs->done = emptied;
    outputs->rows = 0;
    calm_event_clear(&outputs->dirty);
    calm_event_clear(&outputs->full);
}

int calm__outputs_commit(struct calm__outputs *outputs, bool complete)
{
    struct calm__journal_record record = outputs->mark;
    record.complete = complete;
    take_done(outputs);
    int rc = calm__sink_sync(outputs->output);
    if (rc == 0 && outputs->errors)
        rc = calm__sink_sync(outputs->errors);
    if (rc == 0)
        rc = calm__journal_append(
            outputs->journal, &record, &outputs->committing);
    return rc;
}

static int wait_for(calm_event *event, int64_t until)
{
    calm_timeout timeout;
    calm_timeout_begin_at(&timeout, until);
    int rc = calm_event_wait(event);
    return calm_timeout_end(&timeout, rc);
}

/* Waits until there is something to commit, and then for more of it, after a
 * commit that took LAST. */
static void wait_for_rows(struct calm__outputs *outputs, int64_t last)
{
    int64_t begin = calm_now(), pause = CALM__COMMIT_SHARE * last;
    if (pause > CALM__COMMIT_EVERY)
        pause = CALM__COMMIT_EVERY;
    wait_for(&outputs->stop, begin + pause);
    if (!calm_event_is_set(&outputs->dirty)) {
        calm_event_wait(&outputs->dirty);
        begin = calm_now();
    }
    wait_for(&outputs->full, begin + CALM__COMMIT_EVERY);
}

int calm__outputs_work(void *arg)
{
    struct calm__outputs *outputs = arg;
    calm_shield shield; /* rows are saved after a cancel, too */
    calm_name("commit");
    calm_shield_begin(&shield);
    int rc = 0;
    int64_t last = 0;
    while (rc == 0) {
        wait_for_rows(outputs, last);
        if (calm_event_is_set(&outputs->stop))
            break;
        int64_t begin = calm_now();
        rc = calm__outputs_commit(outputs, /* complete= */ false);
        last = calm_now() - begin;
    }
    calm_shield_end(&shield);
    outputs->failed = rc;
    return rc;
}

void calm__outputs_stop(struct calm__outputs *outputs)
{
    calm_event_set(&outputs->stop);
    calm_event_set(&outputs->dirty);
    calm_event_set(&outputs->full);
}

int calm__outputs_settle(struct calm__outputs *outputs)
{
    if (!outputs->journal || outputs->rows == 0 || outputs->failed < 0)
        return 0;
    calm_shield shield;
    calm_shield_begin(&shield);
    outputs->failed = calm__outputs_commit(outputs, /* complete= */ false);
    calm_shield_end(&shield);
    return outputs->failed;
}
