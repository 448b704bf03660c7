/* identity.c - what a run is a run of, as a list of named hashes */
#include "ml/identity.h"

#include "base/error.h"
#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void calm__identity_add(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const void *data,
    size_t len)
{
    assert(strlen(name) < CALM__IDENTITY_NAME);
    if (identity->error < 0)
        return;
    if (identity->count == identity->room) {
        size_t room = 2 * identity->room + 16;
        void *items =
            calm__realloc(identity->items, room * sizeof *identity->items);
        if (!items) {
            identity->error = calm_fail(-ENOMEM, "no memory for an identity");
            return;
        }
        identity->items = items;
        identity->room = room;
    }
    struct calm__identity_item *item = &identity->items[identity->count++];
    *item = (struct calm__identity_item){
        .kind = kind, .hash = XXH3_64bits(len ? data : "", len)};
    memcpy(item->name, name, strlen(name));
}

void calm__identity_text(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const char *text)
{
    /* With its NUL: no text is another one than an empty text. */
    calm__identity_add(identity, kind, name, text, text ? strlen(text) + 1 : 0);
}

void calm__identity_names(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const char *const *names,
    size_t count)
{
    uint64_t hash = names != NULL;
    for (size_t i = 0; i < count; i++)
        hash = XXH3_64bits_withSeed(names[i], strlen(names[i]) + 1, hash);
    calm__identity_number(identity, kind, name, hash);
}

void calm__identity_list(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const char *const *list)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    calm__identity_names(identity, kind, name, list, count);
}

void calm__identity_number(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, uint64_t number)
{
    char text[24];
    size_t len = 0;
    do
        text[len++] = (char)('0' + number % 10);
    while (number /= 10);
    calm__identity_add(identity, kind, name, text, len);
}

static bool has(const struct calm__identity *identity,
    const struct calm__identity_item *wanted)
{
    for (size_t i = 0; i < identity->count; i++) {
        const struct calm__identity_item *item = &identity->items[i];
        if (item->kind == wanted->kind && item->hash == wanted->hash &&
            strcmp(item->name, wanted->name) == 0)
            return true;
    }
    return false;
}

static const struct calm__identity_item *first_missing(
    const struct calm__identity *from, const struct calm__identity *in,
    const struct calm__identity_item *best)
{
    for (size_t i = 0; i < from->count; i++)
        if ((!best || from->items[i].kind < best->kind) &&
            !has(in, &from->items[i]))
            best = &from->items[i];
    return best;
}

const struct calm__identity_item *calm__identity_differ(
    const struct calm__identity *a, const struct calm__identity *b)
{
    return first_missing(b, a, first_missing(a, b, NULL));
}

void calm__identity_clear(struct calm__identity *identity)
{
    free(identity->items);
    *identity = (struct calm__identity){0};
}
