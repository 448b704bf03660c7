/* ml/sink.h - an output that is whole under its name, or not there
 *
 *     open      NAME.calm-part is ours: empty, or cut where a journal says
 *     write ... sync, mark: what is on the device, for a journal
 *     commit    the name; or close: the partial file stays
 */
#ifndef CALM_ML_SINK_H
#define CALM_ML_SINK_H

#include "ml/journal_format.h"

#include <calm/file.h>

struct calm__sink;

struct calm__sink_opts {
    const char *path; /* "-" is standard output */
    bool overwrite;   /* the name may be taken, and is then replaced */
    bool marked;      /* calm__sink_mark() will be asked */

    /* What an earlier run has left of the partial file and is to be kept;
     * NULL begins anew. */
    const struct calm__journal_file *kept;
};

/* Opens PATH.calm-part for writing, which nobody else writes at the time. An
 * existing PATH is -EEXIST unless it may be replaced, and always where it is
 * no regular file; a partial file that is not kept is emptied. What is to be
 * kept is read and compared: CALM_EFORMAT when it is not there or not the
 * same. Suspends. */
int calm__sink_open(
    const struct calm__sink_opts *opts, struct calm__sink **ret_sink);

/* Appends. Suspends. */
int calm__sink_write(struct calm__sink *sink, const calm_bytes *bytes);

/* What was written so far. Does not suspend. */
struct calm__journal_file calm__sink_mark(const struct calm__sink *sink);

/* Sees to it that all that was written before the call is on the device, and
 * that the partial file has its name there. After a failure it always fails:
 * what the device has is not known any more. Suspends. */
int calm__sink_sync(struct calm__sink *sink);

/* Syncs, and gives the file its name and the name to the device. Suspends, and
 * does not heed a cancel. */
int calm__sink_commit(struct calm__sink *sink);

/* Closes; what was not committed stays under its partial name. */
void calm__sink_close(struct calm__sink *sink);

/* Whether PATH may be created, or replaced if OVERWRITE. Blocks. */
int calm__sink_name_check(const char *path, bool overwrite);

/* Whether the file PATH, with what END says behind its name, is FILE, byte by
 * byte. Returns 1, 0 when it is not or not there, or an error. Suspends. */
int calm__sink_is_file(
    const char *path, const char *end, const struct calm__journal_file *file);

/* What a partial file has behind its name. */
#define CALM__PART_END ".calm-part"

#endif
