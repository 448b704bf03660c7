/* model_check.c - whether XGBoost can be trusted with a model
 *
 * XGBoost compares the lengths of a tree's arrays and little else. A child
 * beyond the nodes, a tree that bites its own tail, a feature that the data
 * does not have, a tree that the list of trees forgets: each loads well, and
 * reads wild memory or never returns when a row is predicted. So the trees are
 * walked here once. What is found out on the way (objective, features,
 * classes) spares asking XGBoost for it.
 *
 * A key that is looked at may occur once: XGBoost takes the last of two in
 * JSON and the first in UBJSON, and the other would go unchecked.
 */
#include "ml/model_check.h"

#include "base/fault.h"
#include "ml/model_scan.h"

#include <calm/error.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Far beyond real models, and small enough that sums cannot overflow and a
 * row of either fits into memory. */
enum {
    FEATURES_MOST = 1000000,
    CLASSES_MOST = 100000,
    CATEGORIES_MOST = 1 << 24, /* a float must hold the code */
};

enum { NO_NODE = -1, VISITED = -2 };

struct check {
    struct calm__scan scan;
    struct calm__outline outline;

    /* Of the tree that is being read. */
    struct calm__integers left, right, parents, features, split_types;
    struct calm__integers cat_nodes, cat_begins, cat_sizes;
    struct calm__integers categories;
    int64_t tree_nodes, tree_id, leaf_size;

    /* Of all trees. */
    struct calm__integers groups, layers, todo;
    int64_t tree_count, parallel;
    size_t trees;
    int32_t feature_most; /* the largest feature that a tree asks for */
    int64_t classes, features_said, targets;
    size_t weights, drops;
    unsigned models;
};

/* ---- reading by a table of keys ---- */

struct field {
    const char *key;
    bool (*read)(struct check *check, void *into);
    size_t into; /* where in the check the value goes, for plain values */
};

/* Reads an object: the keys of FIELDS, at most 32, by their functions, and
 * skips the others. */
static bool object_read(
    struct check *check, const struct field *fields, size_t count)
{
    struct calm__scan *scan = &check->scan;
    struct calm__scan_list list;
    struct calm__text key;
    unsigned seen = 0;
    if (!calm__scan_open(scan, '{', &list))
        return false;
    while (calm__scan_key(scan, &list, &key)) {
        size_t i = 0;
        while (i < count && (strlen(fields[i].key) != key.len ||
                                memcmp(fields[i].key, key.data, key.len) != 0))
            i++;
        if (i == count) {
            calm__scan_skip(scan);
            continue;
        }
        if (seen & 1u << i)
            return calm__scan_fail(scan, "a name that occurs twice");
        seen |= 1u << i;
        fields[i].read(check, (char *)check + fields[i].into);
    }
    return !scan->wrong;
}

#define AT(member) offsetof(struct check, member)

#define OBJECT_READ(check, fields)                                             \
    object_read(check, fields, sizeof(fields) / sizeof *(fields))

/* Readers of plain values: a word of SIZE bytes, numbers, a length. */
static bool word_read(struct check *check, char *word, size_t size)
{
    struct calm__text text;
    if (!calm__scan_text(&check->scan, &text))
        return false;
    if (text.len >= size || memchr(text.data, '\0', text.len))
        return calm__scan_fail(&check->scan, "a name that is too long");
    memcpy(word, text.data, text.len);
    word[text.len] = '\0';
    return true;
}

static bool integers_read(struct check *check, void *into)
{
    return calm__scan_integers(&check->scan, into);
}

static bool integer_read(struct check *check, void *into)
{
    return calm__scan_integer(&check->scan, into);
}

static bool parameter_read(struct check *check, void *into)
{
    return calm__scan_text_number(&check->scan, into);
}

static bool count_read(struct check *check, void *into)
{
    return calm__scan_count(&check->scan, into);
}

/* ---- one tree ---- */

static bool tree_param_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"num_nodes", parameter_read, AT(tree_nodes)},
        {"size_leaf_vector", parameter_read, AT(leaf_size)},
    };
    return OBJECT_READ(check, fields);
}

/* Visits a node below another. XGBoost finds the right child behind the left
 * one, so they must be neighbours. */
static bool node_visit(struct check *check, int32_t node)
{
    struct calm__scan *scan = &check->scan;
    size_t count = check->left.count;
    int32_t left = check->left.values[node];
    if (left == NO_NODE)
        return true;
    if (left <= 0 || (size_t)left + 1 >= count ||
        check->right.values[node] != left + 1)
        return calm__scan_fail(scan, "a tree's node has no such children");
    int32_t feature = check->features.values[node];
    if (feature < 0)
        return calm__scan_fail(scan, "a tree's node has no such feature");
    if (feature > check->feature_most)
        check->feature_most = feature;

    /* A mark, so that it fails above when it is met again: below itself, or
     * below two others. */
    check->left.values[node] = VISITED;
    check->todo.values[check->todo.count++] = left;
    check->todo.values[check->todo.count++] = left + 1;
    return true;
}

/* Walks from the root, as predicting does: nodes that were pruned away may
 * hold anything. Every node with children is visited once at most, which
 * bounds the list of those to do. */
static bool tree_walk(struct check *check)
{
    size_t count = check->left.count;
    struct calm__integers *todo = &check->todo;
    if (todo->room < 2 * count + 2) {
        free(todo->values);
        todo->room = 2 * count + 2;
        todo->values = calm__alloc(todo->room * sizeof *todo->values);
    }
    if (!todo->values) {
        todo->room = 0;
        return calm__scan_fail(&check->scan, calm__scan_no_memory);
    }
    todo->count = 1;
    todo->values[0] = 0;
    while (todo->count > 0)
        if (!node_visit(check, todo->values[--todo->count]))
            return false;
    return true;
}

/* The nodes that split by category have a set of categories each, in the
 * order of the nodes: XGBoost gives an empty set to one that is out of order,
 * and ends the process when it is asked for. */
static bool category_nodes_check(struct check *check)
{
    size_t sets = 0;
    for (size_t i = 0; i < check->split_types.count; i++) {
        int32_t type = check->split_types.values[i];
        if (type != 0 && type != 1)
            return calm__scan_fail(&check->scan, "a split of an unknown kind");
        if (type == 0)
            continue;
        if (sets == check->cat_nodes.count ||
            check->cat_nodes.values[sets] != (int32_t)i)
            return calm__scan_fail(&check->scan, "a split lacks categories");
        sets++;
    }
    return sets == check->cat_nodes.count ||
           calm__scan_fail(&check->scan, "categories without a split");
}

static bool category_sets_check(struct check *check)
{
    size_t sets = check->cat_nodes.count;
    int32_t all = (int32_t)check->categories.count;
    if (check->cat_begins.count != sets || check->cat_sizes.count != sets)
        return calm__scan_fail(&check->scan, "categories do not fit");
    for (size_t i = 0; i < sets; i++) {
        int32_t begin = check->cat_begins.values[i];
        int32_t size = check->cat_sizes.values[i];
        if (begin < 0 || size <= 0 || begin > all || size > all - begin)
            return calm__scan_fail(&check->scan, "categories do not fit");
    }
    for (int32_t i = 0; i < all; i++)
        if (check->categories.values[i] < 0 ||
            check->categories.values[i] >= CATEGORIES_MOST)
            return calm__scan_fail(&check->scan, "there is no such category");
    return true;
}

static bool tree_check(struct check *check)
{
    struct calm__scan *scan = &check->scan;
    size_t count = check->left.count;
    if (count == 0 || check->tree_nodes != (int64_t)count ||
        check->right.count != count || check->parents.count != count ||
        check->features.count != count ||
        (check->split_types.count != 0 && check->split_types.count != count))
        return calm__scan_fail(scan, "a tree has lists of unlike lengths");
    if (check->leaf_size > 1)
        return calm__scan_fail(scan,
            "its leaves have several values, which calm does not support");
    for (size_t i = 1; i < count; i++)
        if (check->parents.values[i] < 0 ||
            (size_t)check->parents.values[i] >= count)
            return calm__scan_fail(scan, "a tree's node has no such parent");
    return category_nodes_check(check) && category_sets_check(check) &&
           tree_walk(check);
}

static bool tree_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"left_children", integers_read, AT(left)},
        {"right_children", integers_read, AT(right)},
        {"parents", integers_read, AT(parents)},
        {"split_indices", integers_read, AT(features)},
        {"split_type", integers_read, AT(split_types)},
        {"categories", integers_read, AT(categories)},
        {"categories_nodes", integers_read, AT(cat_nodes)},
        {"categories_segments", integers_read, AT(cat_begins)},
        {"categories_sizes", integers_read, AT(cat_sizes)},
        {"tree_param", tree_param_read, 0},
        {"id", integer_read, AT(tree_id)},
    };
    struct calm__integers *lists[] = {&check->left, &check->right,
        &check->parents, &check->features, &check->split_types,
        &check->categories, &check->cat_nodes, &check->cat_begins,
        &check->cat_sizes};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        lists[i]->count = 0;
    check->tree_id = -1;
    check->tree_nodes = check->leaf_size = 0;
    return OBJECT_READ(check, fields) && tree_check(check);
}

/* ---- the trees together ---- */

static bool trees_read(struct check *check, void *into)
{
    struct calm__scan_list list;
    if (!calm__scan_open(&check->scan, '[', &list))
        return false;
    for (; calm__scan_item(&check->scan, &list); check->trees++) {
        if (!tree_read(check, NULL))
            return false;
        /* XGBoost puts each tree at the place that its id names. They are in
         * order in every file that it writes, so nothing else is taken. */
        if (check->tree_id != (int64_t)check->trees)
            return calm__scan_fail(&check->scan, "the trees are not in order");
    }
    return !check->scan.wrong;
}

static bool trees_param_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"num_trees", parameter_read, AT(tree_count)},
        {"num_parallel_tree", parameter_read, AT(parallel)},
    };
    return OBJECT_READ(check, fields);
}

static bool model_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"gbtree_model_param", trees_param_read, 0},
        {"trees", trees_read, 0},
        {"tree_info", integers_read, AT(groups)},
        {"iteration_indptr", integers_read, AT(layers)},
        {"weights", count_read, AT(weights)},
    };
    if (check->models++ > 0)
        return calm__scan_fail(&check->scan, "there are two models in it");
    return OBJECT_READ(check, fields);
}

/* ---- the file ---- */

static bool dart_read(struct check *check, void *into)
{
    static const struct field fields[] = {{"model", model_read, 0}};
    return OBJECT_READ(check, fields);
}

static bool booster_name_read(struct check *check, void *into)
{
    return word_read(
        check, check->outline.booster, sizeof check->outline.booster);
}

static bool booster_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"name", booster_name_read, 0},
        {"model", model_read, 0},
        {"gbtree", dart_read, 0},
        {"weight_drop", count_read, AT(drops)},
    };
    return OBJECT_READ(check, fields);
}

static bool objective_name_read(struct check *check, void *into)
{
    return word_read(
        check, check->outline.objective, sizeof check->outline.objective);
}

static bool objective_read(struct check *check, void *into)
{
    static const struct field fields[] = {{"name", objective_name_read, 0}};
    return OBJECT_READ(check, fields);
}

/* XGBoost 1.7 reads what is no number as 0 and predicts from there. Later
 * ones write one for each class, in brackets. */
static bool base_score_read(struct check *check, void *into)
{
    struct calm__text text;
    if (!calm__scan_text(&check->scan, &text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!memchr("0123456789+-.eE[], ", text.data[i], 19))
            return calm__scan_fail(
                &check->scan, "the base score is not a number");
    return true;
}

static bool parameters_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"base_score", base_score_read, 0},
        {"num_class", parameter_read, AT(classes)},
        {"num_feature", parameter_read, AT(features_said)},
        {"num_target", parameter_read, AT(targets)},
    };
    return OBJECT_READ(check, fields);
}

static bool learner_read(struct check *check, void *into)
{
    static const struct field fields[] = {
        {"gradient_booster", booster_read, 0},
        {"learner_model_param", parameters_read, 0},
        {"objective", objective_read, 0},
    };
    return OBJECT_READ(check, fields);
}

static bool file_read(struct check *check, void *into)
{
    static const struct field fields[] = {{"learner", learner_read, 0}};
    return OBJECT_READ(check, fields) && calm__scan_end(&check->scan);
}

/* ---- what can only be compared at the end ---- */

static const char *trees_wrong(const struct check *check, size_t groups)
{
    if (check->tree_count != (int64_t)check->trees ||
        check->groups.count != check->trees)
        return "it has more or fewer trees than it says";
    if (check->parallel < 1 || check->parallel > 1 << 20)
        return "its number of parallel trees makes no sense";
    for (size_t i = 0; i < check->groups.count; i++)
        if (check->groups.values[i] < 0 ||
            (size_t)check->groups.values[i] >= groups)
            return "a tree is for a class that does not exist";
    if (check->feature_most >= check->features_said)
        return "a tree asks for a feature that does not exist";
    int32_t before = 0;
    for (size_t i = 0; i < check->layers.count; i++) {
        int32_t layer = check->layers.values[i];
        if (layer < before || (i == 0 && layer != 0))
            return "its rounds are not in order";
        before = layer;
    }
    if (check->layers.count > 0 && (size_t)before != check->trees)
        return "its rounds have more or fewer trees than there are";
    return NULL;
}

static const char *file_wrong(const struct check *check)
{
    const char *booster = check->outline.booster;
    if (check->models == 0 || !booster[0] || !check->outline.objective[0])
        return "it holds no XGBoost model";
    if (check->features_said < 1 || check->features_said > FEATURES_MOST ||
        check->classes < 0 || check->classes > CLASSES_MOST ||
        check->targets < 0 || check->targets > CLASSES_MOST)
        return "its number of features or classes makes no sense";
    size_t groups = check->classes > 1 ? (size_t)check->classes : 1;
    groups *= check->targets > 1 ? (size_t)check->targets : 1;
    if (strcmp(booster, "gblinear") == 0) {
        size_t expected = ((size_t)check->features_said + 1) * groups;
        return check->weights == expected ? NULL
                                          : "it has too few or many weights";
    }
    if (strcmp(booster, "dart") == 0 && check->drops != check->trees)
        return "it has too few or many tree weights";
    if (strcmp(booster, "dart") != 0 && strcmp(booster, "gbtree") != 0)
        return "its kind of booster is unknown";
    return trees_wrong(check, groups);
}

static int result(struct check *check, struct calm__outline *ret_outline)
{
    struct calm__scan *scan = &check->scan;
    if (scan->wrong == calm__scan_no_memory)
        return calm_fail(-ENOMEM, "no memory to check the model");
    if (scan->wrong)
        return calm_fail(CALM_EMODEL, "%s (at byte %zu of %zu)", scan->wrong,
            (size_t)(scan->at - scan->begin),
            (size_t)(scan->end - scan->begin));
    const char *wrong = file_wrong(check);
    if (wrong)
        return calm_fail(CALM_EMODEL, "%s", wrong);
    *ret_outline = check->outline;
    ret_outline->features = (size_t)check->features_said;
    ret_outline->classes = (size_t)check->classes;
    ret_outline->targets = check->targets > 1 ? (size_t)check->targets : 1;
    return 0;
}

int calm__model_check(
    const char *data, size_t len, struct calm__outline *ret_outline)
{
    struct check *check = calm__alloc(sizeof *check);
    if (!check)
        return calm_fail(-ENOMEM, "no memory to check the model");
    memset(check, 0, sizeof *check);
    calm__scan_init(&check->scan, data, len);
    check->parallel = 1;
    check->feature_most = -1;
    file_read(check, NULL);
    int rc = result(check, ret_outline);
    struct calm__integers *lists[] = {&check->left, &check->right,
        &check->parents, &check->features, &check->split_types,
        &check->cat_nodes, &check->cat_begins, &check->cat_sizes,
        &check->categories, &check->groups, &check->layers, &check->todo};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        free(lists[i]->values);
    free(check);
    return rc;
}
