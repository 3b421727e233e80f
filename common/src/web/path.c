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

/* A segment to `to`, up to a slash or the end; what it was decoded to is not longer. */
static size_t copy_segment(char *to, const char *at, const char *end, bool *escaped) {
    size_t n = 0;
    *escaped = false;
    for (; at + n < end && at[n] != '/'; n++) {
        to[n] = at[n];
        *escaped |= at[n] == '%';
    }
    return n;
}

int gee_path_parse(gee_arena *a, const char *target, gee_path *out) {
    const char *path = path_of(target);
    if (path == NULL)
        return 400;
    const char *end = strchrnul(path, '?');
    char *to = gee_arena_alloc(a, (size_t)(end - path) + 1);
    if (to == NULL)
        return 503;
    out->segments = to;
    out->n = 0;
    for (const char *at = path; at < end; out->n++) {
        bool escaped;
        at++; /* the slash */
        size_t n = copy_segment(to, at, end, &escaped);
        ssize_t plain = escaped ? gee_unescape(to, n, false) : (ssize_t)n;
        if (plain < 0)
            return 400;
        to[plain] = '\0';
        if (is_dots(to, (size_t)plain))
            return 400;
        out->end = to + plain;
        to += plain + 1;
        at += n;
    }
    return out->n > GEE_MAX_SEGMENTS ? 414 : 0;
}
