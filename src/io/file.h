/* io/file.h - what whole files and open files share */
#ifndef CALM_IO_FILE_H
#define CALM_IO_FILE_H

#include <calm/file.h>

/* Opens a file if that takes no wait: its path is in the kernel's memory and
 * nothing is to be created. Else -EAGAIN; other errors are final. */
int calm__file_open_cached(const char *path, int flags);

/* One step of a read from OFFSET: what is cached, inline, else what the
 * backend brings. Returns up to LEN bytes, 0 only at the end. Suspends. */
ssize_t calm__file_read_some(int fd, char *buffer, size_t len, int64_t offset);

/* Reads LEN bytes from OFFSET, fewer only at the end. Suspends. */
ssize_t calm__file_read_fd(int fd, char *buffer, size_t len, int64_t offset);

#endif
