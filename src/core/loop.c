/* loop.c - the queue of ready tasks, the switch between them, and the poll
 *
 * Tasks switch to each other directly: a task that parks takes the next from
 * the queue and leaves for its stack. Only when the queue is empty, or after
 * 61 steps, does it leave for the loop's own stack, which runs timers and
 * posts and polls the backend. A task that ends hands its stack to the next
 * one if that has not started yet, so a row of short tasks is a loop of calls.
 */
#include "core/loop.h"

#include "base/clock.h"
#include "base/fault.h"
#include "core/switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

CALM__THREAD struct calm__loop *calm__loop_here;

void calm__fatal(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    len = len < (int)sizeof text - 1 ? len : (int)sizeof text - 2;
    text[len++] = '\n';
    if (write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}

void calm__loop_report(struct calm__loop *loop, const char *text)
{
    if (loop->config.report)
        loop->config.report(loop->config.report_ctx, text);
}

/* ---- the queue ---- */

static bool ready_grow(struct calm__loop *loop)
{
    uint32_t capacity = 2 * (loop->mask + 1);
    struct calm_task **ready = calloc(capacity, sizeof *ready);
    if (!ready)
        return false;
    for (uint32_t i = loop->head; i != loop->tail; i++)
        ready[i & (capacity - 1)] = loop->ready[i & loop->mask];
    free(loop->ready);
    loop->ready = ready;
    loop->mask = capacity - 1;
    return true;
}

/* Room for every live task is made when a task is created, so waking one
 * cannot fail. */
bool calm__ready_reserve(struct calm__loop *loop, size_t count)
{
    while (count > loop->mask)
        if (!ready_grow(loop))
            return false;
    return true;
}

void calm__ready_push(struct calm__loop *loop, struct calm_task *task)
{
    task->state = CALM__READY;
    loop->ready[loop->tail++ & loop->mask] = task;
}

/* Whether a poll could bring anything: nothing is under way and nobody has
 * posted. */
static bool poll_is_idle(const struct calm__loop *loop)
{
    return loop->timers.count == 0 && loop->backend->certain == 0 &&
           loop->backend->possible == 0 &&
           !atomic_load_explicit(&loop->posts, memory_order_relaxed);
}

/* The next task to run, or NULL when it is time to poll. */
static inline struct calm_task *next_task(struct calm__loop *loop)
{
    loop->credit = CALM__CREDIT;
    if (loop->head == loop->tail)
        return NULL;
    if (loop->steps == 0) {
        if (!poll_is_idle(loop))
            return NULL;
        loop->steps = loop->step_quota = CALM__STEPS;
    }
    loop->steps--;
    struct calm_task *task = loop->ready[loop->head++ & loop->mask];
    /* With thousands of tasks every record and stack is out of the nearer
     * caches; ask for those of the next two before they are needed. */
    if (loop->tail - loop->head >= 2) {
        struct calm_task *soon = loop->ready[(loop->head + 1) & loop->mask];
        struct calm_task *next = loop->ready[loop->head & loop->mask];
        __builtin_prefetch(soon);
        __builtin_prefetch((char *)soon + 64);
        if (next->stack_pointer) {
            __builtin_prefetch(next->stack_pointer);
            __builtin_prefetch((char *)next->stack_pointer + 64);
        }
    }
    return task;
}

/* ---- slow steps ---- */

static void step_was_slow(
    struct calm__loop *loop, struct calm_task *task, uint32_t ticks)
{
    uint32_t lasted = ticks - loop->ticks_seen;
    loop->ticks_seen = ticks;
    loop->steps = 0; /* a poll is due: others have waited */
    if (lasted < CALM__SLOW_TICKS)
        return;
    char text[160];
    snprintf(text, sizeof text,
        "task '%s' held the loop for about %u ms without waiting",
        calm_task_name(task), (lasted - 1) * 10);
    calm__loop_report(loop, text);
}

static inline void step_ends(struct calm__loop *loop, struct calm_task *task)
{
    uint32_t ticks = atomic_load_explicit(loop->ticks, memory_order_relaxed);
    if (__builtin_expect(ticks != loop->ticks_seen, false))
        step_was_slow(loop, task, ticks);
    if (__builtin_expect(loop->stacks.guard == CALM__GUARD_CANARY, false) &&
        calm__stack_overrun(task->stack))
        calm__fatal("calm: task '%s': stack overflow, found by its canary",
            calm_task_name(task));
}

/* ---- the switch ---- */

/* What is the processor's and the thread's becomes the task's TO. */
static inline void float_enter(
    const struct calm_task *to, uint32_t mxcsr, uint16_t control_word)
{
    if (__builtin_expect(((mxcsr ^ to->mxcsr) & CALM__FLOAT_SETTINGS) ||
                             control_word != to->control_word,
            false))
        calm__float_set(to->mxcsr, to->control_word);
}

static inline void task_enter(struct calm__loop *loop, struct calm_task *to)
{
    *loop->errno_here = to->saved_errno;
    to->state = CALM__RUNNING;
    calm__context = to == &loop->self ? NULL : &to->context;
}

static inline void fiber_leave(void **save, const struct calm__stack *to)
{
    calm__fiber_leave(save, to->base, (size_t)(to->end - to->base));
}

static void *task_main(void);

/* Goes on in TO, keeping in FROM all that belongs to it. */
static inline void switch_to(
    struct calm__loop *loop, struct calm_task *from, struct calm_task *to)
{
    calm__float_get(&from->mxcsr, &from->control_word);
    float_enter(to, from->mxcsr, from->control_word);
    from->saved_errno = *loop->errno_here;
    task_enter(loop, to);
    struct calm__stack *own = from->stack;
    fiber_leave(&own->fake, to->stack);
    bool fresh = !to->stack_pointer;
    calm__switch(&from->stack_pointer,
        fresh ? to->stack->top : to->stack_pointer, fresh ? task_main : NULL);
    calm__fiber_arrive(own->fake, NULL, NULL);
}

/* Gives a task that has not run yet a stack; without one it ends here. */
static bool task_start(struct calm__loop *loop, struct calm_task *task)
{
    struct calm__stack *stack = calm__stack_get(&loop->stacks);
    if (!stack) {
        task->context.error =
            calm__error_new(-ENOMEM, "no memory for a task's stack");
        calm__task_end(loop, task, -ENOMEM);
        return false;
    }
    task->stack = stack;
    task->mxcsr = loop->self.mxcsr;
    task->control_word = loop->self.control_word;
    return true;
}

static __attribute__((noinline)) struct calm_task *started(
    struct calm__loop *loop, struct calm_task *task)
{
    while (task && !task->stack && !task_start(loop, task))
        task = next_task(loop);
    return task;
}

/* The next task, which has a stack, or the loop's own. */
static inline struct calm_task *next_started(struct calm__loop *loop)
{
    struct calm_task *task = next_task(loop);
    if (task && !task->stack)
        task = started(loop, task);
    return task ? task : &loop->self;
}

/* The running task is parked or in the queue: goes on elsewhere until it is
 * its turn again. */
static void leave(struct calm__loop *loop, struct calm_task *task)
{
    step_ends(loop, task);
    struct calm_task *next = next_started(loop);
    if (next == task)
        task->state = CALM__RUNNING;
    else
        switch_to(loop, task, next);
}

/* Runs the task that has been switched to, and then those that it may hand
 * its stack to, as they have not started either. Returns the one to switch to
 * when there is none of these. */
static struct calm_task *tasks_run(
    struct calm__loop *loop, struct calm__stack *stack)
{
    for (;;) {
        struct calm_task *task = calm__self();
        int rc = task->fn(task->arg);
        step_ends(loop, task);
        task->stack = NULL;
        calm__context = NULL;
        calm__task_end(loop, task, rc);
        struct calm_task *next = next_task(loop);
        if (!next)
            next = &loop->self;
        uint32_t mxcsr;
        uint16_t control_word;
        calm__float_get(&mxcsr, &control_word);
        if (!next->stack) {
            next->stack = stack;
            next->mxcsr = loop->self.mxcsr;
            next->control_word = loop->self.control_word;
        }
        float_enter(next, mxcsr, control_word);
        task_enter(loop, next);
        if (next->stack != stack)
            return next;
    }
}

/* The first frame of every stack. Not for the address sanitizer, which must
 * think that the stack has been left while this returns from it. */
__attribute__((no_sanitize("address"))) static void *task_main(void)
{
    struct calm__loop *loop = calm__loop_here;
    struct calm__stack *stack = calm__self()->stack;
    const void *base = NULL;
    size_t size = 0;
    calm__fiber_arrive(NULL, &base, &size);
    if (!loop->self_stack.base) { /* the first task comes from the loop */
        loop->self_stack.base = (char *)base;
        loop->self_stack.end = (char *)base + size;
    }
    struct calm_task *next = tasks_run(loop, stack);
    calm__stack_put(&loop->stacks, stack);
    fiber_leave(NULL, next->stack);
    return next->stack_pointer;
}

int calm__park(const struct calm__wait *wait, void *object)
{
    struct calm__loop *loop = calm__loop_here;
    struct calm_task *task = calm__self();
    task->wait = wait;
    task->wait_object = object;
    task->state = CALM__WAITING;
    leave(loop, task);
    task->wait = NULL;
    return task->result;
}

void calm__unpark(struct calm_task *task, int result)
{
    assert(task->state == CALM__WAITING);
    task->result = result;
    calm__ready_push(calm__loop_here, task);
}

void calm__loop_yield(struct calm__loop *loop, struct calm_task *task)
{
    calm__ready_push(loop, task);
    leave(loop, task);
}

int calm__enter(void)
{
    struct calm_task *task = calm__self();
    if (!task)
        return calm_fail(-EPERM, "a call that waits was made outside a task");
    struct calm__loop *loop = calm__loop_here;
    /* Also when cancelled: a loop that ignores its errors shall not hold up
     * the others. */
    if (--loop->credit == 0)
        calm__loop_yield(loop, task);
    return task->cancelled ? -ECANCELED : 0;
}

int calm_checkpoint(void)
{
    struct calm_task *task = calm__self();
    if (!task)
        return calm_fail(-EPERM, "a call that waits was made outside a task");
    struct calm__loop *loop = calm__loop_here;
    if (!task->cancelled || --loop->credit == 0)
        calm__loop_yield(loop, task);
    return task->cancelled ? -ECANCELED : 0;
}

/* ---- the poll ---- */

/* A wait costs up to ten microseconds of the processor. Where thousands sleep
 * the ends lie closer together than that, so the loop waits a little longer
 * than for the first of them, and one wake serves all. */
enum {
    CROWD = 1000,
    CROWD_WAIT = 100 * (int)CALM_US,
};

static void timers_run(struct calm__loop *loop)
{
    if (!loop->config.virtual_clock)
        loop->now = calm__clock_now();
    struct calm__timer *timer;
    while ((timer = calm__heap_first(&loop->timers)) &&
           timer->deadline <= loop->now) {
        calm__heap_remove(&loop->timers, timer);
        calm__timer_fire(timer);
    }
}

static bool any_ready(const struct calm__loop *loop)
{
    return loop->head != loop->tail;
}

/* Long steps make for few steps between polls: about a millisecond's worth. */
static void quota_adapt(struct calm__loop *loop, int64_t since)
{
    int64_t elapsed = loop->now - since;
    uint32_t done = loop->step_quota - loop->steps;
    if (elapsed > CALM_MS && done > 0) {
        int64_t fit = done * CALM_MS / elapsed;
        loop->step_quota = fit < 1 ? 1 : (uint32_t)fit;
    } else {
        loop->step_quota = CALM__STEPS;
    }
}

static int backend_poll(struct calm__loop *loop, int64_t timeout)
{
    return loop->backend->methods->poll(loop->backend, timeout);
}

/* Nothing is ready and no time will make it so: is anything else to come? */
static bool nothing_can_happen(const struct calm__loop *loop)
{
    return loop->timers.count == 0 && loop->expected == 0 && loop->doors == 0 &&
           loop->backend->certain == 0 && loop->backend->possible == 0;
}

/* First the main task is cancelled, which every wait but a shielded one
 * answers; what still waits after that is ended by force. */
static void deadlock_end(struct calm__loop *loop)
{
    if (!loop->deadlocked) {
        loop->deadlocked = true;
        loop->report = calm__deadlock_report(loop);
        if (loop->report)
            calm__loop_report(loop, loop->report->text);
        calm_cancel(loop->main);
        if (any_ready(loop))
            return;
    }
    calm__waits_break(loop);
    if (!any_ready(loop))
        calm__fatal("calm: %s", loop->report ? loop->report->text : "deadlock");
}

/* Time as tests see it: what is certain to complete is waited for, then the
 * clock jumps; but not while an operation leads to the next without making a
 * task ready. Returns whether it is virtual. */
static bool virtual_jump(struct calm__loop *loop)
{
    if (!loop->config.virtual_clock || loop->timers.count == 0)
        return false;
    if (loop->expected || loop->backend->certain)
        return false;
    size_t done;
    do {
        done = loop->backend->done;
        backend_poll(loop, 0);
        calm__posts_run(loop);
    } while (!any_ready(loop) && loop->backend->done != done);
    if (!any_ready(loop) && loop->timers.count > 0) {
        loop->now = calm__heap_first(&loop->timers)->deadline;
        timers_run(loop);
    }
    return true;
}

static bool has_ended(const struct calm__loop *loop)
{
    return loop->live_count == 0 && loop->expected == 0;
}

static int wait_for_more(struct calm__loop *loop)
{
    if (has_ended(loop)) /* the last post has just come back */
        return 0;
    if (virtual_jump(loop))
        return 0;
    if (nothing_can_happen(loop)) {
        deadlock_end(loop);
        return 0;
    }
    int64_t timeout = CALM_FOREVER;
    if (loop->timers.count > 0 && !loop->config.virtual_clock)
        timeout = calm__heap_first(&loop->timers)->deadline - loop->now;
    if (loop->timers.count >= CROWD && timeout > 0)
        timeout += CROWD_WAIT;
    atomic_store(&loop->sleeping, true);
    if (atomic_load(&loop->posts))
        timeout = 0;
    int rc = backend_poll(loop, timeout < 0 ? 0 : timeout);
    atomic_store(&loop->sleeping, false);
    timers_run(loop);
    calm__posts_run(loop);
    loop->ticks_seen = atomic_load_explicit(loop->ticks, memory_order_relaxed);
    return rc;
}

static int loop_poll(struct calm__loop *loop)
{
    int64_t since = loop->now;
    timers_run(loop);
    if (!loop->config.virtual_clock)
        quota_adapt(loop, since);
    calm__posts_run(loop);
    int rc = any_ready(loop) ? backend_poll(loop, 0) : wait_for_more(loop);
    loop->steps = loop->step_quota;
    return rc;
}

/* ---- the life of a loop ---- */

struct calm__loop *calm__loop_open(const struct calm__loop_config *config)
{
    static const _Atomic uint32_t stopped;
    struct calm__loop *loop = calm__alloc(sizeof *loop);
    if (!loop)
        return NULL;
    *loop = (struct calm__loop){.config = *config, .mask = 255};
    loop->ready = calloc(loop->mask + 1, sizeof *loop->ready);
    if (!loop->ready) {
        free(loop);
        return NULL;
    }
    loop->ticks = config->ticks ? config->ticks : &stopped;
    loop->steps = loop->step_quota = CALM__STEPS;
    loop->errno_here = &errno;
    loop->self.stack = &loop->self_stack;
    calm__float_get(&loop->self.mxcsr, &loop->self.control_word);
    calm__stacks_init(&loop->stacks, config->stack_size);
    loop->now = calm__clock_now();
    return loop;
}

void calm__loop_close(struct calm__loop *loop)
{
    assert(loop->live_count == 0);
    calm__posts_run(loop);
    calm__heap_clear(&loop->timers);
    calm__stacks_clear(&loop->stacks);
    calm__task_slabs_free(loop);
    calm__error_free(loop->report);
    free(loop->ready);
    free(loop);
}

int calm__loop_run(struct calm__loop *loop, struct calm__backend *backend,
    calm_fn *main, void *arg)
{
    assert(!calm__loop_here);
    struct calm_task *task = calm__task_new(loop, main, arg);
    if (!task)
        return calm_fail(-ENOMEM, "no memory for the main task");
    calm__loop_here = loop;
    loop->backend = backend;
    loop->main = task;
    loop->ticks_seen = atomic_load_explicit(loop->ticks, memory_order_relaxed);
    calm__ready_push(loop, task);
    int rc = 0;
    /* Jobs that their tasks have left come back here before the loop goes. */
    while (!has_ended(loop)) {
        struct calm_task *next = next_started(loop);
        if (next != &loop->self)
            switch_to(loop, &loop->self, next);
        else if (!has_ended(loop) && (rc = loop_poll(loop)) < 0)
            calm__fatal("calm: the kernel's queue broke: %s", calm_message(rc));
    }
    calm__posts_run(loop);
    while (atomic_load(&loop->posting) > 0)
        continue; /* a thread is three instructions from leaving */
    rc = task->result;
    calm__error_set(task->context.error);
    task->context.error = NULL;
    calm__task_free(loop, task);
    calm__loop_here = NULL;
    if (loop->deadlocked && loop->report) {
        calm__error_set(loop->report);
        loop->report = NULL;
    }
    return loop->deadlocked ? -EDEADLK : rc;
}

struct calm__backend *calm__loop_backend(struct calm__loop *loop)
{
    return loop->backend;
}

void calm__loop_cancel_main(struct calm__loop *loop)
{
    calm_cancel(loop->main);
}

struct calm_task *calm__task_of_guard(const void *address)
{
    struct calm_task *task = calm__self();
    if (task && task->stack && calm__stack_guards(task->stack, address))
        return task;
    return NULL;
}

int64_t calm_now(void)
{
    struct calm__loop *loop = calm__loop_here;
    return loop && loop->config.virtual_clock ? loop->now : calm__clock_now();
}

double calm_seconds_since(int64_t start)
{
    return (double)(calm_now() - start) * 1e-9;
}
