/* Cookies (RFC 6265, and SameSite and the prefixes of its successor draft). */
#ifndef GEE_COOKIE_H
#define GEE_COOKIE_H

#include "gee/req.h"

/*
 * The value of the first cookie of that name which the client sent, without the quotes
 * around it; NULL: none. It is as the client likes: sign what must not be made up. Nothing
 * is decoded. A copy of the request has the cookies too.
 */
const char *gee_cookie(gee_req *req, const char *name);

enum gee_same_site {
    GEE_SAME_SITE_DEFAULT,
    GEE_SAME_SITE_LAX,
    GEE_SAME_SITE_STRICT,
    GEE_SAME_SITE_NONE
};

typedef struct gee_set_cookie_options {
    const char *path;   /* NULL: "/" */
    const char *domain; /* NULL: this host alone */
    long max_age_s;     /* 0: until the browser is closed; < 0: the cookie is deleted */
    bool secure, http_only;
    enum gee_same_site same_site;
} gee_set_cookie_options;

/*
 * Adds a Set-Cookie header; opt may be NULL. 0, or
 *   UV_EINVAL  a name that is no token, a byte in value, path or domain that may not be
 *              there (spaces, quotes, commas, semicolons, backslashes, controls: encode
 *              them), SameSite=None or a __Secure- name without secure, a __Host- name
 *              without secure, with a domain or with another path than "/"
 *   and as gee_set_header
 */
int gee_set_cookie(gee_req *req, const char *name, const char *value,
                   const gee_set_cookie_options *opt);

#endif
