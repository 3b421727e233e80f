/*
 * The path of a request in the one form by which it is routed.
 *
 * It is split at each '/' before it is decoded, so that %2f is a byte of a
 * segment and never a separator. Dot segments, decoded or not, are refused: what
 * they would lead to is not what a middleware in front of it has looked at.
 * Empty segments stay: //a is not /a.
 */
#include "web/web.h"
#include <string.h>

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t gee_unescape(char *s, size_t n, bool plus) {
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            if (n - i < 3 || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
                return -1;
            c = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return -1;
        s[out++] = c;
    }
    return (ssize_t)out;
}

/* RFC 9112, 3.2.2: a server must take the absolute form too. */
static const char *path_of(const char *target) {
    if (*target == '/')
        return target;
    const char *authority = strstr(target, "://");
    if (authority == NULL)
        return NULL;
    const char *path = authority + 3 + strcspn(authority + 3, "/?");
    return *path == '/' ? path : "/";
}

static bool is_dots(const char *s, size_t n) {
    return *s == '.' && (n == 1 || (n == 2 && s[1] == '.'));
}

/* The rest of a segment, which is at `to` as far as it is plain; its end, or NULL: a bad escape. */
static char *take_escaped(char *to, char *segment, const char **at) {
    size_t n = strcspn(*at, "/?");
    memcpy(to, *at, n);
    *at += n;
    ssize_t len = gee_unescape(segment, (size_t)(to - segment) + n, false);
    return len < 0 ? NULL : segment + len;
}

static const bool stops[256] = {['/'] = true, ['?'] = true, ['%'] = true, ['\0'] = true};

/* Segments are copied one behind the other; where something is escaped one gets shorter. */
int gee_path_parse(gee_arena *a, const char *target, gee_path *out) {
    const char *at = path_of(target);
    if (at == NULL)
        return 400;
    char *to = gee_arena_alloc(a, strlen(at) + 1);
    if (to == NULL)
        return 503;
    out->segments = to;
    out->n = 0;
    do {
        char *segment = to;
        at++; /* the slash */
        while (!stops[(uint8_t)*at])
            *to++ = *at++;
        if (*at == '%' && (to = take_escaped(to, segment, &at)) == NULL)
            return 400;
        *to = '\0';
        size_t len = (size_t)(to - segment);
        if (is_dots(segment, len))
            return 400;
        if (out->n < GEE_MAX_SEGMENTS)
            out->len[out->n] = (uint32_t)len;
        out->n++;
        out->end = to++;
    } while (*at == '/');
    return out->n > GEE_MAX_SEGMENTS ? 414 : 0;
}
