/* ml/journal_format.h - the bytes of a journal
 *
 *     file    head record record ...                   only ever appended to
 *     head    "calm jnl" version length checksum payload
 *     record  "calm rec" length checksum payload        a commit each
 *
 * Numbers are little-endian. A record says what has been done since the one
 * before, and how long the outputs are with that; it is written when they
 * are on the device. Its checksum covers its number and the run's, so that no
 * other record can take its place.
 *
 * What stands behind the last good record is the torn tail of a run that died
 * while writing, unless a further record begins in it: a record is only
 * written when those before it are on the device, so then the file was
 * damaged, and what it says cannot be trusted.
 *
 * This is the pure part: bytes in memory, no files; see ml/journal.h.
 */
#ifndef CALM_ML_JOURNAL_FORMAT_H
#define CALM_ML_JOURNAL_FORMAT_H

#include "ml/identity.h"
#include "ml/selection.h"

#include <calm/bytes.h>

#include <stdbool.h>

enum { CALM__JOURNAL_VERSION = 1 };

/* What the run is, written before it does anything. */
struct calm__journal_head {
    uint64_t run[2]; /* random: tells one run from another */
    bool overwrite;  /* it was to replace an output that existed */
    bool retry;      /* only rows that failed before are predicted */
    struct calm__identity identity;
};

/* A file's length, and the XXH3 of all its bytes. */
struct calm__journal_file {
    uint64_t size;
    uint64_t hash;
};

/* How far it is, at a commit. */
struct calm__journal_record {
    uint64_t number; /* of the record, from 1 */
    bool complete;   /* all is done; what is left is to give names */
    uint64_t rows;   /* of the input, when its end has been seen, else 0 */
    struct calm__journal_file output, errors;
    uint64_t ok, failed, retries;
    uint64_t compared, right;
    double squared_error;
    uint64_t merged; /* records of the output before, when failed rows are
                      * predicted again, that are in the new one */
};

/* A journal that was read. */
struct calm__journal_contents {
    bool has_head; /* else it was begun, and nothing was done */
    struct calm__journal_head head;
    struct calm__journal_record last; /* number 0 before the first */
    struct calm__selection done;      /* sorted */
    size_t len;                       /* bytes that are good */
    size_t torn;                      /* and behind them */
};

/* Appends the bytes of a head, or of a record that also did the rows DONE,
 * sorted, to OUT. Return 0 or -ENOMEM. */
int calm__journal_encode_head(
    const struct calm__journal_head *head, calm_bytes *out);
int calm__journal_encode_record(const struct calm__journal_head *head,
    const struct calm__journal_record *record,
    const struct calm__selection *done, calm_bytes *out);

/* Reads a whole journal. Returns 0 and what the caller clears; CALM_EFORMAT
 * when it is damaged; -EINVAL when another version of calm has written it; or
 * -ENOMEM. */
int calm__journal_decode(
    const char *data, size_t len, struct calm__journal_contents *ret_contents);

void calm__journal_contents_clear(struct calm__journal_contents *contents);

#endif
