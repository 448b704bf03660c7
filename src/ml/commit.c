/* commit.c - what is saved, to the device and into the journal
 *
 *     save ... save ... save ...           the pipeline goes on meanwhile
 *        \ mark                \ mark
 *         sync, append, sync    sync, append, sync
 *
 * A commit takes what is saved when it begins. The next one begins 200 ms or
 * 1,000 rows later, and not before this one is done: a slow device gets fewer
 * and larger commits, never a queue of them.
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

/* Waits until there is something to commit, and then for more of it. */
static void wait_for_rows(struct calm__outputs *outputs)
{
    calm_event_wait(&outputs->dirty);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, CALM__COMMIT_EVERY);
    int rc = calm_event_wait(&outputs->full);
    calm_timeout_end(&timeout, rc);
}

int calm__outputs_work(void *arg)
{
    struct calm__outputs *outputs = arg;
    calm_shield shield; /* rows are saved after a cancel, too */
    calm_name("commit");
    calm_shield_begin(&shield);
    int rc = 0;
    while (rc == 0) {
        wait_for_rows(outputs);
        if (outputs->stopping)
            break;
        rc = calm__outputs_commit(outputs, /* complete= */ false);
    }
    calm_shield_end(&shield);
    outputs->failed = rc;
    return rc;
}

void calm__outputs_stop(struct calm__outputs *outputs)
{
    outputs->stopping = true;
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
