/* test_processors.c - quotas of control groups, in both versions */
#include "unit.h"

#include "host/processors.h"

#include <calm/pool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], self[96];

static int make_root(void **state)
{
    strcpy(root, "/tmp/calm-test-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(self, sizeof self, "%s/self", root);
    return 0;
}

static int remove_root(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

/* Writes TEXT to ROOT/NAME and makes the folders on the way. */
static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/'));
         slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void version_2_is_read_and_rounded_up(void **state)
{
    put("self", "0::/service\n");
    put("service/cpu.max", "150000 100000\n");
    assert_int_equal(calm__processors_quota(root, self), 2);
    put("service/cpu.max", "100000 100000\n");
    assert_int_equal(calm__processors_quota(root, self), 1);
    put("service/cpu.max", "1000 100000\n");
    assert_int_equal(calm__processors_quota(root, self), 1);
}

static void no_quota_is_none(void **state)
{
    assert_int_equal(calm__processors_quota(root, self), 0);
    put("self", "0::/service\n");
    assert_int_equal(calm__processors_quota(root, self), 0);
    put("service/cpu.max", "max 100000\n");
    assert_int_equal(calm__processors_quota(root, self), 0);
    put("service/cpu.max", "rubbish");
    assert_int_equal(calm__processors_quota(root, self), 0);
    put("self", "rubbish\n0:\n");
    assert_int_equal(calm__processors_quota(root, self), 0);
}

static void the_least_of_all_groups_above_counts(void **state)
{
    put("self", "0::/a/b/c\n");
    put("a/b/c/cpu.max", "800000 100000\n");
    put("a/b/cpu.max", "max 100000\n");
    put("a/cpu.max", "300000 100000\n");
    assert_int_equal(calm__processors_quota(root, self), 3);
}

static void in_a_container_the_mount_begins_at_our_group(void **state)
{
    put("self", "0::/\n");
    put("cpu.max", "200000 100000\n");
    assert_int_equal(calm__processors_quota(root, self), 2);
    put("self", "0::/docker/0123456789\n");
    assert_int_equal(calm__processors_quota(root, self), 2);
}

static void version_1_is_read_too(void **state)
{
    put("self", "9:cpuset:/x\n4:cpu,cpuacct:/job\n1:name=systemd:/\n");
    put("cpu/job/cpu.cfs_quota_us", "-1\n");
    put("cpu/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(calm__processors_quota(root, self), 0);
    put("cpu/job/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(calm__processors_quota(root, self), 3);
    put("self", "4:cpuset,cpuacct:/job\n");
    assert_int_equal(calm__processors_quota(root, self), 0);
}

static void the_environment_decides(void **state)
{
    /* Asked once for the process: this test is the only one here to ask. */
    setenv("CALM_CPU_THREADS", "3", 1);
    assert_int_equal(calm_cpu_count(), 3);
    setenv("CALM_CPU_THREADS", "4", 1);
    assert_int_equal(calm_cpu_count(), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        TEST(version_2_is_read_and_rounded_up),
        TEST(no_quota_is_none),
        TEST(the_least_of_all_groups_above_counts),
        TEST(in_a_container_the_mount_begins_at_our_group),
        TEST(version_1_is_read_too),
        cmocka_unit_test(the_environment_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
