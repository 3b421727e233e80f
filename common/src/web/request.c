/* Reading a request: its head and its body. */
#include "web/web.h"
#include <string.h>

gee_ctx *gee_req_ctx(gee_req *req) {
    return req->ctx;
}

/* What stood for the request's ctx takes with it that a sub-task has panicked (gee/panic.h). */
void gee_req_set_ctx(gee_req *req, gee_ctx *ctx) {
    if (gee_ctx_cause(req->ctx) == GEE_EPANIC)
        gee_ctx_cancel(req->x.ctx, GEE_EPANIC);
    req->ctx = ctx;
}

void gee_endless(gee_req *req) {
    gee_exchange_endless(&req->x);
}

const char *gee_method(const gee_req *req) {
    return req->x.method;
}

const char *gee_target(const gee_req *req) {
    return req->x.target;
}

const char *gee_route(const gee_req *req) {
    return req->route ? req->route->pattern : NULL;
}

const char *gee_header(const gee_req *req, const char *name) {
    const gee_field *f = gee_fields_find(&req->x.fields, name);
    return f ? f->value : NULL;
}

const char *gee_remote(gee_req *req) {
    char text[64];
    if (req->remote == NULL && req->x.conn) {
        gee_conn_peer(req->x.conn, text, sizeof(text));
        req->remote = gee_arena_strndup(req->x.arena, text, strlen(text));
    }
    return req->remote ? req->remote : "";
}

void *gee_alloc(gee_req *req, size_t n) {
    return gee_arena_alloc(req->x.arena, n);
}

/* --- body --- */

ssize_t gee_body_read(gee_req *req, void *buf, size_t n) {
    if (req->x.conn == NULL)
        return UV_EINVAL; /* the body stays with the request */
    return gee_exchange_read(req->ctx, &req->x, buf, n, GEE_HERE);
}

int gee_body(gee_req *req, const char **data, size_t *n) {
    size_t cap = 1024, len = 0;
    char *to = gee_arena_alloc(req->x.arena, cap);
    while (to) {
        ssize_t got = gee_body_read(req, to + len, cap - len - 1);
        if (got < 0)
            return (int)got;
        len += (size_t)got;
        if (got == 0) {
            to[len] = '\0';
            *data = to;
            *n = len;
            return 0;
        }
        if (cap - len < 2) {
            to = gee_arena_grow(req->x.arena, to, cap, 2 * cap);
            cap *= 2;
        }
    }
    return UV_ENOMEM;
}

int gee_body_limit(gee_req *req, uint64_t n) {
    return req->x.conn == NULL ? UV_EINVAL : gee_exchange_limit_body(&req->x, n);
}

int gee_body_status(int err) {
    switch (err) {
    case UV_E2BIG:
        return 413;
    case UV_ETIMEDOUT:
        return 408;
    case UV_ENOTSUP:
        return 415;
    case UV_EINVAL:
    case UV_EPROTO:
    case UV_ECONNRESET:
        return 400;
    case UV_ENOMEM:
        return 503;
    case UV_ENOSPC:
        return 507;
    default:
        return 500;
    }
}
