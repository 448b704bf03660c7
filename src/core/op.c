/* op.c - a task that waits for an operation of the kernel */
#include "core/loop.h"

#include <errno.h>
#include <limits.h>

static void op_done(struct calm__op *op)
{
    int64_t result = op->result;
    calm__unpark(op->task, result > INT_MAX ? INT_MAX : (int)result);
}

/* The kernel may write to the buffer until the operation has completed, so
 * the wait goes on until then. */
static void op_cancel(struct calm_task *task, void *object)
{
    struct calm__backend *backend = calm__loop_here->backend;
    backend->methods->cancel(backend, object);
}

/* A task that is cancelled already would not be told again, so it starts
 * nothing. And as being ready is nothing that can be lost, there the cancel
 * wins: the bytes stay for the next reader. */
int calm__op_wait(struct calm__op *op, const char *what)
{
    struct calm__backend *backend = calm__loop_here->backend;
    const struct calm__wait wait = {.what = what, .cancel = op_cancel};
    struct calm_task *task = calm__self();
    if (task->cancelled)
        return -ECANCELED;
    op->task = task;
    op->done = op_done;
    backend->methods->start(backend, op);
    int rc = calm__park(&wait, op);
    bool readiness =
        op->kind == CALM__OP_READABLE || op->kind == CALM__OP_WRITABLE;
    return readiness && rc == 0 && task->cancelled ? -ECANCELED : rc;
}

void calm__op_set_idle(struct calm__op *op, bool idle)
{
    struct calm__backend *backend = calm__loop_here->backend;
    if (op->idle == idle)
        return;
    op->idle = idle;
    --*(idle ? &backend->possible : &backend->idle);
    ++*(idle ? &backend->idle : &backend->possible);
}
