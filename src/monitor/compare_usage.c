/* compare_usage.c - what some processes have used, from /proc
 *
 * Workers are the template's children: their use is told to nobody before they
 * are reaped. /proc tells at any time, the processor time to the nanosecond.
 */
#include "monitor/compare.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MOST = 10000,
    THREAD_COST = 48 << 10, /* both stacks, as far as they are touched */
};

/* Reads a file of /proc as text; "" when there is none. */
static void read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static void read_proc(pid_t id, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)id, name);
    read_text(path, text, size);
}

/* The number behind LABEL at the begin of a line; 0 if it is not there. */
static double labelled(const char *text, const char *label)
{
    for (const char *at = text; (at = strstr(at, label)); at++)
        if (at == text || at[-1] == '\n')
            return strtod(at + strlen(label), NULL);
    return 0;
}

/* The first line: "cpu  user nice system idle iowait irq softirq steal ...".
 * What a hypervisor took away was not ours to use, either. */
double calm__usage_machine(void)
{
    char text[512];
    read_text("/proc/stat", text, sizeof text);
    double sum = 0;
    char *at = text + 3;
    for (int i = 0; i < 8 && strncmp(text, "cpu ", 4) == 0; i++) {
        double ticks = strtod(at, &at);
        if (i != 3 && i != 4)
            sum += ticks;
    }
    return sum / (double)sysconf(_SC_CLK_TCK);
}

void calm__usage_now(
    const pid_t *others, int count, struct calm__usage *ret_usage)
{
    struct timespec cpu;
    struct rusage own;
    char text[4096];
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    getrusage(RUSAGE_SELF, &own);
    struct calm__usage usage = {
        .cpu = (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9,
        .switches = (double)(own.ru_nvcsw + own.ru_nivcsw),
    };
    for (int i = 0; i < count; i++) {
        if (others[i] <= 0)
            continue;
        read_proc(others[i], "schedstat", text, sizeof text);
        usage.cpu += strtod(text, NULL) * 1e-9;
        read_proc(others[i], "status", text, sizeof text);
        usage.switches += labelled(text, "voluntary_ctxt_switches:") +
                          labelled(text, "nonvoluntary_ctxt_switches:");
    }
    *ret_usage = usage;
}

double calm__usage_memory(const pid_t *others, int count)
{
    struct rusage own;
    char text[4096];
    getrusage(RUSAGE_SELF, &own);
    double kilobytes = (double)own.ru_maxrss;
    for (int i = 0; i < count; i++) {
        if (others[i] <= 0)
            continue;
        read_proc(others[i], "smaps_rollup", text, sizeof text);
        double share = labelled(text, "Pss:");
        if (share <= 0) { /* a kernel without it: shared pages count, too */
            read_proc(others[i], "status", text, sizeof text);
            share = labelled(text, "VmRSS:");
        }
        kilobytes += share;
    }
    return kilobytes * 1024;
}

static void at_most(size_t *count, double bound)
{
    if (bound >= 1 && bound < (double)*count)
        *count = (size_t)bound;
}

/* Half of what there is: other programs need some, too. */
size_t calm__usage_threads_most(void)
{
    size_t count = THREADS_MOST;
    char text[8192];
    struct rlimit limit;
    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        at_most(&count, (double)limit.rlim_cur / 2);
    read_text("/proc/sys/kernel/threads-max", text, sizeof text);
    at_most(&count, strtod(text, NULL) / 2);
    read_text("/proc/sys/kernel/pid_max", text, sizeof text);
    at_most(&count, strtod(text, NULL) / 2);
    read_text("/sys/fs/cgroup/pids.max", text, sizeof text);
    if (isdigit((unsigned char)text[0]))
        at_most(&count, strtod(text, NULL) / 2);
    read_text("/proc/meminfo", text, sizeof text);
    at_most(&count, labelled(text, "MemAvailable:") * 1024 / 4 / THREAD_COST);
    return count;
}
