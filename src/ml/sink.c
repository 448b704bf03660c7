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

#include <calm/pool.h>
#include <calm/time.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct calm__sink {
    calm_file *file;
    bool standard; /* output: no name, no commit */
    bool overwrite;
    int64_t offset;
    char *path;
    char *part;
};

/* An output that is there may be replaced when that was asked for, but never
 * a device, a pipe, or a link to one: a rename would put a file in the place
 * of /dev/null. */
static int name_check(const char *path, bool overwrite)
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

/* Whether FD, which is locked now, is still what stands under the name: the
 * run that held the lock may have renamed it to its final name, and that must
 * not be emptied. Another name for the file is somebody's trap. */
static int part_check(int fd, const char *part)
{
    struct stat ours, named;
    if (fstat(fd, &ours) < 0)
        return calm_fail(-errno, "cannot look at '%s': %m", part);
    if (lstat(part, &named) < 0 || named.st_dev != ours.st_dev ||
        named.st_ino != ours.st_ino)
        return calm_fail(-EBUSY, "another run has just written '%s'", part);
    if (!S_ISREG(ours.st_mode) || ours.st_nlink > 1)
        return calm_fail(-EEXIST,
            "'%s' exists, and is not what an earlier run has left", part);
    return 0;
}

static int part_take(int fd, const char *part)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? calm_fail(
                         -EBUSY, "'%s' is being written by another run", part)
                   : calm_fail(-errno, "cannot lock '%s': %m", part);
    int rc = part_check(fd, part);
    if (rc == 0 && ftruncate(fd, 0) < 0)
        rc = calm_fail(-errno, "cannot empty '%s': %m", part);
    return rc;
}

/* Creates the part file, or takes over that of a run that has died. */
static int part_open(const char *part)
{
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(part, flags | O_CREAT | O_EXCL, 0666);
    if (fd < 0 && errno == EEXIST)
        fd = open(part, flags);
    if (fd < 0 && errno == ELOOP)
        return calm_fail(-ELOOP, "'%s' is a link, which is not followed", part);
    if (fd < 0)
        return calm_fail(-errno, "cannot create '%s': %m", part);
    int rc = part_take(fd, part);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int open_call(void *arg)
{
    struct calm__sink *sink = arg;
    int rc = name_check(sink->path, sink->overwrite);
    return rc < 0 ? rc : part_open(sink->part);
}

static int sink_open_file(struct calm__sink *sink)
{
    int fd = calm_blocking(open_call, sink);
    if (fd < 0)
        return fd;
    int rc = calm_file_from_fd(fd, sink->part, &sink->file);
    if (rc < 0)
        close(fd);
    return rc;
}

int calm__sink_open(
    const char *path, bool overwrite, struct calm__sink **ret_sink)
{
    struct calm__sink *sink = calm__alloc(sizeof *sink);
    if (!sink)
        return calm_fail(-ENOMEM, "no memory for an output");
    *sink = (struct calm__sink){
        .standard = strcmp(path, "-") == 0, .overwrite = overwrite};
    int rc;
    if (sink->standard)
        rc = calm_file_from_fd(STDOUT_FILENO, "standard output", &sink->file);
    else if (asprintf(&sink->part, "%s.calm-part", path) < 0 ||
             !(sink->path = strdup(path)))
        rc = calm_fail(-ENOMEM, "no memory for an output");
    else
        rc = sink_open_file(sink);
    if (rc < 0) {
        calm__sink_close(sink);
        return rc;
    }
    *ret_sink = sink;
    return 0;
}

int calm__sink_write(struct calm__sink *sink, const calm_bytes *bytes)
{
    if (sink->standard)
        return calm_file_write(sink->file, bytes->data, bytes->len);
    int rc =
        calm_file_write_at(sink->file, bytes->data, bytes->len, sink->offset);
    if (rc == 0)
        sink->offset += (int64_t)bytes->len;
    return rc;
}

/* ---- commit ---- */

static int folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
    int fd = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    if (fd < 0 || fsync(fd) < 0)
        rc = calm_fail(-errno, "cannot sync the folder of '%s': %m", path);
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}

/* Without OVERWRITE the name is only taken if nobody has it: another run may
 * have, since we looked. */
static int name_take(const struct calm__sink *sink)
{
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
    if (fsync(calm_file_fd(sink->file)) < 0)
        return calm_fail(-errno, "cannot sync '%s': %m", sink->part);
    int rc = name_take(sink);
    return rc < 0 ? rc : folder_sync(sink->path);
}

int calm__sink_commit(struct calm__sink *sink)
{
    if (sink->standard)
        return 0;
    calm_shield shield;
    calm_shield_begin(&shield);
    int rc = calm_blocking(commit_call, sink);
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
    free(sink->path);
    free(sink->part);
    free(sink);
}

void calm__sink_discard(struct calm__sink *sink)
{
    if (sink && sink->part)
        unlink(sink->part);
    calm__sink_close(sink);
}
