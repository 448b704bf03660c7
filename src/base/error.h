/* base/error.h - the error slot that <calm/error.h> talks about
 *
 * A slot is a chain of records: the first is the error that was returned, the
 * others failed beside it. It hangs in a context; each task begins with one,
 * and each thread has one for code outside of tasks. calm__context is the
 * running task's, which makes it the one thread-local of the runtime.
 */
#ifndef CALM_BASE_ERROR_H
#define CALM_BASE_ERROR_H

#include <calm/error.h>

#include <stdarg.h>

/* Thread-locals are read on every switch: the library is linked at start, so
 * the model that costs one instruction is safe. */
#define CALM__THREAD __thread __attribute__((tls_model("initial-exec")))

struct calm__error {
    struct calm__error *next;
    int code;
    char text[];
};

struct calm__context {
    struct calm__error *error;
};

/* NULL outside of tasks; error.c then uses the thread's own context. */
extern CALM__THREAD struct calm__context *calm__context;

int calm__fail_args(int code, const char *format, va_list args);

/* Takes the whole slot out of the running context: the caller owns it. */
struct calm__error *calm__error_take(void);

/* Puts ERROR into the running context in place of what was there. */
void calm__error_set(struct calm__error *error);

/* What CODE means in general, whatever a slot holds. */
const char *calm__code_text(int code);

/* A copy of the chain that explains CODE: of ERROR when it begins with that
 * code, else of the code's general text. What there is no memory for is left
 * out at its end. */
struct calm__error *calm__error_copy(const struct calm__error *error, int code);

void calm__error_free(struct calm__error *error);

/* A new record; NULL when there is no memory: the code alone must do then. */
struct calm__error *calm__error_new(int code, const char *text);

#endif
