/* buffer.c - a buffer of bytes that grows
 *
 * It grows by doubling, and to exactly what was asked for when that is more:
 * whoever knows the size of the whole reserves it and pays one allocation.
 * One byte of the capacity is always the NUL's, which is why every comparison
 * below is with one more than the content.
 */
#include "base/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

int calm_bytes_reserve(calm_bytes *bytes, size_t more)
{
    if (bytes->capacity - bytes->len > more)
        return 0;
    size_t needed;
    if (__builtin_add_overflow(bytes->len, more, &needed) ||
        needed > PTRDIFF_MAX - 1)
        return calm_fail(-ENOMEM, "cannot grow a buffer of %zu bytes by %zu",
            bytes->len, more);
    needed++;
    size_t capacity = bytes->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    char *data = realloc(bytes->data, capacity);
    if (!data)
        return calm_fail(
            -ENOMEM, "cannot allocate a buffer of %zu bytes", capacity);
    bytes->data = data;
    bytes->capacity = capacity;
    data[bytes->len] = '\0';
    return 0;
}

void calm_bytes_advance(calm_bytes *bytes, size_t count)
{
    if (count == 0)
        return;
    assert(count < bytes->capacity - bytes->len);
    bytes->len += count;
    bytes->data[bytes->len] = '\0';
}

int calm_bytes_append(calm_bytes *bytes, const void *data, size_t len)
{
    int rc = calm_bytes_reserve(bytes, len);
    if (rc < 0)
        return rc;
    if (len > 0)
        memcpy(bytes->data + bytes->len, data, len);
    calm_bytes_advance(bytes, len);
    return 0;
}

int calm_bytes_append_text(calm_bytes *bytes, const char *text)
{
    return calm_bytes_append(bytes, text, strlen(text));
}

int calm_bytes_printf(calm_bytes *bytes, const char *format, ...)
{
    /* First into the room that is there: most pieces fit. */
    size_t room = bytes->capacity - bytes->len;
    va_list args;
    va_start(args, format);
    int len =
        vsnprintf(room ? bytes->data + bytes->len : NULL, room, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len >= room) {
        if (room)
            bytes->data[bytes->len] = '\0';
        int rc = calm_bytes_reserve(bytes, len);
        if (rc < 0)
            return rc;
        room = bytes->capacity - bytes->len;
        va_start(args, format);
        len = vsnprintf(bytes->data + bytes->len, room, format, args);
        va_end(args);
    }
    if (len < 0) {
        if (room)
            bytes->data[bytes->len] = '\0';
        return calm_fail(-EINVAL, "cannot format '%s'", format);
    }
    calm_bytes_advance(bytes, len);
    return 0;
}

const char *calm_bytes_text(const calm_bytes *bytes)
{
    return bytes->data ? bytes->data : "";
}

void calm_bytes_consume(calm_bytes *bytes, size_t count)
{
    if (count > bytes->len)
        count = bytes->len;
    if (count == 0)
        return;
    bytes->len -= count;
    memmove(bytes->data, bytes->data + count, bytes->len + 1);
}

void calm_bytes_reset(calm_bytes *bytes)
{
    bytes->len = 0;
    if (bytes->data)
        bytes->data[0] = '\0';
}

void calm_bytes_clear(calm_bytes *bytes)
{
    free(bytes->data);
    *bytes = (calm_bytes){0};
}
