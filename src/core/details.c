/* details.c - what most tasks do not have: a name and local values
 *
 * The values are a list that a child shares with its parent: what is shared
 * does not change any more, and setting such a value again puts a newer one
 * at the front. Nodes are counted, as a child may outlive the task that set
 * them.
 */
#include "core/details.h"

#include "base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    if (!task->details)
        task->details = calm__details_new();
    return task->details;
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
    if (!calm__self())
        return calm_fail(-EPERM, "a name was given outside a task");
    struct calm__details *details = own_details();
    if (!details)
        return calm_fail(-ENOMEM, "no memory for a task's name");
    char name[sizeof details->name]; /* the old one may be an argument */
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    memcpy(details->name, name, sizeof name);
    return 0;
}

/* The node of KEY if nobody shares it: neither it nor one before it has been
 * inherited by a child. */
static struct calm__local_value *unshared(
    struct calm__details *details, const calm_local *key)
{
    struct calm__local_value *value = details ? details->values : NULL;
    while (value && value->references == 1 && value->key != key)
        value = value->next;
    return value && value->references == 1 ? value : NULL;
}

int calm_local_set(const calm_local *key, void *value)
{
    if (!calm__self())
        return calm_fail(-EPERM, "a value was set outside a task");
    struct calm__details *details = own_details();
    struct calm__local_value *node = unshared(details, key);
    if (node) {
        node->value = value;
        return 0;
    }
    node = calm__alloc(sizeof *node);
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
