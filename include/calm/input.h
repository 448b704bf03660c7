/* calm/input.h - a file to read once, from its begin to its end
 *
 * What a dataset is read from: a file, a compressed file, or standard input,
 * all the same to the reader.
 *
 *     calm_input *input;
 *     int rc = calm_input_open("train.csv.gz", &input);
 *     while (rc == 0 && (got = calm_input_read(input, buffer, size)) > 0)
 *         use GOT bytes
 *     calm_input_close(input);
 *
 * The name tells how: "-" is standard input, NAME.gz is gzip (any number of
 * members), NAME.zst is Zstandard (any number of frames), all others are read
 * as they are. What is compressed is read and decompressed ahead, 1 MiB at a
 * time, by a thread of the CPU pool, while the caller works on the piece
 * before; it never needs more memory than that, however much comes out.
 */
#ifndef CALM_INPUT_H
#define CALM_INPUT_H

#include <calm/error.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open input. One task at a time may use it. */
typedef struct calm_input calm_input;

/* Opens PATH. Returns 0; or, with a sentence that names it: an errno of open,
 * -EISDIR, -ENOMEM, -ENOTSUP for .zst where calm was built without Zstandard,
 * or -ECANCELED. What is wrong inside of a file comes out when it is read. */
CALM_SUSPENDS int calm_input_open(const char *path, calm_input **ret_input)
    __attribute__((warn_unused_result));

/* Reads up to LEN bytes into BUFFER. Returns how many, fewer than LEN only
 * before the end of the input, or from a pipe, which gives what it has, at
 * least one; 0 at the end. Or an errno of read, CALM_EFORMAT for a compressed
 * file that is damaged, cut short, or has other data behind its end,
 * CALM_ELIMIT for one that needs a window over 128 MiB, with a sentence that
 * names the file. What was read before the damage comes out first.
 *
 * A cancel returns -ECANCELED, or fewer bytes than LEN when some are there
 * already; none are lost. A failure comes again with each later call. */
CALM_SUSPENDS ssize_t calm_input_read(calm_input *input, void *buffer,
    size_t len) __attribute__((warn_unused_result));

/* Closes; NULL is fine. Never fails. Waits for a thread that is still
 * decompressing a piece, some milliseconds, also in a cancelled task. */
CALM_SUSPENDS void calm_input_close(calm_input *input);

/* The bytes of the file, compressed if it is so, and how many of them were
 * used for what was read so far: the two ends of a progress bar. The size is 0
 * when it is not known, as for a pipe. */
int64_t calm_input_size(const calm_input *input);
int64_t calm_input_position(const calm_input *input);

#ifdef __cplusplus
}
#endif
#endif
