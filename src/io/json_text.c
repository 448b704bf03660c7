/* json_text.c - escapes undone, and what is wrong with a text in words */
#include "io/csv.h"
#include "io/json.h"

#include <stdio.h>
#include <string.h>

/* ---- escapes ------------------------------------------------------------- */

/* Four hexadecimal digits, or negative. */
static int read_hex(const char *text, size_t len)
{
    int value = 0;
    if (len < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = text[i], lower = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* The length of the escape at TEXT and the character that it stands for; 0 for
 * one that stands for none. */
static size_t read_escape(const char *text, size_t len, uint32_t *ret_character)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (len < 2)
        return 0;
    const char *letter = memchr(letters, text[1], sizeof letters - 1);
    if (letter) {
        *ret_character = (unsigned char)meanings[letter - letters];
        return 2;
    }
    int unit = text[1] == 'u' ? read_hex(text + 2, len - 2) : -1;
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    *ret_character = (uint32_t)unit;
    if (unit < 0xd800 || unit > 0xdbff)
        return 6;
    if (len < 12 || text[6] != '\\' || text[7] != 'u')
        return 0;
    int low = read_hex(text + 8, 4);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_character =
        0x10000u + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 12;
}

static char *put_utf8(uint32_t character, char *to)
{
    if (character < 0x80) {
        *to++ = (char)character;
        return to;
    }
    if (character < 0x800) {
        *to++ = (char)(0xc0 | character >> 6);
    } else {
        if (character < 0x10000) {
            *to++ = (char)(0xe0 | character >> 12);
        } else {
            *to++ = (char)(0xf0 | character >> 18);
            *to++ = (char)(0x80 | (character >> 12 & 0x3f));
        }
        *to++ = (char)(0x80 | (character >> 6 & 0x3f));
    }
    *to++ = (char)(0x80 | (character & 0x3f));
    return to;
}

size_t calm__json_check_escapes(const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at)))) {
        uint32_t character;
        size_t size = read_escape(at, (size_t)(end - at), &character);
        if (size == 0)
            return (size_t)(at - text);
        at += size;
    }
    return len;
}

size_t calm__json_unescape(const char *text, size_t len, char *to)
{
    const char *end = text + len;
    char *out = to;
    while (text < end) {
        const char *escape = memchr(text, '\\', (size_t)(end - text));
        size_t plain = (size_t)((escape ? escape : end) - text);
        memcpy(out, text, plain);
        out += plain;
        text += plain;
        uint32_t character;
        size_t size =
            escape ? read_escape(text, (size_t)(end - text), &character) : 0;
        if (size == 0)
            break;
        out = put_utf8(character, out);
        text += size;
    }
    return (size_t)(out - to);
}

/* ---- problems ------------------------------------------------------------ */

/* Where the string that begins before START ends, its quote or a control
 * character, or END. */
static size_t string_end(const char *text, size_t start, size_t end)
{
    size_t i = start;
    while (i < end && text[i] != '"' && (unsigned char)text[i] >= 0x20)
        i += text[i] == '\\' && i + 1 < end ? 2 : 1;
    return i < end ? i : end;
}

struct calm__json_problem calm__json_explain(const char *text, size_t len)
{
    size_t valid = calm__csv_utf8_valid(text, len);
    for (size_t i = 0; i < valid; i++) {
        if (text[i] != '"')
            continue;
        size_t end = string_end(text, i + 1, valid);
        if (end == valid && valid == len)
            return (struct calm__json_problem){CALM_EFORMAT,
                "the string that begins here is not closed", i, 0};
        if (end < valid && text[end] != '"')
            return (struct calm__json_problem){CALM_EFORMAT,
                "a control character in a string is not escaped", end, 0};
        i = end;
    }
    return (struct calm__json_problem){CALM_EFORMAT, "invalid UTF-8", valid, 0};
}

void calm__json_settle(
    struct calm__json_problem *problem, const char *text, size_t len)
{
    if (problem->status == CALM_EFORMAT &&
        calm__csv_utf8_valid(text, len) < len)
        *problem = calm__json_explain(text, len);
}

/* Copies a word for a message, at most 32 bytes of it and whole characters;
 * what cannot be printed becomes '?'. */
static size_t copy_word(const char *text, size_t len, char *to)
{
    size_t shown = len > 32 ? 32 : len;
    if (shown < len)
        while (shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
            shown--;
    for (size_t i = 0; i < shown; i++)
        to[i] =
            (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    if (shown < len) {
        memcpy(to + shown, "...", 3);
        shown += 3;
    }
    return shown;
}

const char *calm__json_describe(const struct calm__json_problem *problem,
    const char *text, char *buffer, size_t size)
{
    char word[40];
    size_t len = copy_word(text + problem->at, problem->word, word);
    if (problem->word > 0)
        snprintf(buffer, size, "'%.*s' %s", (int)len, word, problem->what);
    else
        snprintf(buffer, size, "%s", problem->what);
    return buffer;
}
