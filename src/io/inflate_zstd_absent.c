/* inflate_zstd_absent.c - in place of inflate_zstd.c in a build without it */
#include "io/inflate.h"

#include <calm/error.h>

#include <errno.h>

int calm__zstd_open(struct calm__decoder **ret_decoder)
{
    return calm_fail(-ENOTSUP, "this calm was built without Zstandard\n"
                               "hint: install libzstd-dev and build it again");
}

const char *calm__zstd_version(void)
{
    return "none";
}
