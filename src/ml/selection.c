/* selection.c - a set of rows, as intervals of their numbers
 *
 * Rows are mostly added nearly in order, so an addition looks at the last
 * interval alone, and the set is put in order when it is needed, or when it
 * has doubled since: what stays unmerged is bounded by what is in the set.
 */
#include "ml/selection.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_LEAST = 64 };

static int compare(const void *a, const void *b)
{
    const struct calm__interval *first = a, *second = b;
    return (first->begin > second->begin) - (first->begin < second->begin);
}

void calm__selection_sort(struct calm__selection *selection)
{
    struct calm__interval *items = selection->items;
    size_t count = selection->count, kept = 0;
    if (selection->sorted == count)
        return;
    qsort(items, count, sizeof *items, compare);
    for (size_t i = 1; i < count; i++) {
        if (items[i].begin > items[kept].end)
            items[++kept] = items[i];
        else if (items[i].end > items[kept].end)
            items[kept].end = items[i].end;
    }
    selection->count = selection->sorted = count ? kept + 1 : 0;
}

static int make_room(struct calm__selection *selection)
{
    if (selection->count < selection->room)
        return 0;
    calm__selection_sort(selection);
    if (selection->count < selection->room / 2)
        return 0;
    size_t room = 2 * selection->room, size;
    if (room < ROOM_LEAST)
        room = ROOM_LEAST;
    if (__builtin_mul_overflow(room, sizeof *selection->items, &size))
        return -ENOMEM;
    void *items = calm__realloc(selection->items, size);
    if (!items)
        return calm_fail(-ENOMEM, "no memory for a list of rows");
    selection->items = items;
    selection->room = room;
    return 0;
}

int calm__selection_add(
    struct calm__selection *selection, uint64_t begin, uint64_t end)
{
    if (begin >= end)
        return 0;
    if (selection->count > 0) {
        struct calm__interval *last = &selection->items[selection->count - 1];
        if (begin >= last->begin && begin <= last->end) {
            if (end > last->end)
                last->end = end;
            return 0;
        }
    }
    int rc = make_room(selection);
    if (rc < 0)
        return rc;
    bool in_order = selection->sorted == selection->count &&
                    (selection->count == 0 ||
                        selection->items[selection->count - 1].end < begin);
    selection->items[selection->count++] = (struct calm__interval){begin, end};
    if (in_order)
        selection->sorted = selection->count;
    return 0;
}

int calm__selection_without(const struct calm__selection *base,
    const struct calm__selection *done, struct calm__selection *ret_rest)
{
    struct calm__selection rest = {0};
    size_t next = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < base->count; i++) {
        uint64_t from = base->items[i].begin, end = base->items[i].end;
        while (next < done->count && done->items[next].end <= from)
            next++;
        for (size_t j = next; rc == 0 && j < done->count; j++) {
            if (done->items[j].begin >= end)
                break;
            rc = calm__selection_add(&rest, from, done->items[j].begin);
            from = done->items[j].end;
        }
        if (rc == 0)
            rc = calm__selection_add(&rest, from, end);
    }
    if (rc < 0)
        calm__selection_clear(&rest);
    else
        *ret_rest = rest;
    return rc;
}

bool calm__selection_next(struct calm__selection *selection, uint64_t position,
    struct calm__interval *ret_rows)
{
    size_t cursor = selection->cursor;
    while (
        cursor < selection->count && selection->items[cursor].end <= position)
        cursor++;
    selection->cursor = cursor;
    if (cursor == selection->count)
        return false;
    *ret_rows = selection->items[cursor];
    if (ret_rows->begin < position)
        ret_rows->begin = position;
    return true;
}

uint64_t calm__selection_size(const struct calm__selection *selection)
{
    uint64_t size = 0;
    for (size_t i = 0; i < selection->count; i++)
        size += selection->items[i].end - selection->items[i].begin;
    return size;
}

void calm__selection_reset(struct calm__selection *selection)
{
    selection->count = selection->sorted = selection->cursor = 0;
}

void calm__selection_clear(struct calm__selection *selection)
{
    free(selection->items);
    *selection = (struct calm__selection){0};
}
