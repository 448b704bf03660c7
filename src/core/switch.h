/* core/switch.h - leaving one stack for another
 *
 * One version is compiled: assembly for x86-64 and aarch64, else ucontext.
 */
#ifndef CALM_CORE_SWITCH_H
#define CALM_CORE_SWITCH_H

#include <stddef.h>
#include <stdint.h>

/* Saves what a function must preserve on this stack, its place in *SAVE, and
 * leaves for another. Without ENTRY it goes on where LOAD was saved. With ENTRY
 * LOAD is the top of a new stack, a multiple of 16, and ENTRY is called there;
 * when it is done with that stack it returns the place to go on at. */
void calm__switch(void **save, void *load, void *(*entry)(void));

/* Rounding, exceptions and flush-to-zero are a task's own: numeric libraries
 * set them and forget. Writing these registers is slow, so it is done only
 * when two tasks differ. */
#if defined(__x86_64__)
static inline void calm__float_get(uint32_t *mxcsr, uint16_t *control_word)
{
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1"
                     : "=m"(*mxcsr), "=m"(*control_word));
}

static inline void calm__float_set(uint32_t mxcsr, uint16_t control_word)
{
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1"
                     :
                     : "m"(mxcsr), "m"(control_word));
}
/* The flags that say what has happened so far are not settings. */
#define CALM__FLOAT_SETTINGS 0xffc0u
#elif defined(__aarch64__)
static inline void calm__float_get(uint32_t *mxcsr, uint16_t *control_word)
{
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    *mxcsr = (uint32_t)control;
    *control_word = 0;
}

static inline void calm__float_set(uint32_t mxcsr, uint16_t control_word)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mxcsr));
}
#define CALM__FLOAT_SETTINGS 0xffffffffu
#else
static inline void calm__float_get(uint32_t *mxcsr, uint16_t *control_word)
{
    *mxcsr = 0; /* swapcontext() keeps them */
    *control_word = 0;
}

static inline void calm__float_set(uint32_t mxcsr, uint16_t control_word)
{
}
#define CALM__FLOAT_SETTINGS 0u
#endif

/* The address sanitizer must be told which stack it is on, and that frames
 * which were left and never returned from are gone with their stack. */
#if defined(__SANITIZE_ADDRESS__)
#define CALM__SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CALM__SANITIZED 1
#endif
#endif
#ifdef CALM__SANITIZED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define calm__fiber_leave __sanitizer_start_switch_fiber
#define calm__fiber_arrive __sanitizer_finish_switch_fiber
#define calm__shadow_clear __asan_unpoison_memory_region
#else
static inline void calm__fiber_leave(
    void **save, const void *bottom, size_t size)
{
}

static inline void calm__fiber_arrive(
    void *saved, const void **ret_bottom, size_t *ret_size)
{
}

static inline void calm__shadow_clear(const volatile void *memory, size_t size)
{
}
#endif

#endif
