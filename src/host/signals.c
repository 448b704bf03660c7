/* signals.c - what a run does with signals, and undoes at its end
 *
 * A disposition is the process's, so runs in several threads share them: the
 * first run takes SIGPIPE and the faults, the last gives them back; SIGINT
 * belongs to the run of the main thread. What somebody else has set since is
 * left alone, and so is a SIGINT that was ignored: who starts a program in
 * the background wants it so.
 *
 * The handler of SIGINT does nothing but post to the loop, which is made of
 * atomics and an eventfd: it may run in any thread and between any two
 * instructions. A second signal finds the first, puts the previous
 * disposition back and raises itself: a program that does not react ends.
 */
#include "host/signals.h"

#include "base/fault.h"
#include "core/loop.h"
#include "host/lifetime.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A disposition that calm has replaced. */
struct taken {
    int number;
    bool taken;
    struct sigaction previous;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int runs; /* under the lock */
static struct taken pipe_taken = {.number = SIGPIPE};
static struct taken faults[] = {{.number = SIGSEGV}, {.number = SIGBUS}};

static struct taken interrupts[] = {{.number = SIGINT}, {.number = SIGTERM}};
static struct calm__post interrupt_post;
static _Atomic(struct calm__loop *) interrupted_loop;
static atomic_int interrupted_by; /* the first signal; 0: none yet */
static atomic_int handling;       /* threads inside of the handler */

static void take(struct taken *taken, void (*handler)(int),
    void (*action)(int, siginfo_t *, void *), int flags)
{
    struct sigaction ours = {.sa_flags = flags};
    sigemptyset(&ours.sa_mask);
    if (action)
        ours.sa_sigaction = action;
    else
        ours.sa_handler = handler;
    taken->taken = sigaction(taken->number, &ours, &taken->previous) == 0;
}

/* HANDLER is ours; sa_handler and sa_sigaction share their place. */
static void give_back(struct taken *taken, void (*handler)(int))
{
    struct sigaction now;
    if (taken->taken && sigaction(taken->number, NULL, &now) == 0 &&
        now.sa_handler == handler)
        sigaction(taken->number, &taken->previous, NULL);
    taken->taken = false;
}

static void take_unless_ignored(struct taken *taken, void (*handler)(int))
{
    take(taken, handler, NULL, SA_RESTART);
    if (taken->previous.sa_handler == SIG_IGN)
        give_back(taken, handler);
}

/* SIGPIPE is ignored by a handler that does nothing: unlike SIG_IGN that does
 * not pass on to the programs that this one executes. */
static void pipe_handler(int number)
{
}

/* ---- faults ---- */

static void report_add(char *report, size_t size, const char *part)
{
    size_t len = strlen(report);
    while (*part && len + 1 < size)
        report[len++] = *part++;
    report[len] = '\0';
}

static void report_overflow(const struct calm_task *task)
{
    char report[256] = "", digits[24], *digit = digits + sizeof digits - 1;
    *digit = '\0';
    size_t size = calm__loop_here->config.stack_size / 1024;
    for (; size > 0; size /= 10)
        *--digit = (char)('0' + size % 10);
    report_add(report, sizeof report, "calm: task '");
    report_add(report, sizeof report, calm_task_name(task));
    report_add(report, sizeof report, "': stack overflow (");
    report_add(report, sizeof report, digit);
    report_add(report, sizeof report,
        " KiB)\nhint: move large arrays to the heap, or raise stack_size in "
        "calm_run_opts\n");
    ssize_t written = write(STDERR_FILENO, report, strlen(report));
    (void)written;
}

/* The default action of a fault is taken when the instruction is repeated
 * after our return; a signal that was sent has to be sent again. */
static void die_of(int number, const siginfo_t *info)
{
    signal(number, SIG_DFL);
    if (info->si_code <= 0)
        raise(number);
}

static void fault_handler(int number, siginfo_t *info, void *context)
{
    struct calm_task *task = calm__loop_here && info->si_code > 0
                                 ? calm__task_of_guard(info->si_addr)
                                 : NULL;
    if (task) {
        report_overflow(task);
        die_of(number, info);
        return;
    }
    const struct sigaction *previous =
        &faults[number == faults[0].number ? 0 : 1].previous;
    if (previous->sa_flags & SA_SIGINFO)
        previous->sa_sigaction(number, info, context);
    else if (previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN)
        previous->sa_handler(number);
    else
        die_of(number, info);
}

/* The handler cannot run on the stack that has just overflown. A thread that
 * has a stack for such things (a sanitizer gives it one) keeps it. */
static void *fault_stack_set(void)
{
    stack_t now;
    if (sigaltstack(NULL, &now) < 0 || !(now.ss_flags & SS_DISABLE))
        return NULL;
    long least = sysconf(_SC_MINSIGSTKSZ);
    size_t size = (size_t)(least > 0 ? least : 0) + (16 << 10);
    void *memory = calm__alloc(size);
    if (memory &&
        sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = size}, NULL) == 0)
        return memory;
    free(memory);
    return NULL;
}

static void fault_stack_unset(void *memory)
{
    stack_t now;
    if (memory && sigaltstack(NULL, &now) == 0 && now.ss_sp == memory)
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    free(memory);
}

/* ---- interrupts ---- */

static void interrupt_handler(int number)
{
    int saved_errno = errno;
    atomic_fetch_add(&handling, 1);
    int none = 0;
    if (atomic_compare_exchange_strong(&interrupted_by, &none, number)) {
        struct calm__loop *loop = atomic_load(&interrupted_loop);
        if (loop)
            calm__loop_post(loop, &interrupt_post);
    } else {
        sigaction(number, &interrupts[number == SIGINT ? 0 : 1].previous, NULL);
        raise(number);
    }
    atomic_fetch_sub(&handling, 1);
    errno = saved_errno;
}

static void interrupt_run(struct calm__post *post)
{
    struct calm__loop *loop = atomic_load(&interrupted_loop);
    if (loop)
        calm__loop_cancel_main(loop);
}

static void take_interrupts(struct calm__loop *loop, bool terminates)
{
    interrupt_post.run = interrupt_run;
    atomic_store(&interrupted_by, 0);
    atomic_store(&interrupted_loop, loop);
    for (int i = 0; i < (terminates ? 2 : 1); i++)
        take_unless_ignored(&interrupts[i], interrupt_handler);
}

static int give_back_interrupts(void)
{
    for (int i = 0; i < 2; i++)
        give_back(&interrupts[i], interrupt_handler);
    atomic_store(&interrupted_loop, NULL);
    /* A handler in another thread may hold on to the loop still. */
    while (atomic_load(&handling) > 0 && !calm__forked())
        continue;
    return atomic_load(&interrupted_by);
}

/* ---- a run ---- */

/* sa_handler as the common type of both kinds of handlers. */
static void (*fault_handler_address(void))(int)
{
    union {
        void (*action)(int, siginfo_t *, void *);
        void (*handler)(int);
    } address = {.action = fault_handler};
    return address.handler;
}

void calm__signals_begin(struct calm__signals *signals, struct calm__loop *loop,
    bool interrupted, bool terminates)
{
    pthread_mutex_lock(&lock);
    if (runs++ == 0) {
        take_unless_ignored(&pipe_taken, pipe_handler);
        for (int i = 0; i < 2; i++)
            take(&faults[i], NULL, fault_handler, SA_SIGINFO | SA_ONSTACK);
    }
    pthread_mutex_unlock(&lock);
    signals->fault_stack = fault_stack_set();
    signals->interrupts = interrupted && gettid() == getpid();
    if (signals->interrupts)
        take_interrupts(loop, terminates);
}

int calm__signals_end(struct calm__signals *signals)
{
    int number = signals->interrupts ? give_back_interrupts() : 0;
    fault_stack_unset(signals->fault_stack);
    if (calm__forked()) /* whoever held the lock stayed behind */
        return number;
    pthread_mutex_lock(&lock);
    if (--runs == 0) {
        give_back(&pipe_taken, pipe_handler);
        for (int i = 0; i < 2; i++)
            give_back(&faults[i], fault_handler_address());
    }
    pthread_mutex_unlock(&lock);
    return number;
}
