/*
 * A client and a server in a runtime of their own, for one input: nothing of one input
 * is there for the next, so that an input that crashes does so alone.
 */
#include "fuzz.h"
#include "t_http.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With ROOM, no write of the server parks: a client that has no more to say is one that is
 * gone to who waits for it, and the answer is cut. */
enum { INPUT_MAX = 4096, BEYOND_MS = 1500, ROOM = 1 << 20 };

struct visit {
    const uint8_t *head;
    const char *bytes;
    size_t n;
    uint32_t draw;
    const char *wrong;
};

struct reading {
    t_conn *c;
    bool slow;
    int end; /* of the last t_more */
    gee_waitgroup done;
};

static void reader(gee_ctx *ctx, void *arg) {
    struct reading *r = arg;
    while ((r->end = t_more(ctx, r->c)) > 0)
        if (r->slow)
            gee_sleep(gee_background(), 7);
    gee_waitgroup_done(&r->done);
}

static size_t next_piece(struct visit *v, size_t left) {
    size_t cut = v->head[FUZZ_CUT], n = cut ? cut : left;
    if (cut >= 128) {
        v->draw = v->draw * 1664525 + 1013904223;
        n = 1 + (v->draw >> 8) % (cut - 127);
    }
    return n < left ? n : left;
}

static void send_all(gee_ctx *ctx, t_conn *c, struct visit *v) {
    uint64_t pause = v->head[FUZZ_PAUSE] >= 252 ? BEYOND_MS : v->head[FUZZ_PAUSE] * 4u;
    for (size_t at = 0, n; at < v->n; at += n) {
        n = next_piece(v, v->n - at);
        if (t_send(ctx, c, v->bytes + at, n) < 0)
            return;
        gee_sleep(ctx, pause);
        if (at > v->n / 2)
            pause = 0; /* virtual time is not free: each of its steps is a turn of the loop */
    }
}

/* Requests cannot be more than what could end a request line; one more is refused. */
static size_t most_answers(const struct visit *v) {
    static const char mark[] = "HTTP/1.";
    size_t n = 1;
    for (const char *at = v->bytes, *end = at + v->n;
         (at = memmem(at, (size_t)(end - at), mark, sizeof(mark) - 1)) != NULL; at++)
        n++;
    return n;
}

static void wait_for_answers(gee_ctx *ctx, t_conn *c, struct visit *v) {
    struct reading r = {.c = c, .slow = v->head[FUZZ_ENDING] % 4 == FUZZ_SLOW};
    gee_waitgroup_add(&r.done, 1);
    if (gee_go(ctx, reader, &r) < 0) {
        v->wrong = "no task";
        return;
    }
    send_all(ctx, c, v);
    t_half_close(c);
    gee_waitgroup_wait(NULL, &r.done);
    bool whole = r.end == 0 && v->head[FUZZ_ROOM] == 0;
    if (getenv("FUZZ_SHOW")) /* what came back, for who looks into a find */
        fprintf(stderr, "%.*s<end %d>\n", (int)t_size(c), t_text(c), r.end);
    v->wrong = fuzz_check(t_text(c), t_size(c), most_answers(v), whole);
    if (v->wrong == NULL && (size_t)fuzz_requests > most_answers(v))
        v->wrong = "more requests than were sent";
}

static void visit(gee_ctx *ctx, void *arg) {
    struct visit *v = arg;
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    fuzz_routes(gee_root(e));
    int rc = gee_listen(e, "127.0.0.1", 0, &fuzz_limits, &srv);
    size_t room = v->head[FUZZ_ROOM] ? v->head[FUZZ_ROOM] * 8u : ROOM;
    t_conn *c = rc == 0 ? t_dial(gee_server_port(srv), room) : NULL;
    if (c == NULL) {
        v->wrong = "the server does not start";
        gee_engine_free(e);
        return;
    }
    int ending = v->head[FUZZ_ENDING] % 4;
    if (ending <= FUZZ_SLOW)
        wait_for_answers(ctx, c, v);
    else
        send_all(ctx, c, v);
    if (ending == FUZZ_RESETS)
        t_reset(ctx, c);
    else
        t_close(ctx, c);
    if (gee_server_shutdown(srv) < 0)
        v->wrong = "the shutdown does not end";
    gee_engine_free(e);
}

static int64_t left_over(const gee_census *c) {
    return c->tasks + c->timers + c->handles + c->ctxs + c->chans + c->conns + c->reqs + c->bytes;
}

const char *fuzz_one(const uint8_t *data, size_t n) {
    if (n <= FUZZ_HEAD || n > INPUT_MAX)
        return NULL;
    struct visit v = {.head = data,
                      .bytes = (const char *)data + FUZZ_HEAD,
                      .n = n - FUZZ_HEAD,
                      .draw = data[FUZZ_ENDING]};
    gee_config cfg = {.sim = true, .seed = data[FUZZ_ENDING] / 4};
    gee_census now;
    fuzz_requests = 0;
    int rc = gee_run(&cfg, visit, &v);
    gee_census_take(&now);
    if (v.wrong == NULL && rc != 0)
        v.wrong = "the runtime does not end as it should";
    if (v.wrong == NULL && left_over(&now) != 0)
        v.wrong = "something is left over";
    return v.wrong;
}
