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

const char *calm__url_find(const char *url, const char *folder)
{
    struct calm__url parts = calm__url_split(url);
    return memmem(
        url + parts.path, parts.query - parts.path, folder, strlen(folder));
}

enum calm__api_kind calm__api_guess(const char *url)
{
    static const char *const openai[] = {"/v1", "/chat/completions",
        "/completions", "/embeddings", "/responses", "/moderations"};
    if (calm__url_ends(url, ":predict") || calm__url_find(url, "/v1/models/"))
        return CALM__API_V1;
    if (calm__url_ends(url, "/infer") || calm__url_ends(url, "/v2") ||
        calm__url_find(url, "/v2/models/"))
        return CALM__API_V2;
    for (size_t i = 0; i < sizeof openai / sizeof *openai; i++)
        if (calm__url_ends(url, openai[i]))
            return CALM__API_OPENAI;
    return CALM__API_SAMPLES;
}
