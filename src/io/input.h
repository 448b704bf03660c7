/* io/input.h - the file behind an input */
#ifndef CALM_IO_INPUT_H
#define CALM_IO_INPUT_H

#include <calm/file.h>
#include <calm/input.h>

/* The input's own: it may be read by position. */
calm_file *calm__input_file(const calm_input *input);

#endif
