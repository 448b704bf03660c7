/* fuzz_hints.c - any bytes as headers of limits and waits
 *
 * The first byte chooses the header; every time that comes out is unknown or
 * between now and a century. From the root of the project: ./dev fuzz 60 hints
 */
#include "ml/hints.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good)
        abort();
}

static void is_sane(int64_t value)
{
    must(value >= -1 && value <= (int64_t)100 * 365 * 86400 * 1000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"retry-after", "Retry-After-Ms",
        "x-should-retry", "RateLimit", "x-ratelimit-reset-requests",
        "x-ratelimit-remaining-tokens", "ratelimit-limit", "x-ratelimit-reset"};
    if (size < 2)
        return 0;
    /* A copy of exactly the size, without a NUL. */
    size_t len = size - 2;
    char *value = malloc(len ? len : 1);
    must(value != NULL);
    memcpy(value, data + 2, len);
    struct calm__hints hints = CALM__HINTS_NONE;
    int64_t now = (int64_t)data[1] * 10000000 * 1000000000;
    calm__hints_header(&hints, names[data[0] % 8], value, len, now);
    calm__hints_header(&hints, names[data[0] / 8 % 8], value, len / 2, now);
    const struct calm__budget budgets[] = {hints.requests, hints.tokens};
    for (int i = 0; i < 2; i++) {
        is_sane(budgets[i].limit);
        is_sane(budgets[i].remaining);
        is_sane(budgets[i].reset);
    }
    is_sane(hints.retry_after);
    is_sane(hints.retry_after_ms);
    is_sane(calm__hints_wait(&hints));
    is_sane(calm__duration_parse(value, len));
    must(calm__http_date_parse(value, len) >= -1);
    free(value);
    return 0;
}
