/* Numbers and addresses as text: for what is written with each request, where printf costs more
 * than all the rest. */
#ifndef GEE_BASE_DECIMAL_H
#define GEE_BASE_DECIMAL_H

#include <stdint.h>
#include <string.h>

enum { GEE_DECIMAL = 20, GEE_IP4_TEXT = 16 };

/* The digits of n, in front of `end`, which has room for GEE_DECIMAL of them. Where they begin. */
static inline char *gee_decimal(char *end, uint64_t n) {
    do
        *--end = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    return end;
}

/* The same behind `to`, and a zero. Where that is. */
static inline char *gee_decimal_put(char *to, uint64_t n) {
    char text[GEE_DECIMAL], *end = text + sizeof(text), *at = gee_decimal(end, n);
    memcpy(to, at, (size_t)(end - at));
    to += end - at;
    *to = '\0';
    return to;
}

/* "192.0.2.1" of four bytes, as they come; at most GEE_IP4_TEXT with its zero. Where that is. */
static inline char *gee_ip4_put(char *to, const void *four) {
    const unsigned char *b = four;
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *to++ = '.';
        to = gee_decimal_put(to, b[i]);
    }
    return to;
}

#endif
