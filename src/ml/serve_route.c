/* serve_route.c - a path -> an endpoint and a model
 *
 * The path is cut at its slashes and then decoded, so that a slash in a
 * model's name, which clients write as %2F, is none of the path's.
 */
#include "ml/serve.h"

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS = 8, PATH_MOST = 1024 };

/* A pattern's segment is a word, "M" for a model or "V" for a version; the
 * last may have ":VERB" behind it. */
static const struct route {
    const char *segments[SEGMENTS];
    enum calm__endpoint endpoint;
    bool post;
} routes[] = {
    {{""}, CALM__SERVE_SERVER, false},
    {{"metrics"}, CALM__SERVE_METRICS, false},
    {{"predict"}, CALM__SERVE_SAMPLES, true},
    {{"models", "M", "predict"}, CALM__SERVE_SAMPLES, true},
    {{"v1", "predict"}, CALM__SERVE_SAMPLES, true},
    {{"v1", "embeddings"}, CALM__SERVE_EMBEDDINGS, true},
    {{"v1", "models"}, CALM__SERVE_V1_LIST, false},
    {{"v1", "models", "M:predict"}, CALM__SERVE_V1_PREDICT, true},
    {{"v1", "models", "M", "versions", "V:predict"}, CALM__SERVE_V1_PREDICT,
        true},
    {{"v1", "models", "M"}, CALM__SERVE_V1_MODEL, false},
    {{"v1", "models", "M", "versions", "V"}, CALM__SERVE_V1_MODEL, false},
    {{"v2"}, CALM__SERVE_SERVER, false},
    {{"v2", "health", "live"}, CALM__SERVE_LIVE, false},
    {{"v2", "health", "ready"}, CALM__SERVE_READY, false},
    {{"v2", "models", "M"}, CALM__SERVE_MODEL, false},
    {{"v2", "models", "M", "ready"}, CALM__SERVE_MODEL_READY, false},
    {{"v2", "models", "M", "infer"}, CALM__SERVE_INFER, true},
    {{"v2", "models", "M", "versions", "V"}, CALM__SERVE_MODEL, false},
    {{"v2", "models", "M", "versions", "V", "ready"}, CALM__SERVE_MODEL_READY,
        false},
    {{"v2", "models", "M", "versions", "V", "infer"}, CALM__SERVE_INFER, true},
};

struct path {
    char text[PATH_MOST];
    char *segments[SEGMENTS];
    size_t count;
};

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* In place. False for what is no encoding, and for a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high * 16 + low);
        at += 2;
    }
    *to = '\0';
    return true;
}

/* A slash at the end is as good as none. */
static bool path_cut(struct path *path, const char *text)
{
    size_t len = strlen(text);
    if (*text != '/' || len >= sizeof path->text)
        return false;
    memcpy(path->text, text + 1, len);
    if (len > 2 && path->text[len - 2] == '/')
        path->text[len - 2] = '\0';
    char *rest = path->text, *segment;
    while ((segment = strsep(&rest, "/"))) {
        if (path->count == SEGMENTS)
            return false;
        path->segments[path->count++] = segment;
    }
    return true;
}

/* A segment of the path against one of the pattern. The name or version, cut
 * out of the segment, goes to *ret_text. */
static bool segment_fits(
    const char *pattern, const char *segment, size_t *ret_len)
{
    size_t len = strlen(segment);
    if (pattern[0] != 'M' && pattern[0] != 'V')
        return strcmp(pattern, segment) == 0;
    size_t verb = strlen(pattern + 1);
    if (len <= verb || strcmp(segment + len - verb, pattern + 1) != 0)
        return false;
    *ret_len = len - verb;
    return true;
}

static bool route_fits(
    const struct route *route, const struct path *path, size_t lens[SEGMENTS])
{
    for (size_t i = 0; i < SEGMENTS; i++) {
        const char *pattern = route->segments[i];
        bool there = i < path->count;
        if (!pattern)
            return !there;
        if (!there || !segment_fits(pattern, path->segments[i], &lens[i]))
            return false;
    }
    return path->count == SEGMENTS;
}

static struct calm__served *model_find(
    const calm_serve *service, const char *name)
{
    for (size_t i = 0; i < service->model_count; i++)
        if (strcmp(service->models[i].name, name) == 0)
            return &service->models[i];
    return NULL;
}

/* The model and the version that the path names. Each model has one version,
 * which is called 1. */
static int names_read(struct calm__exchange *exchange,
    const struct route *route, struct path *path, const size_t lens[SEGMENTS])
{
    const calm_serve *service = exchange->service;
    exchange->served = service->model_count > 0 ? service->models : NULL;
    for (size_t i = 0; i < path->count; i++) {
        char kind = route->segments[i][0];
        if (kind != 'M' && kind != 'V')
            continue;
        path->segments[i][lens[i]] = '\0';
        if (!decode(path->segments[i]))
            return calm__exchange_refuse(
                exchange, 400, "the path is not encoded as it should be");
        if (kind == 'V' && strcmp(path->segments[i], "1") != 0)
            return calm__exchange_refuse(exchange, 404,
                "model '%s' has no version '%s'", exchange->served->name,
                path->segments[i]);
        if (kind == 'V')
            continue;
        exchange->served = model_find(service, path->segments[i]);
        if (!exchange->served)
            return calm__exchange_refuse(
                exchange, 404, "there is no model '%s'", path->segments[i]);
    }
    if (route->endpoint == CALM__SERVE_SAMPLES && !exchange->served)
        return calm__exchange_refuse(exchange, 404, "there is no model");
    return 1;
}

static int method_check(
    struct calm__exchange *exchange, const struct route *route)
{
    const char *method = calm_request_method(exchange->request);
    if (route->post ? strcmp(method, "POST") == 0
                    : strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        return 1;
    int rc = calm_respond_header(
        exchange->request, "Allow", route->post ? "POST" : "GET, HEAD");
    if (rc < 0)
        return rc;
    return calm__exchange_refuse(exchange, 405, "'%s' takes no %s",
        calm_request_path(exchange->request), method);
}

int calm__serve_route(struct calm__exchange *exchange)
{
    struct path path = {.count = 0};
    size_t lens[SEGMENTS];
    const char *text = calm_request_path(exchange->request);
    if (path_cut(&path, text))
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
            if (!route_fits(&routes[i], &path, lens))
                continue;
            if (routes[i].endpoint == CALM__SERVE_EMBEDDINGS &&
                !exchange->service->drills.standing.openai)
                break;
            exchange->endpoint = routes[i].endpoint;
            int rc = names_read(exchange, &routes[i], &path, lens);
            return rc == 1 ? method_check(exchange, &routes[i]) : rc;
        }
    return calm__exchange_refuse(exchange, 404, "there is no path '%s'", text);
}

/* ---- features ---- */

static size_t hash(const char *name)
{
    uint64_t value = 14695981039346656037u;
    for (; *name; name++)
        value = (value ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(value ^ (value >> 29));
}

int calm__feature_names_make(struct calm__served *served)
{
    struct calm__feature_names *names = &served->names;
    size_t count = calm_model_features(served->model), size = 16;
    if (!calm_model_feature_name(served->model, 0))
        return 0;
    while (size < 2 * count)
        size *= 2;
    names->slots = calloc(size, sizeof *names->slots);
    if (!names->slots || calm__fault("memory"))
        return calm_fail(-ENOMEM, "no memory for %zu names", count);
    names->mask = size - 1;
    for (size_t i = 0; i < count; i++) {
        size_t at = hash(calm_model_feature_name(served->model, i));
        while (names->slots[at & names->mask])
            at++;
        names->slots[at & names->mask] = (uint32_t)i + 1;
    }
    return 0;
}

int calm__feature_find(
    const struct calm__served *served, const char *name, size_t hint)
{
    const struct calm__feature_names *names = &served->names;
    const calm_model *model = served->model;
    if (!names->slots)
        return -1;
    if (hint < calm_model_features(model) &&
        strcmp(calm_model_feature_name(model, hint), name) == 0)
        return (int)hint;
    for (size_t at = hash(name);; at++) {
        uint32_t slot = names->slots[at & names->mask];
        if (slot == 0)
            return -1;
        if (strcmp(calm_model_feature_name(model, slot - 1), name) == 0)
            return (int)slot - 1;
    }
}
