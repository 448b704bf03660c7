/* serve_drill_words.c - a drill in words, and its chance
 *
 * Each kind of drill is a line of a table: its word, and what its value
 * consists of. So a new one is a line, and a mistake is told alike for all.
 */
#include "ml/serve_drill.h"

#include <calm/error.h>
#include <calm/number.h>
#include <calm/time.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- chance ---- */

/* splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
 * Generators, 2014): any seed is a good one. */
static uint64_t random_next(struct calm__drills *drills)
{
    uint64_t value = drills->random += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* From 0 to below 1. */
static double random_part(struct calm__drills *drills)
{
    return (double)(random_next(drills) >> 11) * 0x1p-53;
}

bool calm__drill_chance(struct calm__drills *drills, double share)
{
    return share > 0 && random_part(drills) < share;
}

/* Box and Muller's way to a normal distribution. */
static double random_normal(struct calm__drills *drills)
{
    double radius = sqrt(-2 * log(1 - random_part(drills)));
    return radius * cos(2 * M_PI * random_part(drills));
}

int64_t calm__drill_delay(
    struct calm__drills *drills, const struct calm__drill *drill)
{
    double a = (double)drill->a, delay = a;
    switch (drill->delay) {
    case CALM__DRILL_UNIFORM:
        delay = a + ((double)drill->b - a) * random_part(drills);
        break;
    case CALM__DRILL_EXPONENTIAL:
        delay = -a * log(1 - random_part(drills));
        break;
    case CALM__DRILL_LOGNORMAL:
        delay = a * exp(drill->sigma * random_normal(drills));
        break;
    default:
        break;
    }
    if (calm__drill_chance(drills, drill->slow))
        delay *= drill->slow_factor;
    return delay < (double)CALM_FOREVER ? (int64_t)delay : CALM_FOREVER;
}

/* ---- words ---- */

enum { VALUES_MOST = 4 };

/* A drill's value, cut at its colons. */
struct words {
    const char *name;
    char *values[VALUES_MOST];
    size_t count;
};

static int wrong(const struct words *words, const char *form)
{
    return calm_fail(-EINVAL, "a drill is written '%s=%s'", words->name, form);
}

static bool number(const char *text, double least, double most, double *ret)
{
    return text && calm_double_parse(text, strlen(text), ret) == 0 &&
           *ret >= least && *ret <= most;
}

static bool duration(const char *text, int64_t *ret)
{
    return text && calm_duration_parse(text, strlen(text), ret) == 0;
}

/* A share that may be left out: all. */
static bool share(const struct words *words, size_t index, double *ret)
{
    *ret = 1;
    return index >= words->count || number(words->values[index], 0, 1, ret);
}

static bool whole(const char *text, double most, uint64_t *ret)
{
    double value;
    if (!number(text, 1, most, &value) || value != floor(value))
        return false;
    *ret = (uint64_t)value;
    return true;
}

static bool status(const char *text, int *ret)
{
    uint64_t value;
    if (!whole(text, 599, &value) || value < 300)
        return false;
    *ret = (int)value;
    return true;
}

static int delay_word(struct calm__drill *drill, const struct words *words)
{
    static const char *const names[] = {
        "fixed", "uniform", "exponential", "lognormal"};
    char *const *values = words->values;
    drill->delay = CALM__DRILL_FIXED;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], words->values[0]) == 0) {
            drill->delay = (enum calm__drill_delay)i;
            values = words->values + 1;
        }
    bool named = values != words->values;
    size_t count = words->count - named;
    bool good = count > 0 && duration(values[0], &drill->a);
    if (good && drill->delay == CALM__DRILL_UNIFORM)
        good =
            count > 1 && duration(values[1], &drill->b) && drill->b >= drill->a;
    if (good && drill->delay == CALM__DRILL_LOGNORMAL)
        good = count > 1 && number(values[1], 0, 10, &drill->sigma);
    return good ? 0
                : wrong(words, "50ms, uniform:10ms:90ms, exponential:50ms, "
                               "lognormal:50ms:0.5");
}

static int slow_word(struct calm__drill *drill, const struct words *words)
{
    bool good = number(words->values[0], 1, 1e6, &drill->slow_factor) &&
                share(words, 1, &drill->slow);
    return good ? 0 : wrong(words, "FACTOR:SHARE");
}

static int fail_word(struct calm__drill *drill, const struct words *words)
{
    bool good = status(words->values[0], &drill->fail_status) &&
                share(words, 1, &drill->fail);
    return good ? 0 : wrong(words, "STATUS:SHARE");
}

static int throttle_word(struct calm__drill *drill, const struct words *words)
{
    drill->throttle_wait = CALM_S;
    bool good =
        words->count > 0 && share(words, 0, &drill->throttle) &&
        (words->count < 2 || duration(words->values[1], &drill->throttle_wait));
    return good ? 0 : wrong(words, "SHARE:1s");
}

static int concurrent_word(struct calm__drill *drill, const struct words *words)
{
    uint64_t most;
    drill->concurrent_status = 429;
    if (!whole(words->values[0], 1e6, &most) ||
        (words->count > 1 &&
            !status(words->values[1], &drill->concurrent_status)))
        return wrong(words, "N:STATUS");
    drill->concurrent = (size_t)most;
    return 0;
}

static int poison_word(struct calm__drill *drill, const struct words *words)
{
    double value;
    if (!number(words->values[0], -1e30, 1e30, &value))
        return wrong(words, "NUMBER");
    drill->poisoned = true;
    drill->poison = (float)value;
    return 0;
}

static int ratelimit_word(struct calm__drill *drill, const struct words *words)
{
    drill->window = 60 * CALM_S;
    bool good =
        whole(words->values[0], 1e12, &drill->limit) &&
        (words->count < 2 ||
            (duration(words->values[1], &drill->window) && drill->window > 0));
    return good ? 0 : wrong(words, "N:60s");
}

static int quota_word(struct calm__drill *drill, const struct words *words)
{
    return whole(words->values[0], 1e12, &drill->quota) ? 0 : wrong(words, "N");
}

static int times_word(struct calm__drill *drill, const struct words *words)
{
    return whole(words->values[0], 1e12, &drill->times) ? 0 : wrong(words, "N");
}

/* Those that only have a share, which may be left out. */
static int share_word(const struct words *words, double *ret_share)
{
    return share(words, 0, ret_share) ? 0 : wrong(words, "SHARE");
}

static int cut_word(struct calm__drill *drill, const struct words *words)
{
    return share_word(words, &drill->cut);
}

static int reset_word(struct calm__drill *drill, const struct words *words)
{
    return share_word(words, &drill->reset);
}

static int silent_word(struct calm__drill *drill, const struct words *words)
{
    return share_word(words, &drill->silent);
}

static int fewer_word(struct calm__drill *drill, const struct words *words)
{
    return share_word(words, &drill->fewer);
}

static int malformed_word(struct calm__drill *drill, const struct words *words)
{
    return share_word(words, &drill->malformed);
}

static int openai_word(struct calm__drill *drill, const struct words *words)
{
    drill->openai = true;
    return 0;
}

static const struct {
    const char *name;
    int (*read)(struct calm__drill *drill, const struct words *words);
    bool needs_value;
} kinds[] = {
    {"delay", delay_word, true},
    {"slow", slow_word, true},
    {"fail", fail_word, true},
    {"throttle", throttle_word, true},
    {"concurrent", concurrent_word, true},
    {"poison", poison_word, true},
    {"ratelimit", ratelimit_word, true},
    {"quota", quota_word, true},
    {"times", times_word, true},
    {"cut", cut_word, false},
    {"reset", reset_word, false},
    {"silent", silent_word, false},
    {"fewer", fewer_word, false},
    {"malformed", malformed_word, false},
    {"openai", openai_word, false},
};

/* Cuts TEXT in place: NAME=VALUE:VALUE. */
static int word_read(struct calm__drill *drill, char *text)
{
    struct words words = {.name = text};
    char *value = strchr(text, '=');
    if (value)
        *value++ = '\0';
    while (value && words.count < VALUES_MOST)
        words.values[words.count++] = strsep(&value, ":");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, words.name) != 0)
            continue;
        if (value || (kinds[i].needs_value && words.count == 0))
            return calm_fail(
                -EINVAL, "drill '%s' needs another value", words.name);
        return kinds[i].read(drill, &words);
    }
    return calm_fail(-EINVAL, "there is no drill '%s'", words.name);
}

int calm__drill_parse(struct calm__drill *drill, const char *text)
{
    char *copy = strdup(text), *rest = copy, *word;
    if (!copy)
        return calm_fail(-ENOMEM, "no memory for a drill");
    int rc = 0;
    while (rc == 0 && (word = strsep(&rest, ","))) {
        word += strspn(word, " ");
        word[strcspn(word, " ")] = '\0';
        rc = word_read(drill, word);
    }
    free(copy);
    return rc;
}
