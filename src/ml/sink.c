/* sink.c - an output that is whole under its name, or not there
 *
 * Rows go to NAME.calm-part, which is created without following links and
 * locked, so that two runs cannot write one output. The final name appears by
 * a rename after all data is on the device. fsync is called once: after it
 * has failed the kernel may have dropped the data, and a second success would
 * prove nothing.
 */
#include "ml/sink.h"

#include "base/error.h"
#include "base/fault.h"
#include "ml/own_file.h"

#include <calm/pool.h>
#include <calm/time.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { CHUNK = 1 << 20 };

struct calm__sink {
    calm_file *file;
    bool standard; /* output: no name, no commit */
    bool overwrite;
    bool named; /* the partial file, on the device */
    bool dirty; /* written to since the last sync */
    int failed; /* a sync, for good */
    uint64_t size;
    XXH3_state_t *hash; /* of all that was written, where it is asked for */
    char *path;
    char *part;
};

/* ---- open ---- */

/* An output that is there may be replaced when that was asked for, but never
 * a device, a pipe, or a link to one: a rename would put a file in the place
 * of /dev/null. */
int calm__sink_name_check(const char *path, bool overwrite)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return errno == ENOENT
                   ? 0
                   : calm_fail(-errno, "cannot look at '%s': %m", path);
    if (!S_ISREG(status.st_mode))
        return calm_fail(-EEXIST,
            "'%s' exists, and is no regular file\n"
            "hint: - is standard output",
            path);
    return overwrite ? 0
                     : calm_fail(-EEXIST,
                           "'%s' exists\nhint: remove it, or replace it by "
                           "--overwrite",
                           path);
}

static int open_call(void *arg)
{
    struct calm__sink *sink = arg;
    int rc = calm__sink_name_check(sink->path, sink->overwrite);
    return rc < 0 ? rc : calm__own_file_open(sink->part, 0666);
}

static int cut_call(void *arg)
{
    struct calm__sink *sink = arg;
    if (ftruncate(calm_file_fd(sink->file), (off_t)sink->size) < 0)
        return calm_fail(-errno, "cannot cut '%s': %m", sink->part);
    return 0;
}

/* Goes through the first SIZE bytes of a file. Returns 0, or -ENODATA when it
 * has not so many. */
static int hash_file(calm_file *file, uint64_t size, XXH3_state_t *hash)
{
    char *chunk = calm__alloc(CHUNK);
    if (!chunk)
        return calm_fail(-ENOMEM, "no memory to check a file");
    ssize_t got = 1;
    for (uint64_t at = 0; at < size && got > 0; at += (uint64_t)got) {
        size_t len = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        got = calm_file_read_at(file, chunk, len, (int64_t)at);
        if (got > 0)
            XXH3_64bits_update(hash, chunk, (size_t)got);
    }
    free(chunk);
    return got < 0 ? (int)got : got == 0 ? -ENODATA : 0;
}

/* Whether what an earlier run has left is what its journal says: a sync may
 * have failed, or somebody else may have written. */
static int sink_keep(
    struct calm__sink *sink, const struct calm__journal_file *kept)
{
    int rc = hash_file(sink->file, kept->size, sink->hash);
    if (rc == -ENODATA)
        return calm_fail(CALM_EFORMAT,
            "'%s' has lost what its journal says is there: %llu bytes of %llu",
            sink->part, (unsigned long long)calm_file_size(sink->file),
            (unsigned long long)kept->size);
    if (rc == 0 && XXH3_64bits_digest(sink->hash) != kept->hash)
        rc = calm_fail(
            CALM_EFORMAT, "'%s' is not what its journal says", sink->part);
    sink->size = kept->size;
    return rc;
}

static int sink_open_file(
    struct calm__sink *sink, const struct calm__journal_file *kept)
{
    int fd = calm_blocking(open_call, sink);
    if (fd < 0)
        return fd;
    int rc = calm_file_from_fd(fd, sink->part, &sink->file);
    if (rc < 0)
        close(fd);
    if (rc == 0 && kept)
        rc = sink_keep(sink, kept);
    return rc < 0 ? rc : calm_blocking(cut_call, sink);
}

static int sink_new(
    const struct calm__sink_opts *opts, struct calm__sink **ret_sink)
{
    struct calm__sink *sink = calm__alloc(sizeof *sink);
    if (!sink)
        return calm_fail(-ENOMEM, "no memory for an output");
    *sink = (struct calm__sink){
        .standard = strcmp(opts->path, "-") == 0, .overwrite = opts->overwrite};
    *ret_sink = sink;
    if (asprintf(&sink->part, "%s%s", opts->path, CALM__PART_END) < 0)
        sink->part = NULL;
    sink->path = strdup(opts->path);
    if (!sink->part || !sink->path)
        return calm_fail(-ENOMEM, "no memory for an output");
    if (!opts->marked)
        return 0;
    sink->hash = calm__fault("memory") ? NULL : XXH3_createState();
    if (!sink->hash)
        return calm_fail(-ENOMEM, "no memory for an output");
    XXH3_64bits_reset(sink->hash);
    return 0;
}

int calm__sink_open(
    const struct calm__sink_opts *opts, struct calm__sink **ret_sink)
{
    struct calm__sink *sink = NULL;
    int rc = sink_new(opts, &sink);
    if (rc == 0 && sink->standard)
        rc = calm_file_from_fd(STDOUT_FILENO, "standard output", &sink->file);
    else if (rc == 0)
        rc = sink_open_file(sink, opts->kept);
    if (rc < 0)
        calm__sink_close(sink);
    else
        *ret_sink = sink;
    return rc;
}

int calm__sink_is_file(
    const char *path, const char *end, const struct calm__journal_file *file)
{
    char *name;
    if (asprintf(&name, "%s%s", path, end) < 0)
        return calm_fail(-ENOMEM, "no memory for a name");
    XXH3_state_t *hash = XXH3_createState();
    calm_file *opened = NULL;
    int rc = hash ? calm_file_open(name, O_RDONLY | O_NOFOLLOW, &opened)
                  : calm_fail(-ENOMEM, "no memory to check a file");
    free(name);
    if (rc == 0) {
        XXH3_64bits_reset(hash);
        rc = (uint64_t)calm_file_size(opened) == file->size
                 ? hash_file(opened, file->size, hash)
                 : -ENODATA;
    }
    if (rc == 0)
        rc = XXH3_64bits_digest(hash) == file->hash;
    calm_file_close(opened);
    XXH3_freeState(hash);
    return rc == -ENOENT || rc == -ENODATA || rc == -ELOOP ? 0 : rc;
}

/* ---- writing ---- */

int calm__sink_write(struct calm__sink *sink, const calm_bytes *bytes)
{
    if (sink->standard)
        return calm_file_write(sink->file, bytes->data, bytes->len);
    int rc = calm_file_write_at(
        sink->file, bytes->data, bytes->len, (int64_t)sink->size);
    if (rc < 0)
        return rc;
    if (sink->hash)
        XXH3_64bits_update(sink->hash, bytes->data, bytes->len);
    sink->size += bytes->len;
    sink->dirty = true;
    return 0;
}

struct calm__journal_file calm__sink_mark(const struct calm__sink *sink)
{
    return (struct calm__journal_file){
        sink->size, sink->hash ? XXH3_64bits_digest(sink->hash) : 0};
}

static int folder_call(void *arg)
{
    const struct calm__sink *sink = arg;
    return calm__own_folder_sync(sink->path);
}

int calm__sink_sync(struct calm__sink *sink)
{
    if (sink->failed < 0)
        return calm_fail(sink->failed, "'%s' could not be synced", sink->part);
    if (!sink->dirty && sink->named)
        return 0;
    sink->dirty = false; /* before: it may be written to meanwhile */
    int rc = calm_file_sync(sink->file);
    if (rc == 0 && !sink->named)
        rc = calm_blocking(folder_call, sink);
    if (rc == 0)
        sink->named = true;
    else if (rc == -ECANCELED)
        sink->dirty = true; /* it was not even tried */
    else
        sink->failed = rc;
    return rc;
}

/* ---- commit ---- */

/* Without OVERWRITE the name is only taken if nobody has it: another run may
 * have, since we looked. */
static int name_take(const struct calm__sink *sink)
{
    if (calm__fault("rename"))
        return calm_fail(-EIO, "cannot rename '%s'", sink->part);
    int rc = renameat2(AT_FDCWD, sink->part, AT_FDCWD, sink->path,
        sink->overwrite ? 0 : RENAME_NOREPLACE);
    if (rc < 0 && errno == EINVAL) /* a file system without the flag */
        rc = rename(sink->part, sink->path);
    return rc < 0 ? calm_fail(-errno, "cannot rename '%s' to '%s': %m",
                        sink->part, sink->path)
                  : 0;
}

static int commit_call(void *arg)
{
    struct calm__sink *sink = arg;
    int rc = name_take(sink);
    return rc < 0 ? rc : calm__own_folder_sync(sink->path);
}

int calm__sink_commit(struct calm__sink *sink)
{
    if (sink->standard)
        return 0;
    calm_shield shield;
    calm_shield_begin(&shield);
    sink->named = true; /* the partial one is not needed any more */
    int rc = calm__sink_sync(sink);
    if (rc == 0)
        rc = calm_blocking(commit_call, sink);
    calm_shield_end(&shield);
    return rc;
}

void calm__sink_close(struct calm__sink *sink)
{
    if (!sink)
        return;
    int fd = sink->file ? calm_file_fd(sink->file) : -1;
    calm_file_close(sink->file);
    if (fd >= 0 && !sink->standard)
        close(fd);
    XXH3_freeState(sink->hash);
    free(sink->path);
    free(sink->part);
    free(sink);
}
