/*
 * One input, parsed in two ways: as it comes in one read, and cut into pieces. In one read a
 * request that is all there is taken as a whole (http/whole.c); in pieces the scanner and llhttp
 * have it. A handler sees the same of it in both, and the same is refused. There is no runtime and
 * no socket here, only a connection to parse for: so it is fast.
 */
#include "fuzz.h"
#include "web/web.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 40 }; /* header fields: more than are taken as a whole */

typedef struct way {
    gee_server srv;
    gee_server_part part;
    gee_conn conn;
    gee_buf said; /* of all requests, one after the other */
    bool over;    /* nothing behind this is looked at */
    const char *wrong;
} way;

/* "name=value", where both are as long as they say. */
static void say_string(way *w, const char *s, size_t n, char end) {
    if (s[n] != '\0' || strlen(s) != n)
        w->wrong = "a string that does not end where it says";
    else if (gee_buf_append(&w->said, s, n) < 0 || gee_buf_append(&w->said, &end, 1) < 0)
        w->wrong = "no memory";
}

/* What of a request is taken apart later, by who asks for it. */
static void take_apart(way *w, gee_req *req) {
    const char *name, *value;
    gee_path path;
    int status = strcmp(req->x.target, "*") == 0
                     ? 200
                     : gee_path_parse(&w->conn.arena, req->x.target, &path);
    gee_buf_printf(&w->said, "path %d, of %zu\n", status, status == 0 ? path.n : 0);
    for (size_t i = 0; gee_query_at(req, i, &name, &value); i++) {
        say_string(w, name, strlen(name), '=');
        say_string(w, value, strlen(value), '\n');
    }
    gee_cookie(req, "");
    for (size_t i = 0; i < req->cookies.n; i++) {
        say_string(w, req->cookies.at[i].name, strlen(req->cookies.at[i].name), '=');
        say_string(w, req->cookies.at[i].value, strlen(req->cookies.at[i].value), '\n');
    }
}

static void say_head(way *w, const gee_exchange *x) {
    gee_buf_printf(&w->said, "%s HTTP/1.%d, keep-alive %d, expects %d, chunked %d, at most %llu\n",
                   x->method, x->minor, x->keep_alive, x->expect_continue, x->chunked,
                   (unsigned long long)x->body_max);
    say_string(w, x->target, x->target_len, '\n');
    for (size_t i = 0; i < x->fields.n; i++) {
        const gee_field *f = &x->fields.at[i];
        say_string(w, f->name, f->name_len, '=');
        say_string(w, f->value, f->value_len, '\n');
    }
    take_apart(w, gee_container(x, gee_req, x));
}

/* Of a body that is too large its handler gets what came before that was seen: it may be more. */
static void say_body(way *w, gee_exchange *x) {
    gee_buf_printf(&w->said, "error %d, complete %d, body:\n", x->body_err, x->complete);
    if (x->body_err != UV_E2BIG && gee_buf_size(&x->body) > 0)
        gee_buf_append(&w->said, gee_buf_head(&x->body), gee_buf_size(&x->body));
    gee_buf_append(&w->said, "\n", 1);
}

/* What serve.c looks at. */
static void say(way *w) {
    gee_exchange *x = w->conn.x;
    bool head = x->method && strcmp(x->method, "HEAD") == 0;
    if (x->reject) {
        gee_buf_printf(&w->said, "%d%s\n", x->reject, head ? " without a body" : "");
    } else {
        say_head(w, x);
        say_body(w, x);
    }
    w->over = x->reject || x->body_err || !x->keep_alive;
    gee_exchange_free(&w->conn);
}

static void take(way *w, const char *data, size_t n) {
    gee_conn *c = &w->conn;
    if (gee_buf_append(&c->in, data, n) < 0)
        w->wrong = "no memory";
    while (gee_buf_size(&c->in) > 0 && !w->over && !w->wrong) {
        size_t before = gee_buf_size(&c->in);
        gee_parse_waiting(c);
        if (gee_buf_size(&c->in) == before)
            w->wrong = "no byte was taken";
        if (c->x && (c->x->complete || c->broken))
            say(w);
    }
}

/* Behind the last byte: half a message, or none. */
static void end(way *w) {
    gee_exchange *x = w->conn.x;
    if (x && x->head_done)
        say(w);
    else if (x)
        gee_buf_printf(&w->said, "half a head\n");
    if (w->conn.x)
        gee_exchange_free(&w->conn);
    gee_parser_free(&w->conn);
    gee_arena_free(&w->conn.arena);
    gee_buf_free(&w->conn.in);
}

static void parse(way *w, const char *data, size_t n, size_t piece, size_t headers) {
    *w = (way){.srv = {.handler = {.size = sizeof(gee_req)}, .limits = fuzz_limits}};
    w->srv.limits.headers = headers;
    w->part = (gee_server_part){.srv = &w->srv};
    w->conn = (gee_conn){.part = &w->part};
    for (size_t at = 0, some; at < n && !w->over && !w->wrong; at += some) {
        some = n - at < piece ? n - at : piece;
        take(w, data + at, some);
    }
    end(w);
}

static bool is_same(const gee_buf *a, const gee_buf *b) {
    size_t n = gee_buf_size(a);
    return n == gee_buf_size(b) && (n == 0 || memcmp(gee_buf_head(a), gee_buf_head(b), n) == 0);
}

static void show(const char *how, const gee_buf *said) {
    if (getenv("FUZZ_SHOW") && gee_buf_size(said) > 0)
        fprintf(stderr, "--- %s\n%.*s", how, (int)gee_buf_size(said), gee_buf_head(said));
}

const char *fuzz_ways(const uint8_t *data, size_t n) {
    if (n <= FUZZ_HEAD)
        return NULL;
    static way whole, cut;
    const char *bytes = (const char *)data + FUZZ_HEAD;
    n -= FUZZ_HEAD;
    size_t headers = data[FUZZ_PAUSE] % 2 ? MANY : fuzz_limits.headers;
    parse(&whole, bytes, n, n, headers);
    parse(&cut, bytes, n, data[FUZZ_CUT] ? data[FUZZ_CUT] : 1, headers);
    const char *wrong = whole.wrong ? whole.wrong : cut.wrong;
    if (!wrong && !is_same(&whole.said, &cut.said))
        wrong = "in pieces it is another request";
    show("whole", &whole.said);
    show("cut", &cut.said);
    gee_buf_free(&whole.said);
    gee_buf_free(&cut.said);
    return wrong;
}
