#include "t_http.h"
#include "base/buf.h"
#include "runtime/park.h"
#include "runtime/transport.h"
#include "sync/waitq.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct t_conn {
    gee_io *io;
    gee_buf in;
    int end; /* what on_read said last, if that was not bytes */
    gee_park *reader, *writer, *closer;
    bool closed;
    int write_status;
    char *head, *body, field[256];
    size_t body_len;
};

static void wake(gee_park **who) {
    gee_park *p = *who;
    *who = NULL;
    if (p)
        gee_wake(p, 0);
}

static void on_read(gee_io *io, ssize_t n, const char *data) {
    t_conn *c = io->data;
    if (n < 0)
        c->end = (int)n;
    else if (gee_buf_append(&c->in, data, (size_t)n) < 0)
        c->end = UV_ENOMEM;
    io->ops->read_stop(io);
    wake(&c->reader);
}

static void on_write(gee_io *io, int status) {
    t_conn *c = io->data;
    c->write_status = status;
    wake(&c->writer);
}

static void on_close(gee_io *io) {
    t_conn *c = io->data;
    c->closed = true;
    wake(&c->closer);
}

static const gee_io_handler handler = {on_read, on_write, on_close};

t_conn *t_dial(int port, size_t capacity) {
    t_conn *c = calloc(1, sizeof(*c));
    if (gee_sim_connect(port, capacity ? capacity : 64 * 1024, &c->io) < 0) {
        free(c);
        return NULL;
    }
    c->io->handler = &handler;
    c->io->data = c;
    return c;
}

static void wait_for(gee_park **who, enum gee_wait_reason reason) {
    gee_park park;
    gee_park_init(&park);
    *who = &park;
    gee_park_wait(&park, reason, NULL, GEE_HERE);
}

/* 0, or ctx's error: nothing came before it ended. */
static int wait_to_read(gee_ctx *ctx, t_conn *c) {
    gee_park park;
    int err;
    gee_park_init(&park);
    c->reader = &park;
    int index = gee_park_wait_ctx(&park, ctx, GEE_WAIT_IO_READ, GEE_HERE, &err);
    c->reader = NULL;
    return index == GEE_BY_CTX ? err : 0;
}

int t_send(gee_ctx *ctx, t_conn *c, const char *data, size_t n) {
    uv_buf_t buf = {.base = (char *)data, .len = n};
    (void)ctx;
    int rc = c->io->ops->write(c->io, &buf, 1);
    if (rc == 0) {
        wait_for(&c->writer, GEE_WAIT_IO_WRITE);
        rc = c->write_status;
    }
    return rc;
}

int t_puts(gee_ctx *ctx, t_conn *c, const char *text) {
    return t_send(ctx, c, text, strlen(text));
}

int t_more(gee_ctx *ctx, t_conn *c) {
    size_t had = gee_buf_size(&c->in);
    if (c->end)
        return c->end == UV_EOF ? 0 : c->end;
    c->io->ops->read_start(c->io);
    int rc = wait_to_read(ctx, c);
    if (gee_buf_size(&c->in) > had)
        return (int)(gee_buf_size(&c->in) - had);
    if (rc < 0)
        return rc;
    return c->end == UV_EOF ? 0 : c->end;
}

const char *t_text(t_conn *c) {
    if (gee_buf_reserve(&c->in, 1) < 0)
        return NULL;
    c->in.data[c->in.len] = '\0';
    return gee_buf_head(&c->in);
}

size_t t_size(t_conn *c) {
    return gee_buf_size(&c->in);
}

void t_drop(t_conn *c) {
    gee_buf_consume(&c->in, gee_buf_size(&c->in));
}

const char *t_until(gee_ctx *ctx, t_conn *c, const char *what) {
    for (;;) {
        const char *at = strstr(t_text(c), what);
        if (at)
            return at;
        if (t_more(ctx, c) <= 0)
            return NULL;
    }
}

const char *t_all(gee_ctx *ctx, t_conn *c) {
    while (t_more(ctx, c) > 0)
        ;
    return t_text(c);
}

void t_half_close(t_conn *c) {
    c->io->ops->shutdown(c->io);
}

static void forget_response(t_conn *c) {
    free(c->head);
    free(c->body);
    c->head = c->body = NULL;
    c->body_len = 0;
}

void t_close(gee_ctx *ctx, t_conn *c) {
    (void)ctx;
    c->io->ops->close(c->io);
    if (!c->closed)
        wait_for(&c->closer, GEE_WAIT_IO_WRITE);
    forget_response(c);
    gee_buf_free(&c->in);
    free(c);
}

void t_reset(gee_ctx *ctx, t_conn *c) {
    (void)ctx;
    c->io->ops->reset(c->io);
    if (!c->closed)
        wait_for(&c->closer, GEE_WAIT_IO_WRITE);
    forget_response(c);
    gee_buf_free(&c->in);
    free(c);
}

const char *t_field(t_conn *c, const char *name) {
    size_t n = strlen(name);
    for (const char *at = c->head; (at = strchr(at, '\n')) != NULL;) {
        at++;
        if (strncasecmp(at, name, n) == 0 && at[n] == ':') {
            at += n + 1 + strspn(at + n + 1, " ");
            snprintf(c->field, sizeof(c->field), "%.*s", (int)strcspn(at, "\r\n"), at);
            return c->field;
        }
    }
    return NULL;
}

const char *t_body(t_conn *c) {
    return c->body;
}

size_t t_body_size(const t_conn *c) {
    return c->body_len;
}

static int need(gee_ctx *ctx, t_conn *c, size_t n) {
    while (gee_buf_size(&c->in) < n) {
        int rc = t_more(ctx, c);
        if (rc <= 0)
            return rc < 0 ? rc : UV_EOF;
    }
    return 0;
}

static int take_body(gee_ctx *ctx, t_conn *c, size_t n) {
    size_t had = c->body_len;
    int rc = need(ctx, c, n);
    if (rc < 0)
        return rc;
    c->body = realloc(c->body, had + n + 1);
    memcpy(c->body + had, gee_buf_head(&c->in), n);
    c->body[had + n] = '\0';
    c->body_len = had + n;
    gee_buf_consume(&c->in, n);
    return 0;
}

static int take_chunks(gee_ctx *ctx, t_conn *c) {
    int rc = take_body(ctx, c, 0);
    for (size_t n = 1; rc == 0 && n > 0;) {
        const char *end = t_until(ctx, c, "\r\n");
        if (end == NULL)
            return UV_EOF;
        n = strtoul(t_text(c), NULL, 16);
        gee_buf_consume(&c->in, (size_t)(end + 2 - gee_buf_head(&c->in)));
        rc = take_body(ctx, c, n);
        if (rc == 0 && (rc = need(ctx, c, 2)) == 0)
            gee_buf_consume(&c->in, 2);
    }
    return rc;
}

int t_response(gee_ctx *ctx, t_conn *c) {
    forget_response(c);
    const char *end = t_until(ctx, c, "\r\n\r\n");
    if (end == NULL)
        return c->end ? c->end : gee_ctx_err(ctx) ? gee_ctx_err(ctx) : UV_EOF;
    size_t n = (size_t)(end + 4 - gee_buf_head(&c->in));
    c->head = strndup(gee_buf_head(&c->in), n);
    gee_buf_consume(&c->in, n);
    int status = atoi(c->head + 9), rc = 0;
    if (status == 100)
        return status;
    const char *te = t_field(c, "transfer-encoding"), *cl = NULL;
    if (te)
        rc = take_chunks(ctx, c);
    else if ((cl = t_field(c, "content-length")) != NULL)
        rc = take_body(ctx, c, strtoul(cl, NULL, 10));
    return rc < 0 ? rc : status;
}

int t_get(gee_ctx *ctx, t_conn *c, const char *target) {
    char head[512];
    snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    int rc = t_puts(ctx, c, head);
    return rc < 0 ? rc : t_response(ctx, c);
}
