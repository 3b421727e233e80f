#include "trace/text.h"

char *gee_put_number(char *at, uint64_t n) {
    char digits[20], *first = digits + sizeof(digits);
    do {
        *--first = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    size_t len = (size_t)(digits + sizeof(digits) - first);
    memcpy(at, first, len);
    return at + len;
}

char *gee_put_hex(char *at, uint64_t n) {
    int shift = 60;
    while (shift > 0 && n >> shift == 0)
        shift -= 4;
    at = gee_put_lit(at, "0x");
    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[n >> shift & 15];
    return at;
}

char *gee_put_us(char *at, uint64_t ns) {
    unsigned part = (unsigned)(ns % 1000);
    at = gee_put_number(at, ns / 1000);
    *at++ = '.';
    *at++ = (char)('0' + part / 100);
    *at++ = (char)('0' + part / 10 % 10);
    *at++ = (char)('0' + part % 10);
    return at;
}

/* Bytes of the character that begins here (RFC 3629); 0: it is none. */
static int utf8_len(const unsigned char *s) {
    if (*s < 0x80)
        return 1;
    int n = *s >= 0xc2 && *s <= 0xdf   ? 2
            : *s >= 0xe0 && *s <= 0xef ? 3
            : *s >= 0xf0 && *s <= 0xf4 ? 4
                                       : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) || (*s == 0xf0 && s[1] < 0x90) ||
        (*s == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static char *put_escaped(char *at, unsigned char c) {
    if (c == '"' || c == '\\') {
        *at++ = '\\';
        *at++ = (char)c;
        return at;
    }
    at = gee_put_lit(at, "\\u00");
    *at++ = "0123456789abcdef"[c >> 4];
    *at++ = "0123456789abcdef"[c & 15];
    return at;
}

char *gee_put_text(char *at, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    const char *last = at + GEE_TEXT_MOST - 6; /* the longest of a character */
    while (*s && at <= last) {
        int n = utf8_len(s);
        if (n == 0)
            *at++ = '?';
        else if (*s < 0x20 || *s == '"' || *s == '\\')
            at = put_escaped(at, *s);
        else
            for (int i = 0; i < n; i++)
                *at++ = (char)s[i];
        s += n ? n : 1;
    }
    return at;
}
