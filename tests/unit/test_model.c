/* test_model.c - models: what they predict, and which files are refused */
#include "model_maker.h"

#include "base/fault.h"
#include "ml/model.h"

#include <calm.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <threads.h>
#include <unistd.h>
#include <cmocka.h>

enum { VALUES_MOST = MAKER_ROWS * 4 };

static const struct maker stump = {
    .objective = "binary:logistic", .rounds = 1, .depth = 1};
static const struct maker binary = {
    .objective = "binary:logistic", .rounds = 10, .depth = 3, .with_names = 1};
static const struct maker probabilities = {
    .objective = "multi:softprob", .classes = 4, .rounds = 5, .depth = 3};

/* ---- help ---- */

struct opening {
    const char *path;
    const calm_model_opts *opts;
    calm_model *model;
};

static int opening_run(void *arg)
{
    struct opening *opening = arg;
    return calm_model_open(opening->path, opening->opts, &opening->model);
}

static int open_with(
    const char *path, const calm_model_opts *opts, calm_model **ret_model)
{
    struct opening opening = {path, opts, NULL};
    int rc = calm_run(opening_run, &opening);
    *ret_model = opening.model;
    return rc;
}

static calm_model *open_good(const char *path)
{
    calm_model *model;
    int rc = open_with(path, NULL, &model);
    if (rc < 0)
        fail_msg("%s", calm_message(rc));
    return model;
}

static calm_model *train_and_open(const struct maker *maker, float *expected)
{
    const char *path = maker_path("model.json");
    maker_train(maker, path, expected);
    return open_good(path);
}

/* Opens what must be refused; its sentence must contain WORDS. */
static void refused(const char *path, int code, const char *words)
{
    calm_model *model;
    int rc = open_with(path, NULL, &model);
    if (rc != code || !strstr(calm_message(rc), words))
        fail_msg("got %s '%s', not '%s'", calm_code_name(rc), calm_message(rc),
            words);
    assert_null(model);
    assert_null(strstr(calm_message(rc), "Stack trace"));
    assert_null(strstr(calm_message(rc), ".cc:"));
}

static void assert_floats(const float *got, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(got[i] - expected[i]) <= 1e-6f))
            fail_msg("value %zu is %.9g, not %.9g", i, (double)got[i],
                (double)expected[i]);
}

/* ---- predictions ---- */

static void predictions_are_those_of_xgboost(void **state)
{
    static const struct maker makers[] = {
        {.objective = "binary:logistic", .rounds = 10, .depth = 4},
        {.objective = "binary:logitraw", .rounds = 10, .depth = 4},
        {.objective = "reg:squarederror", .rounds = 10, .depth = 4},
        {.objective = "count:poisson", .rounds = 5, .depth = 4},
        {.objective = "rank:pairwise", .rounds = 5, .depth = 4},
        {.objective = "multi:softprob", .classes = 4, .rounds = 5, .depth = 4},
        {.objective = "multi:softmax", .classes = 4, .rounds = 5, .depth = 4},
        {.objective = "multi:softprob",
            .booster = "dart",
            .classes = 4,
            .rounds = 5,
            .depth = 4},
        {.objective = "reg:squarederror", .booster = "gblinear", .rounds = 5},
    };
    static const char *const names[] = {"model.json", "model.ubj"};
    for (size_t i = 0; i < 2 * sizeof makers / sizeof *makers; i++) {
        float expected[VALUES_MOST], got[VALUES_MOST];
        const char *path = maker_path(names[i % 2]);
        size_t count = maker_train(&makers[i / 2], path, expected);
        calm_model *model = open_good(path);
        assert_string_equal(
            calm_model_objective(model), makers[i / 2].objective);
        assert_int_equal(calm_model_features(model), MAKER_COLUMNS);
        assert_int_equal(calm_model_values(model) * MAKER_ROWS, count);
        assert_int_equal(calm_model_predict(model, maker_matrix(), MAKER_ROWS,
                             MAKER_COLUMNS, got),
            0);
        assert_floats(got, expected, count);
        calm_model_close(model);
    }
}

static void one_row_at_a_time_gives_the_same(void **state)
{
    float expected[VALUES_MOST], got[4];
    calm_model *model = train_and_open(&probabilities, expected);
    for (size_t i = 0; i < MAKER_ROWS; i++) {
        const float *row = maker_matrix() + i * MAKER_COLUMNS;
        assert_int_equal(
            calm_model_predict(model, row, 1, MAKER_COLUMNS, got), 0);
        assert_floats(got, expected + 4 * i, 4);
    }
    calm_model_close(model);
}

static void no_rows_are_predicted_at_once(void **state)
{
    calm_model *model = train_and_open(&stump, NULL);
    assert_int_equal(
        calm_model_predict(model, NULL, 0, MAKER_COLUMNS, NULL), 0);
    calm_model_close(model);
}

static void another_number_of_columns_is_refused(void **state)
{
    float got[1], row[7] = {0};
    calm_model *model = train_and_open(&stump, NULL);
    assert_int_equal(calm_model_predict(model, row, 1, 7, got), -EINVAL);
    assert_string_equal(
        calm_message(-EINVAL), "the model expects 5 features, the data has 7");
    calm_model_close(model);
}

static void labels_follow_the_kind_of_answer(void **state)
{
    static const struct {
        struct maker maker;
        enum calm_model_kind kind;
        float values[4];
        int label;
    } cases[] = {
        {{"binary:logistic", NULL, 0, 1, 1, 0}, CALM_MODEL_BINARY, {0.7f}, 1},
        {{"binary:logistic", NULL, 0, 1, 1, 0}, CALM_MODEL_BINARY, {0.5f}, 0},
        {{"binary:logitraw", NULL, 0, 1, 1, 0}, CALM_MODEL_SCORE, {0.1f}, 1},
        {{"binary:logitraw", NULL, 0, 1, 1, 0}, CALM_MODEL_SCORE, {0}, 0},
        {{"multi:softmax", NULL, 4, 1, 1, 0}, CALM_MODEL_CLASS, {3}, 3},
        {{"multi:softprob", NULL, 4, 1, 1, 0}, CALM_MODEL_PROBABILITIES,
            {0.2f, 0.3f, 0.3f, 0.2f}, 1},
        {{"reg:squarederror", NULL, 0, 1, 1, 0}, CALM_MODEL_VALUE, {9}, -1},
        {{"reg:logistic", NULL, 2, 1, 1, 0}, CALM_MODEL_VALUE, {0.9f}, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        calm_model *model = train_and_open(&cases[i].maker, NULL);
        assert_int_equal(calm_model_kind(model), cases[i].kind);
        assert_int_equal(
            calm_model_label(model, cases[i].values), cases[i].label);
        calm_model_close(model);
    }
}

static void features_have_the_names_that_the_file_gives(void **state)
{
    calm_model *model = train_and_open(&binary, NULL);
    assert_string_equal(calm_model_feature_name(model, 0), "a");
    assert_string_equal(calm_model_feature_name(model, 4), "e");
    assert_null(calm_model_feature_name(model, 5));
    calm_model_close(model);
    model = train_and_open(&stump, NULL);
    assert_null(calm_model_feature_name(model, 0));
    calm_model_close(model);
}

/* ---- threads ---- */

struct caller {
    calm_model *model;
    const float *expected;
    size_t batch;
    bool wrong;
};

static int call_often(void *arg)
{
    struct caller *caller = arg;
    size_t values = calm_model_values(caller->model);
    float got[VALUES_MOST];
    for (size_t i = 0; i < 100 && !caller->wrong; i++) {
        size_t first = i * 37 % (MAKER_ROWS - caller->batch);
        if (calm_model_predict(caller->model,
                maker_matrix() + first * MAKER_COLUMNS, caller->batch,
                MAKER_COLUMNS, got) < 0 ||
            memcmp(got, caller->expected + first * values,
                caller->batch * values * sizeof *got) != 0)
            caller->wrong = true;
    }
    return 0;
}

static void eight_threads_at_once_get_what_one_gets(void **state)
{
    static const struct maker makers[] = {
        {.objective = "multi:softprob", .classes = 4, .rounds = 8, .depth = 4},
        {.objective = "reg:squarederror",
            .booster = "dart",
            .rounds = 8,
            .depth = 4},
        {.objective = "reg:squarederror", .booster = "gblinear", .rounds = 8},
    };
    maker_matrix();
    for (size_t m = 0; m < sizeof makers / sizeof *makers; m++) {
        float expected[VALUES_MOST];
        calm_model *model = train_and_open(&makers[m], NULL);
        assert_int_equal(calm_model_predict(model, maker_matrix(), MAKER_ROWS,
                             MAKER_COLUMNS, expected),
            0);
        thrd_t threads[8];
        struct caller callers[8];
        for (size_t i = 0; i < 8; i++) {
            callers[i] = (struct caller){model, expected, 1 + 20 * i, false};
            assert_int_equal(
                thrd_create(&threads[i], call_often, &callers[i]), 0);
        }
        for (size_t i = 0; i < 8; i++) {
            thrd_join(threads[i], NULL);
            assert_false(callers[i].wrong);
        }
        calm_model_close(model);
    }
}

/* ---- rounds ---- */

static void rounds_follow_the_one_who_saved_the_model(void **state)
{
    static const struct {
        const char *attributes;
        enum calm_model_rounds rounds;
        bool all;
    } cases[] = {
        {"", CALM_MODEL_ROUNDS_AUTO, true},
        {"\"best_iteration\":\"2\"", CALM_MODEL_ROUNDS_AUTO, true},
        {"\"best_iteration\":\"2\"", CALM_MODEL_ROUNDS_BEST, false},
        {"\"best_iteration\":\"2\",\"scikit_learn\":\"{}\"",
            CALM_MODEL_ROUNDS_AUTO, false},
        {"\"best_iteration\":\"2\",\"scikit_learn\":\"{}\"",
            CALM_MODEL_ROUNDS_ALL, true},
        {"\"best_iteration\":\"-7\"", CALM_MODEL_ROUNDS_BEST, true},
        {"\"best_iteration\":\"4000000000\"", CALM_MODEL_ROUNDS_BEST, true},
    };
    struct maker maker = {
        .objective = "reg:squarederror", .rounds = 3, .depth = 3};
    float three[MAKER_ROWS], all[MAKER_ROWS], got[MAKER_ROWS];
    size_t len;
    maker_train(&maker, maker_path("three.json"), three);
    maker.rounds = 6;
    maker_train(&maker, maker_path("all.json"), all);
    char *text = maker_read(maker_path("all.json"), &len);
    char *after = strstr(text, "\"attributes\":{}");
    assert_non_null(after);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char changed[32768];
        calm_model *model;
        calm_model_opts opts = {.rounds = cases[i].rounds};
        int size = snprintf(changed, sizeof changed,
            "%.*s\"attributes\":{%s}%s", (int)(after - text), text,
            cases[i].attributes, after + strlen("\"attributes\":{}"));
        maker_write(maker_path("rounds.json"), changed, (size_t)size);
        assert_int_equal(
            open_with(maker_path("rounds.json"), &opts, &model), 0);
        calm_model_predict(
            model, maker_matrix(), MAKER_ROWS, MAKER_COLUMNS, got);
        assert_floats(got, cases[i].all ? all : three, MAKER_ROWS);
        calm_model_close(model);
    }
    free(text);
}

/* ---- the hash ---- */

static void a_pinned_hash_must_be_the_files(void **state)
{
    const char *path = maker_path("pinned.json");
    calm_model *model, *again;
    maker_train(&stump, path, NULL);
    model = open_good(path);
    assert_int_equal(strlen(calm_model_hash(model)), 64);
    char hash[65];
    strcpy(hash, calm_model_hash(model));
    calm_model_opts opts = {.sha256 = hash};
    assert_int_equal(open_with(path, &opts, &again), 0);
    assert_string_equal(calm_model_hash(again), hash);
    calm_model_close(again);
    hash[7] = hash[7] == '0' ? '1' : '0';
    assert_int_equal(open_with(path, &opts, &again), CALM_EMODEL);
    assert_non_null(strstr(calm_message(CALM_EMODEL), calm_model_hash(model)));
    assert_null(again);
    opts.sha256 = "abc";
    assert_int_equal(open_with(path, &opts, &again), -EINVAL);
    calm_model_close(model);
}

static void another_hash_is_refused_before_the_file_is_looked_at(void **state)
{
    calm_model *model;
    calm_model_opts opts = {.sha256 = "0123456789012345678901234567890123456789"
                                      "012345678901234567890123"};
    maker_write(maker_path("wild.json"), "wild", 4);
    assert_int_equal(
        open_with(maker_path("wild.json"), &opts, &model), CALM_EMODEL);
    assert_non_null(strstr(calm_message(CALM_EMODEL), "SHA-256"));
}

static void the_hash_is_the_sha256_that_everybody_computes(void **state)
{
    calm_model *model;
    calm_model_opts opts = {.sha256 = "BA7816BF8F01CFEA414140DE5DAE2223"
                                      "B00361A396177A9CB410FF61F20015AD"};
    maker_write(maker_path("abc"), "abc", 3);
    assert_int_equal(open_with(maker_path("abc"), &opts, &model), CALM_EMODEL);
    assert_null(strstr(calm_message(CALM_EMODEL), "SHA-256"));
}

/* ---- files that are refused ---- */

static void what_is_no_model_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"", "the file is empty"},
        {"{", "cut off"},
        {"{}", "no XGBoost model"},
        {"{ }", "no XGBoost model"},
        {"[]", "no XGBoost model"},
        {"hello", "no XGBoost model"},
        {"binf\1\2\3\4", "hint: load it in Python and save it"},
        {"{\"a\":1}", "holds no XGBoost model"},
        {"{\"learner\":1}", "something else was expected"},
        {"{\"learner\":{}", "cut off"},
        {"{\"learner\":{\"objective\":{\"name\":7}}}", "was expected"},
        {"{\"learner\":{},\"learner\":{}}", "occurs twice"},
        {"{\"lear\\u006eer\":{}}", "an escape"},
        {"{\"a\":[1,2,}", "was expected"},
        {"{\"a\":1}x", "more follows"},
        {"{L", "cut off"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = maker_path("garbage.json");
        maker_write(path, cases[i].text, strlen(cases[i].text));
        refused(path, CALM_EMODEL, cases[i].words);
        refused(path, CALM_EMODEL, "cannot load model '");
    }
}

/* Given to XGBoost 1.7 itself, some of these end the process (a child or a
 * class that is not there, lists of unlike lengths), some never return (a node
 * below itself), some are answered from memory that is not theirs, and the
 * rest it refuses. */
static void damage_that_xgboost_would_follow_is_refused(void **state)
{
    static const struct {
        const char *from, *to, *words;
    } cases[] = {
        {"\"left_children\":[1,", "\"left_children\":[1000000,", "children"},
        {"\"left_children\":[1,", "\"left_children\":[-5,", "children"},
        {"\"left_children\":[1,", "\"left_children\":[0,", "children"},
        {"\"left_children\":[1,-1", "\"left_children\":[1,1", "children"},
        {"\"right_children\":[2,", "\"right_children\":[1,", "children"},
        {"\"parents\":[2147483647,0,0", "\"parents\":[2147483647,9,0",
            "parent"},
        {"\"split_indices\":[", "\"split_indices\":[9999999,", "lengths"},
        {"\"split_type\":[0,0,0]", "\"split_type\":[0]", "lengths"},
        {"\"split_type\":[0,0,0]", "\"split_type\":[1,0,0]", "categories"},
        {"\"split_type\":[0,0,0]", "\"split_type\":[2,0,0]", "unknown kind"},
        {"\"num_nodes\":\"3\"", "\"num_nodes\":\"30000000\"", "lengths"},
        {"\"num_nodes\":\"3\"", "\"num_nodes\":\"-3\"", "lengths"},
        {"\"num_nodes\":\"3\"", "\"num_nodes\":\"3e9\"", "whole number"},
        {"\"num_feature\":\"5\",\"num_t", "\"num_feature\":\"0\",\"num_t",
            "makes no sense"},
        {"\"num_feature\":\"5\",\"num_t",
            "\"num_feature\":\"4294967295\",\"num_t", "makes no sense"},
        {"\"num_class\":\"0\"", "\"num_class\":\"2000000000\"",
            "makes no sense"},
        {"\"num_class\":\"0\"", "\"num_class\":\"99999999999999999999\"",
            "whole number"},
        {"\"num_target\":\"1\"", "\"num_target\":\"3\"", "3 targets"},
        {"\"tree_info\":[0]", "\"tree_info\":[]", "trees"},
        {"\"tree_info\":[0]", "\"tree_info\":[7]", "class"},
        {"\"tree_info\":[0]", "\"tree_info\":[1e999]", "whole number"},
        {"\"tree_info\":[0]", "\"tree_info\":[99999999999]", "too large"},
        {"\"num_trees\":\"1\"", "\"num_trees\":\"2\"", "trees"},
        {"\"num_parallel_tree\":\"1\"", "\"num_parallel_tree\":\"0\"",
            "parallel"},
        {"\"id\":0", "\"id\":1", "order"},
        {"\"id\":0", "\"id\":null", "whole number"},
        {"\"name\":\"gbtree\"", "\"name\":\"gbforest\"", "unknown"},
        {"\"base_score\":\"", "\"base_score\":\"x", "base score"},
        {"\"name\":\"binary:logistic\"", "\"name\":\"binary:nonsense\"",
            "XGBoost refuses it"},
    };
    size_t len;
    maker_train(&stump, maker_path("stump.json"), NULL);
    char *text = maker_read(maker_path("stump.json"), &len);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char changed[8192];
        const char *from = strstr(text, cases[i].from);
        if (!from)
            fail_msg("no %s in %s", cases[i].from, text);
        int size =
            snprintf(changed, sizeof changed, "%.*s%s%s", (int)(from - text),
                text, cases[i].to, from + strlen(cases[i].from));
        maker_write(maker_path("damaged.json"), changed, (size_t)size);
        refused(maker_path("damaged.json"), CALM_EMODEL, cases[i].words);
    }
    free(text);
}

static void a_feature_beyond_the_models_is_refused(void **state)
{
    size_t len;
    maker_train(&stump, maker_path("stump.json"), NULL);
    char *text = maker_read(maker_path("stump.json"), &len);
    char *place = strstr(text, "\"split_indices\":[");
    assert_non_null(place);
    place[strlen("\"split_indices\":[")] = '5';
    maker_write(maker_path("feature.json"), text, len);
    refused(maker_path("feature.json"), CALM_EMODEL, "feature");
    free(text);
}

static void deep_nesting_is_refused(void **state)
{
    enum { DEPTH = 1000000 };
    static const char begin[] = "{\"version\":";
    char *text = malloc(DEPTH + sizeof begin);
    assert_non_null(text);
    memcpy(text, begin, sizeof begin);
    memset(text + sizeof begin - 1, '[', DEPTH);
    maker_write(maker_path("deep.json"), text, DEPTH + sizeof begin - 1);
    refused(maker_path("deep.json"), CALM_EMODEL, "nests");
    free(text);
}

/* A file may be cut anywhere, and any bit may flip: whatever comes of it, the
 * process goes on, and what loads predicts. */
static void no_damage_ends_the_process(void **state)
{
    static const char *const names[] = {"whole.json", "whole.ubj"};
    for (size_t n = 0; n < 2; n++) {
        const char *path = maker_path("part");
        size_t len;
        maker_train(&stump, maker_path(names[n]), NULL);
        char *data = maker_read(maker_path(names[n]), &len);
        for (size_t cut = 1; cut < len; cut += 7) {
            maker_write(path, data, cut);
            refused(path, CALM_EMODEL, "cut off");
        }
        for (size_t i = 0; i < len; i += 3) {
            float got[MAKER_ROWS];
            calm_model *model;
            data[i] ^= (char)(1 << i % 8);
            maker_write(path, data, len);
            data[i] ^= (char)(1 << i % 8);
            int rc = open_with(path, NULL, &model);
            if (rc == 0 && calm_model_features(model) == MAKER_COLUMNS)
                rc = calm_model_predict(
                    model, maker_matrix(), MAKER_ROWS, MAKER_COLUMNS, got);
            assert_true(rc == 0 || rc == CALM_EMODEL);
            calm_model_close(model);
        }
        free(data);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    const char *pipe_path = maker_path("pipe");
    refused(maker_path("absent.json"), -ENOENT, "No such file");
    refused("/tmp", -EISDIR, "directory");
    refused("http://localhost/model", CALM_EMODEL, "only files");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    refused(pipe_path, -EINVAL, "regular file");
    refused("/dev/null", -EINVAL, "regular file");
}

static void any_name_will_do(void **state)
{
    float expected[MAKER_ROWS], got[MAKER_ROWS];
    const char *path = maker_path("no ending 'quoted' \xc3\xa4");
    maker_train(&binary, maker_path("model.ubj"), expected);
    assert_int_equal(rename(maker_path("model.ubj"), path), 0);
    calm_model *model = open_good(path);
    calm_model_predict(model, maker_matrix(), MAKER_ROWS, MAKER_COLUMNS, got);
    assert_floats(got, expected, MAKER_ROWS);
    calm_model_close(model);
}

static void xgboost_prints_nothing(void **state)
{
    const char *path = maker_path("silent.json");
    const char *log = maker_path("log");
    struct stat status;
    calm_model *model;
    int saved_out = dup(1), saved_err = dup(2);
    int file = open(log, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    maker_train(&stump, path, NULL);
    fflush(stdout);
    dup2(file, 1);
    dup2(file, 2);
    int good = open_with(path, NULL, &model);
    calm_model_close(model);
    size_t len;
    char *text = maker_read(path, &len);
    memcpy(strstr(text, "logistic"), "nonsense", 8);
    maker_write(path, text, len);
    int bad = open_with(path, NULL, &model);
    fflush(stdout);
    dup2(saved_out, 1);
    dup2(saved_err, 2);
    free(text);
    assert_int_equal(fstat(file, &status), 0);
    close(file);
    close(saved_out);
    close(saved_err);
    assert_int_equal(good, 0);
    assert_int_equal(bad, CALM_EMODEL);
    assert_int_equal(status.st_size, 0);
}

static void any_allocation_of_loading_may_fail(void **state)
{
    size_t len;
    maker_train(&binary, maker_path("memory.json"), NULL);
    char *data = maker_read(maker_path("memory.json"), &len);
    calm_model *model = NULL;
    int rc = -ENOMEM;
    size_t nth = 0;
    while (rc < 0 && nth < 1000) {
        calm__fault_arm("memory", ++nth);
        rc = calm__model_xgboost_load(data, len, NULL, &model);
        calm__fault_disarm();
        assert_true(rc == 0 || (rc == -ENOMEM && !model));
    }
    assert_int_equal(rc, 0);
    assert_true(nth > 5);
    calm_model_close(model);
    free(data);
}

static int clear(void **state)
{
    maker_clear();
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_are_those_of_xgboost),
        cmocka_unit_test(one_row_at_a_time_gives_the_same),
        cmocka_unit_test(no_rows_are_predicted_at_once),
        cmocka_unit_test(another_number_of_columns_is_refused),
        cmocka_unit_test(labels_follow_the_kind_of_answer),
        cmocka_unit_test(features_have_the_names_that_the_file_gives),
        cmocka_unit_test(eight_threads_at_once_get_what_one_gets),
        cmocka_unit_test(rounds_follow_the_one_who_saved_the_model),
        cmocka_unit_test(a_pinned_hash_must_be_the_files),
        cmocka_unit_test(another_hash_is_refused_before_the_file_is_looked_at),
        cmocka_unit_test(the_hash_is_the_sha256_that_everybody_computes),
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(damage_that_xgboost_would_follow_is_refused),
        cmocka_unit_test(a_feature_beyond_the_models_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(no_damage_ends_the_process),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(any_name_will_do),
        cmocka_unit_test(xgboost_prints_nothing),
        cmocka_unit_test(any_allocation_of_loading_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
