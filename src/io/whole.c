/* whole.c - whole files in one call
 *
 * A read of a file that the kernel has in memory is four system calls on the
 * loop's own thread: open, size, read, close. If the path must be looked up on
 * a device, all of it moves to the pool as one job; if only the content must,
 * the read becomes an operation of the backend. A write creates and may block
 * at each step, so it is one job on the pool.
 */
#include "io/file.h"

#include "base/fault.h"
#include "base/random.h"
#include "core/loop.h"

#include <calm/pool.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LARGE = 1 << 20, /* from here on buffers begin on a page */
    HUGE = 4 << 20,
    PAGE = 4096,
    GROW = 64 * 1024,
};

int calm__file_open_cached(const char *path, int flags)
{
    static atomic_bool unavailable; /* before Linux 5.12 */
    if ((flags & (O_CREAT | O_TRUNC)) ||
        atomic_load_explicit(&unavailable, memory_order_relaxed))
        return -EAGAIN;
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_CACHED};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    if (errno == ENOSYS || errno == EPERM || errno == EINVAL) {
        atomic_store_explicit(&unavailable, true, memory_order_relaxed);
        return -EAGAIN;
    }
    return -errno;
}

/* ---- read ---- */

/* Room for SIZE bytes and a NUL. A large buffer begins on a page: a copy to
 * one that is 16 bytes off runs at half the speed. */
static int room_for(calm_bytes *bytes, size_t size)
{
    if (size < LARGE || bytes->capacity > size)
        return calm_bytes_reserve(bytes, size);
    size_t align = size >= HUGE ? 2 << 20 : PAGE;
    size_t capacity = (size + align) / align * align;
    void *data;
    if (calm__fault("memory") || posix_memalign(&data, align, capacity) != 0)
        return -ENOMEM;
    if (size >= HUGE)
        madvise(data, capacity, MADV_HUGEPAGE);
    free(bytes->data);
    *bytes = (calm_bytes){.data = data, .capacity = capacity};
    return 0;
}

typedef ssize_t read_fn(int fd, char *buffer, size_t len, int64_t offset);

static ssize_t read_blocking(int fd, char *buffer, size_t len, int64_t offset)
{
    ssize_t got = pread(fd, buffer, len, offset);
    if (got < 0 && errno == ESPIPE)
        got = read(fd, buffer, len);
    return got < 0 ? -errno : got;
}

/* Reads to the end of the file, whatever its size says: it may grow, and what
 * lies in /proc has none. One byte more is asked for than there should be, so
 * a read that brings the size is known to have met the end. */
static int read_to_end(int fd, calm_bytes *bytes, read_fn *read_some)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    size_t size = (size_t)status.st_size;
    int rc = room_for(bytes, size + 1);
    while (rc == 0) {
        size_t room = bytes->capacity - 1 - bytes->len;
        if (room == 0) {
            rc = calm_bytes_reserve(bytes, GROW);
            continue;
        }
        size_t want = bytes->len < size ? size + 1 - bytes->len : room;
        ssize_t got = read_some(fd, bytes->data + bytes->len,
            want < room ? want : room, (int64_t)bytes->len);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        calm_bytes_advance(bytes, (size_t)got);
        if (size > 0 && bytes->len == size)
            return 0;
    }
    return rc;
}

struct read_job {
    const char *path;
    calm_bytes *bytes;
};

static int read_call(void *arg)
{
    struct read_job *job = arg;
    int fd = open(job->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = read_to_end(fd, job->bytes, read_blocking);
    close(fd);
    return rc;
}

int calm_file_read_all(const char *path, calm_bytes *ret_bytes)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    calm_bytes_reset(ret_bytes);
    int fd = calm__file_open_cached(path, O_RDONLY | O_NONBLOCK);
    if (fd >= 0) {
        rc = read_to_end(fd, ret_bytes, calm__file_read_some);
        close(fd);
        if (rc == -ESPIPE) /* a FIFO or a terminal: it may block for long */
            rc = calm_blocking(read_call, &(struct read_job){path, ret_bytes});
    } else if (fd == -EAGAIN) {
        rc = calm_blocking(read_call, &(struct read_job){path, ret_bytes});
    } else {
        rc = fd;
    }
    if (rc < 0)
        calm_bytes_clear(ret_bytes);
    if (rc < 0 && rc != -ECANCELED)
        return calm_fail(rc, "cannot read '%s': %s", path, strerror(-rc));
    return rc;
}

/* ---- write ---- */

struct write_job {
    const char *path;
    const char *data;
    size_t len;
    enum calm_write_how how;
};

static int write_to_end(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t put =
            calm__fault("write") ? (errno = ENOSPC, -1) : write(fd, data, len);
        if (put < 0 && errno != EINTR)
            return -errno;
        if (put > 0) {
            data += put;
            len -= (size_t)put;
        }
    }
    return 0;
}

static int write_plainly(const struct write_job *job)
{
    int flags = job->how == CALM_APPEND ? O_APPEND : O_TRUNC;
    int fd = open(job->path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        return -errno;
    int rc = write_to_end(fd, job->data, job->len);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

static int folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    if (slash)
        snprintf(folder, sizeof folder, "%.*s",
            slash == path ? 1 : (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int write_beside(const struct write_job *job, const char *beside)
{
    int fd = open(
        beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    struct stat old;
    if (stat(job->path, &old) == 0 && S_ISREG(old.st_mode))
        (void)!fchmod(fd, old.st_mode & 07777); /* as far as we may */
    int rc = write_to_end(fd, job->data, job->len);
    if (rc == 0 && fsync(fd) < 0)
        rc = -errno;
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(beside, job->path) < 0)
        rc = -errno;
    if (rc < 0)
        unlink(beside);
    return rc < 0 ? rc : folder_sync(job->path);
}

static int write_atomically(const struct write_job *job)
{
    char beside[4096];
    for (;;) {
        int len = snprintf(beside, sizeof beside, "%s.calm-%08x", job->path,
            (unsigned)calm__random());
        if (len >= (int)sizeof beside)
            return -ENAMETOOLONG;
        int rc = write_beside(job, beside);
        if (rc != -EEXIST)
            return rc;
    }
}

/* A rename would put a file in the place of a link, a pipe or /dev/null. So a
 * link is followed first, and what is no file, and has no content to keep
 * whole, is written to as it stands. */
static int write_call(void *arg)
{
    struct write_job job = *(const struct write_job *)arg;
    struct stat status;
    if (job.how != CALM_ATOMIC)
        return write_plainly(&job);
    if (lstat(job.path, &status) < 0 || S_ISREG(status.st_mode))
        return write_atomically(&job);
    char *target = realpath(job.path, NULL);
    if (!target || stat(target, &status) < 0 || !S_ISREG(status.st_mode)) {
        free(target);
        return write_plainly(&job);
    }
    job.path = target;
    int rc = write_atomically(&job);
    free(target);
    return rc;
}

int calm_file_write_all(
    const char *path, const void *data, size_t len, enum calm_write_how how)
{
    int rc = calm__enter();
    if (rc < 0)
        return rc;
    struct write_job job = {path, data, len, how};
    rc = calm_blocking(write_call, &job);
    if (rc < 0 && rc != -ECANCELED)
        return calm_fail(rc, "cannot write '%s': %s", path, strerror(-rc));
    return rc;
}
