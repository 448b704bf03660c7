/* input.c - a file to read once, plain or compressed
 *
 * A decoder turns bytes of the file into bytes of the content. Decoding is
 * computation, so a piece of a megabyte at a time is a job of the CPU pool; a
 * task of the input's own fetches the next piece while the caller works on
 * the one before. Plain files have no decoder and are read in place.
 */
#include "io/inflate.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/file.h>
#include <calm/input.h>
#include <calm/pool.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

struct calm_input {
    calm_file *file;
    struct calm__decoder *decoder; /* NULL for plain files */
    char *coded;                   /* of the file, from CODED_AT to CODED_LEN */
    size_t coded_at, coded_len;
    bool file_ended;
    char *piece; /* decoded, from PIECE_AT to PIECE_LEN */
    size_t piece_at, piece_len;
    int64_t position;
    int error; /* for good */
    char name[];
};

static bool name_ends(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcasecmp(name + len - end_len, end) == 0;
}

static int decoder_open(calm_input *input)
{
    int rc = 0;
    if (name_ends(input->name, ".gz"))
        rc = calm__gzip_open(&input->decoder);
    else if (name_ends(input->name, ".zst"))
        rc = calm__zstd_open(&input->decoder);
    if (rc < 0 || !input->decoder)
        return calm_while(rc, "cannot read '%s'", input->name);
    input->coded = calm__alloc(PIECE);
    input->piece = calm__alloc(PIECE);
    if (!input->coded || !input->piece)
        return calm_fail(-ENOMEM, "no memory to read '%s'", input->name);
    return 0;
}

int calm_input_open(const char *path, calm_input **ret_input)
{
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    size_t len = strlen(name) + 1;
    calm_input *input = calm__alloc(sizeof *input + len);
    if (!input)
        return calm_fail(-ENOMEM, "no memory to read '%s'", name);
    *input = (calm_input){.file = NULL};
    memcpy(input->name, name, len);
    int rc = standard ? calm_file_from_fd(STDIN_FILENO, name, &input->file)
                      : calm_file_open(path, O_RDONLY, &input->file);
    if (rc == 0 && !standard)
        rc = decoder_open(input);
    if (rc < 0) {
        calm_input_close(input);
        return rc;
    }
    *ret_input = input;
    return 0;
}

void calm_input_close(calm_input *input)
{
    if (!input)
        return;
    calm_file_close(input->file);
    if (input->decoder)
        input->decoder->close(input->decoder);
    free(input->coded);
    free(input->piece);
    free(input);
}

/* ---- reading ---- */

/* Fills CODED when it is used up. */
static int coded_fill(calm_input *input)
{
    if (input->coded_at < input->coded_len || input->file_ended)
        return 0;
    ssize_t got = calm_file_read(input->file, input->coded, PIECE);
    if (got < 0)
        return (int)got;
    input->coded_at = 0;
    input->coded_len = (size_t)got;
    input->position += got;
    input->file_ended = got == 0;
    return 0;
}

/* A job: decodes as much as there is and as there is room for. */
static int piece_decode(void *arg)
{
    calm_input *input = arg;
    return input->decoder->decode(input->decoder, input->coded,
        input->coded_len, &input->coded_at, input->piece, PIECE,
        &input->piece_len, input->file_ended);
}

/* The next piece; an empty one is the end. */
static int piece_next(calm_input *input)
{
    input->piece_at = input->piece_len = 0;
    for (;;) {
        int rc = coded_fill(input);
        if (rc < 0)
            return rc;
        bool last = input->file_ended;
        rc = calm_cpu(piece_decode, input);
        if (rc < 0 && input->piece_len > 0) {
            input->error = rc; /* what was good comes out first */
            return 0;
        }
        if (rc < 0 || input->piece_len > 0 || last)
            return calm_while(rc, "cannot read '%s'", input->name);
    }
}

ssize_t calm_input_read(calm_input *input, void *buffer, size_t len)
{
    if (!input->decoder) {
        ssize_t got = calm_file_read(input->file, buffer, len);
        input->position += got > 0 ? got : 0;
        return got;
    }
    size_t done = 0;
    while (done < len) {
        size_t part = input->piece_len - input->piece_at;
        if (part == 0) {
            int rc = input->error < 0 ? calm_fail(input->error,
                                            "cannot read '%s': it is damaged",
                                            input->name)
                                      : piece_next(input);
            if (rc < 0)
                return done > 0 ? (ssize_t)done : rc;
            part = input->piece_len;
            if (part == 0)
                break;
        }
        if (part > len - done)
            part = len - done;
        memcpy((char *)buffer + done, input->piece + input->piece_at, part);
        input->piece_at += part;
        done += part;
    }
    return (ssize_t)done;
}

int64_t calm_input_size(const calm_input *input)
{
    return calm_file_size(input->file);
}

int64_t calm_input_position(const calm_input *input)
{
    return input->position;
}
