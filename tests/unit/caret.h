/* caret.h - compares two texts and shows where they part
 *
 *     expected: 0@1 [a][b]
 *     actual:   0@1 [a]["b]
 *                       ^
 */
#ifndef TEST_CARET_H
#define TEST_CARET_H

#include <stdio.h>
#include <string.h>

#define CARET_BEFORE 40
#define CARET_AFTER 30

/* What lies around a place, in one line, with what is not printable made
 * visible as one character. */
static inline void caret_print(const char *name, const char *text, size_t at)
{
    size_t len = strlen(text);
    size_t begin = at > CARET_BEFORE ? at - CARET_BEFORE : 0;
    fprintf(stderr, "    %-10s", name);
    for (size_t i = begin; i < len && i < at + CARET_AFTER; i++)
        fputc(text[i] == '\n' ? '~' : text[i] < ' ' ? '?' : text[i], stderr);
    fputc('\n', stderr);
}

/* Returns whether the texts are equal; INPUT is shown if they are not. */
static inline int caret_equal(
    const char *input, const char *expected, const char *actual)
{
    if (strcmp(expected, actual) == 0)
        return 1;
    size_t same = 0;
    while (expected[same] && expected[same] == actual[same])
        same++;
    caret_print("input:", input, 0);
    caret_print("expected:", expected, same);
    caret_print("actual:", actual, same);
    size_t column = same > CARET_BEFORE ? CARET_BEFORE : same;
    fprintf(stderr, "    %*s^\n", 10 + (int)column, "");
    return 0;
}

#endif
