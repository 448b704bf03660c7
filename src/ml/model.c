/* model.c - models of every kind, by a table
 *
 * What a model is called decides its kind. Everything that does not depend on
 * the kind is answered here, from the record that each kind begins with.
 */
#include "ml/model.h"

#include <errno.h>
#include <string.h>

/* A URL is no file; the kind that speaks HTTP goes in front of the files. */
static bool is_file(const char *name)
{
    return !strstr(name, "://");
}

static const struct kind {
    bool (*claims)(const char *name);
    CALM_SUSPENDS int (*open)(
        const char *name, const calm_model_opts *opts, calm_model **ret_model);
} kinds[] = {
    {is_file, calm__model_file_open},
};

int calm_model_open(
    const char *path, const calm_model_opts *opts, calm_model **ret_model)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].claims(path))
            return calm_while(kinds[i].open(path, opts, ret_model),
                "cannot load model '%s'", path);
    return calm_fail(CALM_EMODEL,
        "cannot load model '%s': only files can be models\n"
        "hint: give the path of a .json or .ubj file of XGBoost",
        path);
}

void calm_model_close(calm_model *model)
{
    if (model)
        model->methods->close(model);
}

size_t calm_model_features(const calm_model *model)
{
    return model->features;
}

const char *calm_model_feature_name(const calm_model *model, size_t feature)
{
    return model->names && feature < model->features ? model->names[feature]
                                                     : NULL;
}

enum calm_model_kind calm_model_kind(const calm_model *model)
{
    return model->kind;
}

size_t calm_model_values(const calm_model *model)
{
    return model->values;
}

const char *calm_model_objective(const calm_model *model)
{
    return model->objective;
}

const char *calm_model_hash(const calm_model *model)
{
    return model->hash;
}

int calm_model_predict(calm_model *model, const float *matrix, size_t rows,
    size_t columns, float *ret_values)
{
    if (columns != model->features)
        return calm_fail(-EINVAL,
            "the model expects %zu features, the data has %zu", model->features,
            columns);
    return rows ? model->methods->predict(model, matrix, rows, ret_values) : 0;
}

static int most_probable(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return (int)best;
}

int calm_model_label(const calm_model *model, const float *values)
{
    switch (model->kind) {
    case CALM_MODEL_BINARY:
        return values[0] > 0.5f;
    case CALM_MODEL_SCORE:
        return values[0] > 0;
    case CALM_MODEL_CLASS:
        return (int)values[0];
    case CALM_MODEL_PROBABILITIES:
        return most_probable(values, model->values);
    case CALM_MODEL_VALUE:
        break;
    }
    return -1;
}
