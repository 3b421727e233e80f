/*
 * Conditional requests and ranges (RFC 9110, 13 and 14).
 *
 * The conditions are looked at in the order of 13.2.2, the tags before the times, and a
 * header that cannot be understood is as if it were not there.
 */
#include "http/http.h"
#include "middleware/file.h"
#include <string.h>
#include <strings.h>

static char *put_hex(char *at, uint64_t n, size_t least) {
    char digits[16];
    size_t i = sizeof(digits);
    do
        digits[--i] = "0123456789abcdef"[n & 15];
    while ((n >>= 4) > 0 || sizeof(digits) - i < least);
    memcpy(at, digits + i, sizeof(digits) - i);
    return at + sizeof(digits) - i;
}

void gee_version_of(const struct stat *st, gee_version *out) {
    char *at = out->etag;
    out->size = (uint64_t)st->st_size;
    out->modified_s = st->st_mtim.tv_sec;
    *at++ = '"';
    at = put_hex(at, (uint64_t)st->st_mtim.tv_sec, 1);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_mtim.tv_nsec, 8);
    *at++ = '-';
    at = put_hex(at, out->size, 1);
    memcpy(at, "\"", 2);
    if (!gee_date_text(st->st_mtim.tv_sec, out->modified))
        out->modified[0] = '\0';
}

/* --- tags --- */

/*
 * Is the tag in the list? "*" is any. A weak comparison takes W/"x" for "x"; in a
 * strong one nothing weak is equal to anything (8.8.3.2), and ours is never weak.
 */
static bool lists(const char *list, const char *etag, bool weak) {
    size_t n = strlen(etag);
    while (*(list += strspn(list, " \t,")) != '\0') {
        if (*list == '*')
            return true;
        bool is_weak = strncmp(list, "W/", 2) == 0;
        const char *tag = list + (is_weak ? 2 : 0);
        const char *end = *tag == '"' ? strchr(tag + 1, '"') : NULL;
        if (end == NULL)
            return false;
        if ((weak || !is_weak) && (size_t)(end + 1 - tag) == n && memcmp(tag, etag, n) == 0)
            return true;
        list = end + 1;
    }
    return false;
}

int gee_precondition(gee_req *req, const gee_version *v) {
    int64_t since;
    const char *match = gee_header(req, "If-Match"), *unmodified = NULL;
    if (match ? !lists(match, v->etag, false)
              : (unmodified = gee_header(req, "If-Unmodified-Since")) &&
                    gee_date_parse(unmodified, &since) && v->modified_s > since)
        return 412;
    const char *none = gee_header(req, "If-None-Match");
    if (none)
        return lists(none, v->etag, true) ? 304 : 200;
    const char *modified = gee_header(req, "If-Modified-Since");
    if (modified && gee_date_parse(modified, &since) && v->modified_s <= since)
        return 304;
    return 200;
}

/* --- ranges --- */

/* Digits; a number that does not fit is the largest one, which no file reaches. */
static bool number(const char **at, uint64_t *out) {
    const char *s = *at;
    uint64_t n = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        n = n > (UINT64_MAX - 9) / 10 ? UINT64_MAX - 9 : n * 10 + (uint64_t)(*s - '0');
    bool any = s > *at;
    *at = s;
    *out = n;
    return any;
}

/* The range is for the version that the client has a part of. */
static bool is_for(gee_req *req, const gee_version *v) {
    const char *condition = gee_header(req, "If-Range");
    if (condition == NULL)
        return true;
    if (*condition == '"' || strncmp(condition, "W/", 2) == 0)
        return strcmp(condition, v->etag) == 0;
    return strcmp(condition, v->modified) == 0;
}

int gee_range(gee_req *req, const gee_version *v, uint64_t *first, uint64_t *last) {
    const char *at = gee_header(req, "Range");
    if (at == NULL || strncasecmp(at, "bytes=", 6) != 0 || strcmp(gee_method(req), "GET") != 0)
        return 200;
    at += 6;
    bool has_first = number(&at, first);
    if (*at++ != '-')
        return 200;
    bool has_last = number(&at, last);
    if (*at != '\0' || (!has_first && !has_last) || (has_first && has_last && *first > *last))
        return 200; /* several ranges, or none that is one */
    if (!is_for(req, v))
        return 200;
    if (!has_first) { /* the last so many */
        if (*last == 0 || v->size == 0)
            return 416;
        *first = *last < v->size ? v->size - *last : 0;
        *last = v->size - 1;
    } else if (*first >= v->size) {
        return 416;
    } else if (!has_last || *last >= v->size) {
        *last = v->size - 1;
    }
    return 206;
}
