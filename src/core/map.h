/* core/map.h - calm_map() for the inside: with a context beside the item */
#ifndef CALM_CORE_MAP_H
#define CALM_CORE_MAP_H

#include <calm/gather.h>

/* As calm_map(), but calls fn(ctx, item), and no more tasks are begun than
 * OPTS->limit, which must not be 0. */
int calm__map_with(int (*fn)(void *ctx, void *item), void *ctx, void *items,
    size_t count, size_t size, const calm_map_opts *opts);

#endif
