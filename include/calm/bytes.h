/* calm/bytes.h - a buffer of bytes that grows
 *
 * Text and data are put together in one of these: a body to send, a CSV file
 * to write. It begins as {0} and ends with calm_bytes_clear():
 *
 *     calm_bytes body = {0};
 *     int rc = calm_bytes_printf(&body, "{\"samples\": [%d, %d]}", 1, 2);
 *     ...
 *     calm_bytes_clear(&body);
 *
 * The fields are open: DATA holds LEN bytes and, once anything was put in, a
 * NUL behind them, so that text can be handed on as a C string. Who fills the
 * room that calm_bytes_reserve() made adds to LEN with calm_bytes_advance().
 *
 * A call that fails changes nothing: what was there stays, also its end. The
 * only failures are -ENOMEM, and -EINVAL for a format that printf refuses.
 * Nothing here suspends. One thread at a time may use a buffer.
 */
#ifndef CALM_BYTES_H
#define CALM_BYTES_H

#include <calm/error.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct calm_bytes {
    char *data;      /* from malloc(); NULL before the first byte */
    size_t len;      /* bytes in use, without the NUL */
    size_t capacity; /* bytes allocated, the NUL's included */
} calm_bytes;

/* Makes room for MORE bytes behind the LEN that are there, and a NUL. It at
 * least doubles what was allocated when it must grow, so that appending one
 * byte at a time costs little. Returns 0 or -ENOMEM, also when the sum of the
 * sizes would overflow. */
int calm_bytes_reserve(calm_bytes *bytes, size_t more)
    __attribute__((warn_unused_result));

/* Counts COUNT bytes, at most those reserved, as used: they were written
 * behind DATA + LEN. Puts the NUL behind them. */
void calm_bytes_advance(calm_bytes *bytes, size_t count);

/* Appends LEN bytes, which may be any, or the text up to its NUL. The source
 * must not lie in the buffer itself. Returns 0 or -ENOMEM. */
int calm_bytes_append(calm_bytes *bytes, const void *data, size_t len);
int calm_bytes_append_text(calm_bytes *bytes, const char *text);

/* Appends what printf would print. Returns 0, -ENOMEM, or -EINVAL when the
 * format cannot be printed. */
int calm_bytes_printf(calm_bytes *bytes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The content as a C string, "" when it is empty. It ends at the first NUL,
 * and is the buffer's: good until the next call that changes it. */
const char *calm_bytes_text(const calm_bytes *bytes);

/* Removes the first COUNT bytes (at most LEN); the rest moves to the front. */
void calm_bytes_consume(calm_bytes *bytes, size_t count);

/* Empties the buffer and keeps its memory, for the next round. */
void calm_bytes_reset(calm_bytes *bytes);

/* Frees the memory; the buffer is {0} again. */
void calm_bytes_clear(calm_bytes *bytes);

#ifdef __cplusplus
}
#endif
#endif
