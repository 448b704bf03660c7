/* jsonl_cut.c - a stream of bytes to blocks of whole lines
 *
 * A string of JSON cannot hold a newline, so a newline always ends a line and
 * nothing but newlines needs to be looked for. Offsets are kept, never
 * addresses, so that the caller may move the bytes between two calls.
 *
 *     data              record            scanned      len
 *      |BOM| whole lines  | an open line     | not seen |
 */
#include "io/csv.h"
#include "io/json.h"

#include <errno.h>
#include <string.h>

#define RECORD_MAX ((size_t)16 << 20)

int calm__jsonl_opts_fill(
    const calm_jsonl_opts *opts, calm_jsonl_opts *ret_opts)
{
    *ret_opts = opts ? *opts : (calm_jsonl_opts){0};
    if (ret_opts->record_max == 0)
        ret_opts->record_max = RECORD_MAX;
    size_t most = ret_opts->record_max;
    if (most < 64 || most > CALM__JSON_MOST)
        return calm_fail(
            -EINVAL, "record_max %zu is not from 64 bytes to 1 GiB", most);
    return 0;
}

int calm_jsonl_cutter_init(
    calm_jsonl_cutter *cutter, const calm_jsonl_opts *opts)
{
    calm_jsonl_opts filled;
    int rc = calm__jsonl_opts_fill(opts, &filled);
    if (rc == 0)
        *cutter =
            (calm_jsonl_cutter){.line = 1, .record_max = filled.record_max};
    return rc;
}

/* Returns 1, 0 when there are too few bytes to tell. */
static int begin(calm_jsonl_cutter *cutter, const char *data, size_t len)
{
    if (len < CALM__CSV_PROBE && !cutter->at_end)
        return 0;
    const char *encoding = calm__csv_foreign_encoding(data, len);
    if (encoding)
        return cutter->error = calm_fail(CALM_EFORMAT,
                   "the text is %s, not UTF-8\n"
                   "hint: convert it with iconv -f %s -t UTF-8",
                   encoding, encoding);
    if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        cutter->start = cutter->scanned = cutter->record = 3;
    cutter->begun = true;
    return 1;
}

static int give(
    calm_jsonl_cutter *cutter, const char *data, calm_csv_block *ret_block)
{
    *ret_block = (calm_csv_block){
        .data = data + cutter->start,
        .len = cutter->record - cutter->start,
        .line = cutter->line,
        .row = cutter->row,
        .rows = cutter->rows,
    };
    cutter->line += cutter->lines;
    cutter->row += cutter->rows;
    cutter->start = cutter->scanned = cutter->record = cutter->rows = 0;
    cutter->lines = 0;
    return 1;
}

/* Takes the line that ends before END. A line of white space may be as long
 * as it likes once it has ended: it is not a row. */
static bool take_line(calm_jsonl_cutter *cutter, const char *data, size_t end)
{
    const char *line = data + cutter->record;
    size_t len = end - cutter->record;
    if (!calm__jsonl_is_empty(line, len)) {
        if (len - (line[len - 1] == '\r') > cutter->record_max)
            return false;
        cutter->rows++;
    }
    cutter->lines++;
    return true;
}

/* Takes lines until the block is full or there are no more. Returns false
 * before a line that is too long. */
static bool take_lines(calm_jsonl_cutter *cutter, const char *data, size_t len)
{
    while (cutter->scanned < len &&
           (!cutter->rows_max || cutter->rows < cutter->rows_max)) {
        const char *from = data + cutter->scanned;
        const char *newline = memchr(from, '\n', len - cutter->scanned);
        if (!newline) {
            cutter->scanned = len;
            return len - cutter->record <= cutter->record_max + 1;
        }
        size_t end = (size_t)(newline - data);
        if (!take_line(cutter, data, end))
            return false;
        cutter->record = cutter->scanned = end + 1;
    }
    return true;
}

int calm_jsonl_cut(calm_jsonl_cutter *cutter, const char *data, size_t len,
    calm_csv_block *ret_block)
{
    if (cutter->error < 0)
        return cutter->error;
    if (!cutter->begun) {
        int rc = begin(cutter, data, len);
        if (rc <= 0)
            return rc;
    }
    bool fits = take_lines(cutter, data, len);
    if (cutter->record > cutter->start)
        return give(cutter, data, ret_block);
    if (fits && cutter->at_end && cutter->record < len) {
        fits = take_line(cutter, data, len);
        cutter->record = len;
        if (fits)
            return give(cutter, data, ret_block);
    }
    if (!fits)
        return cutter->error =
                   calm_fail(CALM_ELIMIT, "line %llu is beyond %zu bytes",
                       (unsigned long long)cutter->line, cutter->record_max);
    return 0;
}
