/* ml/identity.h - what a run is a run of, as a list of named hashes
 *
 * A journal keeps it so that a run is only resumed with the input, the model
 * and the options that it began with, and so that what differs can be named.
 * Values are hashed: what may be secret is not added at all.
 */
#ifndef CALM_ML_IDENTITY_H
#define CALM_ML_IDENTITY_H

#include <calm/error.h>

#include <stddef.h>
#include <stdint.h>

enum { CALM__IDENTITY_NAME = 32 };

/* What an item is about, in the order in which differences are told. */
enum calm__identity_kind {
    CALM__IDENTITY_LAYOUT, /* of the output: never to be mixed in one file */
    CALM__IDENTITY_INPUT,
    CALM__IDENTITY_MODEL,
    CALM__IDENTITY_OPTION,
    CALM__IDENTITY_BEFORE, /* an output that is added to, see merge.h */
    CALM__IDENTITY_KINDS,
};

struct calm__identity_item {
    char name[CALM__IDENTITY_NAME];
    enum calm__identity_kind kind;
    uint64_t hash;
};

/* {0} is empty. ERROR keeps a lack of memory, so that only the end of many
 * additions needs a look. */
struct calm__identity {
    struct calm__identity_item *items;
    size_t count, room;
    int error;
};

/* Adds an item; NAME has less than CALM__IDENTITY_NAME bytes. */
void calm__identity_add(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const void *data,
    size_t len);

/* The same of a text, which may be NULL, of a list that ends with NULL, of
 * COUNT names, or of a number. A list is one item: its order counts, where
 * that of items does not. */
void calm__identity_text(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const char *text);
void calm__identity_list(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const char *const *list);
void calm__identity_names(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, const char *const *names,
    size_t count);
void calm__identity_number(struct calm__identity *identity,
    enum calm__identity_kind kind, const char *name, uint64_t number);

/* The item of A that B lacks or has otherwise, or of B that A lacks: the one
 * whose kind comes first. NULL when they are the same. */
const struct calm__identity_item *calm__identity_differ(
    const struct calm__identity *a, const struct calm__identity *b);

void calm__identity_clear(struct calm__identity *identity);

#endif
