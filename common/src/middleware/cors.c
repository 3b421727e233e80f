/* Cross-origin requests: WHATWG Fetch, 3.2. The browser enforces; this only says what may be. */
#include "gee/middleware.h"
#include "middleware/own.h"
#include <stdio.h>
#include <string.h>

typedef struct cors {
    const char *origins; /* NULL: any */
    const char *methods, *headers, *expose;
    bool credentials;
    char max_age[16]; /* "": not said */
} cors;

/* Is it one of "a, b, c"? Origins are compared as they are: a browser sends them in lower case. */
static bool is_listed(const char *list, const char *word) {
    size_t n = strlen(word);
    while (*list) {
        list += strspn(list, ", ");
        size_t len = strcspn(list, ", ");
        if (len == n && n > 0 && memcmp(list, word, n) == 0)
            return true;
        list += len;
    }
    return false;
}

static void allow_origin(gee_req *req, const cors *c, const char *origin) {
    gee_set_header(req, "Access-Control-Allow-Origin", c->origins ? origin : "*");
    if (c->credentials)
        gee_set_header(req, "Access-Control-Allow-Credentials", "true");
}

static void answer_preflight(gee_req *req, const cors *c) {
    const char *asked = gee_header(req, "access-control-request-headers");
    gee_set_header(req, "Access-Control-Allow-Methods", c->methods);
    if (c->headers == NULL)
        gee_add_header(req, "Vary", "Access-Control-Request-Headers");
    if (c->headers || asked)
        gee_set_header(req, "Access-Control-Allow-Headers", c->headers ? c->headers : asked);
    if (*c->max_age)
        gee_set_header(req, "Access-Control-Max-Age", c->max_age);
}

/* What depends on the origin must not be taken out of a cache for another one. */
static void handle(gee_req *req) {
    const cors *c = gee_arg(req);
    const char *origin = gee_header(req, "origin");
    bool preflight = origin && strcmp(gee_method(req), "OPTIONS") == 0 &&
                     gee_header(req, "access-control-request-method");
    bool allowed = origin && (c->origins == NULL || is_listed(c->origins, origin));
    if (c->origins)
        gee_add_header(req, "Vary", "Origin");
    if (allowed)
        allow_origin(req, c, origin);
    if (allowed && preflight)
        answer_preflight(req, c);
    else if (allowed && c->expose)
        gee_set_header(req, "Access-Control-Expose-Headers", c->expose);
    if (!preflight) {
        gee_next(req);
        return;
    }
    gee_abort(req);
    gee_status(req, 204);
}

static bool one_line(const char *value) {
    return value == NULL || strpbrk(value, "\r\n") == NULL;
}

static int keep(gee_group *g, cors *c, const gee_cors_options *opt) {
    bool any = opt->origins == NULL || strcmp(opt->origins, "*") == 0;
    const char *methods = opt->methods ? opt->methods : "GET, HEAD, POST, PUT, PATCH, DELETE";
    if (any && opt->credentials)
        return UV_EINVAL; /* it would hand out everyone's session to any site */
    if (!one_line(opt->methods) || !one_line(opt->headers) || !one_line(opt->expose))
        return UV_EINVAL;
    if (!gee_own_string(g, any ? NULL : opt->origins, &c->origins) ||
        !gee_own_string(g, methods, &c->methods) || !gee_own_string(g, opt->headers, &c->headers) ||
        !gee_own_string(g, opt->expose, &c->expose))
        return UV_ENOMEM;
    c->credentials = opt->credentials;
    if (opt->max_age_s >= 0)
        snprintf(c->max_age, sizeof(c->max_age), "%d", opt->max_age_s ? opt->max_age_s : 600);
    return 0;
}

int gee_use_cors(gee_group *g, const gee_cors_options *opt) {
    static const gee_contract contract = {
        .name = "CORS", .provides = "CORS", .around = "authentication"};
    cors *c = gee_own_alloc(g, sizeof(*c));
    int rc = c ? keep(g, c, opt ? opt : &(gee_cors_options){0}) : UV_ENOMEM;
    return rc < 0 ? gee_own_failed(g, rc, "CORS") : gee_own_use(g, handle, c, &contract);
}
