/* inflate_gzip.c - gzip, any number of members one after the other */
#include "io/inflate.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

struct gzip {
    struct calm__decoder base; /* first */
    z_stream stream;
    bool between; /* members */
};

static int gzip_decode(struct calm__decoder *base, const char *in,
    size_t in_len, size_t *in_at, char *out, size_t out_room, size_t *out_len,
    bool ended)
{
    struct gzip *gzip = (void *)base;
    z_stream *stream = &gzip->stream;
    int rc = Z_OK;
    while (*out_len < out_room && (rc == Z_OK || rc == Z_STREAM_END)) {
        if (*in_at == in_len)
            break;
        if (gzip->between && inflateReset(stream) != Z_OK)
            return calm_fail(CALM_EFORMAT, "zlib cannot begin a member");
        gzip->between = false;
        stream->next_in = (Bytef *)(in + *in_at);
        stream->avail_in = (uInt)(in_len - *in_at);
        stream->next_out = (Bytef *)(out + *out_len);
        stream->avail_out = (uInt)(out_room - *out_len);
        rc = inflate(stream, Z_NO_FLUSH);
        *in_at = in_len - stream->avail_in;
        *out_len = out_room - stream->avail_out;
        gzip->between = rc == Z_STREAM_END;
    }
    if (rc == Z_MEM_ERROR)
        return calm_fail(-ENOMEM, "no memory to decompress");
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return calm_fail(CALM_EFORMAT, "the gzip data is damaged: %s",
            stream->msg ? stream->msg : "no gzip member");
    if (ended && *in_at == in_len && *out_len < out_room && !gzip->between)
        return calm_fail(CALM_EFORMAT, "the gzip data is cut off");
    return 0;
}

static void gzip_close(struct calm__decoder *base)
{
    inflateEnd(&((struct gzip *)base)->stream);
    free(base);
}

int calm__gzip_open(struct calm__decoder **ret_decoder)
{
    struct gzip *gzip = calm__alloc(sizeof *gzip);
    if (!gzip)
        return calm_fail(-ENOMEM, "no memory to decompress");
    *gzip = (struct gzip){.base = {gzip_decode, gzip_close}};
    if (inflateInit2(&gzip->stream, 15 + 16) != Z_OK) { /* gzip only */
        free(gzip);
        return calm_fail(-ENOMEM, "no memory to decompress");
    }
    *ret_decoder = &gzip->base;
    return 0;
}

const char *calm__gzip_version(void)
{
    return zlibVersion();
}
