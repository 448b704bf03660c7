/* ml/journal.h - the journal of a run, beside its output
 *
 *     find or create     its lock is the run's
 *     read               what an earlier run has done, or nothing
 *     begin | resume     write the head anew | cut the torn tail
 *     append ...         a record for each commit
 *     remove | close     the run is complete | it is to be resumed
 *
 * All but close suspend. After a write or sync has failed the journal is not
 * to be appended to any more: fsync is never asked twice.
 */
#ifndef CALM_ML_JOURNAL_H
#define CALM_ML_JOURNAL_H

#include "ml/journal_format.h"

#include <calm/task.h>

struct calm__journal;

/* Opens and locks the journal PATH; CREATE makes it, with mode 0600, where
 * there is none. Returns 0, also when there is none and it is not created:
 * then *RET_JOURNAL is NULL. -EBUSY when another run has it. */
int calm__journal_open(
    const char *path, bool create, struct calm__journal **ret_journal);

/* What it says; see calm__journal_decode() for the errors. The journal keeps
 * the contents until its end. */
int calm__journal_read(struct calm__journal *journal,
    const struct calm__journal_contents **ret_contents);

/* Begins it anew with HEAD, whose identity it takes over in any case, on the
 * device and with its name. */
int calm__journal_begin(
    struct calm__journal *journal, const struct calm__journal_head *head);

/* Goes on with what was read, behind its last good record. */
int calm__journal_resume(struct calm__journal *journal);

/* Appends RECORD, which also did the sorted rows DONE, and syncs. It numbers
 * the record. */
int calm__journal_append(struct calm__journal *journal,
    struct calm__journal_record *record, const struct calm__selection *done);

/* Removes the file and closes. */
int calm__journal_remove(struct calm__journal *journal);

/* Closes; NULL is fine. What was appended stays. */
void calm__journal_close(struct calm__journal *journal);

#endif
