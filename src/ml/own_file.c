/* own_file.c - files beside an output that one run at a time may have */
#include "ml/own_file.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether FD, which is locked now, is still what stands under the name: the
 * run that held the lock may have renamed or removed it, and an output that
 * has its final name must not be emptied. Another name for the file is
 * somebody's trap. */
static int own_check(int fd, const char *path)
{
    struct stat ours, named;
    if (fstat(fd, &ours) < 0)
        return calm_fail(-errno, "cannot look at '%s': %m", path);
    if (lstat(path, &named) < 0 || named.st_dev != ours.st_dev ||
        named.st_ino != ours.st_ino)
        return calm_fail(-EBUSY, "another run has just finished '%s'", path);
    if (!S_ISREG(ours.st_mode) || ours.st_nlink > 1)
        return calm_fail(-EEXIST,
            "'%s' exists, and is not what an earlier run has left", path);
    return 0;
}

static int own_lock(int fd, const char *path)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return own_check(fd, path);
    return errno == EWOULDBLOCK
               ? calm_fail(-EBUSY, "'%s' is being written by another run", path)
               : calm_fail(-errno, "cannot lock '%s': %m", path);
}

int calm__own_file_open(const char *path, mode_t mode)
{
    /* A FIFO of that name must not be waited for. */
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = -1;
    if (mode)
        fd = open(path, flags | O_CREAT | O_EXCL, mode);
    if (!mode || (fd < 0 && errno == EEXIST))
        fd = open(path, flags);
    if (fd < 0 && errno == ELOOP)
        return calm_fail(-ELOOP, "'%s' is a link, which is not followed", path);
    if (fd < 0)
        return calm_fail(
            -errno, "cannot %s '%s': %m", mode ? "create" : "open", path);
    int rc = own_lock(fd, path);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int calm__own_folder_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
    if (slash && !folder)
        return calm_fail(-ENOMEM, "no memory for a name");
    int fd = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    if (calm__fault("folder sync"))
        errno = EIO, rc = -1;
    if (rc < 0 || fd < 0 || fsync(fd) < 0)
        rc = calm_fail(-errno, "cannot sync the folder of '%s': %m", path);
    if (fd >= 0)
        close(fd);
    free(folder);
    return rc;
}
