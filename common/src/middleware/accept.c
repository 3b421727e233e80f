/*
 * Accept-Encoding (RFC 9110, 12.5.3): codings, each with a weight, 1 unless it says so,
 * 0 for never. What is not listed has the weight of the star, or is not wanted. A weight that
 * is malformed is 0: plain bytes are what every client can read.
 */
#include "middleware/accept.h"
#include "web/web.h"
#include <string.h>
#include <strings.h>

bool gee_list_next(const char **at, const char **item, size_t *n) {
    const char *s = *at + strspn(*at, " \t,");
    size_t len = strcspn(s, ",");
    *at = s + len;
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
        len--;
    *item = s;
    *n = len;
    return len > 0;
}

bool gee_word_is(const char *s, size_t n, const char *word) {
    return n == strlen(word) && strncasecmp(s, word, n) == 0;
}

/* "0.25" as 250. */
static int weight(const char *s, size_t n) {
    int q = 0, unit = 1000;
    if (n == 0 || n > 5 || (*s != '0' && *s != '1') || (n > 1 && s[1] != '.'))
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 1)
            continue;
        if (s[i] < '0' || s[i] > '9')
            return 0;
        q += (s[i] - '0') * unit;
        unit /= 10;
    }
    return q <= 1000 ? q : 0;
}

/* "gzip ; q=0.5": how long the name is, and the weight. */
static size_t split(const char *item, size_t n, int *q) {
    const char *semicolon = memchr(item, ';', n), *end = item + n;
    size_t name = semicolon ? (size_t)(semicolon - item) : n;
    while (name > 0 && (item[name - 1] == ' ' || item[name - 1] == '\t'))
        name--;
    *q = 1000;
    if (semicolon) {
        const char *s = semicolon + 1;
        while (s < end && (*s == ' ' || *s == '\t'))
            s++;
        bool is_q = end - s > 2 && (*s == 'q' || *s == 'Q') && s[1] == '=';
        *q = is_q ? weight(s + 2, (size_t)(end - s - 2)) : 0;
    }
    return name;
}

bool gee_accepts_gzip(const gee_req *req) {
    int gzip = -1, any = 0, identity = 0;
    for (size_t i = 0; i < req->x.fields.n; i++) {
        const gee_field *f = &req->x.fields.at[i];
        const char *at = f->value, *item;
        size_t n;
        if (!gee_word_is(f->name, f->name_len, "accept-encoding"))
            continue;
        while (gee_list_next(&at, &item, &n)) {
            int q;
            size_t name = split(item, n, &q);
            if (gee_word_is(item, name, "gzip") || gee_word_is(item, name, "x-gzip"))
                gzip = q;
            else if (gee_word_is(item, name, "identity"))
                identity = q;
            else if (gee_word_is(item, name, "*"))
                any = q;
        }
    }
    if (gzip < 0)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}
