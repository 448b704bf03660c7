/* test_predict.c - calm_predict(): rows that the model refuses, and memory
 * that runs out at any moment
 *
 * What the command does with files and signals is tried in
 * tests/cli/predict.sh.
 */
#include "test.h"

#include "fail_alloc.h"
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

int main(void)
{
    static const struct test tests[] = {
        real_test(csv_without_memory),
        real_test(json_without_memory),
        real_test(a_row_that_the_model_refuses_fails_alone),
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
