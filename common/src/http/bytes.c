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

enum { WORD = sizeof(uint64_t) };
#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* The high bits of those bytes that are control bytes; behind the lowest they mean nothing. */
static uint64_t controls(uint64_t word) {
    uint64_t del = word ^ EACH(0x7f);
    return (((word - EACH(0x20)) & ~word) | ((del - EACH(1)) & ~del)) & EACH(0x80);
}

/* A value is long, and nearly all of it is text: a word at a time, up to a control byte. */
static size_t text_words(const uint8_t *at, size_t n) {
    for (size_t i = 0;; i += WORD) {
        uint64_t word, found;
        if (n - i < WORD)
            return i;
        memcpy(&word, at + i, WORD);
        if ((found = controls(word)) != 0)
            return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? i + __builtin_ctzll(found) / 8 : i;
    }
}

/* Four at a time, as long as there are so many: a loop for each byte would be most of the work. */
size_t gee_prefix(const char *s, size_t n, unsigned class) {
    const uint8_t *at = (const uint8_t *)s;
    size_t i = class == GEE_TEXT ? text_words(at, n) : 0;
    while (n - i >= 4 && gee_bytes[at[i]] & gee_bytes[at[i + 1]] & gee_bytes[at[i + 2]] &
                             gee_bytes[at[i + 3]] & class)
        i += 4;
    while (i < n && gee_bytes[at[i]] & class)
        i++;
    return i;
}
