/* calm/compare.h - the same work done four ways, and measured
 *
 * One after the other, as tasks, in threads, in processes: which is best for
 * some work depends on the work and on the machine, so it is measured there:
 *
 *     calm_comparison comparison;
 *     calm_bytes text = {0};
 *     int rc = calm_compare(
 *         &(calm_compare_opts){.work = CALM_WORK_CPU}, &comparison);
 *     if (rc == 0)
 *         rc = calm_compare_text(&comparison, &text);
 *
 * Each approach is measured in a process of its own, so that none finds the
 * memory of another warm, and memory, processor time and context switches are
 * its own. They take turns, so that other load meets all of them. Tasks,
 * threads and workers take the same work from the same list. What would take
 * long is cut off and multiplied up, and says so.
 *
 * Called outside of calm_run(), before other threads are started (calm/
 * process_pool.h has the reason). Times are seconds in doubles here.
 */
#ifndef CALM_COMPARE_H
#define CALM_COMPARE_H

#include <calm/bytes.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a task does. */
enum calm_work {
    CALM_WORK_IO,    /* waits, by a timer */
    CALM_WORK_FILES, /* reads a file of a folder */
    CALM_WORK_HTTP,  /* requests a URL */
    CALM_WORK_CPU,   /* sums squares, and checks the sum */
    CALM_WORK_MIXED, /* requests a URL, then sums squares */
};

enum calm_approach {
    CALM_SYNC,
    CALM_ASYNC,
    CALM_THREADS,
    CALM_PROCESSES,
};

enum {
    CALM_WORKS = 5,
    CALM_APPROACHES = 4,
    CALM_REPEAT_MOST = 100,
};

/* Zero means default, but for the work. */
typedef struct calm_compare_opts {
    enum calm_work work;
    size_t tasks;     /* 10; files: as many as there are, at most 1000 */
    int64_t duration; /* ns that an io task waits, 100 ms, and that a calm serve
                       * of its own takes to answer, 20 ms; negative: none */
    uint64_t amount;  /* how many squares; 50 million, mixed: 5 million */
    int repeat;       /* 5 */
    int warmup;       /* repetitions that do not count before; 1, negative: 0 */
    int64_t most;     /* ns after which a repetition is cut off; 1.5 s */
    const char *url;  /* of http and mixed; NULL: a calm serve of its own */
    const char *folder; /* of files; NULL: one of its own, in TMPDIR */

    /* Is called before each repetition; may be NULL. */
    void (*progress)(
        void *ctx, enum calm_work work, enum calm_approach approach);
    void *progress_ctx;
} calm_compare_opts;

/* What was measured of one approach. */
typedef struct calm_compare_figures {
    int code; /* 0, or why it could not be measured */
    char message[256];
    int repetitions;
    double walls[CALM_REPEAT_MOST]; /* each repetition's, ascending */
    double wall;                    /* median */
    double low, high; /* the middle half of them; all when fewer than four */
    size_t units;     /* tasks, threads or processes at most at once */
    size_t done; /* tasks per repetition, the fewest; below all: cut off and
                    the walls are multiplied up */
    double p50, p99, mean; /* of a task, from its begin to its end */
    double cpu;            /* processor time of a repetition, all processes */
    double memory;         /* bytes, the peak, all processes */
    double switches;       /* context switches of a repetition */
    double others;         /* processors that other programs used meanwhile */
} calm_compare_figures;

typedef struct calm_comparison {
    enum calm_work work;
    size_t tasks;
    int64_t duration;
    uint64_t amount;
    int repeat, warmup;
    int processors;
    char target[256]; /* the folder or URL */
    calm_compare_figures approaches[CALM_APPROACHES];
} calm_comparison;

/* Measures all four. Blocks for seconds. SIGINT and SIGTERM end it: nothing is
 * left of it, and the signal is raised again.
 *
 * Returns 0, also when an approach failed, which its code tells; -EINVAL,
 * -EBUSY beside other threads, -ENOMEM, -EINTR after a signal whose handler
 * came back, or the errno of what is needed (the folder, the server). */
int calm_compare(const calm_compare_opts *opts, calm_comparison *ret_comparison)
    __attribute__((warn_unused_result));

/* "io", "threads". */
const char *calm_work_name(enum calm_work work);
const char *calm_approach_name(enum calm_approach approach);

/* Whether A is faster than B beyond the noise: the middle halves do not touch
 * and the medians differ by more than 2 %; with fewer than three repetitions,
 * which tell no noise, by more than 20 %. */
bool calm_compare_faster(
    const calm_compare_figures *a, const calm_compare_figures *b);

/* Appends the reason for which an approach stops scaling, as far as figures
 * tell, or which approach to use and why: a sentence without an end of line.
 * Both return 0 or -ENOMEM. */
int calm_compare_limit(const calm_comparison *comparison,
    enum calm_approach approach, calm_bytes *text);
int calm_compare_verdict(const calm_comparison *comparison, calm_bytes *text);

/* Appends all of it: as a table with both kinds of sentences; COUNT of them as
 * one JSON object; as an SVG with bars of the wall times. They return 0 or
 * -ENOMEM. */
int calm_compare_text(const calm_comparison *comparison, calm_bytes *text);
int calm_compare_json(
    const calm_comparison *comparisons, size_t count, calm_bytes *json);
int calm_compare_svg(
    const calm_comparison *comparisons, size_t count, calm_bytes *svg);

#ifdef __cplusplus
}
#endif
#endif
