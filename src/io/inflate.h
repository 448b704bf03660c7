/* io/inflate.h - decoders of compressed files */
#ifndef CALM_IO_INFLATE_H
#define CALM_IO_INFLATE_H

#include <stdbool.h>
#include <stddef.h>

/* Embedded at the begin of each decoder's own record. One thread at a time. */
struct calm__decoder {
    /* Decodes from IN[*IN_AT] on, up to IN_LEN, behind OUT[*OUT_LEN], up to
     * OUT_ROOM, and moves both. ENDED: nothing follows IN. Returns 0, or
     * CALM_EFORMAT for damage and for an end in the middle. */
    int (*decode)(struct calm__decoder *decoder, const char *in, size_t in_len,
        size_t *in_at, char *out, size_t out_room, size_t *out_len, bool ended);
    void (*close)(struct calm__decoder *decoder);
};

int calm__gzip_open(struct calm__decoder **ret_decoder);

/* -ENOTSUP in a build without Zstandard. */
int calm__zstd_open(struct calm__decoder **ret_decoder);

/* The versions of what is linked, for reports: "1.2.13", "none". */
const char *calm__gzip_version(void);
const char *calm__zstd_version(void);

#endif
