/* remote_options.c - the options of calm predict for a model behind a URL
 *
 * A secret is never an argument, which every user of the machine can read: it
 * comes from the environment or a file.
 */
#include "predict.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char remote_help[] =
    "\n"
    "A model behind a URL:\n"
    "  --api NAME           samples, v2, v1 or openai; default: guessed\n"
    "  --template FILE      the body of a request, {{column}} is a value\n"
    "  --result-path PATH   where the results are in an answer\n"
    "  --concurrency N      requests at once; auto finds out (the default)\n"
    "  --rate N/s           requests in a second, or N/m in a minute\n"
    "  --token-rate N/m     tokens in a minute, or N/s in a second\n"
    "  --timeout SECONDS    of one attempt; also 500ms, 2m\n"
    "  --retries N          after the first attempt (4)\n"
    "  --patience SECONDS   with a server that is away (30); also 10m\n"
    "  --max-failures N%    of the last 100 requests end the run (50%), or\n"
    "                       none\n"
    "  --header 'NAME: V'   of every request; V is @FILE for a secret\n"
    "  --api-key-file FILE  a bearer token; also CALM_API_KEY\n"
    "  --ca-file FILE       certificates to trust, PEM\n"
    "  --unix-socket PATH   where the server listens\n";

/* ---- numbers with a unit ---- */

/* "10/s", "600/m": so many a second. */
static bool pace_read(const char *option, const char *text, double *ret_pace)
{
    size_t len = strlen(text);
    double number = 0, per = 0;
    if (len > 2 && text[len - 2] == '/') {
        per = text[len - 1] == 'm' ? 60 : text[len - 1] == 's' ? 1 : 0;
        len -= 2;
    }
    if (per > 0 && calm_double_parse(text, len, &number) == 0 &&
        number >= 1e-6 && number <= 1e12) {
        *ret_pace = number / per;
        return true;
    }
    return complain("predict: %s: '%s' is no N/s or N/m", option, text), false;
}

/* With a unit, or in seconds. */
static bool duration_read(
    const char *option, const char *text, int64_t *ret_duration)
{
    const int64_t most = 1000000 * CALM_S;
    size_t len = strlen(text);
    int64_t duration = 0;
    double seconds;
    if (calm_double_parse(text, len, &seconds) == 0)
        duration = seconds > 0 && seconds < 1e6
                       ? (int64_t)(seconds * (double)CALM_S)
                       : 0;
    else if (calm_duration_parse(text, len, &duration) < 0)
        duration = 0;
    if (duration >= CALM_MS && duration <= most) {
        *ret_duration = duration;
        return true;
    }
    return complain("predict: %s: '%s' is no time such as 30, 500ms or 2m",
               option, text),
           false;
}

static bool concurrency_read(struct job *job, const char *text)
{
    uint64_t number;
    if (strcmp(text, "auto") == 0) {
        job->opts.remote.at_once = 0;
        return true;
    }
    if (!number_read("predict: --concurrency", text, 1, &number))
        return false;
    if (number > 4096)
        return complain("predict: --concurrency: 4096 at most"), false;
    job->opts.remote.at_once = (size_t)number;
    return true;
}

static bool retries_read(struct job *job, const char *text)
{
    uint64_t number;
    if (!number_read("predict: --retries", text, 0, &number))
        return false;
    if (number > 1000)
        return complain("predict: --retries: 1000 at most"), false;
    job->opts.remote.attempts = 1 + (int)number;
    return true;
}

static bool failures_read(struct job *job, const char *text)
{
    size_t len = strlen(text);
    int64_t number;
    if (strcmp(text, "none") == 0) {
        job->opts.remote.failures_most = 101;
        return true;
    }
    if (len > 1 && text[len - 1] == '%' &&
        calm_int64_parse(text, len - 1, &number) == 0 && number >= 1 &&
        number <= 100) {
        job->opts.remote.failures_most = (int)number;
        return true;
    }
    return complain("predict: --max-failures: '%s' is not 1%% to 100%% or none",
               text),
           false;
}

/* ---- secrets ---- */

/* The first line of a file, as the caller's to free, NULL with a complaint. */
static char *secret_read(const char *option, const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    ssize_t len = file ? getline(&text, &size, file) : -1;
    if (!file)
        complain("predict: %s: cannot open '%s': %m", option, path);
    else if (len < 0)
        complain("predict: %s: '%s' is empty", option, path);
    if (file)
        fclose(file);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        text[--len] = '\0';
    bool good = len > 0;
    for (ssize_t i = 0; i < len; i++)
        good &= (unsigned char)text[i] >= ' ' && text[i] != 0x7f;
    if (good)
        return text;
    if (len >= 0)
        complain(
            "predict: %s: what is in '%s' is no header's value", option, path);
    free(text);
    return NULL;
}

static bool is_secret(const char *name)
{
    static const char *const parts[] = {
        "auth", "key", "token", "secret", "cookie", "password"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcasestr(name, parts[i]))
            return true;
    return false;
}

static bool header_add(struct job *job, char *name, char *value)
{
    size_t count = job->opts.remote.header_count;
    if (count == HEADERS_MOST)
        return complain("predict: --header: %d at most", HEADERS_MOST), false;
    if (*value == '@') {
        job->secrets[count] = value = secret_read("--header", value + 1);
        if (!value)
            return false;
    }
    job->headers[count] = (calm_http_header){name, value};
    job->opts.remote.headers = job->headers;
    job->opts.remote.header_count = count + 1;
    return true;
}

/* TEXT is cut at its colon. */
static bool header_read(struct job *job, char *text)
{
    char *colon = strchr(text, ':');
    if (!colon || colon == text)
        return complain("predict: --header: a header is 'NAME: VALUE'"), false;
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    if (is_secret(text) && *value != '@')
        return complain("predict: --header: the value of '%s' would be seen by "
                        "others\nhint: put it into a file and say --header "
                        "'%s: @FILE'",
                   text, text),
               false;
    return header_add(job, text, value);
}

static bool key_read(struct job *job, const char *path)
{
    free(job->key);
    job->key_file = path;
    job->key = secret_read("--api-key-file", path);
    return job->key != NULL;
}

/* ---- all of them ---- */

static bool api_read(struct job *job, const char *text)
{
    static const char *const names[] = {
        "auto", "samples", "v2", "v1", "openai"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0) {
            job->opts.remote.api = (enum calm_api)i;
            return true;
        }
    return complain(
               "predict: --api: '%s' is not samples, v2, v1 or openai", text),
           false;
}

/* A user and a password before the host would be seen by others. */
static bool url_read(struct job *job, const char *text)
{
    const char *host = strstr(text, "//");
    host = host ? host + 2 : text;
    if (memchr(host, '@', strcspn(host, "?#")))
        return complain("predict: --url: what stands before an @ would be seen "
                        "by others\nhint: put it into a file and say --header "
                        "'Authorization: @FILE'"),
               false;
    job->opts.remote.url = text;
    return true;
}

bool remote_option(struct job *job, int option, char *text)
{
    calm_remote_opts *remote = &job->opts.remote;
    switch (option) {
    case OPT_URL:
        return url_read(job, text);
    case OPT_API:
        return api_read(job, text);
    case OPT_TEMPLATE:
        remote->template_file = text;
        return true;
    case OPT_RESULT_PATH:
        remote->result_path = text;
        return true;
    case OPT_CONCURRENCY:
        return concurrency_read(job, text);
    case OPT_RATE:
        return pace_read("--rate", text, &remote->request_rate);
    case OPT_TOKEN_RATE:
        return pace_read("--token-rate", text, &remote->token_rate);
    case OPT_TIMEOUT:
        return duration_read("--timeout", text, &remote->timeout);
    case OPT_RETRIES:
        return retries_read(job, text);
    case OPT_PATIENCE:
        return duration_read("--patience", text, &remote->patience);
    case OPT_MAX_FAILURES:
        return failures_read(job, text);
    case OPT_HEADER:
        return header_read(job, text);
    case OPT_API_KEY_FILE:
        return key_read(job, text);
    case OPT_CA_FILE:
        remote->ca_file = text;
        return true;
    default:
        remote->unix_path = text;
        return true;
    }
}

void remote_options_end(struct job *job)
{
    calm_remote_opts *remote = &job->opts.remote;
    const char *key = getenv("CALM_API_KEY");
    if (!job->key && key && *key)
        job->key = strdup(key);
    remote->key = job->key;
}

void remote_options_clear(struct job *job)
{
    for (size_t i = 0; i < job->opts.remote.header_count; i++) {
        char *secret = job->secrets[i];
        if (secret)
            explicit_bzero(secret, strlen(secret));
        free(secret);
    }
    if (job->key)
        explicit_bzero(job->key, strlen(job->key));
    free(job->key);
}
