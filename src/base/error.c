/* error.c - the error slot: sentences that travel with return values
 *
 * A record is allocated only when something fails, so a task that does not
 * fail pays one pointer. When no memory is left the code still travels and
 * calm_message() falls back to the code's general text.
 */
#include "base/error.h"

#include "base/fault.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CALM__THREAD struct calm__context *calm__context;
static CALM__THREAD struct calm__context outside;

/* Two of them are errno's, whose texts are about sockets: here a scope or a
 * queue is what they come from. What the kernel says of a socket is put into
 * the sentence by %m, and is not looked up here. */
static const struct {
    int code;
    const char *name;
    const char *text;
} own_codes[] = {
    {CALM_EFORMAT, "CALM_EFORMAT", "input breaks the rules of its format"},
    {CALM_ELIMIT, "CALM_ELIMIT", "input is beyond a bound"},
    {CALM_EMODEL, "CALM_EMODEL", "the model cannot be used"},
    {CALM_EROW, "CALM_EROW", "the row failed"},
    {CALM_ETLS, "CALM_ETLS", "no secure connection"},
    {CALM_EHTTP, "CALM_EHTTP", "the answer is not good HTTP"},
    {CALM_EREMOTE, "CALM_EREMOTE", "the other side wants this to stop"},
    {-ETIMEDOUT, "ETIMEDOUT", "the timeout expired"},
    {-ESHUTDOWN, "ESHUTDOWN", "the queue was closed"},
};

static struct calm__context *context(void)
{
    return calm__context ? calm__context : &outside;
}

struct calm__error *calm__error_new(int code, const char *text)
{
    size_t size = strlen(text) + 1;
    struct calm__error *error = calm__alloc(sizeof *error + size);
    if (!error)
        return NULL;
    error->next = NULL;
    error->code = code;
    memcpy(error->text, text, size);
    return error;
}

void calm__error_free(struct calm__error *error)
{
    while (error) {
        struct calm__error *next = error->next;
        free(error);
        error = next;
    }
}

struct calm__error *calm__error_take(void)
{
    struct calm__error *error = context()->error;
    context()->error = NULL;
    return error;
}

void calm__error_set(struct calm__error *error)
{
    calm__error_free(context()->error);
    context()->error = error;
}

struct calm__error *calm__error_copy(const struct calm__error *error, int code)
{
    if (!error || error->code != code)
        return calm__error_new(code, calm__code_text(code));
    struct calm__error *first = NULL, **end = &first;
    for (; error; error = error->next) {
        *end = calm__error_new(error->code, error->text);
        if (!*end)
            break;
        end = &(*end)->next;
    }
    return first;
}

int calm__fail_args(int code, const char *format, va_list args)
{
    assert(code < 0);
    char text[CALM_MESSAGE_MAX];
    vsnprintf(text, sizeof text, format, args);
    calm__error_set(calm__error_new(code, text));
    return code;
}

int calm_fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    calm__fail_args(code, format, args);
    va_end(args);
    return code;
}

int calm_while(int code, const char *format, ...)
{
    if (code >= 0)
        return code;
    char text[CALM_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof text)
        snprintf(text + len, sizeof text - len, ": %s", calm_message(code));
    struct calm__error *error = calm__error_new(code, text);
    struct calm__error *slot = context()->error;
    if (error && slot && slot->code == code) {
        error->next = slot->next;
        slot->next = NULL;
    }
    calm__error_set(error);
    return code;
}

const char *calm__code_text(int code)
{
    for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++)
        if (own_codes[i].code == code)
            return own_codes[i].text;
    if (code >= 0)
        return "success";
    const char *text = code > INT_MIN ? strerrordesc_np(-code) : NULL;
    return text ? text : "unknown error";
}

const char *calm_message(int code)
{
    struct calm__error *error = context()->error;
    return error && error->code == code ? error->text : calm__code_text(code);
}

const char *calm_code_name(int code)
{
    static CALM__THREAD char unknown[16];
    for (size_t i = 0; i < sizeof own_codes / sizeof *own_codes; i++)
        if (own_codes[i].code == code)
            return own_codes[i].name;
    unsigned int number = code < 0 ? -(unsigned int)code : (unsigned int)code;
    const char *name = number <= INT_MAX ? strerrorname_np((int)number) : NULL;
    if (name)
        return name;
    snprintf(unknown, sizeof unknown, "E%u", number);
    return unknown;
}

size_t calm_error_count(void)
{
    size_t count = 0;
    for (struct calm__error *e = context()->error; e; e = e->next)
        count++;
    return count;
}

int calm_error_get(size_t index, const char **ret_message)
{
    struct calm__error *error = context()->error;
    while (error && index--)
        error = error->next;
    if (!error)
        return 0;
    if (ret_message)
        *ret_message = error->text;
    return error->code;
}

void calm_error_clear(void)
{
    calm__error_set(NULL);
}
