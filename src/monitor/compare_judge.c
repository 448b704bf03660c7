/* compare_judge.c - what follows from the figures of a comparison
 *
 * Nothing here knows what is said to be good for which work: sentences follow
 * from the measured figures alone. On a loaded machine these scatter, so an
 * approach is called faster only when the middle halves of both do not touch;
 * among those that are as fast the one that costs least is the one to use.
 */
#include "monitor/compare.h"

#include <calm/time.h>

#include <math.h>
#include <stdlib.h>

/* ---- statistics ---- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Between the neighbours where it falls in between. */
static double quantile(const double *sorted, int count, double part)
{
    double place = part * (count - 1);
    int below = (int)place;
    if (below >= count - 1)
        return sorted[count - 1];
    double rest = place - below;
    return sorted[below] * (1 - rest) + sorted[below + 1] * rest;
}

void calm__figures_settle(calm_compare_figures *figures)
{
    int count = figures->repetitions;
    qsort(
        figures->walls, (size_t)count, sizeof *figures->walls, compare_doubles);
    figures->wall = quantile(figures->walls, count, 0.5);
    bool few = count < 4;
    figures->low =
        few ? figures->walls[0] : quantile(figures->walls, count, 0.25);
    figures->high =
        few ? figures->walls[count - 1] : quantile(figures->walls, count, 0.75);
}

void calm__figures_times(
    calm_compare_figures *figures, int64_t *times, size_t count)
{
    if (count == 0)
        return;
    qsort(times, count, sizeof *times, compare_times);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)times[i];
    figures->mean = sum / (double)count * 1e-9;
    figures->p50 = (double)times[(count - 1) / 2] * 1e-9;
    figures->p99 = (double)times[(count - 1) * 99 / 100] * 1e-9;
}

bool calm_compare_faster(
    const calm_compare_figures *a, const calm_compare_figures *b)
{
    double least = a->repetitions < 3 || b->repetitions < 3 ? 1.20 : 1.02;
    return a->high < b->low && b->wall > a->wall * least;
}

/* ---- why it does not go on ---- */

static bool is_cut_off(
    const calm_comparison *comparison, const calm_compare_figures *figures)
{
    return figures->done < comparison->tasks;
}

/* How many processors it kept busy, and how many tasks were under way. */
static double busy(const calm_compare_figures *figures)
{
    return figures->wall > 0 ? figures->cpu / figures->wall : 0;
}

static double under_way(
    const calm_comparison *comparison, const calm_compare_figures *figures)
{
    return figures->wall > 0
               ? figures->mean * (double)comparison->tasks / figures->wall
               : 0;
}

/* Whether no processor was free for it any more; adds for whom they work. What
 * hardly wants one does not suffer from that. */
static bool say_all_busy(const calm_comparison *comparison,
    const calm_compare_figures *figures, calm_bytes *text)
{
    double all = comparison->processors;
    if (busy(figures) < 0.1 || busy(figures) + figures->others < 0.85 * all)
        return false;
    double share = fmin((busy(figures) + figures->others) / all, 1);
    calm_bytes_printf(
        text, "all %d processors are busy", comparison->processors);
    if (share < 0.95)
        calm_bytes_printf(text, " %.0f %% of the time", share * 100);
    if (figures->others >= 0.15 * all)
        calm_bytes_printf(text, ", %.1f of them with other programs",
            fmin(figures->others, all));
    return true;
}

static void limit_sync(const calm_comparison *comparison,
    const calm_compare_figures *figures, calm_bytes *text)
{
    double share = 100 * busy(figures);
    if (share >= 80 && figures->others < 0.15 * comparison->processors)
        calm_bytes_printf(text,
            "one processor is busy %.0f %% of the time, others are not used",
            fmin(share, 100));
    else if (share >= 80)
        calm_bytes_printf(text,
            "one processor is busy %.0f %% of the time, and %.1f of %d with "
            "other programs",
            fmin(share, 100), fmin(figures->others, comparison->processors),
            comparison->processors);
    else if (!say_all_busy(comparison, figures, text))
        calm_bytes_printf(text,
            "one task at a time, and %.0f %% of the time it waits",
            fmax(100 - share, 0));
}

static void limit_async(const calm_comparison *comparison,
    const calm_compare_figures *figures, calm_bytes *text)
{
    char each[16];
    double under = under_way(comparison, figures);
    calm__show_seconds(each, figures->cpu / (double)comparison->tasks);
    bool beside = figures->others >= 0.15 * comparison->processors;
    bool alone = comparison->work != CALM_WORK_MIXED; /* or on a pool, too */
    if (beside && say_all_busy(comparison, figures, text))
        return;
    if (alone && busy(figures) >= 0.8 && busy(figures) < 1.2)
        calm_bytes_printf(text,
            "one thread does it all, and its processor is busy: %s a task",
            each);
    else if (under >= 0.9 * (double)comparison->tasks)
        calm_bytes_printf(text,
            "not yet: all %zu wait at once, and each takes %s of a processor",
            comparison->tasks, each);
    else if (!say_all_busy(comparison, figures, text))
        calm_bytes_printf(text,
            "about %.0f at once keep %.1f processors busy: they wait for what "
            "answers",
            fmax(under, 1), busy(figures));
}

static void limit_parallel(const calm_comparison *comparison,
    const calm_compare_figures *figures, const char *name, calm_bytes *text)
{
    char each[16], memory[16];
    double tasks = (double)comparison->tasks;
    double under = under_way(comparison, figures);
    if (say_all_busy(comparison, figures, text))
        return;
    if (under < 0.8 * (double)figures->units)
        calm_bytes_printf(text,
            "%.1f of %zu %s are at work on average; with starting and handing "
            "over a task takes %s of a processor",
            under, figures->units, name,
            calm__show_seconds(each, figures->cpu / tasks));
    else if (figures->units < comparison->tasks)
        calm_bytes_printf(text,
            "%zu %s for %zu tasks, and each does one at a time", figures->units,
            name, comparison->tasks);
    else
        calm_bytes_printf(text,
            "not yet: one of the %s for each task, %s in all, %.1f switches a "
            "task",
            name, calm__show_bytes(memory, figures->memory),
            figures->switches / tasks);
}

int calm_compare_limit(const calm_comparison *comparison,
    enum calm_approach approach, calm_bytes *text)
{
    const calm_compare_figures *figures = &comparison->approaches[approach];
    int rc = calm_bytes_reserve(text, 1024); /* more than it takes */
    if (rc < 0)
        return rc;
    if (figures->code < 0)
        calm_bytes_printf(text, "failed: %s", figures->message);
    else if (approach == CALM_SYNC)
        limit_sync(comparison, figures, text);
    else if (approach == CALM_ASYNC)
        limit_async(comparison, figures, text);
    else
        limit_parallel(comparison, figures, calm_approach_name(approach), text);
    return 0;
}

/* ---- which to use ---- */

static const calm_compare_figures *good(
    const calm_comparison *comparison, int approach)
{
    const calm_compare_figures *figures = &comparison->approaches[approach];
    return figures->code == 0 && figures->wall > 0 ? figures : NULL;
}

static int fastest(const calm_comparison *comparison)
{
    int best = -1;
    for (int i = 0; i < CALM_APPROACHES; i++)
        if (good(comparison, i) &&
            (best < 0 || comparison->approaches[i].wall <
                             comparison->approaches[best].wall))
            best = i;
    return best;
}

/* As fast as the fastest: the noise does not tell them apart. */
static bool is_near(const calm_comparison *comparison, int approach, int best)
{
    const calm_compare_figures *figures = good(comparison, approach);
    return figures &&
           !calm_compare_faster(&comparison->approaches[best], figures);
}

/* A costs less than B: memory, or where that is alike, processor time. */
static bool is_cheaper(
    const calm_compare_figures *a, const calm_compare_figures *b)
{
    if (a->memory < 0.9 * b->memory)
        return true;
    return a->memory < 1.1 * b->memory && a->cpu < 0.8 * b->cpu;
}

/* Nor is another faster, or slower than the fastest and yet before this one:
 * to be near is not transitive. */
static bool may_be_chosen(
    const calm_comparison *comparison, int approach, int best)
{
    const calm_compare_figures *own = good(comparison, approach);
    if (!is_near(comparison, approach, best))
        return false;
    for (int i = 0; i < CALM_APPROACHES; i++) {
        const calm_compare_figures *other = good(comparison, i);
        if (!other)
            continue;
        if (calm_compare_faster(other, own) ||
            (!is_near(comparison, i, best) && other->wall < own->wall))
            return false;
    }
    return true;
}

/* Sync costs least to write and to run, so it is taken whenever it may be. */
static int choose(const calm_comparison *comparison, int best)
{
    int choice = best;
    if (may_be_chosen(comparison, CALM_SYNC, best))
        return CALM_SYNC;
    for (int i = 0; i < CALM_APPROACHES; i++)
        if (may_be_chosen(comparison, i, best) &&
            is_cheaper(
                &comparison->approaches[i], &comparison->approaches[choice]))
            choice = i;
    return choice;
}

/* "1.98", "12.4", "120": three digits. */
static void say_ratio(calm_bytes *text, double value)
{
    calm_bytes_printf(text,
        value < 9.995   ? "%.2f"
        : value < 99.95 ? "%.1f"
                        : "%.0f",
        value);
}

static const char *verb(int approach)
{
    return approach == CALM_SYNC || approach == CALM_ASYNC ? "is" : "are";
}

static void say_slower(
    const calm_comparison *comparison, int choice, calm_bytes *text)
{
    const calm_compare_figures *own = &comparison->approaches[choice];
    bool many = choice == CALM_THREADS || choice == CALM_PROCESSES;
    const char *before = many ? ": they are " : ": it is ";
    for (int i = 0; i < CALM_APPROACHES; i++) {
        if (!good(comparison, i) || is_near(comparison, i, choice))
            continue;
        calm_bytes_append_text(text, before);
        say_ratio(text, comparison->approaches[i].wall / own->wall);
        calm_bytes_printf(text, " times as fast as %s", calm_approach_name(i));
        before = ", ";
    }
}

/* Those that would do as well, or may, and what they cost. */
static void say_near(
    const calm_comparison *comparison, int choice, calm_bytes *text)
{
    const calm_compare_figures *own = &comparison->approaches[choice];
    char memory[16], own_memory[16], cpu[16], own_cpu[16];
    for (int i = 0; i < CALM_APPROACHES; i++) {
        const calm_compare_figures *other = &comparison->approaches[i];
        if (i == choice || !is_near(comparison, i, choice))
            continue;
        bool alike = fabs(other->wall / own->wall - 1) <= 0.1;
        calm_bytes_printf(text,
            "; %s %s%s, with %s and %s of processor time to its %s and %s",
            calm_approach_name(i), alike ? verb(i) : "",
            alike ? " as fast within the noise"
                  : "cannot be told apart from that within the noise",
            calm__show_bytes(memory, other->memory),
            calm__show_seconds(cpu, other->cpu),
            calm__show_bytes(own_memory, own->memory),
            calm__show_seconds(own_cpu, own->cpu));
    }
}

static void say_sync(const calm_comparison *comparison, calm_bytes *text)
{
    const char *before = ": nothing is faster beyond the noise";
    for (int i = CALM_ASYNC; i < CALM_APPROACHES; i++) {
        if (!good(comparison, i))
            continue;
        calm_bytes_printf(text, "%s%s ", before, before[0] == ':' ? ";" : "");
        before = ",";
        calm_bytes_printf(text, "%s ", calm_approach_name(i));
        say_ratio(text, comparison->approaches[CALM_SYNC].wall /
                            comparison->approaches[i].wall);
    }
    if (before[0] == ',')
        calm_bytes_append_text(text, " times its speed");
    else
        calm_bytes_append_text(text, before);
}

static void say_doubts(const calm_comparison *comparison, calm_bytes *text)
{
    for (int i = 0; i < CALM_APPROACHES; i++) {
        const calm_compare_figures *figures = &comparison->approaches[i];
        if (figures->code < 0)
            calm_bytes_printf(
                text, "; %s could not be measured", calm_approach_name(i));
        else if (is_cut_off(comparison, figures))
            calm_bytes_printf(text, "; %s %s estimated from %zu of %zu tasks",
                calm_approach_name(i), verb(i), figures->done,
                comparison->tasks);
    }
    double others = 0, scatter = 0;
    for (int i = 0; i < CALM_APPROACHES; i++) {
        const calm_compare_figures *figures = &comparison->approaches[i];
        others = fmax(others, figures->others);
        if (good(comparison, i))
            scatter = fmax(
                scatter, (figures->high - figures->low) / 2 / figures->wall);
    }
    if (scatter >= 0.25)
        calm_bytes_printf(text,
            "; the times scatter by up to %.0f %%: a quieter machine tells "
            "more",
            scatter * 100);
    if (others >= 0.25 * comparison->processors)
        calm_bytes_printf(text,
            "; other programs used up to %.1f of %d processors meanwhile",
            fmin(others, comparison->processors), comparison->processors);
    if (comparison->repeat < 3)
        calm_bytes_append_text(text,
            "; fewer than three repetitions tell no noise, so less than 20 % "
            "counts as none");
}

int calm_compare_verdict(const calm_comparison *comparison, calm_bytes *text)
{
    int best = fastest(comparison);
    if (best < 0)
        return calm_bytes_append_text(text, "no approach could be measured");
    int choice = choose(comparison, best);
    /* After this no call can fail: the sentence is far shorter. */
    int rc = calm_bytes_reserve(text, 4096);
    if (rc < 0)
        return rc;
    calm_bytes_printf(text, "use %s", calm_approach_name(choice));
    if (choice == CALM_SYNC) {
        say_sync(comparison, text);
    } else {
        say_slower(comparison, choice, text);
        say_near(comparison, choice, text);
    }
    say_doubts(comparison, text);
    return 0;
}
