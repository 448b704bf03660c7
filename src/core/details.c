/* details.c - what most tasks do not have: a name and local values
 *
 * The values are a list that is only ever added to at its front, so a child
 * can share its parent's: setting a value again puts a newer one before the
 * older. Nodes are counted, as a child may outlive the task that set them.
 */
#include "core/details.h"

#include "base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct calm__local_value {
    struct calm__local_value *next;
    const calm_local *key;
    void *value;
    size_t references;
};

struct calm__details {
    char name[48];
    struct calm__local_value *values;
};

struct calm__details *calm__details_new(void)
{
    struct calm__details *details = calm__alloc(sizeof *details);
    if (details)
        *details = (struct calm__details){.name = ""};
    return details;
}

struct calm__details *calm__details_inherit(struct calm__details *parent)
{
    if (!parent->values)
        return NULL;
    struct calm__details *details = calm__details_new();
    if (details) {
        details->values = parent->values;
        details->values->references++;
    }
    return details;
}

void calm__details_free(struct calm__details *details)
{
    struct calm__local_value *value = details->values;
    while (value && --value->references == 0) {
        struct calm__local_value *next = value->next;
        free(value);
        value = next;
    }
    free(details);
}

static struct calm__details *own_details(void)
{
    struct calm_task *task = calm__self();
    if (task && !task->details)
        task->details = calm__details_new();
    return task ? task->details : NULL;
}

const char *calm_task_name(const calm_task *task)
{
    static CALM__THREAD char number[32];
    if (!task)
        return "no task";
    if (task->details && task->details->name[0])
        return task->details->name;
    if (task->id == 0)
        return "main";
    snprintf(number, sizeof number, "task %llu", (unsigned long long)task->id);
    return number;
}

int calm_name(const char *format, ...)
{
    struct calm__details *details = own_details();
    if (!details)
        return calm_fail(-ENOMEM, "no memory for a task's name");
    va_list args;
    va_start(args, format);
    vsnprintf(details->name, sizeof details->name, format, args);
    va_end(args);
    return 0;
}

int calm_local_set(const calm_local *key, void *value)
{
    struct calm__details *details = own_details();
    struct calm__local_value *node = calm__alloc(sizeof *node);
    if (!details || !node) {
        free(node);
        return calm_fail(-ENOMEM, "no memory for a task's value");
    }
    *node = (struct calm__local_value){details->values, key, value, 1};
    details->values = node;
    return 0;
}

void *calm_local_get(const calm_local *key)
{
    struct calm_task *task = calm__self();
    if (!task || !task->details)
        return NULL;
    struct calm__local_value *value = task->details->values;
    while (value && value->key != key)
        value = value->next;
    return value ? value->value : NULL;
}
