/* Names and values: the query, and a form in the body. */
#include "gee/multipart.h"
#include "web/web.h"
#include <string.h>
#include <strings.h>

/* At most. A body may be nothing but &, and a pair takes sixteen times as much as one of these. */
static size_t count_pairs(const char *s, size_t n) {
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++)
        pairs += s[i] != '&' && (i == 0 || s[i - 1] == '&');
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

static bool pair_at(const gee_pairs *ps, size_t i, const char **name, const char **value) {
    if (i >= ps->n)
        return false;
    *name = ps->at[i].name;
    *value = ps->at[i].value;
    return true;
}

static const gee_pairs *query_of(gee_req *req) {
    if (!req->query.parsed) {
        const char *q = strchr(req->x.target, '?');
        req->query.parsed = true;
        if (q)
            parse_pairs(req, &req->query, q + 1, strlen(q + 1));
    }
    return &req->query;
}

const char *gee_query(gee_req *req, const char *name) {
    return find_pair(query_of(req), name);
}

const char *gee_default_query(gee_req *req, const char *name, const char *otherwise) {
    const char *value = gee_query(req, name);
    return value ? value : otherwise;
}

bool gee_query_at(gee_req *req, size_t i, const char **name, const char **value) {
    return pair_at(query_of(req), i, name, value);
}

/* --- a form in the body --- */

enum { FORM_BYTES = 1024 * 1024 };

static int add_pair(gee_req *req, size_t *cap, const char *name, const char *value) {
    gee_pairs *ps = &req->form;
    if (ps->n == *cap) {
        size_t more = *cap ? 2 * *cap : 8;
        ps->at =
            gee_arena_grow(req->x.arena, ps->at, *cap * sizeof(gee_pair), more * sizeof(gee_pair));
        if (ps->at == NULL)
            return UV_ENOMEM;
        *cap = more;
    }
    const char *own = gee_arena_strndup(req->x.arena, name, strlen(name));
    ps->at[ps->n] = (gee_pair){own, value};
    ps->n += own != NULL;
    return own ? 0 : UV_ENOMEM;
}

/* The fields of a multipart form that are no files; those are read over. */
static int take_fields(gee_req *req) {
    gee_multipart *mp;
    const gee_part *part;
    const char *text;
    size_t n, left = FORM_BYTES, cap = 0;
    int rc = gee_multipart_open(req, NULL, &mp);
    while (rc == 0 && (rc = gee_multipart_next(mp, &part)) > 0) {
        rc = 0;
        if (part->filename)
            continue;
        rc = left ? gee_part_text(mp, left, &text, &n) : UV_E2BIG;
        if (rc == 0)
            left -= n;
        if (rc == 0 && strlen(text) == n) /* a string could not hold another one */
            rc = add_pair(req, &cap, part->name, text);
    }
    return rc;
}

static int take_urlencoded(gee_req *req) {
    static const char type[] = "application/x-www-form-urlencoded";
    const char *is = gee_header(req, "content-type"), *body;
    size_t n;
    if (is == NULL || strcspn(is, "; \t") != sizeof(type) - 1 ||
        strncasecmp(is, type, sizeof(type) - 1) != 0)
        return UV_ENOTSUP;
    int rc = gee_body(req, &body, &n);
    return rc < 0 ? rc : parse_pairs(req, &req->form, body, n);
}

static const gee_pairs *form_of(gee_req *req) {
    if (!req->form.parsed) {
        req->form.parsed = true;
        int rc = take_urlencoded(req);
        if (rc == UV_ENOTSUP)
            rc = take_fields(req);
        if (rc < 0)
            req->form.n = 0; /* of half a form nobody knows what is missing */
    }
    return &req->form;
}

const char *gee_form(gee_req *req, const char *name) {
    return find_pair(form_of(req), name);
}

bool gee_form_at(gee_req *req, size_t i, const char **name, const char **value) {
    return pair_at(form_of(req), i, name, value);
}
