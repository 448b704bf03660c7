/* io/csv.h - what the parts of the CSV reader share
 *
 *     csv_scan.c    bytes -> bit masks, 64 bytes at a time, vectorised
 *     csv_quote.c   masks -> which bytes stand in quotes; options
 *     csv_cut.c     a stream -> blocks of whole records
 *     csv_split.c   a block -> records of fields
 *     csv_record.c  quotes off, UTF-8, bounds, counts
 *     csv_floats.c  a block -> a matrix
 *     csv_header.c  the names of the columns
 *     csv_table.c   a small text -> header and cells
 *     csv_utf8.c    what is text
 *     csv_write.c   rows -> text
 *
 * Only csv_scan.c knows of processors. A window of text is scanned into an
 * array of masks, one for each 64 bytes, bit i for byte i.
 */
#ifndef CALM_IO_CSV_H
#define CALM_IO_CSV_H

#include <calm/csv.h>

/* ---- scanning ------------------------------------------------------------ */

#define CALM__CSV_LANE 64

/* Windows are small enough for text, masks and index to stay in the first
 * level of the cache between the steps. */
#define CALM__CSV_WINDOW 64 /* lanes: 4 KiB of text */
#define CALM__CSV_WINDOW_BYTES (CALM__CSV_WINDOW * CALM__CSV_LANE)

struct calm__csv_masks {
    uint64_t quote;
    uint64_t separator;
    uint64_t newline;
    uint64_t carriage; /* CR */
    uint64_t high;     /* not ASCII */
};

/* Scans LANES times 64 bytes. */
typedef void calm__csv_scan_fn(const char *text, size_t lanes, char separator,
    struct calm__csv_masks *ret_masks);

/* The variants of this build that this processor can run, best first; the
 * last is the portable one. Returns NULL behind the last. */
calm__csv_scan_fn *calm__csv_scan_variant(size_t index, const char **ret_name);

/* Scans up to a window of LEN bytes by the best variant, the last lane filled
 * up with zeros. Returns the number of lanes. */
size_t calm__csv_scan(const char *text, size_t len, char separator,
    struct calm__csv_masks *ret_masks);

/* ---- quotes -------------------------------------------------------------- */

/* What the byte before says about the next one. The fields are words with
 * their lowest bit set or not, ready to be shifted in; QUOTED is all ones. */
struct calm__csv_quoting {
    uint64_t quoted;          /* inside of quotes */
    uint64_t boundary;        /* the byte before ended a field */
    uint64_t closed;          /* it was a quote that may have closed */
    uint64_t closed_carriage; /* it was a CR behind such a quote */
};

static const struct calm__csv_quoting calm__csv_begin = {.boundary = 1};

/* What was seen in a window, so that rare work is done only where needed. */
enum {
    CALM__CSV_QUOTES = 1,    /* quotes, or bytes in quotes */
    CALM__CSV_DOUBLED = 2,   /* a doubled quote */
    CALM__CSV_LINES = 4,     /* a newline in quotes */
    CALM__CSV_IRREGULAR = 8, /* quotes where they do not belong */
    CALM__CSV_HIGH = 16,     /* bytes that are not ASCII */
    CALM__CSV_TOO_MANY = 32, /* fields; set by the splitter */
};

/* For a lane with quotes, or after a quote: see calm__csv_inside(). */
uint64_t calm__csv_inside_quotes(struct calm__csv_quoting *quoting,
    const struct calm__csv_masks *masks, unsigned count, unsigned *flags);

/* Takes one lane of COUNT bytes (1 to 64) and returns the bytes that stand in
 * quotes: separators and newlines there are data. */
static inline uint64_t calm__csv_inside(struct calm__csv_quoting *quoting,
    const struct calm__csv_masks *masks, unsigned count, unsigned *flags)
{
    if (masks->quote | quoting->quoted | quoting->closed |
        quoting->closed_carriage)
        return calm__csv_inside_quotes(quoting, masks, count, flags);
    uint64_t ends = masks->separator | masks->newline;
    quoting->boundary = ends >> (count - 1) & 1;
    return 0;
}

/* A quote that a record leaves open. */
struct calm__csv_place {
    uint64_t line;
    uint64_t column;
};

/* Walks over a record, or the begin of one, that starts on LINE. Returns
 * whether it ends inside of quotes, and the place where they were opened. */
bool calm__csv_open_quote(const char *text, size_t len, char separator,
    uint64_t line, struct calm__csv_place *ret_place);

/* ---- options ------------------------------------------------------------- */

/* Copies OPTS (may be NULL) with the defaults filled in. Returns 0 or
 * -EINVAL. */
int calm__csv_opts_fill(const calm_csv_opts *opts, calm_csv_opts *ret_opts);

/* ---- UTF-8 --------------------------------------------------------------- */

/* The number of bytes at the begin of TEXT that are well-formed UTF-8. */
size_t calm__csv_utf8_valid(const char *text, size_t len);

/* Copies TEXT with U+FFFD for each maximal ill-formed part, as Python and the
 * browsers do. TO has room for three times LEN. Returns the length. */
size_t calm__csv_utf8_replace(const char *text, size_t len, char *to);

/* How many bytes tell UTF-16 from text with NUL bytes in it. */
#define CALM__CSV_PROBE 16

/* "UTF-16LE" and the like when the first bytes of an input, that many if there
 * are, can only be that; NULL for what may be UTF-8. */
const char *calm__csv_foreign_encoding(const char *data, size_t len);

/* ---- the splitter -------------------------------------------------------- */

struct calm_csv_splitter {
    calm_csv_opts opts;
    size_t expected;        /* fields in a record; 0 before the first */
    const char *begin;      /* of the block */
    const char *text;       /* the begin of the next record */
    const char *record_end; /* of the record before, with its CR */
    const char *end;        /* of the block */
    const char *scanned;    /* what begins here is not in the index yet */
    const char *window;     /* the index counts from here */
    struct calm__csv_quoting quoting;
    unsigned window_flags; /* of all lanes together */
    uint64_t line;
    uint64_t row;
    calm_csv_field *fields;
    size_t capacity;
    calm_bytes scratch; /* texts that are not as in the block, one record's */
    struct calm__csv_cause *causes;
    size_t next;
    size_t indexed;
    uint8_t lane_flags[CALM__CSV_WINDOW];
    /* Places are written eight at a time: the room is for one lane more. */
    uint32_t index[CALM__CSV_WINDOW_BYTES + CALM__CSV_LANE];
};

/* Makes room for a field more, up to columns_max; false without memory. */
bool calm__csv_grow_fields(calm_csv_splitter *splitter);

/* The second look at a record of raw fields, for the FLAGS of its lanes.
 * Returns 0 or -ENOMEM; the record may have failed. */
int calm__csv_look_again(
    calm_csv_splitter *splitter, calm_csv_record *record, unsigned flags);

/* Brings a record to the right number of fields. Returns whether it is to be
 * left out. */
bool calm__csv_is_left_out(
    calm_csv_splitter *splitter, calm_csv_record *record);

void calm__csv_drop_causes(calm_csv_splitter *splitter);

/* Lays a cause down that lives until the next block. Returns it; a general
 * text when there is no memory. */
const char *calm__csv_keep_cause(calm_csv_splitter *splitter,
    const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name of a column for a cause: "'age'", or "3" without a header, in TEXT,
 * which has SIZE bytes. */
const char *calm__csv_column_name(
    const calm_csv_splitter *splitter, size_t column, char *text, size_t size);

#endif
