/* stack.c - stacks of tasks, and a pool of them
 *
 * What measurements decided: a fresh page costs about 1.8 us and a reused one
 * 19 ns, so the pile is last-in first-out; a mapping for each stack would end
 * at vm.max_map_count (65,530), so guards are installed inside of mappings
 * where the kernel can (6.13), and below that only the first 16,000 stacks
 * get a page of their own to run into.
 */
#include "core/stack.h"

#include "base/fault.h"
#include "core/switch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    PAGE = 4096,
    GUARD = 4 * PAGE, /* also for a frame that skips a page */
    COLOURS = 16,
    COLOUR = 64,
    SLAB_FIRST = 16,
    SLAB_MOST = 1024,
    PROTECT_MOST = 16000,
};

struct calm__slab {
    struct calm__slab *next;
    char *memory;
    size_t count;
    size_t used;
};

static size_t page_size(void)
{
    static size_t size;
    if (size == 0)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

static size_t guard_size(void)
{
    return page_size() > GUARD ? page_size() : GUARD;
}

/* qemu takes all advice and follows none. Whether the page can be read is
 * asked by a sleep of what it holds, which is nothing at all. */
static bool page_is_guarded(void *page)
{
    return syscall(SYS_nanosleep, page, NULL) < 0 && errno == EFAULT;
}

static bool kernel_installs_guards(void)
{
    static int answer = -1;
    if (answer >= 0)
        return answer;
    size_t page = page_size();
    void *probe = mmap(
        NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED)
        return false;
    answer =
        madvise(probe, page, MADV_GUARD_INSTALL) == 0 && page_is_guarded(probe);
    munmap(probe, page);
    return answer;
}

const char *calm__guard_name(void)
{
    return kernel_installs_guards() ? "MADV_GUARD_INSTALL"
                                    : "mprotect, canaries beyond 16000 stacks";
}

void calm__stacks_init(struct calm__stacks *stacks, size_t size)
{
    size_t page = page_size();
    *stacks = (struct calm__stacks){
        .size = guard_size() + (size + page - 1) / page * page,
        .guard = kernel_installs_guards() && !calm__fault("guard")
                     ? CALM__GUARD_INSTALL
                     : CALM__GUARD_PROTECT,
    };
}

void calm__stacks_clear(struct calm__stacks *stacks)
{
    while (stacks->slabs) {
        struct calm__slab slab = *stacks->slabs;
        size_t size = slab.count * stacks->size + page_size();
        calm__shadow_clear(slab.memory, size);
        munmap(slab.memory, size);
        stacks->slabs = slab.next;
    }
    stacks->free = NULL;
    stacks->count = 0;
}

/* The slab's own record lies in a page behind its last stack. */
static struct calm__slab *slab_map(struct calm__stacks *stacks)
{
    size_t count = stacks->slabs ? 2 * stacks->slabs->count : SLAB_FIRST;
    if (count > SLAB_MOST)
        count = SLAB_MOST;
    size_t size = count * stacks->size + page_size();
    char *memory =
        calm__fault("stack")
            ? MAP_FAILED
            : mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
                  0);
    if (memory == MAP_FAILED)
        return NULL;
    /* A huge page would make two megabytes resident for one frame. */
    madvise(memory, size, MADV_NOHUGEPAGE);
    struct calm__slab *slab = (void *)(memory + count * stacks->size);
    *slab = (struct calm__slab){stacks->slabs, memory, count, 0};
    stacks->slabs = slab;
    return slab;
}

static void guard(struct calm__stacks *stacks, char *base)
{
    if (stacks->guard == CALM__GUARD_INSTALL)
        if (madvise(base, guard_size(), MADV_GUARD_INSTALL) != 0)
            stacks->guard = CALM__GUARD_PROTECT;
    if (stacks->guard == CALM__GUARD_PROTECT)
        if (stacks->count >= PROTECT_MOST ||
            mprotect(base, guard_size(), PROT_NONE) != 0)
            stacks->guard = CALM__GUARD_CANARY;
}

static struct calm__stack *stack_cut(
    struct calm__stacks *stacks, struct calm__slab *slab)
{
    char *base = slab->memory + slab->used * stacks->size;
    guard(stacks, base);
    struct calm__stack *stack = (void *)(base + stacks->size - sizeof *stack);
    size_t colour = slab->used % COLOURS * COLOUR;
    stack->base = base;
    stack->end = base + stacks->size;
    stack->top = (char *)stack - colour;
    for (int i = 0; i < 2; i++)
        stack->canary[i] = CALM__CANARY;
    /* What lies below the first stack of a slab is not ours to read. */
    stack->watched = stacks->guard == CALM__GUARD_CANARY && slab->used > 0;
    slab->used++;
    stacks->count++;
    return stack;
}

struct calm__stack *calm__stack_get(struct calm__stacks *stacks)
{
    struct calm__stack *stack = stacks->free;
    if (stack) {
        stacks->free = stack->next;
        return stack;
    }
    struct calm__slab *slab = stacks->slabs;
    if (!slab || slab->used == slab->count)
        slab = slab_map(stacks);
    return slab ? stack_cut(stacks, slab) : NULL;
}

bool calm__stack_guards(const struct calm__stack *stack, const void *address)
{
    const char *at = address;
    return at >= stack->base && at < stack->base + guard_size();
}
