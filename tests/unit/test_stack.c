/* test_stack.c - the pool of stacks, their guards, and an overflow's end */
#include "test.h"

#include "base/fault.h"
#include "core/loop.h"
#include "core/stack.h"

#include <alloca.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- the pool ---- */

static int last_given_back_is_the_next_used(void *arg)
{
    struct calm__stacks stacks;
    calm__stacks_init(&stacks, 16 << 10);
    struct calm__stack *a = calm__stack_get(&stacks);
    struct calm__stack *b = calm__stack_get(&stacks);
    check(a && b && a != b);
    calm__stack_put(&stacks, a);
    calm__stack_put(&stacks, b);
    check(calm__stack_get(&stacks) == b);
    check(calm__stack_get(&stacks) == a);
    calm__stacks_clear(&stacks);
    return 0;
}

static int stacks_do_not_overlap_and_are_aligned(void *arg)
{
    struct calm__stacks stacks;
    calm__stacks_init(&stacks, 20000);
    struct calm__stack *all[200];
    for (int i = 0; i < 200; i++) {
        all[i] = calm__stack_get(&stacks);
        check(all[i] != NULL);
        check_equal((uintptr_t)all[i]->top % 16, 0);
        check(all[i]->end - all[i]->base >= 20000);
        check(all[i]->top > all[i]->base && all[i]->top < all[i]->end);
        memset(all[i]->top - 8000, i, 8000); /* may be written */
        check(!calm__stack_overrun(all[i]));
        for (int k = 0; k < i; k++)
            check(all[k]->end <= all[i]->base || all[i]->end <= all[k]->base);
    }
    for (int i = 0; i < 200; i++)
        check_equal((unsigned char)all[i]->top[-1], (unsigned char)i);
    calm__stacks_clear(&stacks);
    return 0;
}

static int guard_is_told_from_the_stack(void *arg)
{
    struct calm__stacks stacks;
    calm__stacks_init(&stacks, 16 << 10);
    struct calm__stack *stack = calm__stack_get(&stacks);
    check(calm__stack_guards(stack, stack->base));
    check(calm__stack_guards(stack, stack->base + 4095));
    check(!calm__stack_guards(stack, stack->top - 1));
    check(!calm__stack_guards(stack, stack->base - 1));
    check(calm__guard_name() != NULL);
    calm__stacks_clear(&stacks);
    return 0;
}

static int without_memory_there_is_no_stack(void *arg)
{
    struct calm__stacks stacks;
    calm__stacks_init(&stacks, 16 << 10);
    calm__fault_arm("stack", 1);
    check(calm__stack_get(&stacks) == NULL);
    check_equal(calm__fault_disarm(), 1);
    check(calm__stack_get(&stacks) != NULL);
    calm__stacks_clear(&stacks);
    return 0;
}

static int overrun_of_an_unguarded_stack_is_noticed(void *arg)
{
    struct calm__stacks stacks;
    calm__stacks_init(&stacks, 16 << 10);
    stacks.guard = CALM__GUARD_CANARY;
    struct calm__stack *below = calm__stack_get(&stacks);
    struct calm__stack *stack = calm__stack_get(&stacks);
    check(!calm__stack_overrun(below));
    check(!calm__stack_overrun(stack));
    memset(stack->base - 8, 0, 8);
    check(calm__stack_overrun(stack));
    calm__stacks_clear(&stacks);
    return 0;
}

static int many_stacks_by_each_method(void *arg)
{
    for (int guard = CALM__GUARD_INSTALL; guard <= CALM__GUARD_CANARY;
         guard++) {
        struct calm__stacks stacks;
        calm__stacks_init(&stacks, 16 << 10);
        if ((int)stacks.guard < guard)
            stacks.guard = (enum calm__guard)guard;
        int got = 0;
        for (int i = 0; i < 20000; i++)
            got += calm__stack_get(&stacks) != NULL;
        check_equal(got, 20000);
        if (guard == CALM__GUARD_PROTECT)
            check_equal(stacks.guard, CALM__GUARD_CANARY);
        calm__stacks_clear(&stacks);
    }
    return 0;
}

/* ---- overflow ---- */

static int descend(int depth)
{
    volatile char frame[512];
    frame[0] = (char)depth;
    int rc = depth < 1 << 30 ? descend(depth + 1) : 0;
    return rc + frame[0];
}

static int overflow(void *arg)
{
    calm_name("deep thought");
    return descend(0);
}

static int spawn_one_that_overflows(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, sleep_ms, number(1000));
    calm_spawn(&group, overflow, NULL);
    return calm_group_end(&group, 0);
}

static void die_of_an_overflow(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    run_virtual(spawn_one_that_overflows, NULL);
}

static int overflow_ends_the_process_with_the_tasks_name(void *arg)
{
    char text[16384];
    int status = run_child(die_of_an_overflow, text, sizeof text);
    check(status != 0);
    if (!test_sanitized)
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    check_contains(text, "calm: task 'deep thought': stack overflow");
    return 0;
}

/* One frame that overruns the canary below and comes back unharmed. */
static int overrun(void *arg)
{
    calm_name("sneaky");
    struct calm__stack *stack = calm__self()->stack;
    memset(stack->base - 8, 0, 8);
    return 0;
}

static int spawn_one_that_overruns(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, sleep_ms, number(1000));
    calm_spawn(&group, overrun, NULL);
    return calm_group_end(&group, 0);
}

static int without_guards(void *arg)
{
    calm__loop_here->stacks.guard = CALM__GUARD_CANARY;
    return spawn_one_that_overruns(arg);
}

static void die_of_an_overrun(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    run_virtual(without_guards, NULL);
}

static int overrun_without_a_guard_ends_the_process_too(void *arg)
{
    char text[16384];
    int status = run_child(die_of_an_overrun, text, sizeof text);
    check(status != 0);
    check_contains(text, "task 'sneaky': stack overflow, found by its canary");
    return 0;
}

/* ---- sizes ---- */

static int use_48_kib(void *arg)
{
    volatile char *memory = alloca(48 << 10);
    memory[0] = 1;
    for (int i = 0; i < 48 << 10; i += 512)
        memory[i] = 1;
    calm_checkpoint();
    return 0;
}

static int stack_size_is_chosen_and_checked(void *arg)
{
    check_equal(
        run_opts(use_48_kib, NULL, (calm_run_opts){.stack_size = 128 << 10}),
        0);
    check_equal(
        run_opts(return_number, NULL, (calm_run_opts){.stack_size = 16 << 10}),
        0);
    check_equal(
        run_opts(return_number, NULL, (calm_run_opts){.stack_size = 64 << 20}),
        0);
    check_equal(
        run_opts(return_number, NULL, (calm_run_opts){.stack_size = 100}),
        -EINVAL);
    check_equal(
        run_opts(return_number, NULL, (calm_run_opts){.stack_size = SIZE_MAX}),
        -EINVAL);
    calm_error_clear();
    return 0;
}

static int task_without_a_stack_has_failed(void *arg)
{
    calm_group group;
    calm_group_begin(&group);
    calm__fault_arm("stack", 1);
    for (int i = 0; i < 100; i++)
        calm_spawn(&group, sleep_ms, number(10));
    int rc = calm_group_end(&group, calm_sleep(CALM_S));
    calm__fault_disarm();
    check_equal(rc, -ENOMEM);
    check_text(calm_message(rc), "no memory for a task's stack");
    calm_error_clear();
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        pure_test(last_given_back_is_the_next_used),
        pure_test(stacks_do_not_overlap_and_are_aligned),
        pure_test(guard_is_told_from_the_stack),
        pure_test(without_memory_there_is_no_stack),
        pure_test(overrun_of_an_unguarded_stack_is_noticed),
        pure_test(many_stacks_by_each_method),
        plain_test(overflow_ends_the_process_with_the_tasks_name),
        plain_test(overrun_without_a_guard_ends_the_process_too),
        plain_test(stack_size_is_chosen_and_checked),
        virtual_test(task_without_a_stack_has_failed),
    };
    return run_list("stack", tests, sizeof tests / sizeof *tests);
}
