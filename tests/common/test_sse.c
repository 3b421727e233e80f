/* Event streams: what an event looks like on the wire, and the heartbeat, in virtual time. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t one_message(gee_req *req, void *arg) {
    gee_sse_message m = {.event = gee_query(req, "event"),
                         .data = gee_query(req, "data"),
                         .id = gee_query(req, "id"),
                         .retry_ms = strtoull(gee_default_query(req, "retry", "0"), NULL, 10)};
    (void)arg;
    if (gee_sse_send(req, &m) == UV_EINVAL)
        gee_sse_comment(req, "refused");
    return GEE_STREAM_END;
}

static void message(gee_req *req) {
    gee_sse(req, one_message, NULL);
}

static int64_t one_comment(gee_req *req, void *arg) {
    (void)arg;
    if (gee_sse_comment(req, gee_query(req, "text")) == UV_EINVAL)
        gee_sse_comment(req, "refused");
    return GEE_STREAM_END;
}

static void comment(gee_req *req) {
    gee_sse(req, one_comment, NULL);
}

/* Counts on from the event which the client saw last. */
static int64_t count_on(gee_req *req, void *arg) {
    int *n = arg;
    char text[16];
    snprintf(text, sizeof(text), "%d", ++*n);
    gee_sse_send(req, &(gee_sse_message){.data = text, .id = text});
    return *n % 3 == 0 ? GEE_STREAM_END : 10;
}

static void counted(gee_req *req) {
    const char *last = gee_header(req, "Last-Event-ID");
    int n = last ? atoi(last) : 0;
    gee_sse(req, count_on, &n);
}

/* /beats?beat=15000&every=…&n=…&say=…: of n steps, every say-th says something. */
struct plan {
    int64_t every, n, say, step;
};

static int64_t planned(gee_req *req, void *arg) {
    struct plan *p = arg;
    if (++p->step % p->say == 0)
        gee_sse_event(req, NULL, "x");
    return p->step < p->n ? p->every : GEE_STREAM_END;
}

static int64_t number(gee_req *req, const char *name) {
    return strtoll(gee_default_query(req, name, "1"), NULL, 10);
}

static void beats(gee_req *req) {
    struct plan p = {
        .every = number(req, "every"), .n = number(req, "n"), .say = number(req, "say")};
    gee_sse_heartbeat(req, (uint64_t)number(req, "beat"), planned, &p);
}

/* A step that itself waits, as for a channel. */
static int64_t waits(gee_req *req, void *arg) {
    (void)arg;
    return gee_sleep(gee_req_ctx(req), 4000) < 0 ? GEE_STREAM_END : 0;
}

static void waiting(gee_req *req) {
    gee_sse_heartbeat(req, 10000, waits, NULL);
}

static void routes(gee_group *r) {
    gee_GET(r, "/message", message);
    gee_GET(r, "/comment", comment);
    gee_GET(r, "/counted", counted);
    gee_GET(r, "/beats", beats);
    gee_GET(r, "/waiting", waiting);
}

static const char *const frames[][2] = {
    {"message?data=x&id=7", "id: 7\ndata: x\n\n"},
    {"message?event=e&id=a+b&retry=2500&data=x", "event: e\nid: a b\nretry: 2500\ndata: x\n\n"},
    {"message?data=x&id=", "id: \ndata: x\n\n"}, /* the client forgets the last one */
    {"message?retry=1", "retry: 1\n\n"},         /* no data, no event */
    {"message?retry=18446744073709551615", "retry: 18446744073709551615\n\n"},
    {"message?id=9", "id: 9\n\n"},
    {"message?data=a%0Ab&id=1", "id: 1\ndata: a\ndata: b\n\n"},
    {"message?data=x&id=1%0Adata:+y", ": refused\n\n"},
    {"message?data=x&id=1%0D", ": refused\n\n"},
    {"message?data=x&event=e%0Aid:+1", ": refused\n\n"},
    {"comment?text=", ": \n\n"},
    {"comment?text=still+here", ": still here\n\n"},
    {"comment?text=a%0Adata:+y", ": refused\n\n"},
    {"comment?text=a%0Ddata:+y", ": refused\n\n"},
};

static void test_frames_body(gee_ctx *ctx, t_conn *c, int port) {
    char target[96];
    (void)port;
    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        snprintf(target, sizeof(target), "/%s", frames[i][0]);
        T_EQ(t_get(ctx, c, target), 200);
        if (strcmp(t_body(c), frames[i][1]) != 0)
            T_FAIL("%s: \"%s\", not \"%s\"", target, t_body(c), frames[i][1]);
    }
}

T_SITE(test_frames, routes)

static void test_a_client_that_comes_again_goes_on_where_it_was_body(gee_ctx *ctx, t_conn *c,
                                                                     int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/counted"), 200);
    T_STR(t_body(c), "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n");
    T_EQ(t_ask(ctx, c, "GET", "/counted", "last-event-id: 4\r\n"), 200);
    T_STR(t_body(c), "id: 5\ndata: 5\n\nid: 6\ndata: 6\n\n");
}

T_SITE(test_a_client_that_comes_again_goes_on_where_it_was, routes)

/* What comes when, for a plan: "x" an event, "." a beat, each with the ms since the last. */
struct rhythm {
    const char *plan, *is;
};

static const struct rhythm rhythms[] = {
    {"beat=15000&every=40000&n=3", "x0 .15000 .15000 x10000 .15000 .15000 x10000"},
    {"beat=15000&every=15000&n=3", "x0 x15000 x15000"},     /* an event is as good as a beat */
    {"beat=15000&every=14999&n=3", "x0 x14999 x14999"},     /* */
    {"beat=1000&every=300&n=8&say=4", "x900 .1000 x200"},   /* a step that says nothing is none */
    {"beat=1000&every=250&n=8&say=8", ".1000 x750"},        /* together with a step */
    {"beat=1000&every=0&n=50&say=50", "x0"},                /* */
    {"beat=9223372036854775808&every=50&n=2&say=2", "x50"}, /* */
};

static void hear(gee_ctx *ctx, t_conn *c, const struct rhythm *r) {
    char target[96], is[128] = "";
    size_t n = 0, at = 0;
    uint64_t last = gee_now_ms();
    snprintf(target, sizeof(target), "GET /beats?%s HTTP/1.1\r\nHost: t\r\n\r\n", r->plan);
    T_RC(t_puts(ctx, c, target), 0);
    while (strstr(t_text(c), "\r\n0\r\n\r\n") == NULL && t_more(ctx, c) > 0) {
        for (; at < t_size(c); at++) {
            const char *text = t_text(c) + at;
            bool event = strncmp(text, "x\n\n", 3) == 0;
            if (!event && strncmp(text, ": \n\n", 4) != 0)
                continue;
            n += (size_t)snprintf(is + n, sizeof(is) - n, "%s%c%d", n ? " " : "", event ? 'x' : '.',
                                  (int)(gee_now_ms() - last));
            last = gee_now_ms();
        }
    }
    t_drop(c);
    if (strcmp(is, r->is) != 0)
        T_FAIL("%s: %s, not %s", r->plan, is, r->is);
}

static void test_a_silent_stream_beats_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(rhythms) / sizeof(*rhythms); i++)
        hear(ctx, c, &rhythms[i]);
}

T_SITE(test_a_silent_stream_beats, routes)

/* It has the time of the steps, which wait for themselves: 12 s are the first after 10 s. */
static void test_a_step_that_waits_body(gee_ctx *ctx, t_conn *c, int port) {
    uint64_t begin = gee_now_ms();
    (void)port;
    T_RC(t_puts(ctx, c, "GET /waiting HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    T_CHECK(t_until(ctx, c, ": \n\n"));
    T_EQ(gee_now_ms() - begin, 12000);
}

T_SITE(test_a_step_that_waits, routes)

/* A heart is no reason to live on. */
static void test_a_beating_stream_ends_with_its_client_body(gee_ctx *ctx, t_conn *c, int port) {
    gee_census before, now;
    T_EQ(t_get(ctx, c, "/message?data=x"), 200);
    gee_census_take(&before);
    t_conn *d = t_dial(port, 0);
    T_RC(t_puts(ctx, d, "GET /beats?beat=10000&every=3600000&n=2 HTTP/1.1\r\nHost: t\r\n\r\n"), 0);
    bool beat = t_until(ctx, d, ": \n\n") != NULL;
    gee_sleep(ctx, 5000);
    t_close(ctx, d);
    gee_sleep(ctx, 1);
    gee_census_take(&now);
    T_CHECK(beat);
    T_EQ(now.tasks, before.tasks);
    T_EQ(now.reqs, before.reqs);
    T_EQ(now.timers, before.timers);
}

T_SITE(test_a_beating_stream_ends_with_its_client, routes)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_frames),
    cmocka_unit_test(test_a_client_that_comes_again_goes_on_where_it_was),
    cmocka_unit_test(test_a_silent_stream_beats),
    cmocka_unit_test(test_a_step_that_waits),
    cmocka_unit_test(test_a_beating_stream_ends_with_its_client),
};

T_MAIN(tests)
