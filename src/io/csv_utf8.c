/* csv_utf8.c - is it UTF-8, and what to put where it is not
 *
 * The rules are Unicode's table 3-7: no overlong forms, no surrogates, nothing
 * beyond U+10FFFF. An ill-formed part is as long as it could still have become
 * a character; each such part counts as one.
 */
#include "io/csv.h"

#include <string.h>

/* The length of the character at TEXT, or, negative, of its ill-formed part. */
static int measure(const unsigned char *text, size_t len)
{
    unsigned char lead = text[0], low = 0x80, high = 0xbf;
    int need;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf) {
        need = 1;
    } else if ((lead & 0xf0) == 0xe0) {
        need = 2;
        if (lead == 0xe0)
            low = 0xa0;
        if (lead == 0xed)
            high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        need = 3;
        if (lead == 0xf0)
            low = 0x90;
        if (lead == 0xf4)
            high = 0x8f;
    } else {
        return -1;
    }
    for (int i = 1; i <= need; i++) {
        if ((size_t)i == len || text[i] < low || text[i] > high)
            return -i;
        low = 0x80;
        high = 0xbf;
    }
    return need + 1;
}

size_t calm__csv_utf8_valid(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if (!(eight & 0x8080808080808080)) {
                i += sizeof eight;
                continue;
            }
        }
        int size = measure((const unsigned char *)text + i, len - i);
        if (size < 0)
            break;
        i += (size_t)size;
    }
    return i;
}

size_t calm__csv_utf8_replace(const char *text, size_t len, char *to)
{
    char *out = to;
    while (len > 0) {
        size_t good = calm__csv_utf8_valid(text, len);
        memcpy(out, text, good);
        out += good;
        text += good;
        len -= good;
        if (len == 0)
            break;
        size_t bad = (size_t)-measure((const unsigned char *)text, len);
        memcpy(out, "\xef\xbf\xbd", 3);
        out += 3;
        text += bad;
        len -= bad;
    }
    return (size_t)(out - to);
}
