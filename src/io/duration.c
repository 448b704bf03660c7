/* duration.c - "50ms" -> nanoseconds */
#include <calm/number.h>
#include <calm/time.h>

#include <math.h>
#include <string.h>

int calm_duration_parse(const char *text, size_t len, int64_t *ret_duration)
{
    static const struct {
        const char *name;
        int64_t unit;
    } units[] = {{"ns", CALM_NS}, {"us", CALM_US}, {"ms", CALM_MS},
        {"s", CALM_S}, {"m", 60 * CALM_S}, {"h", 3600 * CALM_S}};
    double number;
    size_t digits = 0;
    while (digits < len && strchr("0123456789.", text[digits]) &&
           text[digits] != '\0')
        digits++;
    if (digits == 0 || calm_double_parse(text, digits, &number) < 0)
        return calm_fail(CALM_EFORMAT, "'%.*s' is no duration such as 50ms",
            (int)(len < 64 ? len : 64), text);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strlen(units[i].name) != len - digits ||
            memcmp(units[i].name, text + digits, len - digits) != 0)
            continue;
        double duration = number * (double)units[i].unit;
        if (!(duration < 0x1p63))
            break;
        *ret_duration = (int64_t)duration;
        return 0;
    }
    return calm_fail(CALM_EFORMAT, "'%.*s' is no duration such as 50ms",
        (int)(len < 64 ? len : 64), text);
}
