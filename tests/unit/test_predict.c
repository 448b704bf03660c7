/* test_predict.c - calm_predict(): rows that the model refuses, and memory
 * that runs out at any moment
 *
 * What the command does with files and signals is tried in
 * tests/cli/predict.sh.
 */
#include "test.h"

#include "fail_alloc.h"
#include "base/fault.h"
#include "model_maker.h"

#include <unistd.h>

enum { ROWS = 200 };

static char input[4096], json[4096], model[4096], output[4096], errors[4096];

static void path_set(char *path, const char *name)
{
    snprintf(path, 4096, "%s", maker_path(name));
}

/* One row in seven has no number where the model wants one. */
static void inputs_write(void)
{
    calm_bytes csv = {0}, lines = {0};
    calm_bytes_append_text(&csv, "id,a,b,c,d,e,truth\n");
    for (int i = 0; i < ROWS; i++) {
        const char *a = i % 7 == 3 ? "\"x\"" : "0.25";
        calm_bytes_printf(&csv, "%d,%s,1,,-1e-3,%d,%d\n", i, a, i, i % 2);
        calm_bytes_printf(&lines,
            "{\"id\":%d,\"a\":%s,\"b\":1,\"c\":null,\"d\":-1e-3,\"e\":%d,"
            "\"truth\":%d}\n",
            i, a, i, i % 2);
    }
    maker_write(input, csv.data, csv.len);
    maker_write(json, lines.data, lines.len);
    calm_bytes_clear(&csv);
    calm_bytes_clear(&lines);
}

static void outputs_remove(void)
{
    char other[4200];
    const char *const names[] = {output, errors};
    for (int i = 0; i < 2; i++) {
        snprintf(other, sizeof other, "%s.calm-part", names[i]);
        unlink(names[i]);
        unlink(other);
    }
    snprintf(other, sizeof other, "%s.calm-journal", output);
    unlink(other);
}

static size_t lines_of(const char *path)
{
    size_t len, lines = 0;
    if (access(path, R_OK) < 0)
        return 0;
    char *text = maker_read(path, &len);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    free(text);
    return lines;
}

static const char *const kept[] = {"b", "truth", NULL};

static void whole_or_not_at_all(const char *from)
{
    calm_predict_opts opts = {.input = from,
        .output = output,
        .model = model,
        .truth = "truth",
        .keep = kept,
        .batch_size = 32,
        .threads = 1};
    calm_predict_state state;
    int failed = 0;
    for (int n = 1; fail_alloc_begin(n); n++) {
        int rc = calm_predict(&opts, &state);
        bool hit = fail_alloc_end();
        if (rc < 0) {
            failed++;
            check(hit);
            check_equal(rc, -ENOMEM);
            check(strcmp(calm_message(rc), "") != 0);
            /* The same call again goes on, or finishes. */
            if (access(output, F_OK) < 0)
                check_equal(calm_predict(&opts, &state), 0);
        }
        check(state.whole);
        check_equal(state.ok + state.failed, ROWS);
        check_equal(lines_of(errors), state.failed);
        check_equal(lines_of(output), state.ok + 1);
        outputs_remove();
    }
    check(failed > 10);
}

static int csv_without_memory(void *arg)
{
    whole_or_not_at_all(input);
    return 0;
}

static int json_without_memory(void *arg)
{
    whole_or_not_at_all(json);
    return 0;
}

/* A model that refuses infinite numbers, and one row that has one. */
static int a_row_that_the_model_refuses_fails_alone(void *arg)
{
    char path[4096], rows[4096];
    path_set(path, "dart.json");
    path_set(rows, "infinite.csv");
    struct maker maker = {.objective = "reg:squarederror",
        .booster = "dart",
        .rounds = 3,
        .depth = 2};
    maker_train(&maker, path, NULL);
    static const char text[] = "v,w,x,y,z\n1,2,3,4,5\n1,2,inf,4,5\n5,4,3,2,1\n";
    maker_write(rows, text, sizeof text - 1);
    calm_predict_opts opts = {.input = rows, .output = output, .model = path};
    calm_predict_state state;
    check_equal(calm_predict(&opts, &state), 0);
    check_equal(state.ok, 2);
    check_equal(state.failed, 1);
    check_equal(lines_of(output), 3);
    check_equal(lines_of(errors), 1);
    outputs_remove();
    return 0;
}

/* ---- what the device refuses ---- */

static size_t fault_hits(const char *name, size_t nth,
    const calm_predict_opts *opts, calm_predict_state *state, int *ret_code)
{
    calm__fault_arm(name, nth);
    *ret_code = calm_predict(opts, state);
    return calm__fault_disarm();
}

static void same_files(const char *path, const char *expected, size_t len)
{
    size_t got_len;
    if (!check(access(path, R_OK) == 0))
        return;
    char *got = maker_read(path, &got_len);
    check_equal(got_len, (long long)len);
    check(got_len == len && memcmp(got, expected, len) == 0);
    free(got);
}

/* The N-th question for NAME is answered by a failure, N = 1, 2, ...: the run
 * fails with it or does without, no final name is wrong, and the same call
 * again makes the output that an undisturbed run makes. */
static void again_it_is_whole(const char *name, bool unordered)
{
    calm_predict_opts opts = {.input = input,
        .output = output,
        .model = model,
        .truth = "truth",
        .batch_size = 16,
        .threads = 1,
        .unordered = unordered};
    calm_predict_state state;
    size_t len, errors_len, failed = 0;
    check_equal(calm_predict(&opts, &state), 0);
    char *whole = maker_read(output, &len);
    char *whole_errors = maker_read(errors, &errors_len);
    outputs_remove();
    for (size_t n = 1;; n++) {
        int rc;
        size_t asked = fault_hits(name, n, &opts, &state, &rc);
        if (rc < 0) {
            failed++;
            check(rc == -ENOSPC || rc == -EIO);
            if (access(output, F_OK) == 0)
                same_files(output, whole, len);
            rc = calm_predict(&opts, &state);
            /* Only the last of all steps had failed: nothing is left to do. */
            check(rc == 0 || rc == -EEXIST);
        }
        same_files(output, whole, len);
        same_files(errors, whole_errors, errors_len);
        outputs_remove();
        if (asked < n)
            break;
    }
    check(failed > 0 || strcmp(name, "short write") == 0);
    free(whole);
    free(whole_errors);
}

static int no_write_that_fails_loses_a_row(void *arg)
{
    again_it_is_whole("write", false);
    again_it_is_whole("write", true);
    return 0;
}

static int no_short_write_loses_a_byte(void *arg)
{
    again_it_is_whole("short write", false);
    return 0;
}

static int no_sync_that_fails_loses_a_row(void *arg)
{
    again_it_is_whole("sync", false);
    again_it_is_whole("sync", true);
    again_it_is_whole("folder sync", false);
    return 0;
}

static int no_rename_that_fails_loses_a_name(void *arg)
{
    again_it_is_whole("rename", false);
    return 0;
}

/* ---- a journal that is damaged ---- */

/* What an unfinished run leaves, to be put back again and again. */
struct left {
    char path[3][4200], *text[3]; /* of the journal, the output, the errors */
    size_t len[3];
};

/* Leaves one: all is written, and then no name can be given. */
static void leave_unfinished(const calm_predict_opts *opts, struct left *left)
{
    static const char *const ends[] = {
        ".calm-journal", ".calm-part", ".errors.jsonl.calm-part"};
    calm_predict_state state;
    calm__fault_arm("rename", 1);
    check(calm_predict(opts, &state) < 0);
    calm__fault_disarm();
    for (int i = 0; i < 3; i++) {
        snprintf(left->path[i], sizeof left->path[i], "%s%s", output, ends[i]);
        left->text[i] = maker_read(left->path[i], &left->len[i]);
    }
}

static void left_again(const struct left *left)
{
    outputs_remove();
    for (int i = 0; i < 3; i++)
        maker_write(left->path[i], left->text[i], left->len[i]);
}

/* Each byte of the journal changed in turn: the run is refused, or its output
 * is right. */
static int a_damaged_journal_makes_no_wrong_output(void *arg)
{
    calm_predict_opts opts = {
        .input = input, .output = output, .model = model, .truth = "truth"};
    calm_predict_state state;
    struct left left;
    size_t len, errors_len, refused = 0;
    check_equal(calm_predict(&opts, &state), 0);
    char *whole = maker_read(output, &len);
    char *whole_errors = maker_read(errors, &errors_len);
    outputs_remove();
    leave_unfinished(&opts, &left);
    for (size_t i = 0; i < left.len[0]; i++) {
        left.text[0][i] ^= (char)(1 << i % 8);
        left_again(&left);
        left.text[0][i] ^= (char)(1 << i % 8);
        int rc = calm_predict(&opts, &state);
        if (rc < 0) {
            refused++;
            check_equal(rc, CALM_EFORMAT);
            check(access(output, F_OK) < 0);
        } else {
            same_files(output, whole, len);
            same_files(errors, whole_errors, errors_len);
        }
    }
    check(refused > 0);
    outputs_remove();
    for (int i = 0; i < 3; i++)
        free(left.text[i]);
    free(whole);
    free(whole_errors);
    return 0;
}

/* ---- rows that failed, again ---- */

/* A finished run some of whose rows failed, and the same input mended. */
struct mending {
    char *broken, *errors, *whole;
    size_t broken_len, errors_len, whole_len;
    char path[4096];
};

static void mended_write(const struct mending *mending, const char *bad)
{
    calm_bytes csv = {0};
    calm_bytes_append_text(&csv, "id,a,b,c,d,e,truth\n");
    for (int i = 0; i < ROWS; i++)
        calm_bytes_printf(&csv, "%d,%s,1,,-1e-3,%d,%d\n", i,
            i % 7 == 3 ? bad : "0.25", i, i % 2);
    maker_write(mending->path, csv.data, csv.len);
    calm_bytes_clear(&csv);
}

static void mending_begin(struct mending *mending, calm_predict_opts *opts)
{
    calm_predict_state state;
    path_set(mending->path, "mended.csv");
    opts->input = mending->path;
    mended_write(mending, "0.5");
    check_equal(calm_predict(opts, &state), 0);
    mending->whole = maker_read(output, &mending->whole_len);
    outputs_remove();
    mended_write(mending, "bad");
    check_equal(calm_predict(opts, &state), 0);
    mending->broken = maker_read(output, &mending->broken_len);
    mending->errors = maker_read(errors, &mending->errors_len);
    mended_write(mending, "0.5");
    opts->retry_failed = true;
}

static void mending_again(const struct mending *mending)
{
    outputs_remove();
    maker_write(output, mending->broken, mending->broken_len);
    maker_write(errors, mending->errors, mending->errors_len);
}

/* Names are whole at any time: the output is the one before or the new one.
 * The same call again ends it, or has nothing to do. */
static void check_mended(
    const struct mending *mending, const calm_predict_opts *opts, int rc)
{
    calm_predict_state state;
    size_t len;
    char *got = maker_read(output, &len);
    bool is_old =
        len == mending->broken_len && memcmp(got, mending->broken, len) == 0;
    if (rc < 0 && is_old)
        check_equal(lines_of(errors), (ROWS + 3) / 7);
    else
        check_equal(len, (long long)mending->whole_len);
    free(got);
    if (rc < 0)
        check_equal(calm_predict(opts, &state), 0);
    same_files(output, mending->whole, mending->whole_len);
    check(access(errors, F_OK) < 0);
}

static void mending_end(struct mending *mending)
{
    outputs_remove();
    unlink(mending->path);
    free(mending->broken);
    free(mending->errors);
    free(mending->whole);
}

static int rows_are_mended_without_memory(void *arg)
{
    calm_predict_opts opts = {
        .output = output, .model = model, .batch_size = 8, .threads = 1};
    struct mending mending;
    calm_predict_state state;
    mending_begin(&mending, &opts);
    for (int n = 1; fail_alloc_begin(n); n++) {
        fail_alloc_countdown = 0; /* the files are made in peace */
        mending_again(&mending);
        fail_alloc_countdown = n;
        int rc = calm_predict(&opts, &state);
        fail_alloc_end();
        check(rc == 0 || rc == -ENOMEM);
        check_mended(&mending, &opts, rc);
    }
    mending_end(&mending);
    return 0;
}

static int rows_are_mended_though_the_device_fails(void *arg)
{
    static const char *const names[] = {
        "write", "short write", "sync", "folder sync", "rename"};
    calm_predict_opts opts = {
        .output = output, .model = model, .batch_size = 8, .threads = 1};
    struct mending mending;
    calm_predict_state state;
    mending_begin(&mending, &opts);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (size_t n = 1, asked = n; asked >= n; n++) {
            int rc;
            mending_again(&mending);
            asked = fault_hits(names[i], n, &opts, &state, &rc);
            check_mended(&mending, &opts, rc);
        }
    mending_end(&mending);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        real_test(csv_without_memory),
        real_test(json_without_memory),
        real_test(a_row_that_the_model_refuses_fails_alone),
        real_test(no_write_that_fails_loses_a_row),
        real_test(no_short_write_loses_a_byte),
        real_test(no_sync_that_fails_loses_a_row),
        real_test(no_rename_that_fails_loses_a_name),
        real_test(a_damaged_journal_makes_no_wrong_output),
        real_test(rows_are_mended_without_memory),
        real_test(rows_are_mended_though_the_device_fails),
    };
    path_set(input, "rows.csv");
    path_set(json, "rows.jsonl");
    path_set(model, "model.json");
    path_set(output, "out.csv");
    path_set(errors, "out.csv.errors.jsonl");
    struct maker maker = {.objective = "binary:logistic",
        .rounds = 3,
        .depth = 2,
        .with_names = 1};
    maker_train(&maker, model, NULL);
    inputs_write();
    int failed = run_list("predict", tests, sizeof tests / sizeof *tests);
    maker_clear();
    return failed;
}
