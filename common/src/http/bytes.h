/* Which bytes may stand where in a message. */
#ifndef GEE_HTTP_BYTES_H
#define GEE_HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    GEE_TOKEN = 1,   /* in a method or a field's name: RFC 9110, 5.6.2 */
    GEE_VISIBLE = 2, /* in a target: visible ASCII without '#', RFC 9112, 3.2 */
    GEE_TEXT = 4,    /* in a field's value: no control bytes but TAB, RFC 9110, 5.5 */
    GEE_HOST = 8,    /* in a host's name: letters, digits and "-._~", RFC 3986, 2.3 */
};

extern const uint8_t gee_bytes[256]; /* of which classes each is */

/* How many of the n bytes at s, from the first on, are of that class. */
size_t gee_prefix(const char *s, size_t n, unsigned class);
/* The same of GEE_TEXT, a word at a time: a value is long, and nearly all of it is text. */
size_t gee_text_prefix(const char *s, size_t n);

/* Most strings that are compared differ in their first byte, or are one: a method's name. */
static inline bool gee_same(const char *a, const char *b) {
    return a == b || (*a == *b && strcmp(a, b) == 0);
}

/* Is a token this one, in any case? It is given as a literal of small letters and '-'. */
static inline bool gee_is_token_(const char *s, size_t len, const char *token, size_t n) {
    size_t i = 0;
    while (len == n && i < n && (s[i] | 32) == token[i])
        i++;
    return len == n && i == n;
}
#define GEE_IS_TOKEN(s, len, literal) gee_is_token_(s, len, literal, sizeof(literal) - 1)

#endif
