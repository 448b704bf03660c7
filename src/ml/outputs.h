/* ml/outputs.h - what a run leaves: the output, the errors, the journal
 *
 *     check    the names, before anything is opened
 *     find     the journal of an earlier run
 *     open     begins anew, or takes up what an earlier run has left
 *     save     a batch behind the others, while
 *     work     commits in the background: data to the device, then the journal
 *     settle   commits what is saved, the run being over
 *     finish   gives the final names, and removes the journal
 *     close    keeps all that is not finished
 *
 * The journal says which rows are in the output and the errors, up to which
 * byte of each. It is written after them, so a run that dies may do work
 * again, but what the journal says is there. One that reads a pipe or writes
 * to one has no journal.
 */
#ifndef CALM_ML_OUTPUTS_H
#define CALM_ML_OUTPUTS_H

#include "ml/batch.h"
#include "ml/journal.h"
#include "ml/merge.h"
#include "ml/sink.h"

#include <calm/predict.h>
#include <calm/sync.h>

struct calm__outputs {
    const calm_predict_opts *opts;
    calm_predict_state *state;
    char *errors_path; /* these two are NULL for standard output */
    char *journal_path;
    struct calm__sink *output;
    struct calm__sink *errors; /* opened by the first row that fails */
    struct calm__journal *journal;
    const struct calm__journal_contents *found; /* in it, or NULL */
    struct calm__merge *merge; /* with the output before; NULL: all is new */
    bool takes_name;           /* of an output that is there */
    bool finished;             /* by an earlier run, all but the names */

    /* What is saved; a commit takes it to the device and the journal. */
    struct calm__journal_record mark;
    struct calm__selection done;       /* since the last commit began */
    struct calm__selection committing; /* in the commit under way */
    uint64_t rows;                     /* in DONE */

    calm_event dirty, full; /* something, enough to commit */
    calm_event stop;        /* no more commits */
    int failed;             /* a commit, for good */
};

/* So many rows, or so much time, begin a commit. */
#define CALM__COMMIT_ROWS 1000
#define CALM__COMMIT_EVERY (200 * CALM_MS)

/* The pause after a commit, in times that it took; EVERY at most. */
#define CALM__COMMIT_SHARE 19

/* What open needs to know of the run. */
struct calm__outputs_plan {
    const calm_bytes *head;          /* the first bytes of the output */
    struct calm__identity *identity; /* taken over in any case */
    bool can_resume;                 /* the input can be read again */
};

/* Fills in what is the same for all, and refuses names that cannot be, or are
 * names of what is read, and an output that is there, unless it may be
 * replaced or a journal says more of it. Blocks for a moment. */
int calm__outputs_check(struct calm__outputs *outputs,
    const calm_predict_opts *opts, calm_predict_state *state);

/* Opens and reads a journal, if there is one. What is done by an earlier run
 * is then in FOUND. Suspends. Returns 0; -EBUSY when another run has it; or
 * CALM_EFORMAT for a damaged one, unless it is to be overwritten. */
int calm__outputs_find(struct calm__outputs *outputs);

/* Opens all. RET_DONE gets the rows that earlier runs have done, to be cleared
 * by the caller; their counts go to the state. Suspends. Returns 0, or an
 * error; with state->created it was refused before anything was created. */
int calm__outputs_open(struct calm__outputs *outputs,
    const struct calm__outputs_plan *plan, struct calm__selection *ret_done);

/* Appends what became of a batch, and counts it. Suspends. */
int calm__outputs_save(
    struct calm__outputs *outputs, const struct calm__batch *batch);

/* A task that commits now and then, until calm__outputs_stop(). Fails when a
 * commit has failed. ARG is the outputs. */
int calm__outputs_work(void *arg);
void calm__outputs_stop(struct calm__outputs *outputs);

/* Commits what was saved, if no commit has failed. Suspends, and does not
 * heed a cancel. */
int calm__outputs_settle(struct calm__outputs *outputs);

/* Copies what is left of the output before. Suspends. */
int calm__outputs_copy_rest(struct calm__outputs *outputs);

/* All rows are saved: final names, journal removed. Suspends, and does not
 * heed a cancel. */
int calm__outputs_finish(struct calm__outputs *outputs);

void calm__outputs_close(struct calm__outputs *outputs);

/* Tells whoever wants to know. */
void calm__outputs_note(const struct calm__outputs *outputs, const char *format,
    ...) __attribute__((format(printf, 2, 3)));

/* ---- between the parts ---- */

/* One commit; COMPLETE when it is the last. */
int calm__outputs_commit(struct calm__outputs *outputs, bool complete);

/* Opens the sink of the errors. */
int calm__outputs_open_errors(
    struct calm__outputs *outputs, const struct calm__journal_file *kept);

#endif
