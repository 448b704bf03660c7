/* model.c - models by file name: hash, load, predict
 *
 * The libraries that read models were written for files that their own
 * trainers made. What they cannot be trusted with is looked at first: that it
 * is a file, of a known form, whose braces do not nest deeper than their
 * recursive readers can follow.
 */
#include "ml/model.h"

#include "base/error.h"
#include "base/fault.h"

#include <calm/pool.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, DEPTH_MOST = 128 };

/* A look at a model's bytes as they pass by on their way to the hash. */
struct look {
    char first;
    bool text; /* JSON, so that brackets are brackets */
    bool in_string, escaped;
    int depth, deepest;
    size_t size;
};

static void look_at(struct look *look, const char *data, size_t len)
{
    if (look->size == 0 && len > 0)
        look->first = data[0];
    look->size += len;
    for (size_t i = 0; look->text && i < len; i++) {
        char c = data[i];
        if (look->escaped)
            look->escaped = false;
        else if (look->in_string && c == '\\')
            look->escaped = true;
        else if (c == '"')
            look->in_string = !look->in_string;
        else if (!look->in_string && (c == '{' || c == '['))
            look->depth++;
        else if (!look->in_string && (c == '}' || c == ']'))
            look->depth--;
        if (look->depth > look->deepest)
            look->deepest = look->depth;
    }
}

static int hash_fd(int fd, struct look *look, char ret_hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char *chunk = calm__alloc(CHUNK);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = chunk && ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)
        ? 0
        : calm_fail(-ENOMEM, "no memory to read a model");
    while (rc == 0) {
        ssize_t got = read(fd, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = calm_fail(-errno, "%m");
        if (got <= 0)
            break;
        look_at(look, chunk, (size_t)got);
        EVP_DigestUpdate(ctx, chunk, (size_t)got);
    }
    if (rc == 0)
        EVP_DigestFinal_ex(ctx, digest, &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(ctx);
    free(chunk);
    return rc;
}

static int look_result(const struct look *look)
{
    if (look->size == 0)
        return calm_fail(CALM_EMODEL, "the file is empty");
    if (look->first != '{')
        return calm_fail(CALM_EMODEL,
            "the file is no XGBoost model in .json or .ubj form\n"
            "hint: save it by Booster.save_model('model.json')");
    if (look->deepest > DEPTH_MOST)
        return calm_fail(CALM_EMODEL, "it nests %d levels deep, %d at most",
            look->deepest, DEPTH_MOST);
    if (look->text && (look->depth != 0 || look->in_string))
        return calm_fail(CALM_EMODEL, "the file is cut off");
    return 0;
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), end_len = strlen(end);
    return len > end_len && strcasecmp(path + len - end_len, end) == 0;
}

/* Hashes the file and looks whether it may be given to the library. */
static int file_check(
    const char *path, const calm_model_opts *opts, char ret_hash[65])
{
    if (!ends_with(path, ".json") && !ends_with(path, ".ubj"))
        return calm_fail(CALM_EMODEL,
            "the name does not end in .json or .ubj\n"
            "hint: save it by Booster.save_model('model.json')");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return calm_fail(-errno, "%m");
    struct look look = {.text = ends_with(path, ".json")};
    struct stat status;
    int rc = 0;
    if (fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
        rc = calm_fail(
            S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL, "it is no file");
    if (rc == 0)
        rc = hash_fd(fd, &look, ret_hash);
    close(fd);
    if (rc == 0 && opts && opts->sha256 &&
        strcasecmp(opts->sha256, ret_hash) != 0)
        return calm_fail(CALM_EMODEL,
            "its SHA-256 is %s and not the one that was asked for", ret_hash);
    return rc < 0 ? rc : look_result(&look);
}

struct open_job {
    const char *path;
    const calm_model_opts *opts;
    calm_model *model;
};

static int open_call(void *arg)
{
    struct open_job *job = arg;
    char hash[65] = "";
    int rc = file_check(job->path, job->opts, hash);
    if (rc == 0)
        rc = calm__model_xgboost_open(job->path, &job->model);
    if (rc < 0)
        return calm_while(rc, "cannot load model '%s'", job->path);
    memcpy(job->model->hash, hash, sizeof hash);
    return 0;
}

int calm_model_open(
    const char *path, const calm_model_opts *opts, calm_model **ret_model)
{
    struct open_job job = {path, opts, NULL};
    int rc = calm_blocking(open_call, &job);
    if (rc == 0)
        *ret_model = job.model;
    return rc;
}

void calm_model_close(calm_model *model)
{
    if (model)
        model->methods->close(model);
}

size_t calm_model_features(const calm_model *model)
{
    return model->features;
}

const char *calm_model_feature_name(const calm_model *model, size_t feature)
{
    return model->names && feature < model->features ? model->names[feature]
                                                     : NULL;
}

enum calm_model_kind calm_model_kind(const calm_model *model)
{
    return model->kind;
}

size_t calm_model_values(const calm_model *model)
{
    return model->values;
}

const char *calm_model_objective(const calm_model *model)
{
    return model->objective;
}

const char *calm_model_hash(const calm_model *model)
{
    return model->hash;
}

int calm_model_predict(calm_model *model, const float *matrix, size_t rows,
    size_t columns, float *ret_values)
{
    if (columns != model->features)
        return calm_fail(-EINVAL,
            "the model expects %zu features, the data has %zu",
            model->features, columns);
    return rows ? model->methods->predict(model, matrix, rows, ret_values) : 0;
}

int calm_model_label(const calm_model *model, const float *values)
{
    if (model->kind == CALM_MODEL_VALUE)
        return -1;
    if (model->kind == CALM_MODEL_BINARY)
        return values[0] > 0.5f;
    if (model->kind == CALM_MODEL_CLASS)
        return (int)values[0];
    size_t best = 0;
    for (size_t i = 1; i < model->values; i++)
        if (values[i] > values[best])
            best = i;
    return (int)best;
}
