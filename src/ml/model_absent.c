/* model_absent.c - in place of model_xgboost.c in a build without XGBoost */
#include "ml/model.h"

int calm__model_xgboost_load(const char *data, size_t len,
    const calm_model_opts *opts, calm_model **ret_model)
{
    return calm_fail(CALM_EMODEL,
        "this calm was built without XGBoost\n"
        "hint: install libxgboost-dev and build it again");
}

const char *calm_model_library(void)
{
    return "none: built without XGBoost";
}
