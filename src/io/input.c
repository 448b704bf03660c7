/* input.c - a file to read once, plain or compressed
 *
 * A decoder turns bytes of the file into bytes of the content, which is
 * computation: a job of the CPU pool decodes a piece of a megabyte, and while
 * the caller copies it out and works on it the next job is under way. The
 * bytes of the file are fetched between two jobs, on the loop, mostly from
 * the kernel's memory. Plain files have no decoder and are read in place.
 *
 *              ahead_start             ahead_done
 *        IDLE ------------> RUNNING ----------------> READY
 *         ^                                             |
 *         +----------------- ahead_take ----------------+
 *
 * While RUNNING, what is the decoder's belongs to the job; the caller only
 * touches the piece that was taken.
 */
#include "io/inflate.h"
#include "io/input.h"

#include "base/error.h"
#include "base/fault.h"
#include "core/sched.h"
#include "host/pool.h"

#include <calm/file.h>
#include <calm/input.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

enum ahead {
    AHEAD_IDLE,    /* nothing was asked for */
    AHEAD_RUNNING, /* the pool has the job, or its post is on the way */
    AHEAD_READY,   /* the next piece is there, or what is in its place */
};

struct piece {
    char *data;
    size_t len;
};

struct calm_input {
    struct calm__job job; /* first: the two are cast to each other */
    calm_file *file;
    struct calm__decoder *decoder; /* NULL for plain files */

    char *coded; /* of the file, from CODED_AT to CODED_LEN */
    size_t coded_at, coded_len;
    bool file_ended;

    enum ahead ahead;
    struct calm_task *waiting; /* for READY */
    struct piece next;         /* the job's */
    int result;
    struct calm__error *sentence;
    int64_t fetched; /* bytes of the file in what NEXT and PIECE are made of */

    struct piece piece; /* the caller's, from PIECE_AT on */
    size_t piece_at;
    bool ended;
    int64_t position;
    int error; /* for good, with its text */
    char *error_text;
    char name[];
};

/* ---- open and close ------------------------------------------------------ */

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
    input->piece.data = calm__alloc(PIECE);
    input->next.data = calm__alloc(PIECE);
    if (!input->coded || !input->piece.data || !input->next.data)
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

/* Takes the job back, or waits until it has ended: it writes to our memory. */
static void ahead_stop(calm_input *input)
{
    static const struct calm__wait wait = {
        .what = "the end of a decompression",
        .cancel = NULL,
    };
    if (input->ahead != AHEAD_RUNNING)
        return;
    if (calm__pool_drop(&calm__cpu_pool, &input->job)) {
        calm__loop_expect(input->job.loop, -1);
        return;
    }
    input->waiting = calm__self();
    calm__park(&wait, input);
}

void calm_input_close(calm_input *input)
{
    if (!input)
        return;
    ahead_stop(input);
    calm__error_free(input->sentence);
    calm_file_close(input->file);
    if (input->decoder)
        input->decoder->close(input->decoder);
    free(input->coded);
    free(input->piece.data);
    free(input->next.data);
    free(input->error_text);
    free(input);
}

/* ---- decoding ahead ------------------------------------------------------ */

/* In a thread of the pool: as much as there is and as there is room for. */
static void ahead_work(struct calm__job *job)
{
    calm_input *input = (calm_input *)job;
    calm_error_clear();
    input->result = input->decoder->decode(input->decoder, input->coded,
        input->coded_len, &input->coded_at, input->next.data, PIECE,
        &input->next.len, input->file_ended);
    input->sentence = calm__error_take();
}

/* Back on the loop's stack. */
static void ahead_done(struct calm__post *post)
{
    calm_input *input = (calm_input *)post;
    calm__loop_expect(input->job.loop, -1);
    input->ahead = AHEAD_READY;
    struct calm_task *task = input->waiting;
    input->waiting = NULL;
    if (task)
        calm__unpark(task, 0);
}

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
    input->fetched += got;
    input->file_ended = got == 0;
    return 0;
}

/* Sees to it that the next piece is under way, or there. */
static int ahead_start(calm_input *input)
{
    if (input->ahead != AHEAD_IDLE)
        return 0;
    int rc = coded_fill(input);
    if (rc < 0)
        return rc;
    input->job = (struct calm__job){
        .post.run = ahead_done,
        .work = ahead_work,
        .loop = calm__loop_here,
    };
    calm__loop_expect(input->job.loop, 1);
    rc = calm__pool_start(&calm__cpu_pool, &input->job);
    if (rc < 0) {
        calm__loop_expect(input->job.loop, -1);
        errno = -rc;
        return calm_fail(rc, "cannot start a thread of the %s: %m",
            calm__pool_name(&calm__cpu_pool));
    }
    input->ahead = AHEAD_RUNNING;
    return 0;
}

/* The caller is cancelled: the job goes on, for a later call or the close. */
static void ahead_cancel(struct calm_task *task, void *object)
{
    calm_input *input = object;
    input->waiting = NULL;
    calm__unpark(task, -ECANCELED);
}

static int ahead_wait(calm_input *input)
{
    static const struct calm__wait wait = {
        .what = "a decompression",
        .cancel = ahead_cancel,
    };
    if (input->ahead == AHEAD_READY)
        return 0;
    input->waiting = calm__self();
    return calm__park(&wait, input);
}

/* ---- reading ------------------------------------------------------------- */

/* Keeps the sentence: the failure comes again with each later call. */
static int keep_error(calm_input *input, int rc)
{
    if (rc != -ECANCELED) {
        input->error = rc;
        input->error_text = strdup(calm_message(rc));
    }
    return rc;
}

static int fail_again(const calm_input *input)
{
    if (!input->error_text)
        return calm_fail(input->error, "cannot read '%s'", input->name);
    return calm_fail(input->error, "%s", input->error_text);
}

/* Makes what was decoded ahead the caller's piece. Its error, if it has one,
 * comes behind what was good. Returns 1 when the file is at its end. */
static int ahead_take(calm_input *input)
{
    struct piece used = input->piece;
    input->piece = input->next;
    input->next = (struct piece){.data = used.data};
    input->piece_at = 0;
    input->position = input->fetched;
    input->ahead = AHEAD_IDLE;
    int rc = input->result;
    if (rc < 0) {
        calm__error_set(input->sentence);
        input->sentence = NULL;
        keep_error(input, calm_while(rc, "cannot read '%s'", input->name));
        return input->piece.len > 0 ? 0 : rc;
    }
    return input->file_ended && input->coded_at == input->coded_len &&
           input->piece.len < PIECE;
}

/* Gets a piece, and begins with the one behind it. An empty one is the end. */
static int piece_next(calm_input *input)
{
    do {
        if (input->ended)
            return 0;
        if (input->error < 0)
            return fail_again(input);
        int rc = ahead_start(input);
        if (rc == 0)
            rc = ahead_wait(input);
        if (rc < 0)
            return rc == -ECANCELED ? rc : keep_error(input, rc);
        rc = ahead_take(input);
        if (rc < 0)
            return rc;
        input->ended = rc > 0;
    } while (input->piece.len == 0);
    /* A failure to begin comes out when the piece is wanted. */
    if (!input->ended && input->error == 0 && ahead_start(input) < 0)
        calm_error_clear();
    return 0;
}

static ssize_t read_pieces(calm_input *input, char *buffer, size_t len)
{
    size_t done = 0;
    while (done < len) {
        size_t part = input->piece.len - input->piece_at;
        if (part == 0) {
            int rc = piece_next(input);
            if (rc < 0)
                return done > 0 ? (ssize_t)done : rc;
            part = input->piece.len - input->piece_at;
            if (part == 0)
                break;
        }
        if (part > len - done)
            part = len - done;
        memcpy(buffer + done, input->piece.data + input->piece_at, part);
        input->piece_at += part;
        done += part;
    }
    return (ssize_t)done;
}

ssize_t calm_input_read(calm_input *input, void *buffer, size_t len)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (input->decoder)
        return read_pieces(input, buffer, len);
    ssize_t got = calm_file_read(input->file, buffer, len);
    if (got > 0)
        input->position += got;
    return got;
}

calm_file *calm__input_file(const calm_input *input)
{
    return input->file;
}

int64_t calm_input_size(const calm_input *input)
{
    return calm_file_size(input->file);
}

int64_t calm_input_position(const calm_input *input)
{
    return input->position;
}
