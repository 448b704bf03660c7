/* journal_format.c - the bytes of a journal */
#include "ml/journal_format.h"

#include "base/error.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

static const char head_magic[] = "calm jnl";
static const char record_magic[] = "calm rec";

enum {
    MAGIC = 8,
    HEAD_FRAME = MAGIC + 4 + 4 + 8, /* version, length, checksum */
    RECORD_FRAME = MAGIC + 8 + 8,   /* length, checksum */
    RECORD_NUMBERS = 14,            /* of 8 bytes, before the intervals */
    FLAG_COMPLETE = 1,
    FLAG_OVERWRITE = 1,
    FLAG_RETRY = 2,
};

/* ---- writing ---- */

static char *put_number(char *to, uint64_t number)
{
    number = htole64(number);
    memcpy(to, &number, sizeof number);
    return to + sizeof number;
}

static char *put_half(char *to, uint32_t number)
{
    number = htole32(number);
    memcpy(to, &number, sizeof number);
    return to + sizeof number;
}

static uint64_t head_checksum(const char *payload, size_t len, uint32_t version)
{
    return XXH3_64bits_withSeed(payload, len, (uint64_t)version << 32 | len);
}

static uint64_t record_checksum(const struct calm__journal_head *head,
    uint64_t number, const char *payload, size_t len)
{
    uint64_t seed[] = {htole64(head->run[0]), htole64(head->run[1]),
        htole64(number), htole64(len)};
    return XXH3_64bits_withSeed(payload, len, XXH3_64bits(seed, sizeof seed));
}

int calm__journal_encode_head(
    const struct calm__journal_head *head, calm_bytes *out)
{
    const struct calm__identity *identity = &head->identity;
    size_t item = 8 + CALM__IDENTITY_NAME + 8;
    size_t len = 32 + identity->count * item;
    if (identity->error < 0)
        return identity->error;
    if (calm_bytes_reserve(out, HEAD_FRAME + len) < 0)
        return calm_fail(-ENOMEM, "no memory for a journal");
    char *frame = out->data + out->len, *payload = frame + HEAD_FRAME;
    char *to = put_number(payload, head->run[0]);
    to = put_number(to, head->run[1]);
    to = put_number(to, (head->overwrite ? FLAG_OVERWRITE : 0) |
                            (head->retry ? FLAG_RETRY : 0));
    to = put_number(to, identity->count);
    for (size_t i = 0; i < identity->count; i++) {
        to = put_number(to, identity->items[i].kind);
        memcpy(to, identity->items[i].name, CALM__IDENTITY_NAME);
        to = put_number(to + CALM__IDENTITY_NAME, identity->items[i].hash);
    }
    memcpy(frame, head_magic, MAGIC);
    to = put_half(frame + MAGIC, CALM__JOURNAL_VERSION);
    to = put_half(to, (uint32_t)len);
    put_number(to, head_checksum(payload, len, CALM__JOURNAL_VERSION));
    calm_bytes_advance(out, HEAD_FRAME + len);
    return 0;
}

static char *put_record(char *to, const struct calm__journal_record *record)
{
    uint64_t squared_error;
    memcpy(&squared_error, &record->squared_error, sizeof squared_error);
    const uint64_t numbers[RECORD_NUMBERS] = {record->number,
        record->complete ? FLAG_COMPLETE : 0, record->rows, record->output.size,
        record->output.hash, record->errors.size, record->errors.hash,
        record->ok, record->failed, record->retries, record->compared,
        record->right, squared_error, record->merged};
    for (size_t i = 0; i < RECORD_NUMBERS; i++)
        to = put_number(to, numbers[i]);
    return to;
}

int calm__journal_encode_record(const struct calm__journal_head *head,
    const struct calm__journal_record *record,
    const struct calm__selection *done, calm_bytes *out)
{
    size_t len = 8 * RECORD_NUMBERS + 16 * done->count;
    if (calm_bytes_reserve(out, RECORD_FRAME + len) < 0)
        return calm_fail(-ENOMEM, "no memory for a journal");
    char *frame = out->data + out->len, *payload = frame + RECORD_FRAME;
    char *to = put_record(payload, record);
    for (size_t i = 0; i < done->count; i++) {
        to = put_number(to, done->items[i].begin);
        to = put_number(to, done->items[i].end);
    }
    memcpy(frame, record_magic, MAGIC);
    to = put_number(frame + MAGIC, len);
    put_number(to, record_checksum(head, record->number, payload, len));
    calm_bytes_advance(out, RECORD_FRAME + len);
    return 0;
}

/* ---- reading ---- */

static uint64_t get_number(const char **from)
{
    uint64_t number;
    memcpy(&number, *from, sizeof number);
    *from += sizeof number;
    return le64toh(number);
}

static uint32_t get_half(const char **from)
{
    uint32_t number;
    memcpy(&number, *from, sizeof number);
    *from += sizeof number;
    return le32toh(number);
}

static int damaged(size_t at)
{
    return calm_fail(CALM_EFORMAT, "the journal is damaged at byte %zu", at);
}

static int get_identity(
    const char *from, uint64_t count, struct calm__identity *identity)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t kind = get_number(&from);
        const char *name = from;
        from += CALM__IDENTITY_NAME;
        uint64_t hash = get_number(&from);
        if (kind >= CALM__IDENTITY_KINDS || name[CALM__IDENTITY_NAME - 1])
            return damaged(0);
        calm__identity_add(
            identity, (enum calm__identity_kind)kind, name, NULL, 0);
        if (identity->error < 0)
            return identity->error;
        identity->items[identity->count - 1].hash = hash;
    }
    return 0;
}

static int get_head(
    const char *payload, size_t len, struct calm__journal_head *head)
{
    size_t item = 8 + CALM__IDENTITY_NAME + 8;
    if (len < 32)
        return damaged(0);
    head->run[0] = get_number(&payload);
    head->run[1] = get_number(&payload);
    uint64_t flags = get_number(&payload);
    uint64_t count = get_number(&payload);
    head->overwrite = flags & FLAG_OVERWRITE;
    head->retry = flags & FLAG_RETRY;
    if (count != (len - 32) / item || (len - 32) % item != 0)
        return damaged(0);
    return get_identity(payload, count, &head->identity);
}

/* Nothing is done before the whole head is on the device: one that is not
 * whole, or all zero where the machine has died, is a run that never was. */
static int head_is_missing(
    const char *data, size_t len, struct calm__journal_contents *contents)
{
    if (memmem(data, len, record_magic, MAGIC))
        return damaged(0);
    contents->torn = len;
    return 0;
}

static int decode_head(
    const char *data, size_t len, struct calm__journal_contents *contents)
{
    const char *from = data + MAGIC;
    if (len < HEAD_FRAME || memcmp(data, head_magic, MAGIC) != 0)
        return head_is_missing(data, len, contents);
    uint32_t version = get_half(&from), size = get_half(&from);
    uint64_t checksum = get_number(&from);
    if (size > len - HEAD_FRAME ||
        checksum != head_checksum(from, size, version))
        return head_is_missing(data, len, contents);
    if (version != CALM__JOURNAL_VERSION)
        return calm_fail(-EINVAL,
            "the journal was written by another version of calm: its format "
            "is %u, not %d",
            (unsigned)version, CALM__JOURNAL_VERSION);
    contents->has_head = true;
    contents->len = HEAD_FRAME + size;
    return get_head(from, size, &contents->head);
}

/* What only grows must not have shrunk. */
static bool follows(const struct calm__journal_record *record,
    const struct calm__journal_record *last)
{
    return record->number == last->number + 1 && !last->complete &&
           record->output.size >= last->output.size &&
           record->errors.size >= last->errors.size && record->ok >= last->ok &&
           record->failed >= last->failed && record->merged >= last->merged;
}

static int get_record(
    const char *from, size_t len, struct calm__journal_contents *contents)
{
    uint64_t numbers[RECORD_NUMBERS];
    for (size_t i = 0; i < RECORD_NUMBERS; i++)
        numbers[i] = get_number(&from);
    struct calm__journal_record record = {.number = numbers[0],
        .complete = numbers[1] & FLAG_COMPLETE,
        .rows = numbers[2],
        .output = {numbers[3], numbers[4]},
        .errors = {numbers[5], numbers[6]},
        .ok = numbers[7],
        .failed = numbers[8],
        .retries = numbers[9],
        .compared = numbers[10],
        .right = numbers[11],
        .merged = numbers[13]};
    memcpy(&record.squared_error, &numbers[12], sizeof record.squared_error);
    if (!follows(&record, &contents->last))
        return damaged(contents->len);
    for (len -= 8 * RECORD_NUMBERS; len > 0; len -= 16) {
        uint64_t begin = get_number(&from), end = get_number(&from);
        if (begin >= end)
            return damaged(contents->len);
        if (calm__selection_add(&contents->done, begin, end) < 0)
            return -ENOMEM;
    }
    contents->last = record;
    return 0;
}

/* Takes the record at the end of what is good. Returns 1, 0 when there is no
 * good one, or an error. */
static int decode_record(
    const char *data, size_t len, struct calm__journal_contents *contents)
{
    const char *from = data + contents->len + MAGIC;
    size_t rest = len - contents->len;
    if (rest < RECORD_FRAME ||
        memcmp(data + contents->len, record_magic, MAGIC) != 0)
        return 0;
    uint64_t size = get_number(&from), checksum = get_number(&from);
    if (size > rest - RECORD_FRAME || size < 8 * RECORD_NUMBERS ||
        (size - 8 * RECORD_NUMBERS) % 16 != 0 ||
        checksum != record_checksum(&contents->head, contents->last.number + 1,
                        from, (size_t)size))
        return 0;
    int rc = get_record(from, (size_t)size, contents);
    if (rc < 0)
        return rc;
    contents->len += RECORD_FRAME + (size_t)size;
    return 1;
}

static int decode_all(
    const char *data, size_t len, struct calm__journal_contents *contents)
{
    int rc = decode_head(data, len, contents);
    if (rc < 0 || !contents->has_head)
        return rc;
    while ((rc = decode_record(data, len, contents)) > 0)
        continue;
    if (rc < 0)
        return rc;
    contents->torn = len - contents->len;
    if (contents->torn > 1 && memmem(data + contents->len + 1,
                                  contents->torn - 1, record_magic, MAGIC))
        return damaged(contents->len);
    calm__selection_sort(&contents->done);
    return 0;
}

int calm__journal_decode(
    const char *data, size_t len, struct calm__journal_contents *ret_contents)
{
    struct calm__journal_contents contents = {0};
    int rc = decode_all(data, len, &contents);
    if (rc < 0)
        calm__journal_contents_clear(&contents);
    else
        *ret_contents = contents;
    return rc;
}

void calm__journal_contents_clear(struct calm__journal_contents *contents)
{
    calm__identity_clear(&contents->head.identity);
    calm__selection_clear(&contents->done);
    *contents = (struct calm__journal_contents){0};
}
