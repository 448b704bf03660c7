/* ml/api_tensor.h - the elements of tensors, as JSON and as bytes */
#ifndef CALM_ML_API_TENSOR_H
#define CALM_ML_API_TENSOR_H

#include "ml/api_inside.h"

enum calm__class {
    CALM__BOOL,
    CALM__UINT,
    CALM__INT,
    CALM__FLOAT,
    CALM__BYTES
};

struct calm__type {
    const char *name;
    enum calm__class class;
    size_t size; /* bytes of an element; 0: a length of 4 bytes in front */
};

/* By its name, "FP32"; NULL for one that is not known. */
const struct calm__type *calm__type_find(const char *name);

/* A number of half precision. */
float calm__float_of_half(uint16_t half);

/* FP16 has no form in JSON. */
static inline bool calm__type_has_json(const struct calm__type *type)
{
    return type->class != CALM__FLOAT || type->size > 2;
}

/* Appends a cell as an element. Returns 0, -ENOMEM, or CALM_EFORMAT with a
 * sentence for a cell that is none. */
int calm__element_put_json(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    calm_bytes *out);
int calm__element_put_binary(const struct calm__api *api, size_t column,
    const struct calm__type *type, const struct calm__cell *cell,
    calm_bytes *out);

/* Whether a value may be an element of this type. */
bool calm__element_fits(
    const struct calm__type *type, const calm_json_value *value);

/* The bytes of the element at DATA, of LEN that are there; 0 when it is not
 * whole. */
size_t calm__element_size(
    const struct calm__type *type, const char *data, size_t len);

/* Appends the element at DATA, which is whole, as text: of BYTES a string of
 * JSON if QUOTED, else as it is, with U+FFFD for what is not UTF-8. Sets
 * RET_JSON to false where the text is no JSON. Returns 0 or -ENOMEM. */
int calm__element_show(const struct calm__type *type, const char *data,
    bool quoted, calm_bytes *out, bool *ret_json);

#endif
