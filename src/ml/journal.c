/* journal.c - the journal of a run, beside its output */
#include "ml/journal.h"

#include "base/error.h"
#include "base/fault.h"
#include "ml/own_file.h"

#include <calm/file.h>
#include <calm/pool.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ONLY_OURS = 0600 };

struct calm__journal {
    calm_file *file;
    int fd;
    char *path;
    int64_t size;    /* appended so far */
    uint64_t number; /* of the last record */
    struct calm__journal_head head;
    struct calm__journal_contents contents;
    calm_bytes frame;
};

struct open_job {
    const char *path;
    bool create;
};

static int open_call(void *arg)
{
    struct open_job *job = arg;
    return calm__own_file_open(job->path, job->create ? ONLY_OURS : 0);
}

int calm__journal_open(
    const char *path, bool create, struct calm__journal **ret_journal)
{
    *ret_journal = NULL;
    struct open_job job = {path, create};
    int fd = calm_blocking(open_call, &job);
    if (fd == -ENOENT && !create)
        return 0;
    if (fd < 0)
        return fd;
    struct calm__journal *journal = calm__alloc(sizeof *journal);
    if (!journal) {
        close(fd);
        return calm_fail(-ENOMEM, "no memory for a journal");
    }
    *journal = (struct calm__journal){.fd = fd, .path = strdup(path)};
    int rc = journal->path ? calm_file_from_fd(fd, path, &journal->file)
                           : calm_fail(-ENOMEM, "no memory for a journal");
    if (rc < 0)
        calm__journal_close(journal);
    else
        *ret_journal = journal;
    return rc;
}

/* ---- reading ---- */

int calm__journal_read(struct calm__journal *journal,
    const struct calm__journal_contents **ret_contents)
{
    calm_bytes bytes = {0};
    size_t size = (size_t)calm_file_size(journal->file);
    int rc = calm_bytes_reserve(&bytes, size + 1);
    if (rc < 0)
        return calm_fail(rc, "no memory to read '%s'", journal->path);
    ssize_t got = calm_file_read_at(journal->file, bytes.data, size, 0);
    calm__journal_contents_clear(&journal->contents);
    rc = got < 0 ? (int)got
                 : calm_while(calm__journal_decode(
                                  bytes.data, (size_t)got, &journal->contents),
                       "'%s'", journal->path);
    calm_bytes_clear(&bytes);
    if (rc == 0)
        *ret_contents = &journal->contents;
    return rc;
}

/* ---- writing ---- */

static int frame_append(struct calm__journal *journal)
{
    const calm_bytes *frame = &journal->frame;
    int rc = calm_file_write_at(
        journal->file, frame->data, frame->len, journal->size);
    if (rc == 0)
        rc = calm_file_sync(journal->file);
    if (rc == 0)
        journal->size += (int64_t)frame->len;
    return rc;
}

static int empty_call(void *arg)
{
    const struct calm__journal *journal = arg;
    if (ftruncate(journal->fd, 0) < 0 || fsync(journal->fd) < 0)
        return calm_fail(-errno, "cannot empty '%s': %m", journal->path);
    return calm__own_folder_sync(journal->path);
}

int calm__journal_begin(
    struct calm__journal *journal, const struct calm__journal_head *head)
{
    calm__identity_clear(&journal->head.identity);
    journal->head = *head;
    journal->size = 0;
    journal->number = 0;
    calm_bytes_reset(&journal->frame);
    int rc = calm_blocking(empty_call, journal);
    if (rc == 0)
        rc = calm__journal_encode_head(head, &journal->frame);
    return rc < 0 ? rc : frame_append(journal);
}

static int cut_call(void *arg)
{
    const struct calm__journal *journal = arg;
    if (ftruncate(journal->fd, journal->size) < 0)
        return calm_fail(-errno, "cannot cut '%s': %m", journal->path);
    return 0;
}

int calm__journal_resume(struct calm__journal *journal)
{
    struct calm__journal_contents *contents = &journal->contents;
    journal->head = contents->head;
    contents->head.identity = (struct calm__identity){0};
    journal->size = (int64_t)contents->len;
    journal->number = contents->last.number;
    return contents->torn ? calm_blocking(cut_call, journal) : 0;
}

int calm__journal_append(struct calm__journal *journal,
    struct calm__journal_record *record, const struct calm__selection *done)
{
    record->number = journal->number + 1;
    calm_bytes_reset(&journal->frame);
    int rc = calm__journal_encode_record(
        &journal->head, record, done, &journal->frame);
    if (rc == 0)
        rc = frame_append(journal);
    if (rc == 0)
        journal->number++;
    return rc;
}

/* ---- the end ---- */

static int remove_call(void *arg)
{
    const struct calm__journal *journal = arg;
    if (unlink(journal->path) < 0 && errno != ENOENT)
        return calm_fail(-errno, "cannot remove '%s': %m", journal->path);
    return calm__own_folder_sync(journal->path);
}

int calm__journal_remove(struct calm__journal *journal)
{
    int rc = calm_blocking(remove_call, journal);
    calm__journal_close(journal);
    return rc;
}

void calm__journal_close(struct calm__journal *journal)
{
    if (!journal)
        return;
    calm_file_close(journal->file);
    close(journal->fd); /* and with it the lock */
    free(journal->path);
    calm__identity_clear(&journal->head.identity);
    calm__journal_contents_clear(&journal->contents);
    calm_bytes_clear(&journal->frame);
    free(journal);
}
