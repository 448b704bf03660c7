/* compare_text.c - a comparison as a table for people */
#include "monitor/compare.h"

#include <calm/time.h>

#include <math.h>
#include <stdio.h>

const char *calm__show_seconds(char buffer[16], double seconds)
{
    static const struct {
        const char *unit;
        double size;
    } units[] = {{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}};
    int unit = 0;
    while (unit < 3 && seconds < 0.9995 * units[unit].size)
        unit++;
    double value = seconds / units[unit].size;
    int digits = value < 9.9995   ? 3
                 : value < 99.995 ? 2
                 : value < 999.95 ? 1
                                  : 0;
    snprintf(buffer, 16, "%.*f %s", digits, value, units[unit].unit);
    return buffer;
}

const char *calm__show_bytes(char buffer[16], double bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    double value = bytes / 1024;
    for (; value >= 1000 && unit < 3; unit++)
        value /= 1024;
    snprintf(buffer, 16, "%.*f %s", value < 9.95 ? 1 : 0, value, units[unit]);
    return buffer;
}

/* "1.00", "12.4", "9997". */
static const char *show_number(char buffer[16], double value)
{
    int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(buffer, 16, value < 1e6 ? "%.*f" : "%.*e",
        value < 1e6 ? digits : 2, value);
    return buffer;
}

static int say_work(const calm_comparison *comparison, calm_bytes *text)
{
    char duration[16];
    calm_bytes_printf(text, "%s: %zu task%s, ",
        calm_work_name(comparison->work), comparison->tasks,
        comparison->tasks == 1 ? "" : "s");
    switch (comparison->work) {
    case CALM_WORK_IO:
        calm_bytes_printf(text, "each waits %s",
            calm__show_seconds(duration, (double)comparison->duration * 1e-9));
        break;
    case CALM_WORK_FILES:
        calm_bytes_printf(text, "each reads a file of %s%s%s",
            comparison->target[0] ? "'" : "",
            comparison->target[0] ? comparison->target : "a folder made for it",
            comparison->target[0] ? "'" : "");
        break;
    case CALM_WORK_CPU:
        calm_bytes_printf(text, "each sums %llu squares",
            (unsigned long long)comparison->amount);
        break;
    default:
        calm_bytes_printf(text, "each requests %s",
            comparison->target[0] ? comparison->target
                                  : "a calm serve of its own");
        if (comparison->work == CALM_WORK_MIXED)
            calm_bytes_printf(text, " and sums %llu squares",
                (unsigned long long)comparison->amount);
    }
    return calm_bytes_printf(text, "; %d repetition%s\n\n", comparison->repeat,
        comparison->repeat == 1 ? "" : "s");
}

static void say_units(
    char buffer[24], enum calm_approach approach, size_t units)
{
    if (approach == CALM_SYNC)
        snprintf(buffer, 24, "%s", calm_approach_name(approach));
    else
        snprintf(buffer, 24, "%s, %zu", calm_approach_name(approach), units);
}

/* Half of what the middle half of the repetitions spans, as a percentage. */
static double spread(const calm_compare_figures *figures)
{
    return figures->wall > 0
               ? 50 * (figures->high - figures->low) / figures->wall
               : 0;
}

static int say_row(const calm_comparison *comparison,
    enum calm_approach approach, calm_bytes *text)
{
    const calm_compare_figures *figures = &comparison->approaches[approach];
    const calm_compare_figures *sync = &comparison->approaches[CALM_SYNC];
    char name[24], wall[16], rate[16], p50[16], p99[16], cpu[16], memory[16],
        speed[16] = "", switches[16];
    say_units(name, approach, figures->units);
    if (figures->code < 0)
        return calm_bytes_printf(text, "%-14s failed\n", name);
    if (sync->code == 0 && figures->wall > 0)
        show_number(speed, sync->wall / figures->wall);
    return calm_bytes_printf(text, "%-14s%9s%s %4.1f %%%7s%8s%9s%9s%9s%9s%7s\n",
        name, calm__show_seconds(wall, figures->wall),
        figures->done < comparison->tasks ? "~" : " ", spread(figures), speed,
        show_number(rate,
            figures->wall > 0 ? (double)comparison->tasks / figures->wall : 0),
        calm__show_seconds(p50, figures->p50),
        calm__show_seconds(p99, figures->p99),
        calm__show_seconds(cpu, figures->cpu),
        calm__show_bytes(memory, figures->memory),
        show_number(switches, figures->switches));
}

int calm_compare_text(const calm_comparison *comparison, calm_bytes *text)
{
    /* After this no call can fail: the text is far shorter. */
    int rc = calm_bytes_reserve(text, 32 << 10);
    if (rc < 0)
        return rc;
    say_work(comparison, text);
    calm_bytes_printf(text, "%-14s%9s  %6s%7s%8s%9s%9s%9s%9s%7s\n", "", "wall",
        "+-", "speed", "tasks/s", "p50", "p99", "cpu", "memory", "switch");
    for (int i = 0; i < CALM_APPROACHES; i++)
        say_row(comparison, i, text);
    calm_bytes_append_text(text, "\nwhat limits it\n");
    for (int i = 0; i < CALM_APPROACHES; i++) {
        calm_bytes_printf(text, "  %-10s", calm_approach_name(i));
        calm_compare_limit(comparison, i, text);
        calm_bytes_append_text(text, "\n");
    }
    calm_bytes_append_text(text, "verdict: ");
    calm_compare_verdict(comparison, text);
    return calm_bytes_append_text(text, "\n");
}
