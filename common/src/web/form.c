/* Names and values: the query, and a form in the body. */
#include "web/web.h"
#include <string.h>
#include <strings.h>

static size_t count_pairs(const char *s, size_t n) {
    size_t pairs = 1;
    for (size_t i = 0; i < n; i++)
        pairs += s[i] == '&';
    return pairs;
}

/* One name=value, decoded in place; one that is malformed is left out. */
static bool take_pair(char *s, size_t n, gee_pair *out) {
    char *eq = memchr(s, '=', n);
    size_t name_len = eq ? (size_t)(eq - s) : n;
    char *value = eq ? eq + 1 : s + n;
    ssize_t a = gee_unescape(s, name_len, true);
    ssize_t b = gee_unescape(value, (size_t)(s + n - value), true);
    if (a <= 0 || b < 0)
        return false;
    s[a] = '\0';
    value[b] = '\0';
    *out = (gee_pair){s, value};
    return true;
}

static int parse_pairs(gee_req *req, gee_pairs *ps, const char *text, size_t n) {
    char *s = gee_arena_strndup(req->x.arena, text, n);
    ps->at = gee_arena_alloc(req->x.arena, count_pairs(text, n) * sizeof(gee_pair));
    if (s == NULL || ps->at == NULL)
        return UV_ENOMEM;
    for (char *end = s + n; s < end;) {
        char *amp = memchr(s, '&', (size_t)(end - s));
        size_t len = amp ? (size_t)(amp - s) : (size_t)(end - s);
        char *next = s + len + 1;
        ps->n += take_pair(s, len, &ps->at[ps->n]);
        s = next;
    }
    return 0;
}

static const char *find_pair(const gee_pairs *ps, const char *name) {
    for (size_t i = 0; i < ps->n; i++)
        if (strcmp(ps->at[i].name, name) == 0)
            return ps->at[i].value;
    return NULL;
}

const char *gee_query(gee_req *req, const char *name) {
    if (!req->query.parsed) {
        const char *q = strchr(req->x.target, '?');
        req->query.parsed = true;
        if (q)
            parse_pairs(req, &req->query, q + 1, strlen(q + 1));
    }
    return find_pair(&req->query, name);
}

const char *gee_form(gee_req *req, const char *name) {
    static const char type[] = "application/x-www-form-urlencoded";
    if (!req->form.parsed) {
        const char *is = gee_header(req, "content-type"), *body;
        size_t n;
        req->form.parsed = true;
        if (is && strncasecmp(is, type, sizeof(type) - 1) == 0 && gee_body(req, &body, &n) == 0)
            parse_pairs(req, &req->form, body, n);
    }
    return find_pair(&req->form, name);
}
