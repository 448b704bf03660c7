/* api_url.c - what the path of a URL tells */
#include "ml/api_inside.h"

#include <string.h>

struct calm__url calm__url_split(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t path = (size_t)(host - url) + strcspn(host, "/?#");
    return (struct calm__url){path, path + strcspn(url + path, "?#")};
}

bool calm__url_ends(const char *url, const char *end)
{
    struct calm__url parts = calm__url_split(url);
    size_t len = parts.query, size = strlen(end);
    while (len > parts.path && url[len - 1] == '/')
        len--;
    return len - parts.path >= size &&
           strncmp(url + len - size, end, size) == 0;
}

/* Whether the path has a folder of models of that version. */
static bool has_models(const char *url, const char *folder)
{
    struct calm__url parts = calm__url_split(url);
    const char *found = strstr(url + parts.path, folder);
    return found && found < url + parts.query;
}

enum calm__api_kind calm__api_guess(const char *url)
{
    static const char *const openai[] = {"/v1", "/chat/completions",
        "/completions", "/embeddings", "/responses", "/moderations"};
    if (calm__url_ends(url, ":predict") || has_models(url, "/v1/models/"))
        return CALM__API_V1;
    if (calm__url_ends(url, "/infer") || calm__url_ends(url, "/v2") ||
        has_models(url, "/v2/models/"))
        return CALM__API_V2;
    for (size_t i = 0; i < sizeof openai / sizeof *openai; i++)
        if (calm__url_ends(url, openai[i]))
            return CALM__API_OPENAI;
    return CALM__API_SAMPLES;
}
