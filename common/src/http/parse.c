/*
 * From bytes to a request head: the glue to llhttp, and what llhttp lets pass.
 *
 * llhttp calls with pieces: a name or a value may come in any number of them.
 * A piece is appended to what the arena gave out last, so that a head that comes
 * in one read is copied once and one that comes byte by byte is right too.
 */
#include "http/http.h"
#include <string.h>
#include <strings.h>

static gee_conn *conn_of(llhttp_t *p) {
    return gee_container(p, gee_conn, parser);
}

static int reject(gee_exchange *x, int status) {
    if (x->reject == 0)
        x->reject = status;
    return HPE_USER;
}

/* Room for one piece more in the head, or a refusal. */
static int count_head(gee_conn *c, gee_exchange *x, size_t n) {
    x->head_len += n;
    return x->head_len > c->part->srv->limits.head_bytes ? reject(x, 431) : 0;
}

static char *append(gee_exchange *x, const char *old, size_t len, const char *piece, size_t n) {
    char *s = gee_arena_grow(x->arena, (char *)old, len + 1, len + n + 1);
    if (s == NULL) {
        reject(x, 503);
        return NULL;
    }
    memcpy(s + len, piece, n);
    s[len + n] = '\0';
    return s;
}

static int on_message_begin(llhttp_t *p) {
    gee_conn *c = conn_of(p);
    const gee_http_handler *h = &c->part->srv->handler;
    gee_exchange *x = gee_arena_calloc(&c->arena, h->size);
    if (x == NULL)
        return -1;
    x->conn = c;
    x->arena = &c->arena;
    x->field_part = GEE_IN_VALUE;
    c->x = x;
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t n) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    if (x->target_len + n > c->part->srv->limits.uri_bytes)
        return reject(x, 414);
    int rc = count_head(c, x, n);
    if (rc)
        return rc;
    x->target = append(x, x->target, x->target_len, at, n);
    x->target_len += n;
    return x->target ? 0 : HPE_USER;
}

static int on_header_field(llhttp_t *p, const char *at, size_t n) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    if (x->head_done)
        return 0; /* a trailer: read and dropped */
    int rc = count_head(c, x, n);
    if (rc)
        return rc;
    if (x->field_part == GEE_IN_VALUE) {
        if (x->fields.n == c->part->srv->limits.headers)
            return reject(x, 431);
        if (gee_fields_push(&x->fields, x->arena) == NULL)
            return reject(x, 503);
        x->field_part = GEE_IN_NAME;
    }
    gee_field *f = &x->fields.at[x->fields.n - 1];
    f->name = append(x, f->name_len ? f->name : NULL, f->name_len, at, n);
    f->name_len += n;
    return f->name ? 0 : HPE_USER;
}

static int on_header_value(llhttp_t *p, const char *at, size_t n) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    if (x->head_done)
        return 0;
    int rc = count_head(c, x, n);
    if (rc)
        return rc;
    x->field_part = GEE_IN_VALUE;
    gee_field *f = &x->fields.at[x->fields.n - 1];
    f->value = append(x, f->value_len ? f->value : NULL, f->value_len, at, n);
    f->value_len += n;
    return f->value ? 0 : HPE_USER;
}

/* RFC 9110, 5.5: white space around a value is not part of it. llhttp skips what is in front. */
static void trim(gee_field *f) {
    size_t n = f->value_len;
    while (n > 0 && (f->value[n - 1] == ' ' || f->value[n - 1] == '\t'))
        n--;
    if (n < f->value_len)
        ((char *)f->value)[n] = '\0'; /* it is in the arena */
    f->value_len = n;
}

/* RFC 9112, 3.2: an HTTP/1.1 request has one Host; 6.1: no Transfer-Encoding in HTTP/1.0. */
static int check_fields(gee_exchange *x, bool chunked) {
    int hosts = 0;
    for (size_t i = 0; i < x->fields.n; i++) {
        gee_field *f = &x->fields.at[i];
        trim(f);
        if (f->name_len == 4 && strncasecmp(f->name, "host", 4) == 0)
            hosts++;
        else if (f->name_len == 6 && strncasecmp(f->name, "expect", 6) == 0)
            x->expect_continue = strcasecmp(f->value, "100-continue") == 0 && x->minor > 0;
    }
    if (hosts > 1 || (hosts == 0 && x->minor > 0))
        return 400;
    if (x->minor == 0 && gee_fields_find(&x->fields, "transfer-encoding"))
        return 400;
    return gee_fields_find(&x->fields, "transfer-encoding") && !chunked ? 501 : 0;
}

static int on_headers_complete(llhttp_t *p) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    x->method = llhttp_method_name((llhttp_method_t)p->method);
    x->minor = p->http_minor;
    if (p->http_major != 1 || p->http_minor > 1)
        return reject(x, 505);
    int status = check_fields(x, (p->flags & F_CHUNKED) != 0);
    if (status == 0 && (p->flags & F_CONTENT_LENGTH) &&
        p->content_length > c->part->srv->limits.body_bytes)
        status = 413;
    if (status != 0)
        return reject(x, status);
    x->keep_alive = llhttp_should_keep_alive(p) != 0;
    x->ctx = gee_ctx_with_cancel(c->part->ctx);
    if (x->ctx == NULL)
        return reject(x, 503);
    x->head_done = true;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    x->body_len += n;
    if (x->body_len > c->part->srv->limits.body_bytes)
        x->body_err = UV_E2BIG;
    else if (gee_buf_append(&x->body, at, n) < 0)
        x->body_err = UV_ENOMEM;
    return x->body_err ? HPE_USER : 0;
}

static int on_message_complete(llhttp_t *p) {
    conn_of(p)->x->complete = true;
    return HPE_PAUSED; /* the next one when this one has been served */
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void gee_parser_init(gee_conn *c) {
    llhttp_init(&c->parser, HTTP_REQUEST, &settings);
}

/* Nothing more can be parsed: say so to who reads the body, or refuse the request. */
static void bad_input(gee_conn *c, llhttp_errno_t err) {
    c->broken = true;
    if (c->x == NULL && on_message_begin(&c->parser) != 0) {
        gee_conn_close(c);
        return;
    }
    gee_exchange *x = c->x;
    if (x->head_done) {
        if (x->body_err == 0)
            x->body_err = UV_EPROTO;
        return;
    }
    int status = err == HPE_INVALID_METHOD ? 501 : err == HPE_INVALID_VERSION ? 505 : 400;
    reject(x, status);
    x->head_done = true; /* as far as it will ever be */
}

size_t gee_parse(gee_conn *c, const char *data, size_t n) {
    if (c->broken)
        return n;
    llhttp_errno_t err = llhttp_execute(&c->parser, data, n);
    if (err == HPE_OK)
        return n;
    if (err == HPE_PAUSED || err == HPE_PAUSED_UPGRADE) {
        size_t taken = (size_t)(llhttp_get_error_pos(&c->parser) - data);
        /* An upgrade that nobody offers is an ordinary request, RFC 9110, 7.8; after
         * CONNECT the bytes would be another protocol's. */
        c->broken = c->parser.method == HTTP_CONNECT;
        if (err == HPE_PAUSED_UPGRADE)
            llhttp_resume_after_upgrade(&c->parser);
        else
            llhttp_resume(&c->parser);
        return taken;
    }
    bad_input(c, err);
    return n;
}
