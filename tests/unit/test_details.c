/* test_details.c - names and values of a task's own */
#include "test.h"

#include "base/fault.h"

static calm_local first, second;

static int name_of_main(void *arg)
{
    check_text(calm_task_name(calm_self()), "main");
    return 0;
}

static int own_name(void *arg)
{
    snprintf(arg, 64, "%s", calm_task_name(calm_self()));
    return 0;
}

static int unnamed_tasks_are_numbered(void *arg)
{
    char names[2][64];
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, own_name, names[0]);
    calm_spawn(&group, own_name, names[1]);
    int rc = calm_group_end(&group, 0);
    check_text(names[0], "task 1");
    check_text(names[1], "task 2");
    check_text(calm_task_name(NULL), "no task");
    return rc;
}

static int name_is_formatted_and_cut(void *arg)
{
    check_equal(calm_name("row %d of '%s'", 7, "data.csv"), 0);
    check_text(calm_task_name(calm_self()), "row 7 of 'data.csv'");
    char text[100];
    memset(text, 'n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    check_equal(calm_name("%s", text), 0);
    check_equal(strlen(calm_task_name(calm_self())), 47);
    return 0;
}

static int name_made_of_itself(void *arg)
{
    check_equal(calm_name("reader"), 0);
    check_equal(calm_name("%s, row %d", calm_task_name(calm_self()), 3), 0);
    check_text(calm_task_name(calm_self()), "reader, row 3");
    check_equal(calm_name("the %s", calm_task_name(calm_self())), 0);
    check_text(calm_task_name(calm_self()), "the reader, row 3");
    return 0;
}

static int values_begin_unset(void *arg)
{
    int one = 1, two = 2;
    check(calm_local_get(&first) == NULL);
    check_equal(calm_local_set(&first, &one), 0);
    check(calm_local_get(&first) == &one);
    check(calm_local_get(&second) == NULL);
    check_equal(calm_local_set(&second, &two), 0);
    check_equal(calm_local_set(&first, &two), 0);
    check(calm_local_get(&first) == &two);
    check_equal(calm_local_set(&first, NULL), 0);
    check(calm_local_get(&first) == NULL);
    check(calm_local_get(&second) == &two);
    return 0;
}

static int get_first_after_a_while(void *arg)
{
    check_equal(calm_sleep(10 * CALM_MS), 0);
    *(void **)arg = calm_local_get(&first);
    return 0;
}

static int set_in_child(void *arg)
{
    check(calm_local_get(&first) != NULL);
    check_equal(calm_local_set(&first, arg), 0);
    return calm_sleep(CALM_MS);
}

static int child_begins_with_the_values_of_its_spawner(void *arg)
{
    int values[3];
    void *seen[2] = {arg, arg};
    calm_local_set(&first, &values[0]);
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, get_first_after_a_while, &seen[0]);
    calm_local_set(&first, &values[1]); /* later children only */
    calm_spawn(&group, get_first_after_a_while, &seen[1]);
    calm_spawn(&group, set_in_child, &values[2]);
    calm_sleep(5 * CALM_MS);
    check(calm_local_get(&first) == &values[1]);
    int rc = calm_group_end(&group, 0);
    check(seen[0] == &values[0]);
    check(seen[1] == &values[1]);
    return rc;
}

static int outlive(void *arg)
{
    int *values = arg;
    calm_sleep(50 * CALM_MS);
    check(calm_local_get(&first) == &values[0]);
    check(calm_local_get(&second) == &values[1]);
    return 0;
}

struct orphan {
    calm_group *group;
    int *values;
};

static int spawn_and_end(void *arg)
{
    struct orphan *orphan = arg;
    calm_local_set(&first, &orphan->values[0]);
    calm_local_set(&second, &orphan->values[1]);
    for (int i = 0; i < 3; i++)
        calm_release(calm_spawn(orphan->group, outlive, orphan->values));
    calm_local_set(&first, NULL);
    return 0;
}

static int values_outlive_the_task_that_set_them(void *arg)
{
    int values[2];
    calm_group group;
    struct orphan orphan = {&group, values};
    calm_group_begin(&group);
    calm_release(calm_spawn(&group, spawn_and_end, &orphan));
    return calm_group_end(&group, 0);
}

/* A task that lives long and sets a value for each request. */
static int setting_again_takes_no_more_memory(void *arg)
{
    int values[2];
    calm_local_set(&first, &values[0]);
    calm_local_set(&second, &values[0]);
    calm__fault_arm("memory", SIZE_MAX);
    for (int i = 0; i < 100; i++) {
        calm_local_set(&first, &values[i % 2]);
        calm_local_set(&second, &values[i % 2]);
    }
    check_equal(calm__fault_disarm(), 0);
    check(calm_local_get(&first) == &values[1]);
    check(calm_local_get(&second) == &values[1]);
    return 0;
}

static int outside_of_a_task_there_are_no_values(void *arg)
{
    check(calm_local_get(&first) == NULL);
    check_equal(calm_local_set(&first, arg), -EPERM);
    check_equal(calm_name("main"), -EPERM);
    calm_error_clear();
    return 0;
}

static int without_memory_the_old_value_stays(void *arg)
{
    int value = 1;
    calm_group group;
    for (size_t nth = 1; nth <= 2; nth++) {
        calm__fault_arm("memory", nth);
        check_equal(calm_local_set(&first, &value), -ENOMEM);
        calm__fault_disarm();
        check(calm_local_get(&first) == NULL);
    }
    calm_error_clear();
    calm_group_begin(&group);
    calm__fault_arm("memory", 1);
    check_equal(calm_name("named"), 0); /* its place is there by now */
    calm__fault_disarm();
    return calm_group_end(&group, 0);
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(name_of_main),
        virtual_test(unnamed_tasks_are_numbered),
        virtual_test(name_is_formatted_and_cut),
        virtual_test(name_made_of_itself),
        virtual_test(values_begin_unset),
        virtual_test(child_begins_with_the_values_of_its_spawner),
        virtual_test(values_outlive_the_task_that_set_them),
        virtual_test(setting_again_takes_no_more_memory),
        plain_test(outside_of_a_task_there_are_no_values),
        virtual_test(without_memory_the_old_value_stays),
    };
    return run_list("details", tests, sizeof tests / sizeof *tests);
}
