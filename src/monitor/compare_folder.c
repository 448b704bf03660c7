/* compare_folder.c - the files that a comparison reads
 *
 * A folder of its own must go away even if this process is killed. So another
 * removes it: a janitor, forked before the folder is made, waits at the end of
 * a pipe for as long as this process holds the other one. That is the only
 * way by which the folder is removed, so it is well trodden.
 */
#include "monitor/compare.h"

#include "base/error.h"
#include "base/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OWN_FILES = 200,
    OWN_SIZE = 64 << 10,
    LISTED_MOST = 100000,
};

/* ---- a folder that exists ---- */

static bool is_file(int folder, const char *name)
{
    struct stat info;
    return name[0] != '.' && fstatat(folder, name, &info, 0) == 0 &&
           S_ISREG(info.st_mode);
}

static int path_add(
    struct calm__folder *folder, const char *path, const char *name)
{
    if ((folder->count & (folder->count - 1)) == 0) {
        size_t room = folder->count ? 2 * folder->count : 1;
        char **paths =
            calm__realloc(folder->paths, room * sizeof *folder->paths);
        if (!paths)
            return -ENOMEM;
        folder->paths = paths;
    }
    char *whole = NULL;
    if (asprintf(&whole, "%s/%s", path, name) < 0)
        return -ENOMEM;
    folder->paths[folder->count++] = whole;
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(struct calm__folder *folder, const char *path)
{
    DIR *open_folder = opendir(path);
    if (!open_folder)
        return calm_fail(-errno, "cannot open the folder '%s': %m", path);
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && folder->count < LISTED_MOST &&
           (entry = readdir(open_folder)))
        if (is_file(dirfd(open_folder), entry->d_name))
            rc = path_add(folder, path, entry->d_name);
    closedir(open_folder);
    if (rc < 0)
        return calm_fail(rc, "no memory for the files of '%s'", path);
    if (folder->count == 0)
        return calm_fail(-ENOENT, "there is no file in '%s'", path);
    qsort(folder->paths, folder->count, sizeof *folder->paths, compare_paths);
    return 0;
}

/* ---- a folder of one's own ---- */

static void name_of(char buffer[32], int index)
{
    snprintf(buffer, 32, "sample-%03d.bin", index);
}

static _Noreturn void janitor_main(int leash, const char *path)
{
    char byte, name[32];
    setsid(); /* what is sent to the whole job does not hit it */
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_NAME, "calm-janitor");
    /* It shall not hold anybody's pipe open. */
    if (leash > 0)
        close_range(0, (unsigned)leash - 1, 0);
    close_range((unsigned)leash + 1, ~0U, 0);
    while (read(leash, &byte, 1) < 0 && errno == EINTR)
        continue;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; folder >= 0 && i < OWN_FILES; i++) {
        name_of(name, i);
        unlinkat(folder, name, 0);
    }
    rmdir(path);
    _exit(EXIT_SUCCESS);
}

/* The folder is empty when it is handed to the janitor, so a kill between the
 * two leaves an empty folder at worst. */
static int janitor_start(struct calm__folder *folder)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return calm_fail(-errno, "cannot make a pipe: %m");
    folder->janitor = calm__fault("fork") ? (errno = EAGAIN, -1) : fork();
    if (folder->janitor == 0)
        janitor_main(ends[0], folder->made);
    int rc = folder->janitor < 0 ? -errno : 0;
    close(ends[0]);
    folder->leash = ends[1];
    if (rc == 0)
        return 0;
    rmdir(folder->made);
    return calm_fail(rc, "cannot start a process: %m");
}

static int write_file(int folder, const char *name)
{
    static char content[OWN_SIZE];
    memset(content, 'c', sizeof content);
    int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    size_t done = 0;
    while (done < sizeof content) {
        ssize_t wrote = write(fd, content + done, sizeof content - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    int rc = done < sizeof content ? -errno : 0;
    close(fd);
    return rc;
}

static int fill(struct calm__folder *folder)
{
    char name[32];
    int fd = open(folder->made, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : 0;
    for (int i = 0; rc == 0 && i < OWN_FILES; i++) {
        name_of(name, i);
        rc = write_file(fd, name);
    }
    if (fd >= 0)
        close(fd);
    errno = -rc;
    return rc == 0 ? 0
                   : calm_fail(rc, "cannot write to '%s': %m", folder->made);
}

static int make(struct calm__folder *folder)
{
    const char *where = getenv("TMPDIR");
    if (!where || !*where)
        where = "/tmp";
    if (asprintf(&folder->made, "%s/calm-compare-XXXXXX", where) < 0) {
        folder->made = NULL;
        return calm_fail(-ENOMEM, "no memory for a name");
    }
    if (!mkdtemp(folder->made)) {
        int rc = calm_fail(-errno, "cannot make a folder in '%s': %m", where);
        free(folder->made);
        folder->made = NULL;
        return rc;
    }
    int rc = janitor_start(folder);
    return rc == 0 ? fill(folder) : rc;
}

int calm__folder_open(struct calm__folder *folder, const char *path)
{
    *folder = (struct calm__folder){.leash = -1};
    int rc = path ? 0 : make(folder);
    if (rc == 0)
        rc = list(folder, path ? path : folder->made);
    if (rc < 0) {
        struct calm__error *error = calm__error_take();
        calm__folder_close(folder);
        calm__error_set(error);
    }
    return rc;
}

void calm__folder_close(struct calm__folder *folder)
{
    if (folder->leash >= 0)
        close(folder->leash);
    if (folder->janitor > 0)
        while (waitpid(folder->janitor, NULL, 0) < 0 && errno == EINTR)
            continue;
    for (size_t i = 0; i < folder->count; i++)
        free(folder->paths[i]);
    free(folder->paths);
    free(folder->made);
    *folder = (struct calm__folder){.leash = -1};
}

void calm__folder_chill(const struct calm__folder *folder, size_t count)
{
    for (size_t i = 0; i < folder->count && i < count; i++) {
        int fd = open(folder->paths[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        fdatasync(fd); /* what is not written yet cannot be forgotten */
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}
