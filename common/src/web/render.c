/* Answering: text, data, JSON, and bodies in pieces. */
#include "web/web.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void gee_status(gee_req *req, int status) {
    if (!req->x.head_sent && status >= 200 && status <= 599)
        req->x.status = status;
}

int gee_status_of(const gee_req *req) {
    return req->x.status ? req->x.status : 200;
}

const char *gee_response_header(const gee_req *req, const char *name) {
    const gee_field *f = gee_fields_find(&req->x.out_fields, name);
    return f ? f->value : NULL;
}

int gee_set_header(gee_req *req, const char *name, const char *value) {
    return gee_exchange_set(&req->x, name, value, false);
}

int gee_add_header(gee_req *req, const char *name, const char *value) {
    return gee_exchange_set(&req->x, name, value, true);
}

/* The last write is not the handler's to give up: a half-closed client is answered too. */
static int respond(gee_req *req, const void *data, size_t n) {
    return gee_exchange_respond(NULL, &req->x, data, n, GEE_HERE);
}

int gee_data(gee_req *req, int status, const char *content_type, const void *data, size_t n) {
    if (req->x.head_sent)
        return UV_EALREADY;
    gee_status(req, status);
    int rc = gee_set_header(req, "Content-Type", content_type);
    return rc < 0 ? rc : respond(req, data, n);
}

int gee_string(gee_req *req, int status, const char *fmt, ...) {
    char small[256], *text = small;
    va_list ap;
    va_start(ap, fmt);
    int n = gee_text_plain(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0) {
        va_start(ap, fmt);
        n = vsnprintf(small, sizeof(small), fmt, ap);
        va_end(ap);
    }
    if (n < 0)
        return UV_EINVAL;
    if ((size_t)n >= sizeof(small)) {
        text = gee_alloc(req, (size_t)n + 1);
        if (text == NULL)
            return UV_ENOMEM;
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    if (req->x.head_sent)
        return UV_EALREADY;
    gee_status(req, status);
    int rc =
        gee_exchange_set_own(&req->x, GEE_OWN_FIELD("Content-Type", "text/plain; charset=utf-8"));
    return rc < 0 ? rc : respond(req, text, (size_t)n);
}

static int collect(const char *data, size_t n, void *buf) {
    return gee_buf_append(buf, data, n);
}

int gee_json_value(gee_req *req, int status, json_t *value) {
    gee_buf out = {0};
    if (value == NULL) {
        gee_fail(req, 500);
        return UV_EINVAL;
    }
    int rc = json_dump_callback(value, collect, &out, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    if (rc < 0) {
        rc = UV_ENOMEM;
        gee_fail(req, 500);
    } else {
        rc = gee_data(req, status, "application/json", gee_buf_head(&out), gee_buf_size(&out));
    }
    gee_buf_free(&out);
    return rc;
}

int gee_json(gee_req *req, int status, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    json_t *value = json_vpack_ex(NULL, 0, fmt, ap);
    va_end(ap);
    return gee_json_value(req, status, value);
}

int gee_abort_status(gee_req *req, int status) {
    gee_abort(req);
    if (req->x.head_sent)
        return UV_EALREADY;
    gee_status(req, status);
    return gee_exchange_respond(NULL, &req->x, NULL, 0, GEE_HERE);
}

/* The location as a header may have it; NULL: no memory. */
static char *encoded(gee_req *req, const char *location) {
    static const char digits[] = "0123456789ABCDEF";
    char *to = gee_alloc(req, 3 * strlen(location) + 1), *at = to;
    for (const unsigned char *s = (const unsigned char *)location; to && *s; s++) {
        if (*s > ' ' && *s < 0x7f && strchr("\"<>\\^`{|}", *s) == NULL) {
            *at++ = (char)*s;
        } else {
            *at++ = '%';
            *at++ = digits[*s >> 4];
            *at++ = digits[*s & 15];
        }
    }
    if (to)
        *at = '\0';
    return to;
}

int gee_redirect(gee_req *req, int status, const char *location) {
    bool redirects = (status >= 301 && status <= 303) || status == 307 || status == 308;
    if (!redirects || *location == '\0' || strpbrk(location, "\r\n"))
        return UV_EINVAL;
    char *value = encoded(req, location);
    int rc = value ? gee_set_header(req, "Location", value) : UV_ENOMEM;
    return rc < 0 ? rc : gee_fail(req, status);
}

void gee_hang_up(gee_req *req) {
    gee_abort(req);
    gee_exchange_break(&req->x);
}

int gee_fail(gee_req *req, int status) {
    gee_abort(req);
    return gee_exchange_error(&req->x, status);
}

int gee_content_length(gee_req *req, uint64_t n) {
    return req->x.conn == NULL ? UV_EALREADY : gee_exchange_announce(&req->x, n);
}

int gee_write_at(gee_req *req, const void *data, size_t n, gee_site site) {
    return req->x.conn == NULL ? UV_EALREADY : gee_exchange_write(req->ctx, &req->x, data, n, site);
}

int gee_flush_at(gee_req *req, gee_site site) {
    return req->x.conn == NULL ? UV_EALREADY : gee_exchange_flush(req->ctx, &req->x, site);
}
