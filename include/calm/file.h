/* calm/file.h - files, without holding up the other tasks
 *
 *     calm_bytes text = {0};
 *     int rc = calm_file_read_all("config.json", &text);
 *     rc = calm_file_write_all("out.csv", text.data, text.len, CALM_ATOMIC);
 *
 * What is in the kernel's page cache is read at once, on the loop's thread:
 * asking another thread would cost more than the read. What is not goes to
 * io_uring, or to the blocking pool. A call is one hop at most.
 *
 * Every call that suspends returns -ECANCELED when the task is cancelled; the
 * kernel may be writing to the buffer, so the call waits until it has let go
 * of it, and a read or write that took effect is reported as such.
 */
#ifndef CALM_FILE_H
#define CALM_FILE_H

#include <calm/bytes.h>
#include <calm/task.h>

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the whole file in place of what *RET_BYTES held, which the caller
 * initialised and clears. Returns 0, or the errno of open or read, -ENOMEM,
 * -EISDIR, with a sentence that names PATH. On failure it is left empty. */
CALM_SUSPENDS int calm_file_read_all(const char *path, calm_bytes *ret_bytes);

/* How calm_file_write_all() writes. */
enum calm_write_how {
    CALM_REPLACE = 0, /* creates the file or writes it anew */
    CALM_ATOMIC = 1,  /* the name holds the old content or all of the new,
                         also after a crash: a file beside it is written,
                         synced and renamed, and the folder synced; a link
                         is followed, what is no file is written to plainly */
    CALM_APPEND = 2,  /* adds to its end */
};

/* Writes LEN bytes to PATH, which is created with mode 0666 less the umask if
 * it is not there. Returns 0, or an errno with a sentence that names PATH;
 * then CALM_ATOMIC has changed nothing. */
CALM_SUSPENDS int calm_file_write_all(
    const char *path, const void *data, size_t len, enum calm_write_how how);

/* An open file with a position. One task at a time may use it, -EBUSY tells
 * the second; positioned reads and writes of several tasks go side by side. */
typedef struct calm_file calm_file;

/* Opens PATH with open(2)'s FLAGS; O_CLOEXEC is added, and new files get mode
 * 0666 less the umask. Returns 0 and the file, or an errno. */
CALM_SUSPENDS int calm_file_open(
    const char *path, int flags, calm_file **ret_file);

/* A file for a descriptor that stays the caller's, such as standard input. It
 * may be a pipe or a terminal. NAME is for messages. Does not suspend. */
int calm_file_from_fd(int fd, const char *name, calm_file **ret_file);

/* Closes; NULL is fine. Never fails: call calm_file_sync() first where it
 * matters that the data has arrived. Does not suspend. */
void calm_file_close(calm_file *file);

/* Reads up to LEN bytes into BUFFER, at the position, which moves, or at
 * OFFSET. Returns how many, fewer than LEN only at the end of the file (a
 * pipe: what there is, at least one), 0 at the end, or an errno. */
CALM_SUSPENDS ssize_t calm_file_read(calm_file *file, void *buffer, size_t len);
CALM_SUSPENDS ssize_t calm_file_read_at(
    calm_file *file, void *buffer, size_t len, int64_t offset);

/* Writes all LEN bytes. Returns 0, or an errno; some may be written then. */
CALM_SUSPENDS int calm_file_write(
    calm_file *file, const void *data, size_t len);
CALM_SUSPENDS int calm_file_write_at(
    calm_file *file, const void *data, size_t len, int64_t offset);

/* Waits until all that was written is on the device: fsync(2). After it has
 * failed once the data may be gone; calling it again proves nothing. */
CALM_SUSPENDS int calm_file_sync(calm_file *file);

/* Reads the next line, without its end (LF or CRLF), into *RET_LINE: the
 * file's memory, with a NUL behind it, good until the next call. Returns 1, 0
 * at the end, an errno, or CALM_ELIMIT for a line of more than 16 MiB. */
CALM_SUSPENDS int calm_file_line(
    calm_file *file, const char **ret_line, size_t *ret_len);

/* The size now, in bytes, of a regular file; 0 for others. */
int64_t calm_file_size(const calm_file *file);

/* The descriptor, for fstat(2) and the like; the file's. */
int calm_file_fd(const calm_file *file);

#ifdef __cplusplus
}
#endif
#endif
