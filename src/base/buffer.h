/* base/buffer.h - what the writers inside add to <calm/bytes.h>
 *
 * A writer of many small pieces wants one comparison for each of them and no
 * call: it asks for room here, writes behind data + len, and adds to len. The
 * NUL is its own affair then, once at the end of a row or a message.
 */
#ifndef CALM_BASE_BUFFER_H
#define CALM_BASE_BUFFER_H

#include <calm/bytes.h>

static inline int calm__bytes_room(calm_bytes *bytes, size_t more)
{
    if (__builtin_expect(bytes->capacity - bytes->len > more, 1))
        return 0;
    return calm_bytes_reserve(bytes, more);
}

#endif
