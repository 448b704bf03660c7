/* fault.c - named places where tests make things fail, and the allocator */
#include "base/fault.h"

#include <stdlib.h>
#include <string.h>

bool calm__fault_armed;
static const char *armed_name;
static size_t armed_nth, asked;

bool calm__fault_ask(const char *name)
{
    if (armed_name && strcmp(armed_name, name) != 0)
        return false;
    return ++asked == armed_nth;
}

void calm__fault_arm(const char *name, size_t nth)
{
    armed_name = name;
    armed_nth = nth;
    asked = 0;
    calm__fault_armed = true;
}

size_t calm__fault_disarm(void)
{
    calm__fault_armed = false;
    return asked;
}

void *calm__alloc(size_t size)
{
    return calm__fault("memory") ? NULL : malloc(size);
}

void *calm__realloc(void *memory, size_t size)
{
    return calm__fault("memory") ? NULL : realloc(memory, size);
}
