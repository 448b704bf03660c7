/* processors.c - how many processors this process may use
 *
 * The affinity mask alone is wrong in a container: a quota of two processors
 * on a machine of 64 leaves the mask full, and 64 threads then spend most of
 * each period waiting for the next. The quota is found in the files of the
 * process's control group and of all groups above it, in both versions.
 */
#include "host/processors.h"

#include <calm/pool.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH = 4096,
    MOST = 1024,
};

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return read;
}

/* Quota and period, in microseconds, of the group in FOLDER: "150000 100000"
 * in cpu.max of version 2, two files in version 1. In processors, rounded up;
 * 0 when there is no quota ("max", -1) or no such group. */
static int group_quota(const char *folder)
{
    char path[PATH + 32], line[128];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (read_line(path, line, sizeof line)) {
        if (sscanf(line, "%lld %lld", &quota, &period) != 2)
            return 0;
    } else {
        snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
        if (!read_line(path, line, sizeof line))
            return 0;
        quota = atoll(line);
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
        period = read_line(path, line, sizeof line) ? atoll(line) : 0;
    }
    if (quota <= 0 || period <= 0 || quota / period >= MOST)
        return 0;
    return (int)((quota + period - 1) / period);
}

/* The least quota of GROUP and those above it, below the folder MOUNT. */
static int least_quota(const char *mount, const char *group, int least)
{
    char folder[PATH];
    int len = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (len < 0 || (size_t)len >= sizeof folder)
        return least;
    for (;;) {
        int quota = group_quota(folder);
        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        char *slash = strrchr(folder + strlen(mount), '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Whether the comma-separated LIST names the controller "cpu". */
static bool names_cpu(const char *list, size_t len)
{
    while (len > 0) {
        const char *comma = memchr(list, ',', len);
        size_t one = comma ? (size_t)(comma - list) : len;
        if (one == 3 && memcmp(list, "cpu", 3) == 0)
            return true;
        list += comma ? one + 1 : one;
        len -= comma ? one + 1 : one;
    }
    return false;
}

/* A line of /proc/self/cgroup: "number:controllers:path"; no controllers are
 * version 2, which is mounted at the root or, beside version 1, in unified/.
 * Seen from inside a container the path may name a group that only the host
 * shows; its mount then begins at our own, which is why we go up to there. */
static int line_quota(const char *root, char *line, int least)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return least;
    size_t len = (size_t)(group - ++controllers);
    group++;
    char mount[PATH];
    if (len == 0) {
        least = least_quota(root, group, least);
        snprintf(mount, sizeof mount, "%s/unified", root);
        return least_quota(mount, group, least);
    }
    if (!names_cpu(controllers, len))
        return least;
    snprintf(mount, sizeof mount, "%s/cpu", root);
    return least_quota(mount, group, least);
}

int calm__processors_quota(const char *root, const char *self)
{
    FILE *file = fopen(self, "re");
    if (!file)
        return 0;
    char line[PATH];
    int least = 0;
    while (fgets(line, sizeof line, file))
        least = line_quota(root, line, least);
    fclose(file);
    return least;
}

/* The mask may be larger than the fixed cpu_set_t on large machines. */
static int affinity_count(void)
{
    int count = 0;
    for (int places = CPU_SETSIZE; count == 0 && places <= 1 << 16;
         places *= 2) {
        cpu_set_t *set = CPU_ALLOC(places);
        size_t size = CPU_ALLOC_SIZE(places);
        if (set && sched_getaffinity(0, size, set) == 0)
            count = CPU_COUNT_S(size, set);
        CPU_FREE(set);
    }
    return count > 0 ? count : 1;
}

static int count_processors(void)
{
    const char *asked = getenv("CALM_CPU_THREADS");
    long threads = asked ? strtol(asked, NULL, 10) : 0;
    if (threads > 0)
        return threads < MOST ? (int)threads : MOST;
    int count = affinity_count();
    int quota = calm__processors_quota("/sys/fs/cgroup", "/proc/self/cgroup");
    if (quota > 0 && quota < count)
        count = quota;
    return count < MOST ? count : MOST;
}

int calm_cpu_count(void)
{
    static atomic_int known;
    int count = atomic_load_explicit(&known, memory_order_relaxed);
    if (count == 0) {
        count = count_processors();
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count;
}
