/* serve_tensor.c - tensors of the Open Inference Protocol -> rows
 *
 * A shape is the client's claim: its product is formed with care, and must be
 * the number of elements that are there, before anything is allocated.
 * Elements of JSON may be flat, row after row, or nested as the shape says.
 * Binary ones are little-endian, and may lie at any address.
 */
#include "ml/serve_tensor.h"

#include <errno.h>
#include <string.h>

/* ---- what is claimed ---- */

static int datatype_read(
    struct calm__tensor *tensor, const calm_json_value *input)
{
    const char *text =
        calm_json_text(calm_json_get(input, "datatype"), /* ret_len= */ NULL);
    if (!text)
        return calm_fail(
            CALM_EFORMAT, "input '%.64s' has no datatype", tensor->name);
    tensor->type = calm__type_find(text);
    if (!tensor->type || tensor->type->class == CALM__BYTES)
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' has datatype '%.32s', which is no number",
            tensor->name, text);
    return 0;
}

static int shape_read(struct calm__tensor *tensor, const calm_json_value *input)
{
    const calm_json_value *shape = calm_json_get(input, "shape");
    size_t rank = calm_json_count(shape);
    int64_t sizes[2] = {0, 1};
    size_t at = 0;
    if (calm_json_kind_of(shape) != CALM_JSON_ARRAY || rank < 1 || rank > 2)
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' needs a shape of one or two dimensions",
            tensor->name);
    for (const calm_json_value *size = calm_json_first(shape); size;
         size = calm_json_next(size), at++)
        if (calm_json_int64(size, &sizes[at]) < 0 || sizes[at] < 0)
            return calm_fail(CALM_EFORMAT,
                "the shape of input '%.64s' has a size that is none",
                tensor->name);
    tensor->count = (size_t)sizes[0];
    tensor->width = (size_t)sizes[1];
    tensor->flat = rank == 1;
    return 0;
}

/* How many elements there are; SIZE_MAX, which are never there, if the product
 * is beyond all numbers. */
static size_t elements(const struct calm__tensor *tensor)
{
    size_t product;
    if (__builtin_mul_overflow(tensor->count, tensor->width, &product))
        return SIZE_MAX;
    return product;
}

static int raw_find(
    struct calm__tensor *tensor, int64_t size, const char **raw, size_t *len)
{
    size_t bytes;
    if (__builtin_mul_overflow(elements(tensor), tensor->type->size, &bytes) ||
        size < 0 || (size_t)size != bytes)
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' has %lld bytes, which is not what its shape needs",
            tensor->name, (long long)size);
    if (bytes > *len)
        return calm_fail(CALM_EFORMAT,
            "the body ends in the midst of input '%.64s'", tensor->name);
    tensor->raw = *raw;
    *raw += bytes;
    *len -= bytes;
    return 0;
}

static bool is_nested(const struct calm__tensor *tensor)
{
    return !tensor->flat &&
           calm_json_kind_of(calm_json_first(tensor->data)) == CALM_JSON_ARRAY;
}

static int json_find(struct calm__tensor *tensor)
{
    size_t count = calm_json_count(tensor->data);
    if (calm_json_kind_of(tensor->data) != CALM_JSON_ARRAY)
        return calm_fail(
            CALM_EFORMAT, "input '%.64s' has no data", tensor->name);
    if (!calm__type_has_json(tensor->type))
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' is of FP16, which only binary data can be",
            tensor->name);
    if (count != (is_nested(tensor) ? tensor->count : elements(tensor)))
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' has %zu elements, which is not what its shape needs",
            tensor->name, count);
    return 0;
}

static int data_find(struct calm__tensor *tensor, const calm_json_value *input,
    const char **raw, size_t *len)
{
    int64_t size;
    const calm_json_value *binary =
        calm_json_get(calm_json_get(input, "parameters"), "binary_data_size");
    tensor->data = calm_json_get(input, "data");
    if (binary && tensor->data)
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' has both data and binary data", tensor->name);
    if (binary && calm_json_int64(binary, &size) < 0)
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' has a binary_data_size that is none", tensor->name);
    if (binary)
        return raw_find(tensor, size, raw, len);
    return json_find(tensor);
}

int calm__tensor_describe(struct calm__tensor *tensor,
    const calm_json_value *input, const char **raw, size_t *len)
{
    *tensor = (struct calm__tensor){
        .name = calm_json_text(calm_json_get(input, "name"), NULL)};
    if (!tensor->name)
        return calm_fail(CALM_EFORMAT, "an input has no name");
    int rc = datatype_read(tensor, input);
    if (rc == 0)
        rc = shape_read(tensor, input);
    return rc < 0 ? rc : data_find(tensor, input, raw, len);
}

/* ---- elements of JSON ---- */

static int element_read(const struct calm__tensor *tensor,
    const calm_json_value *value, float *ret_number)
{
    if (!calm__element_fits(tensor->type, value)) {
        size_t len;
        const char *raw = calm_json_raw(value, &len);
        return calm_fail(CALM_EFORMAT,
            "input '%.64s' has an element '%.*s', which is no %s", tensor->name,
            (int)(len < 32 ? len : 32), raw, tensor->type->name);
    }
    *ret_number = (float)calm_json_number(value); /* null is NaN */
    return 0;
}

static int row_read(const struct calm__tensor *tensor,
    const calm_json_value *value, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++, value = calm_json_next(value)) {
        int rc = element_read(tensor, value, &to[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int nested_read(
    const struct calm__tensor *tensor, float *to, size_t columns)
{
    for (const calm_json_value *row = calm_json_first(tensor->data); row;
         row = calm_json_next(row), to += columns) {
        if (calm_json_kind_of(row) != CALM_JSON_ARRAY ||
            calm_json_count(row) != tensor->width)
            return calm_fail(CALM_EFORMAT,
                "input '%.64s' is not nested as its shape says", tensor->name);
        int rc = row_read(tensor, calm_json_first(row), tensor->width, to);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int flat_read(
    const struct calm__tensor *tensor, float *to, size_t columns)
{
    const calm_json_value *value = calm_json_first(tensor->data);
    for (size_t row = 0; row < tensor->count; row++, to += columns)
        for (size_t i = 0; i < tensor->width;
             i++, value = calm_json_next(value)) {
            int rc = element_read(tensor, value, &to[i]);
            if (rc < 0)
                return rc;
        }
    return 0;
}

/* ---- binary elements ---- */

static uint64_t raw_unsigned(const char *raw, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, raw, size); /* little-endian, as the processor */
    return value;
}

static int64_t raw_signed(const char *raw, size_t size)
{
    uint64_t value = raw_unsigned(raw, size) << (64 - 8 * size);
    return (int64_t)value >> (64 - 8 * size);
}

static float raw_float(const char *raw, size_t size)
{
    float single;
    double twice;
    if (size == 2)
        return calm__float_of_half((uint16_t)raw_unsigned(raw, 2));
    memcpy(&single, raw, sizeof single);
    if (size == 4)
        return single;
    memcpy(&twice, raw, sizeof twice);
    return (float)twice;
}

static float raw_element(const struct calm__type *type, const char *raw)
{
    switch (type->class) {
    case CALM__BOOL:
        return *raw != 0;
    case CALM__UINT:
        return (float)raw_unsigned(raw, type->size);
    case CALM__INT:
        return (float)raw_signed(raw, type->size);
    default:
        return raw_float(raw, type->size);
    }
}

static void raw_read(
    const struct calm__tensor *tensor, float *to, size_t columns)
{
    const char *raw = tensor->raw;
    size_t size = tensor->type->size;
    for (size_t row = 0; row < tensor->count; row++, to += columns) {
        if (tensor->type->class == CALM__FLOAT && size == sizeof(float))
            memcpy(to, raw, tensor->width * size);
        else
            for (size_t i = 0; i < tensor->width; i++)
                to[i] = raw_element(tensor->type, raw + i * size);
        raw += tensor->width * size;
    }
}

int calm__tensor_read(
    const struct calm__tensor *tensor, float *to, size_t columns)
{
    if (tensor->raw) {
        raw_read(tensor, to, columns);
        return 0;
    }
    return is_nested(tensor) ? nested_read(tensor, to, columns)
                             : flat_read(tensor, to, columns);
}
