/* ml/serve_tensor.h - tensors of the Open Inference Protocol -> rows */
#ifndef CALM_ML_SERVE_TENSOR_H
#define CALM_ML_SERVE_TENSOR_H

#include "ml/api_tensor.h"
#include "ml/serve.h"

/* One of the request's inputs: COUNT rows of WIDTH elements. */
struct calm__tensor {
    const char *name;
    const struct calm__type *type;
    size_t count, width;
    bool flat; /* its shape has one dimension */

    /* One of the two: a value of JSON, or bytes. */
    const calm_json_value *data;
    const char *raw;
};

/* Reads name, datatype and shape of an input, checks each, and finds its data.
 * Binary data is taken off *RAW, which has *LEN bytes. CALM_EFORMAT with a
 * sentence that names the input. */
int calm__tensor_describe(struct calm__tensor *tensor,
    const calm_json_value *input, const char **raw, size_t *len);

/* Writes the elements to a matrix that has COLUMNS numbers in a row, the first
 * of them at TO. */
int calm__tensor_read(
    const struct calm__tensor *tensor, float *to, size_t columns);

#endif
