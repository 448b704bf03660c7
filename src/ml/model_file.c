/* model_file.c - a model's file: read once, hashed, then loaded
 *
 * The file is read into memory and everything else works on those bytes, so
 * that what was hashed, what was checked and what is loaded cannot differ,
 * even when somebody replaces the file meanwhile. The bytes are given back as
 * soon as the library has made its own of them.
 */
#include "ml/model.h"

#include "base/fault.h"

#include <calm/pool.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* A thousand times a large model. Loading takes several times its size. */
#define SIZE_MOST ((off_t)2 << 30)

enum { HASH_DIGITS = 64 };

struct job {
    const char *path;
    const calm_model_opts *opts;
    calm_model *model;
};

static int size_check(int fd, size_t *ret_size)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return calm_fail(-errno, "%m");
    if (S_ISDIR(status.st_mode))
        return calm_fail(-EISDIR, "it is a directory");
    if (!S_ISREG(status.st_mode))
        return calm_fail(-EINVAL, "it is not a regular file");
    if (status.st_size == 0)
        return calm_fail(CALM_EMODEL, "the file is empty");
    if (status.st_size > SIZE_MOST)
        return calm_fail(CALM_EMODEL, "the file has %lld bytes, %lld at most",
            (long long)status.st_size, (long long)SIZE_MOST);
    *ret_size = (size_t)status.st_size;
    return 0;
}

static int bytes_read(int fd, char *data, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t got = read(fd, data + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return calm_fail(-errno, "%m");
        if (got == 0)
            return calm_fail(CALM_EMODEL, "the file shrank while it was read");
        have += (size_t)got;
    }
    return 0;
}

/* Reads the file into *RET_DATA, which the caller frees, if it is one. */
static int file_read(const char *path, char **ret_data, size_t *ret_size)
{
    /* A pipe would wait for a writer without O_NONBLOCK. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return calm_fail(-errno, "%m");
    char *data = NULL;
    int rc = size_check(fd, ret_size);
    if (rc == 0 && !(data = calm__alloc(*ret_size)))
        rc = calm_fail(-ENOMEM, "no memory for its %zu bytes", *ret_size);
    if (rc == 0)
        rc = bytes_read(fd, data, *ret_size);
    close(fd);
    if (rc < 0)
        free(data);
    else
        *ret_data = data;
    return rc;
}

static int hash_bytes(
    const char *data, size_t size, char ret_hex[HASH_DIGITS + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(data, size, digest, &len, EVP_sha256(), NULL) != 1)
        return calm_fail(-ENOMEM, "its SHA-256 cannot be computed");
    for (unsigned i = 0; i < len; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static int hash_check(const char *expected, const char *hash)
{
    if (strcasecmp(expected, hash) == 0)
        return 0;
    return calm_fail(
        CALM_EMODEL, "its SHA-256 is %s, expected was %s", hash, expected);
}

/* Whether it looks like what XGBoost's save_model() writes: '{' and, spaces
 * apart, a key in quotes (JSON) or a length (UBJSON). */
static int form_check(const char *data, size_t size)
{
    size_t i = 1;
    while (i < size && isspace((unsigned char)data[i]))
        i++;
    if (data[0] == '{' && i == size)
        return calm_fail(CALM_EMODEL, "the file is cut off");
    if (data[0] == '{' && (data[i] == '"' || (i == 1 && data[i] == 'L')))
        return 0;
    if (data[0] == '{' && data[i] == '}')
        return calm_fail(CALM_EMODEL, "it holds no XGBoost model");
    return calm_fail(CALM_EMODEL,
        "the file is no XGBoost model in its .json or .ubj form\n"
        "hint: load it in Python and save it by save_model('model.ubj')");
}

static int model_load(void *arg)
{
    struct job *job = arg;
    const calm_model_opts *opts = job->opts;
    char hash[HASH_DIGITS + 1] = "";
    char *data = NULL;
    size_t size = 0;
    int rc = file_read(job->path, &data, &size);
    if (rc == 0)
        rc = hash_bytes(data, size, hash);
    if (rc == 0 && opts && opts->sha256)
        rc = hash_check(opts->sha256, hash);
    if (rc == 0)
        rc = form_check(data, size);
    if (rc == 0)
        rc = calm__model_xgboost_load(data, size, opts, &job->model);
    if (rc == 0)
        memcpy(job->model->hash, hash, sizeof hash);
    free(data);
    return rc;
}

static bool is_hash(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    return digits == HASH_DIGITS && text[digits] == '\0';
}

int calm__model_file_open(
    const char *path, const calm_model_opts *opts, calm_model **ret_model)
{
    struct job job = {path, opts, NULL};
    if (opts && opts->sha256 && !is_hash(opts->sha256))
        return calm_fail(
            -EINVAL, "'%.70s' is not the SHA-256 of a file", opts->sha256);
    int rc = calm_blocking(model_load, &job);
    if (rc == 0)
        *ret_model = job.model;
    else if (job.model)
        calm_model_close(job.model);
    return rc;
}
