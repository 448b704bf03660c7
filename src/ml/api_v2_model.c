/* api_v2_model.c - the Open Inference Protocol: what a model and a server say
 * about themselves
 */
#include "ml/api_v2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void calm__tensors_free(struct calm__tensor *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(tensors[i].name);
    free(tensors);
}

int calm__shape_read(const calm_json_value *value, int64_t least,
    int64_t *shape, size_t *ret_dimensions)
{
    size_t count = 0;
    if (calm_json_kind_of(value) != CALM_JSON_ARRAY ||
        calm_json_count(value) > CALM__DIMENSIONS_MOST)
        return calm_fail(CALM_EFORMAT,
            "a shape is no array of at most %d numbers", CALM__DIMENSIONS_MOST);
    for (const calm_json_value *each = calm_json_first(value); each;
         each = calm_json_next(each)) {
        int rc = calm_json_int64(each, &shape[count]);
        if (rc < 0 || shape[count] < least)
            return calm_fail(CALM_EFORMAT, "a shape has %s in it",
                rc < 0 ? "what is no whole number" : "a negative number");
        count++;
    }
    *ret_dimensions = count;
    return 0;
}

static int tensor_read(
    const calm_json_value *value, struct calm__tensor *ret_tensor)
{
    struct calm__tensor tensor = {0};
    const char *name = calm_json_text(calm_json_get(value, "name"), NULL);
    const char *type = calm_json_text(calm_json_get(value, "datatype"), NULL);
    if (!name || !type)
        return calm_fail(CALM_EFORMAT, "a tensor has no name or no datatype");
    int rc = calm__shape_read(calm_json_get(value, "shape"), /* least= */ -1,
        tensor.shape, &tensor.dimensions);
    if (rc < 0)
        return rc;
    tensor.type = calm__type_find(type);
    tensor.name = strdup(name);
    if (!tensor.name)
        return calm_fail(-ENOMEM, "no memory for metadata");
    *ret_tensor = tensor;
    return 0;
}

static int tensors_read(const calm_json_value *list,
    struct calm__tensor **ret_tensors, size_t *ret_count)
{
    size_t count = 0, most = calm_json_count(list);
    if (list && calm_json_kind_of(list) != CALM_JSON_ARRAY)
        return calm_fail(CALM_EFORMAT, "the tensors are not an array");
    struct calm__tensor *tensors = calloc(most ? most : 1, sizeof *tensors);
    if (!tensors)
        return calm_fail(-ENOMEM, "no memory for metadata");
    for (const calm_json_value *each = calm_json_first(list); each;
         each = calm_json_next(each)) {
        int rc = tensor_read(each, &tensors[count]);
        if (rc < 0) {
            calm__tensors_free(tensors, count);
            return rc;
        }
        count++;
    }
    *ret_tensors = tensors;
    *ret_count = count;
    return 0;
}

static int learn_model(struct calm__v2 *v2, const calm_json_value *root)
{
    struct calm__tensor *inputs, *outputs;
    size_t input_count, output_count;
    if (calm_json_kind_of(root) != CALM_JSON_OBJECT)
        return calm_fail(CALM_EFORMAT, "the metadata is not an object");
    int rc = tensors_read(calm_json_get(root, "inputs"), &inputs, &input_count);
    if (rc < 0)
        return rc;
    rc = tensors_read(calm_json_get(root, "outputs"), &outputs, &output_count);
    if (rc < 0) {
        calm__tensors_free(inputs, input_count);
        return rc;
    }
    calm__tensors_free(v2->inputs, v2->input_count);
    calm__tensors_free(v2->outputs, v2->output_count);
    v2->inputs = inputs;
    v2->input_count = input_count;
    v2->outputs = outputs;
    v2->output_count = output_count;
    return 0;
}

static void learn_server(struct calm__v2 *v2, const calm_json_value *root)
{
    const calm_json_value *list = calm_json_get(root, "extensions");
    for (const calm_json_value *each = calm_json_first(list); each;
         each = calm_json_next(each)) {
        const char *name = calm_json_text(each, NULL);
        if (name && strcmp(name, "binary_tensor_data") == 0)
            v2->server_binary = true;
    }
}

int calm__v2_learn(
    struct calm__api *api, size_t index, const char *body, size_t len)
{
    calm_json_doc *doc;
    int rc = calm_json_parse(body, len, NULL, &doc);
    if (rc < 0)
        return calm_while(rc == CALM_ELIMIT
                              ? calm_fail(CALM_EFORMAT, "%s", calm_message(rc))
                              : rc,
            "the metadata");
    if (index == 0)
        rc = learn_model(api->own, calm_json_root(doc));
    else
        learn_server(api->own, calm_json_root(doc));
    calm_json_free(doc);
    return calm_while(rc, "the metadata");
}
