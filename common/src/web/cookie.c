/* Cookies: a list of pairs in the request's head, and one header for each that is set. */
#include "gee/cookie.h"
#include "web/web.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* --- those of the request --- */

static size_t count(const gee_fields *fs) {
    size_t n = 0;
    for (size_t i = 0; i < fs->n; i++)
        if (strcasecmp(fs->at[i].name, "cookie") == 0) {
            n++;
            for (const char *s = fs->at[i].value; *s; s++)
                n += *s == ';';
        }
    return n;
}

/* " name = value " in place; a pair without a name or without = is left out. */
static bool take(char *s, char *end, gee_pair *out) {
    char *eq = memchr(s, '=', (size_t)(end - s));
    if (eq == NULL)
        return false;
    char *value = eq + 1 + strspn(eq + 1, " \t");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    while (eq > s && (eq[-1] == ' ' || eq[-1] == '\t'))
        eq--;
    if (end - value >= 2 && *value == '"' && end[-1] == '"') {
        value++;
        end--;
    }
    *end = *eq = '\0';
    *out = (gee_pair){s, value};
    return *s != '\0';
}

static void parse(gee_req *req, const char *header) {
    gee_pairs *ps = &req->cookies;
    char *s = gee_arena_strndup(req->x.arena, header, strlen(header));
    while (s && *s) {
        s += strspn(s, " \t");
        char *end = s + strcspn(s, ";");
        bool last = *end == '\0';
        ps->n += take(s, end, &ps->at[ps->n]);
        s = last ? NULL : end + 1;
    }
}

static void parse_all(gee_req *req) {
    const gee_fields *fs = &req->x.fields;
    size_t n = count(fs);
    req->cookies.parsed = true;
    req->cookies.at = n ? gee_arena_alloc(req->x.arena, n * sizeof(gee_pair)) : NULL;
    for (size_t i = 0; req->cookies.at && i < fs->n; i++)
        if (strcasecmp(fs->at[i].name, "cookie") == 0)
            parse(req, fs->at[i].value);
}

const char *gee_cookie(gee_req *req, const char *name) {
    if (!req->cookies.parsed)
        parse_all(req);
    for (size_t i = 0; i < req->cookies.n; i++)
        if (strcmp(req->cookies.at[i].name, name) == 0)
            return req->cookies.at[i].value;
    return NULL;
}

/* --- those of the response --- */

/* RFC 6265, 4.1.1: cookie-octet. */
static bool is_value(const char *s) {
    for (; *s; s++)
        if (*s <= ' ' || *s >= 0x7f || strchr("\",;\\", *s))
            return false;
    return true;
}

static bool is_attribute(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f || *s == ';')
            return false;
    return true;
}

static bool keeps_its_prefix(const char *name, const gee_set_cookie_options *opt) {
    /* Browsers do not look at the case of these. */
    bool host = strncasecmp(name, "__Host-", 7) == 0;
    bool secure = strncasecmp(name, "__Secure-", 9) == 0;
    if ((host || secure || opt->same_site == GEE_SAME_SITE_NONE) && !opt->secure)
        return false;
    return !host || (opt->domain == NULL && (opt->path == NULL || strcmp(opt->path, "/") == 0));
}

int gee_set_cookie(gee_req *req, const char *name, const char *value,
                   const gee_set_cookie_options *opt) {
    static const char *const same_site[] = {"", "; SameSite=Lax", "; SameSite=Strict",
                                            "; SameSite=None"};
    static const gee_set_cookie_options defaults;
    opt = opt ? opt : &defaults;
    const char *path = opt->path ? opt->path : "/", *domain = opt->domain;
    bool fine = gee_is_token(name) && is_value(value) && is_attribute(path) &&
                is_attribute(domain ? domain : "") && keeps_its_prefix(name, opt);
    if (!fine)
        return UV_EINVAL;
    char age[40] = "";
    if (opt->max_age_s != 0)
        snprintf(age, sizeof(age), "; Max-Age=%ld", opt->max_age_s < 0 ? 0L : opt->max_age_s);
    gee_buf line = {0};
    int rc = gee_buf_printf(&line, "%s=%s; Path=%s%s%s%s%s%s%s", name, value, path,
                            domain ? "; Domain=" : "", domain ? domain : "", age,
                            opt->secure ? "; Secure" : "", opt->http_only ? "; HttpOnly" : "",
                            same_site[opt->same_site]);
    if (rc == 0)
        rc = gee_buf_append(&line, "", 1);
    if (rc == 0)
        rc = gee_add_header(req, "Set-Cookie", gee_buf_head(&line));
    gee_buf_free(&line);
    return rc;
}
