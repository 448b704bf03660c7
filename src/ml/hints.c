/* hints.c - what the headers of an answer say of limits and waits
 *
 * Headers come from outside, and are short: everything is read byte by byte,
 * within its length, and whatever does not fit together is left out.
 */
#include "ml/hints.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define SECOND ((int64_t)1000000000)
#define CENTURY (SECOND * 100 * 365 * 86400)

/* A piece of text. */
struct piece {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct piece trim(const char *text, size_t len)
{
    struct piece piece = {text, text + len};
    while (piece.at < piece.end && is_space(*piece.at))
        piece.at++;
    while (piece.at < piece.end && is_space(piece.end[-1]))
        piece.end--;
    return piece;
}

static bool is_word(struct piece piece, const char *word)
{
    size_t len = (size_t)(piece.end - piece.at);
    return len == strlen(word) && strncasecmp(piece.at, word, len) == 0;
}

/* ---- numbers ------------------------------------------------------------- */

/* Takes a number with or without a fraction, times UNIT; CENTURY at most.
 * False when there is none, and nothing is taken then. */
static bool take_number(struct piece *piece, int64_t unit, int64_t *ret_value)
{
    const char *at = piece->at;
    int64_t whole = 0, part = 0, scale = 1;
    while (at < piece->end && is_digit(*at)) {
        int64_t digit = *at++ - '0';
        whole = whole > CENTURY / 10 ? CENTURY : whole * 10 + digit;
    }
    bool any = at > piece->at;
    if (at < piece->end && *at == '.') {
        const char *point = at++;
        for (; at < piece->end && is_digit(*at); at++)
            if (scale < SECOND) {
                part = part * 10 + (*at - '0');
                scale *= 10;
            }
        any |= at > point + 1;
    }
    if (!any)
        return false;
    piece->at = at;
    if (whole >= CENTURY / unit)
        *ret_value = CENTURY;
    else
        *ret_value = whole * unit +
                     (int64_t)((double)part / (double)scale * (double)unit);
    return true;
}

/* A count, as a whole number; -1 for none, and for -1. What follows behind a
 * comma or semicolon is a policy. */
static int64_t count_of(struct piece piece)
{
    int64_t count;
    if (!take_number(&piece, 1, &count))
        return -1;
    piece = trim(piece.at, (size_t)(piece.end - piece.at));
    bool good = piece.at == piece.end || *piece.at == ',' || *piece.at == ';';
    return good ? count : -1;
}

/* ---- durations ----------------------------------------------------------- */

static int64_t take_unit(struct piece *piece)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"\xc2\xb5s", 1000},
        {"\xce\xbcs", 1000}, {"ms", 1000000}, {"s", SECOND}, {"m", 60 * SECOND},
        {"h", 3600 * SECOND}, {"d", 86400 * SECOND}};
    size_t left = (size_t)(piece->end - piece->at);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i].name);
        if (left >= len && memcmp(piece->at, units[i].name, len) == 0) {
            piece->at += len;
            return units[i].ns;
        }
    }
    return 0;
}

int64_t calm__duration_parse(const char *text, size_t len)
{
    struct piece piece = trim(text, len);
    int64_t sum = 0, value;
    bool first = true;
    while (piece.at < piece.end) {
        struct piece number = piece;
        if (!take_number(&piece, 1, &value))
            return -1;
        int64_t unit = take_unit(&piece);
        if (unit == 0 && !(first && piece.at == piece.end))
            return -1;
        take_number(&number, unit ? unit : SECOND, &value);
        sum = sum > CENTURY - value ? CENTURY : sum + value;
        first = false;
    }
    return first ? -1 : sum;
}

/* A reset: a duration, or a time when it is too large for one: seconds or
 * milliseconds since 1970. */
static int64_t reset_of(struct piece piece, int64_t now)
{
    struct piece number = piece;
    int64_t value;
    if (!take_number(&number, 1, &value) || number.at < number.end ||
        value < 1000000000)
        return calm__duration_parse(piece.at, (size_t)(piece.end - piece.at));
    int64_t unit = value < 100000000000 ? SECOND : SECOND / 1000;
    int64_t time = value > INT64_MAX / unit ? INT64_MAX : value * unit;
    return time <= now ? 0 : time - now > CENTURY ? CENTURY : time - now;
}

/* ---- dates --------------------------------------------------------------- */

static int month_of(struct piece piece)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (piece.end - piece.at != 3)
        return -1;
    for (int i = 0; i < 12; i++)
        if (strncasecmp(names + 3 * i, piece.at, 3) == 0)
            return i + 1;
    return -1;
}

/* Up to four digits, LEAST to MOST, or -1. */
static int digits_of(struct piece piece, int least, int most)
{
    int value = 0;
    if (piece.at == piece.end || piece.end - piece.at > 4)
        return -1;
    for (; piece.at < piece.end; piece.at++) {
        if (!is_digit(*piece.at))
            return -1;
        value = value * 10 + (*piece.at - '0');
    }
    return value < least || value > most ? -1 : value;
}

/* Days since 1970 of a date of the Gregorian calendar; years begin in March,
 * so that the leap day is their last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 -
           719468;
}

/* Sun, 06 Nov 1994 08:49:37 GMT - Sunday, 06-Nov-94 08:49:37 GMT - Sun Nov  6
 * 08:49:37 1994: the same words in another order, and other marks between. */
int64_t calm__http_date_parse(const char *text, size_t len)
{
    struct piece rest = trim(text, len), words[9];
    int count = 0;
    while (rest.at < rest.end && count < 9) {
        const char *start = rest.at;
        while (rest.at < rest.end && !memchr(" ,-:", *rest.at, 4))
            rest.at++;
        if (rest.at > start)
            words[count++] = (struct piece){start, rest.at};
        else
            rest.at++;
    }
    if (count < 7 || count > 8)
        return -1;
    bool ansi = count == 7;
    int day = digits_of(words[ansi ? 2 : 1], 1, 31);
    int month = month_of(words[ansi ? 1 : 2]);
    int year = digits_of(words[ansi ? 6 : 3], 0, 9999);
    const struct piece *time = words + (ansi ? 3 : 4);
    int hour = digits_of(time[0], 0, 23), minute = digits_of(time[1], 0, 59);
    int second = digits_of(time[2], 0, 60);
    if (day < 0 || month < 0 || year < 0 || hour < 0 || minute < 0 ||
        second < 0)
        return -1;
    if (!ansi && !is_word(words[7], "GMT") && !is_word(words[7], "UTC"))
        return -1;
    if (words[ansi ? 6 : 3].end - words[ansi ? 6 : 3].at <= 2)
        year += year < 70 ? 2000 : 1900;
    /* Beyond, nanoseconds do not fit into 64 bits. */
    if (year < 1970 || year > 2200)
        return year < 1970 ? -1 : days_of(2200, 1, 1) * 86400 * SECOND;
    int64_t days = days_of(year, month, day);
    return (days * 86400 + hour * 3600 + minute * 60 + second) * SECOND;
}

/* ---- RateLimit ----------------------------------------------------------- */

/* Of several quotas the one that is nearest to its end counts. */
static void fold(struct calm__budget *budget, const struct calm__budget *item)
{
    if (item->limit >= 0)
        budget->limit = item->limit;
    if (item->remaining < 0) {
        if (item->reset >= 0)
            budget->reset = item->reset;
        return;
    }
    bool less = budget->remaining < 0 || item->remaining < budget->remaining;
    bool longer =
        item->remaining == budget->remaining && item->reset > budget->reset;
    if (less || longer) {
        budget->remaining = item->remaining;
        if (item->reset >= 0)
            budget->reset = item->reset;
    }
}

/* r=0, or remaining=0 of earlier drafts. */
static void take_parameter(
    struct calm__budget *item, struct piece piece, int64_t now)
{
    const char *equals = memchr(piece.at, '=', (size_t)(piece.end - piece.at));
    if (!equals)
        return;
    struct piece name = trim(piece.at, (size_t)(equals - piece.at));
    struct piece value = trim(equals + 1, (size_t)(piece.end - equals - 1));
    if (is_word(name, "r") || is_word(name, "remaining"))
        item->remaining = count_of(value);
    else if (is_word(name, "t") || is_word(name, "reset"))
        item->reset = reset_of(value, now);
    else if (is_word(name, "q") || is_word(name, "limit"))
        item->limit = count_of(value);
}

static bool says_tokens(struct piece piece)
{
    for (; piece.end - piece.at >= 5; piece.at++)
        if (strncasecmp(piece.at, "token", 5) == 0)
            return true;
    return false;
}

/* "api";r=0;t=55, "day";r=9;t=3600: a list of quotas with parameters. */
static void read_rate_limit(
    struct calm__hints *hints, struct piece value, int64_t now)
{
    static const struct calm__budget unknown = {-1, -1, -1};
    struct calm__budget item = unknown;
    bool tokens = false;
    while (value.at < value.end) {
        const char *start = value.at;
        bool quoted = false;
        for (; value.at < value.end; value.at++) {
            quoted ^= *value.at == '"';
            if (!quoted && (*value.at == ';' || *value.at == ','))
                break;
        }
        struct piece part = trim(start, (size_t)(value.at - start));
        if (part.at < part.end && *part.at == '"')
            tokens = says_tokens(part);
        else if (part.at < part.end)
            take_parameter(&item, part, now);
        if (value.at == value.end || *value.at == ',') {
            fold(tokens ? &hints->tokens : &hints->requests, &item);
            item = unknown;
            tokens = false;
        }
        value.at += value.at < value.end;
    }
}

/* ---- headers ------------------------------------------------------------- */

static bool starts(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncasecmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

/* [x-]ratelimit-reset[-tokens]; what is counted is requests if it is not
 * said. */
static void read_budget(struct calm__hints *hints, const char *name,
    struct piece value, int64_t now)
{
    enum { LIMIT, REMAINING, RESET } what;
    if (starts(&name, "limit"))
        what = LIMIT;
    else if (starts(&name, "remaining"))
        what = REMAINING;
    else if (starts(&name, "reset"))
        what = RESET;
    else
        return;
    struct calm__budget *budget;
    if (*name == '\0' || strcasecmp(name, "-requests") == 0)
        budget = &hints->requests;
    else if (strcasecmp(name, "-tokens") == 0)
        budget = &hints->tokens;
    else
        return;
    if (what == LIMIT)
        budget->limit = count_of(value);
    else if (what == REMAINING)
        budget->remaining = count_of(value);
    else
        budget->reset = reset_of(value, now);
}

static int64_t retry_after_of(struct piece value, int64_t now)
{
    size_t len = (size_t)(value.end - value.at);
    struct piece number = value;
    int64_t wait;
    if (take_number(&number, SECOND, &wait))
        return number.at == number.end ? wait : -1;
    int64_t date = calm__http_date_parse(value.at, len);
    if (date < 0)
        return -1;
    return date <= now ? 0 : date - now > CENTURY ? CENTURY : date - now;
}

void calm__hints_header(struct calm__hints *hints, const char *name,
    const char *value, size_t len, int64_t now)
{
    struct piece piece = trim(value, len);
    const char *rest = name;
    if (strcasecmp(name, "retry-after") == 0) {
        hints->retry_after = retry_after_of(piece, now);
    } else if (strcasecmp(name, "retry-after-ms") == 0) {
        struct piece number = piece;
        hints->retry_after_ms = -1;
        int64_t wait;
        if (take_number(&number, SECOND / 1000, &wait) &&
            number.at == number.end)
            hints->retry_after_ms = wait;
    } else if (strcasecmp(name, "x-should-retry") == 0) {
        hints->should_retry = is_word(piece, "true")    ? 1
                              : is_word(piece, "false") ? 0
                                                        : -1;
    } else if (strcasecmp(name, "ratelimit") == 0) {
        read_rate_limit(hints, piece, now);
    } else if (starts(&rest, "x-ratelimit-") || starts(&rest, "ratelimit-")) {
        read_budget(hints, rest, piece, now);
    }
}

int64_t calm__hints_wait(const struct calm__hints *hints)
{
    const struct calm__budget *requests = &hints->requests;
    const struct calm__budget *tokens = &hints->tokens;
    if (hints->retry_after_ms >= 0)
        return hints->retry_after_ms;
    if (hints->retry_after >= 0)
        return hints->retry_after;
    int64_t wait = -1;
    if (requests->remaining == 0)
        wait = requests->reset;
    if (tokens->remaining == 0 && tokens->reset > wait)
        wait = tokens->reset;
    return wait;
}
