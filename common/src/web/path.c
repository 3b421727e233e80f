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

/*
 * They are copied as one, with a slash behind the last one as well, and what separates them becomes
 * what ends them. Only where something is escaped a segment gets shorter, and moves.
 */
int gee_path_parse(gee_arena *a, const char *target, gee_path *out) {
    const char *path = path_of(target);
    if (path == NULL)
        return 400;
    size_t n = (size_t)(strchrnul(path, '?') - path);
    char *at = gee_arena_alloc(a, n), *to = at, *end = at + n;
    if (at == NULL)
        return 503;
    memcpy(at, path + 1, n - 1);
    end[-1] = '/';
    bool escaped = memchr(at, '%', n) != NULL;
    out->segments = at;
    out->n = 0;
    while (at < end) {
        char *segment = at;
        while (*at != '/')
            at++;
        ssize_t len = at++ - segment;
        if (escaped && (len = gee_unescape(segment, (size_t)len, false)) < 0)
            return 400;
        if (escaped)
            memmove(to, segment, (size_t)len);
        to[len] = '\0';
        if (is_dots(to, (size_t)len))
            return 400;
        if (out->n < GEE_MAX_SEGMENTS)
            out->len[out->n] = (uint32_t)len;
        out->n++;
        out->end = to + len;
        to += len + 1;
    }
    return out->n > GEE_MAX_SEGMENTS ? 414 : 0;
}
