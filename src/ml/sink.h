/* ml/sink.h - an output that is whole under its name, or not there */
#ifndef CALM_ML_SINK_H
#define CALM_ML_SINK_H

#include <calm/file.h>

struct calm__sink;

/* Opens PATH.calm-part for writing, which nobody else writes at the time; "-"
 * is standard output. An existing PATH is -EEXIST unless OVERWRITE; a partial
 * output of a run that has died is begun anew. Suspends. */
int calm__sink_open(
    const char *path, bool overwrite, struct calm__sink **ret_sink);

/* Appends. Suspends. */
int calm__sink_write(struct calm__sink *sink, const calm_bytes *bytes);

/* Syncs the file, gives it its name and syncs the folder. Suspends, and does
 * not heed a cancel. */
int calm__sink_commit(struct calm__sink *sink);

/* Closes; what was not committed stays under its partial name. */
void calm__sink_close(struct calm__sink *sink);

/* Closes and removes the partial file. */
void calm__sink_discard(struct calm__sink *sink);

#endif
