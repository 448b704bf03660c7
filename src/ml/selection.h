/* ml/selection.h - a set of rows, as intervals of their numbers
 *
 * Which rows are done, and which are still wanted: all for a fresh run, what
 * is behind the last one for a run that is resumed, the gaps where rows came
 * in any order, a few where only the failed ones are predicted again.
 *
 *     [0, 4096) [4160, 4192) [4224, ALL)
 *
 * An empty one is {0}. None of this suspends.
 */
#ifndef CALM_ML_SELECTION_H
#define CALM_ML_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALM__ALL_ROWS UINT64_MAX

struct calm__interval {
    uint64_t begin, end; /* END is the first row behind it */
};

struct calm__selection {
    struct calm__interval *items;
    size_t count, room;
    size_t sorted; /* so many at the begin are in order and apart */
    size_t cursor; /* of calm__selection_next() */
};

/* Adds rows, in any order; what touches what was added last is merged with it
 * at once. Returns 0 or -ENOMEM. */
int calm__selection_add(
    struct calm__selection *selection, uint64_t begin, uint64_t end);

/* Puts the intervals in order and merges those that touch. */
void calm__selection_sort(struct calm__selection *selection);

/* What is in BASE and not in DONE, both sorted. Returns 0 or -ENOMEM. */
int calm__selection_without(const struct calm__selection *base,
    const struct calm__selection *done, struct calm__selection *ret_rest);

/* The next rows at or behind POSITION, which only grows from call to call, of
 * a sorted selection. False when there are none. */
bool calm__selection_next(struct calm__selection *selection, uint64_t position,
    struct calm__interval *ret_rows);

/* How many rows it has. */
uint64_t calm__selection_size(const struct calm__selection *selection);

/* Empties it and keeps its memory; frees it. */
void calm__selection_reset(struct calm__selection *selection);
void calm__selection_clear(struct calm__selection *selection);

#endif
