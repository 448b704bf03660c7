/* ml/own_file.h - files beside an output that one run at a time may have
 *
 * The calls block and are made on the blocking pool.
 */
#ifndef CALM_ML_OWN_FILE_H
#define CALM_ML_OWN_FILE_H

#include <calm/error.h>

#include <sys/types.h>

/* Opens PATH to read and write, without following links, and locks it. With a
 * MODE it is created where it is not there; with 0 that is -ENOENT. Returns
 * the descriptor; -EBUSY when another run has it, -EEXIST or -ELOOP for what
 * no run of calm has left there, or an errno. */
int calm__own_file_open(const char *path, mode_t mode);

/* Makes what was created, renamed or removed beside PATH last. */
int calm__own_folder_sync(const char *path);

#endif
