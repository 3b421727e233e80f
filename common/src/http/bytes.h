/* Which bytes may stand where in a message. */
#ifndef GEE_HTTP_BYTES_H
#define GEE_HTTP_BYTES_H

#include <stddef.h>
#include <stdint.h>

enum {
    GEE_TOKEN = 1,   /* in a method or a field's name: RFC 9110, 5.6.2 */
    GEE_VISIBLE = 2, /* in a target: visible ASCII without '#', RFC 9112, 3.2 */
    GEE_TEXT = 4,    /* in a field's value: no control bytes but TAB, RFC 9110, 5.5 */
    GEE_HOST = 8,    /* in a host's name: letters, digits and "-._~", RFC 3986, 2.3 */
};

extern const uint8_t gee_bytes[256]; /* of which classes each is */

/* How many of the n bytes at s, from the first on, are of that class. */
size_t gee_prefix(const char *s, size_t n, unsigned class);

#endif
