/* test_journal_format.c - journals in memory: torn at every byte, a bit
 * flipped in every byte, without memory
 */
#include "test.h"

#include "fail_alloc.h"
#include "ml/journal_format.h"

#include <string.h>

enum { RECORDS = 5 };

/* A journal, and where each of its parts ends. */
struct sample {
    calm_bytes bytes;
    struct calm__journal_head head;
    size_t ends[RECORDS + 1]; /* of the head, then of each record */
};

static struct calm__journal_record record_of(uint64_t number)
{
    return (struct calm__journal_record){.number = number,
        .complete = number == RECORDS,
        .rows = number == RECORDS ? 10 * RECORDS : 0,
        .output = {100 * number, 7 * number},
        .errors = {number / 3, 9 * number},
        .ok = 9 * number,
        .failed = number,
        .retries = 2 * number,
        .compared = 5 * number,
        .right = 4 * number,
        .squared_error = 0.5 * (double)number,
        .merged = 11 * number};
}

static void sample_make(struct sample *sample)
{
    *sample = (struct sample){.head = {.run = {3, 4}, .retry = true}};
    struct calm__identity *identity = &sample->head.identity;
    calm__identity_text(identity, CALM__IDENTITY_INPUT, "its size", "12");
    calm__identity_number(identity, CALM__IDENTITY_OPTION, "--limit", 0);
    check_equal(calm__journal_encode_head(&sample->head, &sample->bytes), 0);
    sample->ends[0] = sample->bytes.len;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct calm__journal_record record = record_of(i);
        struct calm__selection done = {0};
        calm__selection_add(&done, 10 * i - 10, 10 * i - 5);
        calm__selection_add(&done, 10 * i - 2, 10 * i);
        check_equal(calm__journal_encode_record(
                        &sample->head, &record, &done, &sample->bytes),
            0);
        calm__selection_clear(&done);
        sample->ends[i] = sample->bytes.len;
    }
}

static void sample_clear(struct sample *sample)
{
    calm__identity_clear(&sample->head.identity);
    calm_bytes_clear(&sample->bytes);
}

static bool same_record(
    const struct calm__journal_record *a, const struct calm__journal_record *b)
{
    return a->number == b->number && a->complete == b->complete &&
           a->rows == b->rows && a->output.size == b->output.size &&
           a->output.hash == b->output.hash &&
           a->errors.size == b->errors.size &&
           a->errors.hash == b->errors.hash && a->ok == b->ok &&
           a->failed == b->failed && a->retries == b->retries &&
           a->compared == b->compared && a->right == b->right &&
           a->squared_error == b->squared_error && a->merged == b->merged;
}

/* What was read is what the first COUNT records say. */
static void check_contents(const struct calm__journal_contents *contents,
    const struct sample *sample, uint64_t count)
{
    struct calm__journal_record expected = record_of(count);
    if (count == 0)
        expected = (struct calm__journal_record){0};
    check(contents->has_head);
    check(contents->head.retry && !contents->head.overwrite);
    check(!calm__identity_differ(
        &contents->head.identity, &sample->head.identity));
    check(same_record(&contents->last, &expected));
    check_equal(calm__selection_size(&contents->done), (long long)count * 7);
    check_equal(contents->len, (long long)sample->ends[count]);
}

static int what_was_written_is_read(void *arg)
{
    struct sample sample;
    struct calm__journal_contents contents;
    sample_make(&sample);
    check_equal(
        calm__journal_decode(sample.bytes.data, sample.bytes.len, &contents),
        0);
    check_contents(&contents, &sample, RECORDS);
    check_equal(contents.torn, 0);
    check_equal(contents.done.count, 2 + RECORDS - 1);
    calm__journal_contents_clear(&contents);
    sample_clear(&sample);
    return 0;
}

static int a_torn_tail_is_cut(void *arg)
{
    struct sample sample;
    sample_make(&sample);
    uint64_t whole = 0;
    for (size_t len = 0; len <= sample.bytes.len; len++) {
        struct calm__journal_contents contents;
        check_equal(calm__journal_decode(sample.bytes.data, len, &contents), 0);
        while (whole < RECORDS && len >= sample.ends[whole + 1])
            whole++;
        if (len < sample.ends[0]) {
            check(!contents.has_head);
            check_equal(contents.torn, (long long)len);
        } else {
            check_contents(&contents, &sample, whole);
            check_equal(contents.torn, (long long)(len - contents.len));
        }
        calm__journal_contents_clear(&contents);
    }
    sample_clear(&sample);
    return 0;
}

/* Zeros are what a machine that died leaves of what was not written. */
static int a_tail_of_zeros_is_cut(void *arg)
{
    struct sample sample;
    sample_make(&sample);
    for (size_t part = 0; part < RECORDS; part++)
        /* A record's last bytes are zero anyway. */
        for (size_t len = sample.ends[part]; len + 8 < sample.ends[part + 1];
             len++) {
            struct calm__journal_contents contents;
            char *copy = calloc(1, sample.bytes.len);
            memcpy(copy, sample.bytes.data, len);
            check_equal(
                calm__journal_decode(copy, sample.bytes.len, &contents), 0);
            check_contents(&contents, &sample, part);
            calm__journal_contents_clear(&contents);
            free(copy);
        }
    sample_clear(&sample);
    return 0;
}

/* Damage before the last record is always told. In the last it looks like a
 * torn tail, and what was done before it stands. */
static int a_flipped_bit_is_never_believed(void *arg)
{
    struct sample sample;
    sample_make(&sample);
    for (size_t i = 0; i < sample.bytes.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct calm__journal_contents contents;
            sample.bytes.data[i] ^= (char)(1 << bit);
            int rc = calm__journal_decode(
                sample.bytes.data, sample.bytes.len, &contents);
            if (i < sample.ends[RECORDS - 1]) {
                check_equal(rc, CALM_EFORMAT);
                check_contains(calm_message(rc), "damaged at byte");
            } else if (check_equal(rc, 0)) {
                check_contents(&contents, &sample, RECORDS - 1);
                calm__journal_contents_clear(&contents);
            }
            sample.bytes.data[i] ^= (char)(1 << bit);
        }
    sample_clear(&sample);
    return 0;
}

static int records_of_other_runs_are_damage(void *arg)
{
    struct sample sample, other;
    struct calm__journal_contents contents;
    sample_make(&sample);
    other = (struct sample){.head = sample.head};
    other.head.run[1]++;
    check_equal(calm__journal_encode_head(&other.head, &other.bytes), 0);
    calm_bytes_append(&other.bytes, sample.bytes.data + sample.ends[0],
        sample.bytes.len - sample.ends[0]);
    check_equal(
        calm__journal_decode(other.bytes.data, other.bytes.len, &contents),
        CALM_EFORMAT);
    /* The same record twice. */
    calm_bytes_append(&sample.bytes, sample.bytes.data + sample.ends[3],
        sample.ends[4] - sample.ends[3]);
    check_equal(
        calm__journal_decode(sample.bytes.data, sample.ends[4], &contents), 0);
    calm__journal_contents_clear(&contents);
    memmove(sample.bytes.data + sample.ends[4],
        sample.bytes.data + sample.ends[3], sample.ends[4] - sample.ends[3]);
    check_equal(
        calm__journal_decode(sample.bytes.data, sample.bytes.len, &contents),
        CALM_EFORMAT);
    calm_bytes_clear(&other.bytes);
    sample_clear(&sample);
    return 0;
}

static int without_memory_it_says_so(void *arg)
{
    struct sample sample;
    sample_make(&sample);
    for (int n = 1; fail_alloc_begin(n); n++) {
        struct calm__journal_contents contents;
        int rc = calm__journal_decode(
            sample.bytes.data, sample.bytes.len, &contents);
        check_equal(rc, fail_alloc_end() ? -ENOMEM : 0);
        if (rc == 0)
            calm__journal_contents_clear(&contents);
    }
    sample_clear(&sample);
    return 0;
}

static int differences_are_named(void *arg)
{
    struct calm__identity a = {0}, b = {0};
    static const char *const one[] = {"x", "y", NULL}, *const two[] = {
                                                           "xy", NULL};
    struct calm__identity *const both[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        calm__identity_text(both[i], CALM__IDENTITY_OPTION, "--id", NULL);
        calm__identity_list(
            both[i], CALM__IDENTITY_OPTION, "--keep", i ? two : one);
        calm__identity_text(both[i], CALM__IDENTITY_MODEL, "model", "abc");
    }
    check_text(calm__identity_differ(&a, &b)->name, "--keep");
    calm__identity_number(&a, CALM__IDENTITY_INPUT, "size", 10);
    check_text(calm__identity_differ(&a, &b)->name, "size");
    check_text(calm__identity_differ(&b, &a)->name, "size");
    calm__identity_number(&b, CALM__IDENTITY_INPUT, "size", 100);
    calm__identity_text(&b, CALM__IDENTITY_LAYOUT, "columns", "");
    calm__identity_text(&a, CALM__IDENTITY_LAYOUT, "columns", NULL);
    check_text(calm__identity_differ(&a, &b)->name, "columns");
    check(!calm__identity_differ(&a, &a));
    calm__identity_clear(&a);
    calm__identity_clear(&b);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(what_was_written_is_read),
        pure_test(a_torn_tail_is_cut),
        pure_test(a_tail_of_zeros_is_cut),
        pure_test(a_flipped_bit_is_never_believed),
        pure_test(records_of_other_runs_are_damage),
        pure_test(without_memory_it_says_so),
        pure_test(differences_are_named),
    };
    return run_list("journal_format", tests, sizeof tests / sizeof *tests);
}
