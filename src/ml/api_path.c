/* api_path.c - "choices[0].message.content": a way into an answer
 *
 * Names with dots between them, [2] for an element of an array, and [] for
 * the array that has an element for each row.
 */
#include "ml/api_inside.h"

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *text, const char *why)
{
    return calm_fail(-EINVAL,
        "the result path '%s' %s\n"
        "hint: names with dots between them, [0] for an element, [] for the "
        "array of rows: data[].label",
        text, why);
}

/* [] or [12]; AT stands behind the bracket. Returns where it ends, or NULL. */
static const char *read_index(const char *at, struct calm__path_step *step)
{
    step->kind = CALM__PATH_ROWS;
    for (; *at >= '0' && *at <= '9'; at++) {
        step->kind = CALM__PATH_INDEX;
        if (step->index > UINT32_MAX)
            return NULL;
        step->index = step->index * 10 + (size_t)(*at - '0');
    }
    return *at == ']' ? at + 1 : NULL;
}

static int add_step(struct calm__path *path, const char **at)
{
    struct calm__path_step *step = &path->steps[path->count];
    *step = (struct calm__path_step){.kind = CALM__PATH_NAME};
    const char *start = *at;
    if (*start == '[') {
        *at = read_index(start + 1, step);
        if (!*at)
            return refuse(path->text, "has a '[' without a number and a ']'");
    } else {
        start += *start == '.' && path->count > 0;
        size_t len = strcspn(start, ".[]");
        if (len == 0)
            return refuse(path->text, "has an empty name in it");
        *at = start + len;
        step->name = strndup(start, len);
        if (!step->name)
            return calm_fail(-ENOMEM, "no memory for a path");
    }
    step->end = (size_t)(*at - path->text);
    if (step->kind == CALM__PATH_ROWS && path->rows != SIZE_MAX)
        return refuse(path->text, "has [] twice");
    if (step->kind == CALM__PATH_ROWS)
        path->rows = path->count;
    path->count++;
    return 0;
}

int calm__path_parse(const char *text, struct calm__path *ret_path)
{
    size_t len = strlen(text);
    struct calm__path path = {.rows = SIZE_MAX};
    path.text = strdup(text);
    path.steps = calloc(len + 1, sizeof *path.steps);
    int rc = path.text && path.steps
                 ? 0
                 : calm_fail(-ENOMEM, "no memory for a path");
    const char *at = path.text;
    while (rc == 0 && *at)
        rc = add_step(&path, &at);
    if (rc < 0) {
        calm__path_clear(&path);
        return rc;
    }
    if (path.rows == SIZE_MAX)
        path.rows = path.count;
    *ret_path = path;
    return 0;
}

void calm__path_clear(struct calm__path *path)
{
    for (size_t i = 0; path->steps && i < path->count; i++)
        free(path->steps[i].name);
    free(path->steps);
    free(path->text);
    *path = (struct calm__path){0};
}

int calm__path_walk(const struct calm__path *path, size_t from, size_t to,
    const calm_json_value *value, const calm_json_value **ret_value)
{
    for (size_t i = from; i < to; i++) {
        const struct calm__path_step *step = &path->steps[i];
        enum calm_json_kind kind = calm_json_kind_of(value);
        const calm_json_value *next = NULL;
        if (step->kind == CALM__PATH_NAME) {
            int rc = calm__reply_member(value, step->name, &next);
            if (rc < 0)
                return rc;
        } else if (kind == CALM_JSON_ARRAY) {
            next = calm_json_at(value, step->index);
        }
        if (!next)
            return calm_fail(CALM_EFORMAT, "there is no '%.*s' in it",
                (int)step->end, path->text);
        value = next;
    }
    *ret_value = value;
    return 0;
}
