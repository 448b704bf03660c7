/* fuzz_journal.c - any bytes as a journal, and a journal with any damage
 *
 * Bytes as they come: read, or refused. Then a journal that these bytes say
 * how to write, with one byte changed or its end cut: what is read of it is
 * what was written, from the begin on, and never anything else.
 */
#include "ml/journal_format.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORDS_MOST = 20 };

static void must(bool good)
{
    if (!good)
        abort();
}

struct written {
    calm_bytes bytes;
    struct calm__journal_record records[RECORDS_MOST];
    uint64_t done[RECORDS_MOST + 1]; /* rows with each record */
    size_t count;
};

static void write_record(struct written *written,
    const struct calm__journal_head *head, const uint8_t *data)
{
    static const struct calm__journal_record none;
    struct calm__journal_record *record = &written->records[written->count];
    const struct calm__journal_record *last =
        written->count ? record - 1 : &none;
    uint64_t first = written->done[written->count];
    struct calm__selection done = {0};
    *record = (struct calm__journal_record){.number = last->number + 1,
        .output = {last->output.size + data[0], data[1]},
        .errors = {last->errors.size + data[2] / 16, data[3]},
        .ok = last->ok + data[0],
        .failed = last->failed + data[2],
        .squared_error = data[1]};
    must(calm__selection_add(&done, first, first + data[0]) == 0);
    must(
        calm__journal_encode_record(head, record, &done, &written->bytes) == 0);
    written->done[++written->count] = first + data[0];
    calm__selection_clear(&done);
}

static void check_read(const struct written *written)
{
    struct calm__journal_contents contents;
    if (calm__journal_decode(
            written->bytes.data, written->bytes.len, &contents) < 0)
        return;
    uint64_t number = contents.last.number;
    must(number <= written->count);
    if (number > 0) {
        const struct calm__journal_record *record =
            &written->records[number - 1];
        must(contents.last.output.size == record->output.size);
        must(contents.last.output.hash == record->output.hash);
        must(contents.last.errors.size == record->errors.size);
        must(contents.last.ok == record->ok);
    }
    must(calm__selection_size(&contents.done) == written->done[number]);
    must(contents.len + contents.torn == written->bytes.len);
    calm__journal_contents_clear(&contents);
}

static void read_bytes(const uint8_t *data, size_t size)
{
    struct calm__journal_contents contents;
    if (calm__journal_decode((const char *)data, size, &contents) < 0)
        return;
    must(contents.len + contents.torn == size);
    calm__journal_contents_clear(&contents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_bytes(data, size);
    if (size < 8)
        return 0;
    struct written written = {0};
    struct calm__journal_head head = {.run = {data[0], data[1]}};
    uint32_t at, cut;
    memcpy(&at, data, sizeof at);
    memcpy(&cut, data + 4, sizeof cut);
    calm__identity_number(
        &head.identity, CALM__IDENTITY_INPUT, "size", data[2]);
    must(calm__journal_encode_head(&head, &written.bytes) == 0);
    for (size_t i = 8; i + 4 <= size && written.count < RECORDS_MOST; i += 4)
        write_record(&written, &head, data + i);
    check_read(&written);
    written.bytes.data[at % written.bytes.len] ^= (char)(data[3] | 1);
    check_read(&written);
    if (cut % 2)
        written.bytes.len = cut % written.bytes.len;
    check_read(&written);
    calm_bytes_clear(&written.bytes);
    calm__identity_clear(&head.identity);
    return 0;
}
