/*
 * From bytes to a request: the glue to llhttp, which sees what wire.c let pass. When
 * its head is complete head.c has a look at it.
 *
 * llhttp calls with pieces: a name or a value may come in any number of them.
 * A piece is appended to what the arena gave out last, so that a head that comes
 * in one read is copied once and one that comes byte by byte is right too.
 *
 * The parser is a connection's only while a message comes: neither one that waits for the next
 * nor one that is answered has any. A message that is no more than a head, and came whole,
 * needs none: whole.c.
 */
#include "base/pool.h"
#include "http/http.h"
#include <string.h>
#include <strings.h>

static gee_conn *conn_of(llhttp_t *p) {
    return p->data;
}

static int reject(gee_exchange *x, int status) {
    if (x->reject == 0)
        x->reject = status;
    return HPE_USER;
}

static char *append(gee_exchange *x, const char *old, size_t len, const char *piece, size_t n) {
    char *s = old ? gee_arena_grow(x->arena, (char *)old, len + 1, len + n + 1)
                  : gee_arena_alloc(x->arena, n + 1);
    if (s == NULL) {
        reject(x, 503);
        return NULL;
    }
    memcpy(s + len, piece, n);
    s[len + n] = '\0';
    return s;
}

gee_exchange *gee_exchange_begin(gee_conn *c) {
    gee_exchange *x = gee_arena_calloc(&c->arena, c->part->srv->handler.size);
    if (x == NULL)
        return NULL;
    x->conn = c;
    x->arena = &c->arena;
    x->field_part = GEE_IN_VALUE;
    c->x = x;
    return x;
}

bool gee_exchange_has_head(gee_exchange *x) {
    gee_conn *c = x->conn;
    x->ctx = gee_ctx_with_cancel(c->part->ctx);
    if (x->ctx == NULL)
        return false;
    x->body_max = c->part->srv->limits.body_bytes;
    x->head_done = c->had_head = true;
    return true;
}

static int on_message_begin(llhttp_t *p) {
    return gee_exchange_begin(conn_of(p)) ? 0 : -1;
}

/* A HEAD is one also where the rest of its head is refused: its answer has no body. */
static int on_method_complete(llhttp_t *p) {
    conn_of(p)->x->method = llhttp_method_name((llhttp_method_t)p->method);
    return 0;
}

static int on_url(llhttp_t *p, const char *at, size_t n) {
    gee_exchange *x = conn_of(p)->x;
    x->target = append(x, x->target, x->target_len, at, n);
    x->target_len += n;
    return x->target ? 0 : HPE_USER;
}

static int on_header_field(llhttp_t *p, const char *at, size_t n) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
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
    gee_exchange *x = conn_of(p)->x;
    x->field_part = GEE_IN_VALUE;
    gee_field *f = &x->fields.at[x->fields.n - 1];
    f->value = append(x, f->value_len ? f->value : NULL, f->value_len, at, n);
    f->value_len += n;
    return f->value ? 0 : HPE_USER;
}

static int on_headers_complete(llhttp_t *p) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    x->minor = p->http_minor > 0; /* RFC 9110, 2.5: HTTP/1.2 is served as HTTP/1.1 */
    if (p->method > HTTP_UNLINK)
        return reject(x, 501); /* one of other protocols, or only known to a newer llhttp */
    int status = gee_head_check(x);
    if (status == 0 && (p->flags & F_CONTENT_LENGTH) &&
        p->content_length > c->part->srv->limits.body_bytes)
        status = 413;
    if (status != 0)
        return reject(x, status);
    if (!gee_exchange_has_head(x))
        return reject(x, 503);
    p->upgrade = 0; /* RFC 9110, 7.8: one that nobody offers is an ordinary request */
    /* Also where llhttp stumbles over white space behind the coding. */
    p->flags |= x->chunked ? F_CHUNKED : 0;
    gee_wire_body(&c->parser->wire, x->chunked);
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n) {
    gee_conn *c = conn_of(p);
    gee_exchange *x = c->x;
    x->body_len += n;
    if (x->body_len > x->body_max)
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
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static bool begin(gee_conn *c) {
    gee_parser *p = gee_pool_get(GEE_POOL_PARSERS, sizeof(*p));
    if (p == NULL)
        return false;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.lenient_flags |= LENIENT_VERSION; /* the scanner is strict: HTTP/1.x */
    p->llhttp.data = c;
    gee_wire_begin(&p->wire);
    c->parser = p;
    return true;
}

void gee_parser_free(gee_conn *c) {
    if (c->parser)
        gee_pool_put(GEE_POOL_PARSERS, c->parser);
    c->parser = NULL;
}

/* Nothing more can be parsed: say so to who reads the body, or refuse the request. */
static void bad_input(gee_conn *c, int status) {
    c->broken = true;
    if (c->x == NULL && on_message_begin(&c->parser->llhttp) != 0) {
        gee_conn_close(c);
        return;
    }
    gee_exchange *x = c->x;
    if (!x->head_done) {
        reject(x, status);
        x->head_done = true; /* as far as it will ever be */
    } else if (x->body_err == 0) {
        x->body_err = UV_EPROTO;
    }
}

/*
 * A method is only unknown in a line that is right otherwise: llhttp's answer comes
 * with the first strange letter, and what follows may show that this is no HTTP.
 */
static bool is_unknown_method(llhttp_errno_t err) {
    return err == HPE_INVALID_METHOD || err == HPE_INVALID_CONSTANT || err == HPE_INVALID_VERSION;
}

/* What is wrong by now; 0: nothing. */
static int verdict(const gee_wire *w) {
    return w->unknown && w->line_done ? 501 : w->status;
}

size_t gee_parse(gee_conn *c, const char *data, size_t n) {
    size_t whole = c->parser ? 0 : gee_whole_head(c, data, n);
    if (whole > 0)
        return whole;
    if (c->parser == NULL && !begin(c)) {
        gee_conn_close(c);
        return n;
    }
    gee_wire *w = &c->parser->wire;
    llhttp_t *llhttp = &c->parser->llhttp;
    for (size_t at = 0; at < n && !c->broken;) {
        gee_piece show;
        size_t looked = gee_wire_scan(w, data + at, n - at, &c->part->srv->limits, &show);
        const char *seen = data + at + show.at;
        llhttp_errno_t err =
            show.n > 0 && !w->unknown ? llhttp_execute(llhttp, seen, show.n) : HPE_OK;
        if (err == HPE_PAUSED) {
            size_t taken = (size_t)(llhttp_get_error_pos(llhttp) - data);
            gee_parser_free(c);
            return taken;
        }
        w->unknown |= is_unknown_method(err);
        int status = err == HPE_OK || w->unknown   ? verdict(w)
                     : err == HPE_CB_MESSAGE_BEGIN ? 503 /* no memory to begin with */
                                                   : 400;
        if (status)
            bad_input(c, status);
        at += looked;
    }
    return n;
}

void gee_parse_waiting(gee_conn *c) {
    gee_buf_consume(&c->in, gee_parse(c, gee_buf_head(&c->in), gee_buf_size(&c->in)));
    if (gee_buf_size(&c->in) == 0)
        gee_buf_free(&c->in); /* neither an idle connection nor a parked stream holds one */
}
