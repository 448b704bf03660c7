/* file.c - open files: positioned and in sequence, lines, sync
 *
 * A read first asks the kernel for what it has in memory (RWF_NOWAIT), which
 * costs a system call and nothing else; only what would block becomes an
 * operation of the backend. Writes go to the page cache too, but may block in
 * it for long, so they are always operations. What has no position, a pipe or
 * a terminal, is waited for and then read with what is there.
 */
#include "io/file.h"

#include "base/fault.h"
#include "core/loop.h"

#include <calm/pool.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    INLINE_CHUNK = 1 << 20, /* some 70 us of copying at a time */
    LINE_CHUNK = 64 * 1024,
    LINE_MOST = 16 << 20,
    PIPE_CHUNK = 4096, /* PIPE_BUF: a writable pipe takes it without blocking */
};

struct calm_file {
    int fd;
    bool owned;
    bool regular;
    bool positioned; /* regular and opened by us: the position is ours */
    bool busy;
    bool line_end; /* the end was seen while reading lines */
    int64_t position;
    calm_bytes lines; /* read but not yet handed out, from LINE_START on */
    size_t line_start;
    char name[];
};

/* ---- reads and writes by position ---- */

static ssize_t read_cached(int fd, void *buffer, size_t len, int64_t offset)
{
    struct iovec part = {buffer, len};
    ssize_t got = preadv2(fd, &part, 1, offset, RWF_NOWAIT);
    return got < 0 ? -errno : got;
}

static ssize_t read_waiting(int fd, void *buffer, size_t len, int64_t offset)
{
    struct calm__op op = {.kind = CALM__OP_READ,
        .fd = fd,
        .buffer = buffer,
        .size = len > INT_MAX / 2 ? INT_MAX / 2 : len,
        .offset = offset};
    return calm__op_wait(&op, "a read of a file");
}

ssize_t calm__file_read_some(int fd, char *buffer, size_t len, int64_t offset)
{
    for (;;) {
        if (calm__enter() < 0)
            return -ECANCELED;
        size_t part = len < INLINE_CHUNK ? len : INLINE_CHUNK;
        ssize_t got = read_cached(fd, buffer, part, offset);
        /* Nothing, an answer of file systems without NOWAIT included, is
         * asked again properly: only that zero is the end of the file. */
        if (got <= 0)
            got = read_waiting(fd, buffer, len, offset);
        if (got != -EINTR && got != -EAGAIN)
            return got;
    }
}

ssize_t calm__file_read_fd(int fd, char *buffer, size_t len, int64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = calm__file_read_some(
            fd, buffer + done, len - done, offset + (int64_t)done);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static int write_fd(int fd, const char *data, size_t len, int64_t offset)
{
    size_t done = 0;
    while (done < len) {
        size_t part = len - done;
        struct calm__op op = {.kind = CALM__OP_WRITE,
            .fd = fd,
            .buffer = (void *)(data + done),
            .size = part > INT_MAX / 2 ? INT_MAX / 2 : part,
            .offset = offset + (int64_t)done};
        if (calm__fault("short write") && op.size > 1)
            op.size /= 2;
        int rc = calm__fault("write") ? -ENOSPC
                                      : calm__op_wait(&op, "a write to a file");
        if (rc == -EINTR || rc == -EAGAIN)
            continue;
        if (rc <= 0)
            return rc < 0 ? rc : -EIO;
        done += (size_t)rc;
    }
    return 0;
}

/* ---- what has no position ---- */

struct stream_job {
    int fd;
    void *buffer;
    size_t len;
    bool write;
};

static int stream_call(void *arg)
{
    struct stream_job *job = arg;
    ssize_t rc = job->write ? write(job->fd, job->buffer, job->len)
                            : read(job->fd, job->buffer, job->len);
    return rc < 0 ? -errno : (int)rc;
}

/* One read or write of a descriptor whose position is the kernel's: inline
 * when it is ready, on the pool when it is a regular file of somebody else.
 * One that does not block may have lost what it was ready for to another
 * process, and is waited for again. */
static int stream_step(
    const struct calm_file *file, void *buffer, size_t len, bool write)
{
    if (len > INLINE_CHUNK)
        len = INLINE_CHUNK;
    struct stream_job job = {file->fd, buffer, len, write};
    if (file->regular)
        return calm_blocking(stream_call, &job);
    if (write && job.len > PIPE_CHUNK)
        job.len = PIPE_CHUNK;
    int rc;
    do {
        struct calm__op op = {
            .kind = write ? CALM__OP_WRITABLE : CALM__OP_READABLE,
            .fd = file->fd};
        rc = calm__op_wait(&op, write ? "room in a pipe" : "data of a pipe");
        if (rc == 0)
            rc = stream_call(&job);
    } while (rc == -EAGAIN || rc == -EINTR);
    return rc;
}

/* ---- open and close ---- */

struct open_job {
    const char *path;
    int flags;
};

static int open_call(void *arg)
{
    struct open_job *job = arg;
    int fd = open(job->path, job->flags | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EAGAIN) /* somebody's lease, which can be awaited */
        fd = open(job->path, (job->flags & ~O_NONBLOCK) | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : fd;
}

static int file_new(int fd, const char *name, bool owned, calm_file **ret_file)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return calm_fail(-errno, "cannot look at '%s': %m", name);
    size_t len = strlen(name) + 1;
    calm_file *file = calm__alloc(sizeof *file + len);
    if (!file)
        return calm_fail(-ENOMEM, "no memory to open '%s'", name);
    *file = (calm_file){.fd = fd, .owned = owned};
    file->regular = S_ISREG(status.st_mode);
    file->positioned = owned && file->regular;
    memcpy(file->name, name, len);
    *ret_file = file;
    return 0;
}

int calm_file_open(const char *path, int flags, calm_file **ret_file)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    /* To open a FIFO waits for the other side, which no cancel could end. A
     * reader can do that when it reads; a writer does it on the pool. */
    bool reads = (flags & O_ACCMODE) == O_RDONLY;
    struct open_job job = {path, reads ? flags | O_NONBLOCK : flags};
    int fd = reads ? calm__file_open_cached(path, job.flags) : -EAGAIN;
    if (fd == -EAGAIN)
        fd = calm_blocking(open_call, &job);
    if (fd == -ECANCELED)
        return fd;
    if (fd < 0)
        return calm_fail(fd, "cannot open '%s': %s", path, strerror(-fd));
    rc = file_new(fd, path, true, ret_file);
    if (rc < 0) {
        close(fd);
    } else if ((*ret_file)->regular) {
        if (reads)
            fcntl(fd, F_SETFL, flags);
        if (flags & O_APPEND)
            (*ret_file)->positioned = false; /* the kernel finds the end */
    }
    return rc;
}

int calm_file_from_fd(int fd, const char *name, calm_file **ret_file)
{
    return file_new(fd, name, false, ret_file);
}

void calm_file_close(calm_file *file)
{
    if (!file)
        return;
    struct calm__loop *loop = calm__loop_here;
    if (loop && !file->regular) {
        struct calm__backend *backend = calm__loop_backend(loop);
        backend->methods->forget(backend, file->fd);
    }
    if (file->owned)
        close(file->fd);
    calm_bytes_clear(&file->lines);
    free(file);
}

/* ---- calls ---- */

static ssize_t described(ssize_t rc, const calm_file *file, const char *what)
{
    if (rc >= 0 || rc == -ECANCELED)
        return rc;
    return calm_fail(
        (int)rc, "cannot %s '%s': %s", what, file->name, strerror((int)-rc));
}

static int file_take(calm_file *file)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    if (file->busy)
        return calm_fail(-EBUSY, "'%s' is in use by another task", file->name);
    file->busy = true;
    return 0;
}

static ssize_t read_next(calm_file *file, void *buffer, size_t len)
{
    if (!file->positioned)
        return stream_step(file, buffer, len, false);
    ssize_t got = calm__file_read_fd(file->fd, buffer, len, file->position);
    if (got > 0)
        file->position += got;
    return got;
}

ssize_t calm_file_read(calm_file *file, void *buffer, size_t len)
{
    int rc = file_take(file);
    if (rc < 0)
        return rc;
    ssize_t got = read_next(file, buffer, len);
    file->busy = false;
    return described(got, file, "read");
}

ssize_t calm_file_read_at(
    calm_file *file, void *buffer, size_t len, int64_t offset)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    return described(
        calm__file_read_fd(file->fd, buffer, len, offset), file, "read");
}

int calm_file_write(calm_file *file, const void *data, size_t len)
{
    int rc = file_take(file);
    if (rc < 0)
        return rc;
    if (file->positioned) {
        rc = write_fd(file->fd, data, len, file->position);
        if (rc == 0)
            file->position += (int64_t)len;
    }
    size_t done = 0;
    while (!file->positioned && rc >= 0 && done < len) {
        rc = stream_step(file, (char *)data + done, len - done, true);
        if (rc == -EINTR || rc == -EAGAIN)
            rc = 0;
        else if (rc > 0)
            done += (size_t)rc;
    }
    file->busy = false;
    return (int)described(rc < 0 ? rc : 0, file, "write");
}

int calm_file_write_at(
    calm_file *file, const void *data, size_t len, int64_t offset)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    return (int)described(write_fd(file->fd, data, len, offset), file, "write");
}

int calm_file_sync(calm_file *file)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct calm__op op = {.kind = CALM__OP_FSYNC, .fd = file->fd};
    rc = calm__fault("sync") ? -EIO : calm__op_wait(&op, "a file to be synced");
    return (int)described(rc, file, "sync");
}

/* ---- lines ---- */

/* Drops what was handed out and reads more. Returns 1, 0 at the end. */
static int lines_fill(calm_file *file)
{
    calm_bytes_consume(&file->lines, file->line_start);
    file->line_start = 0;
    if (file->lines.len > LINE_MOST)
        return calm_fail(CALM_ELIMIT, "'%s': a line is longer than %d MiB",
            file->name, LINE_MOST >> 20);
    int rc = calm_bytes_reserve(&file->lines, LINE_CHUNK);
    if (rc < 0)
        return rc;
    ssize_t got =
        read_next(file, file->lines.data + file->lines.len, LINE_CHUNK);
    if (got < 0)
        return (int)described(got, file, "read");
    calm_bytes_advance(&file->lines, (size_t)got);
    file->line_end = got == 0;
    return got > 0;
}

static int line_next(calm_file *file, const char **ret_line, size_t *ret_len)
{
    size_t looked = 0;
    for (;;) {
        char *start = file->lines.data + file->line_start;
        size_t len = file->lines.len - file->line_start;
        char *end =
            len > looked ? memchr(start + looked, '\n', len - looked) : NULL;
        if (!end && !file->line_end) {
            looked = len;
            int rc = lines_fill(file);
            if (rc < 0)
                return rc;
            continue;
        }
        if (!end && len == 0)
            return 0;
        size_t line = end ? (size_t)(end - start) : len;
        file->line_start += line + (end != NULL);
        if (end && line > 0 && start[line - 1] == '\r')
            line--;
        start[line] = '\0';
        *ret_line = start;
        *ret_len = line;
        return 1;
    }
}

int calm_file_line(calm_file *file, const char **ret_line, size_t *ret_len)
{
    int rc = file_take(file);
    if (rc < 0)
        return rc;
    rc = line_next(file, ret_line, ret_len);
    file->busy = false;
    return rc;
}

int64_t calm_file_size(const calm_file *file)
{
    struct stat status;
    if (!file->regular || fstat(file->fd, &status) < 0)
        return 0;
    return status.st_size;
}

int calm_file_fd(const calm_file *file)
{
    return file->fd;
}
