/* ml/api_v2.h - what the two halves of version 2 share */
#ifndef CALM_ML_API_V2_H
#define CALM_ML_API_V2_H

#include "ml/api_tensor.h"

enum { CALM__DIMENSIONS_MOST = 16 };

struct calm__tensor {
    char *name;
    const struct calm__type *type; /* NULL: of a name that is not known */
    int64_t shape[CALM__DIMENSIONS_MOST]; /* -1 is any */
    size_t dimensions;
};

struct calm__v2 {
    char *urls[2]; /* of the model and of the server; either may be NULL */
    struct calm__tensor *inputs;
    size_t input_count;
    struct calm__tensor *outputs;
    size_t output_count;
    bool server_binary; /* it says so */
    bool binary;        /* and it will be used */
    bool matrix;        /* the one input has all columns */
};

/* Reads a shape of at most CALM__DIMENSIONS_MOST. LEAST is -1 in metadata and
 * 0 in answers. Returns 0, or CALM_EFORMAT. */
int calm__shape_read(const calm_json_value *value, int64_t least,
    int64_t *shape, size_t *ret_dimensions);

void calm__tensors_free(struct calm__tensor *tensors, size_t count);

/* The metadata of the model, INDEX 0, or of the server. */
int calm__v2_learn(
    struct calm__api *api, size_t index, const char *body, size_t len);

int calm__v2_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *usage);

#endif
