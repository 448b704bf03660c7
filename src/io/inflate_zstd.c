/* inflate_zstd.c - Zstandard, any number of frames one after the other */
#include "io/inflate.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { WINDOW_LOG_MOST = 27 }; /* 128 MiB */

struct zstd {
    struct calm__decoder base; /* first */
    ZSTD_DStream *stream;
    bool within; /* a frame, or in front of the first */
};

static int zstd_decode(struct calm__decoder *base, const char *in,
    size_t in_len, size_t *in_at, char *out, size_t out_room, size_t *out_len,
    bool ended)
{
    struct zstd *zstd = (void *)base;
    ZSTD_inBuffer from = {in, in_len, *in_at};
    ZSTD_outBuffer to = {out, out_room, *out_len};
    size_t before;
    do {
        before = from.pos + to.pos;
        size_t rc = ZSTD_decompressStream(zstd->stream, &to, &from);
        *in_at = from.pos;
        *out_len = to.pos;
        if (ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge)
            return calm_fail(CALM_ELIMIT,
                "the Zstandard data needs a window over %d MiB\n"
                "hint: compress it without --long, or with --long=%d",
                1 << (WINDOW_LOG_MOST - 20), WINDOW_LOG_MOST);
        if (ZSTD_isError(rc))
            return calm_fail(CALM_EFORMAT, "the Zstandard data is damaged: %s",
                ZSTD_getErrorName(rc));
        if (from.pos + to.pos > before)
            zstd->within = rc != 0;
    } while (from.pos + to.pos > before && to.pos < to.size);
    if (ended && from.pos == from.size && to.pos < to.size && zstd->within)
        return calm_fail(CALM_EFORMAT, "the Zstandard data is cut off");
    return 0;
}

static void zstd_close(struct calm__decoder *base)
{
    ZSTD_freeDStream(((struct zstd *)base)->stream);
    free(base);
}

int calm__zstd_open(struct calm__decoder **ret_decoder)
{
    struct zstd *zstd = calm__alloc(sizeof *zstd);
    if (!zstd)
        return calm_fail(-ENOMEM, "no memory to decompress");
    *zstd = (struct zstd){.base = {zstd_decode, zstd_close}, .within = true};
    zstd->stream = ZSTD_createDStream();
    if (!zstd->stream) {
        free(zstd);
        return calm_fail(-ENOMEM, "no memory to decompress");
    }
    ZSTD_DCtx_setParameter(zstd->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MOST);
    *ret_decoder = &zstd->base;
    return 0;
}

const char *calm__zstd_version(void)
{
    return ZSTD_versionString();
}
