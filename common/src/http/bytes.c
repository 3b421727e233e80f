#include "http/bytes.h"

#define X4(c)  c, c, c, c
#define X10(c) X4(c), X4(c), c, c
#define X16(c) X4(c), X4(c), X4(c), X4(c)
#define X26(c) X16(c), X10(c)

#define TEXT   GEE_TEXT
#define SYMBOL (GEE_TEXT | GEE_VISIBLE)
#define TCHAR  (GEE_TEXT | GEE_VISIBLE | GEE_TOKEN)
#define PLAIN  (GEE_TEXT | GEE_VISIBLE | GEE_TOKEN | GEE_HOST)

const uint8_t gee_bytes[256] = {
    ['\t'] = TEXT,      [' '] = TEXT,       ['0'] = X10(PLAIN), ['A'] = X26(PLAIN),
    ['a'] = X26(PLAIN), ['-'] = PLAIN,      ['.'] = PLAIN,      ['_'] = PLAIN,
    ['~'] = PLAIN,      ['!'] = TCHAR,      ['$'] = TCHAR,      ['%'] = TCHAR,
    ['&'] = TCHAR,      ['\''] = TCHAR,     ['*'] = TCHAR,      ['+'] = TCHAR,
    ['^'] = TCHAR,      ['`'] = TCHAR,      ['|'] = TCHAR,      ['#'] = TEXT | GEE_TOKEN,
    ['"'] = SYMBOL,     ['('] = SYMBOL,     [')'] = SYMBOL,     [','] = SYMBOL,
    ['/'] = SYMBOL,     [':'] = SYMBOL,     [';'] = SYMBOL,     ['<'] = SYMBOL,
    ['='] = SYMBOL,     ['>'] = SYMBOL,     ['?'] = SYMBOL,     ['@'] = SYMBOL,
    ['['] = SYMBOL,     ['\\'] = SYMBOL,    [']'] = SYMBOL,     ['{'] = SYMBOL,
    ['}'] = SYMBOL,     [0x80] = X16(TEXT), X16(TEXT),          X16(TEXT),
    X16(TEXT),          X16(TEXT),          X16(TEXT),          X16(TEXT),
    X16(TEXT),
};

/* Four at a time, as long as there are so many: a loop for each byte would be most of the work. */
size_t gee_prefix(const char *s, size_t n, unsigned class) {
    const uint8_t *at = (const uint8_t *)s;
    size_t i = 0;
    while (n - i >= 4 && gee_bytes[at[i]] & gee_bytes[at[i + 1]] & gee_bytes[at[i + 2]] &
                             gee_bytes[at[i + 3]] & class)
        i += 4;
    while (i < n && gee_bytes[at[i]] & class)
        i++;
    return i;
}

enum { WORD = sizeof(uint64_t) };
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The high bits of those bytes that are control bytes; behind the lowest they mean nothing. */
static uint64_t controls(uint64_t word) {
    uint64_t del = word ^ EACH(0x7f);
    return (((word - EACH(' ')) & ~word) | ((del - EACH(1)) & ~del)) & EACH(0x80);
}

size_t gee_text_prefix(const char *s, size_t n) {
    size_t i = 0;
    for (uint64_t word; n - i >= WORD; i += WORD) {
        memcpy(&word, s + i, WORD);
        word = controls(word);
        if (word && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            i += __builtin_ctzll(word) / 8;
        if (word)
            break;
    }
    bool ends = i < n && (gee_bytes[(uint8_t)s[i]] & GEE_TEXT) == 0; /* most often: a CR */
    return ends ? i : i + gee_prefix(s + i, n - i, GEE_TEXT);
}
