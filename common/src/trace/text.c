#include "trace/text.h"
#include <stdbool.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                            "34353637383940414243444546474849505152535455565758596061626364656667"
                            "6869707172737475767778798081828384858687888990919293949596979899";

char *gee_put_number(char *at, uint64_t n) {
    char digits[20], *first = digits + sizeof(digits);
    for (; n >= 100; n /= 100)
        memcpy(first -= 2, &pairs[n % 100 * 2], 2);
    if (n >= 10)
        memcpy(first -= 2, &pairs[n * 2], 2);
    else
        *--first = (char)('0' + n);
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
    at[0] = '.';
    at[1] = (char)('0' + part / 100);
    memcpy(at + 2, &pairs[part % 100 * 2], 2);
    return at + 4;
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

/* In which bytes, of eight at a time, there is one that is less than b (at most 0x80), or is b. */
#define EACH(b)        (UINT64_C(0x0101010101010101) * (b))
#define HAS_LESS(x, b) (((x)-EACH(b)) & ~(x)&EACH(0x80))
#define HAS(x, b)      HAS_LESS((x) ^ EACH(b), 1)
#define HAS_SPECIAL(x) (((x)&EACH(0x80)) | HAS_LESS(x, 0x20) | HAS(x, '"') | HAS(x, '\\'))

/* Printable ASCII that needs no escape: nearly all there is. */
static bool is_plain(const char *text, size_t n) {
    uint64_t special = 0, x;
    for (; n >= sizeof(x); text += sizeof(x), n -= sizeof(x)) {
        memcpy(&x, text, sizeof(x));
        special |= HAS_SPECIAL(x);
    }
    x = EACH(' ');
    for (size_t i = 0; i < n; i++)
        ((char *)&x)[i] = text[i];
    return (special | HAS_SPECIAL(x)) == 0;
}

char *gee_put_text(char *at, const char *text) {
    size_t len = strlen(text);
    if (len <= GEE_TEXT_MOST && is_plain(text, len)) {
        memcpy(at, text, len);
        return at + len;
    }
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
