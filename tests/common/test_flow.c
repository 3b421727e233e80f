/*
 * Many tasks of several workers on the same channels: what was sent is received,
 * once, also when operations are given up and when the channel is closed meanwhile.
 */
#include "t.h"
#include <stdatomic.h>

/* --- senders and receivers on one channel --- */

enum { PEERS = 4, VALUES = 300 };

static struct flow {
    gee_chan *ch;
    gee_waitgroup senders, receivers;
    atomic_long sent, got, gave_up;
    bool hurry; /* each operation has a deadline of its own */
} flow;

static gee_ctx *op_ctx(gee_ctx *ctx) {
    return flow.hurry ? gee_ctx_with_deadline(ctx, gee_now_ns() + 50000) : gee_ctx_ref(ctx);
}

static void drop_ctx(gee_ctx *c) {
    if (flow.hurry)
        gee_ctx_end(c);
    else
        gee_ctx_unref(c);
}

static void produces(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int v = 1, rc = 0; v <= VALUES && rc != UV_EPIPE; v++) {
        gee_ctx *c = op_ctx(ctx);
        rc = gee_chan_send(c, flow.ch, &v);
        flow.sent += rc == 0 ? v : 0;
        flow.gave_up += rc == UV_ETIMEDOUT;
        drop_ctx(c);
    }
    gee_waitgroup_done(&flow.senders);
}

static void consumes(gee_ctx *ctx, void *arg) {
    (void)arg;
    for (int v, rc = 0; rc != UV_EOF;) {
        gee_ctx *c = op_ctx(ctx);
        v = 0;
        rc = gee_chan_recv(c, flow.ch, &v);
        flow.got += v; /* nothing arrives with an error */
        drop_ctx(c);
    }
    gee_waitgroup_done(&flow.receivers);
}

struct flow_case {
    size_t cap;
    bool hurry, cut; /* closed while the senders send */
};

static void flows(gee_ctx *ctx, void *arg) {
    const struct flow_case *c = arg;
    flow.ch = gee_chan_new(sizeof(int), c->cap);
    flow.hurry = c->hurry;
    flow.sent = flow.got = flow.gave_up = 0;
    gee_waitgroup_add(&flow.senders, PEERS);
    gee_waitgroup_add(&flow.receivers, PEERS);
    for (int i = 0; i < PEERS; i++) {
        T_RC(gee_go_on(i % gee_workers(), ctx, produces, NULL), 0);
        T_RC(gee_go_on((i + 1) % gee_workers(), ctx, consumes, NULL), 0);
    }
    if (c->cut)
        gee_sleep(ctx, 1);
    else
        T_RC(gee_waitgroup_wait(ctx, &flow.senders), 0);
    T_RC(gee_chan_close(flow.ch), 0);
    T_RC(gee_waitgroup_wait(ctx, &flow.senders), 0);
    T_RC(gee_waitgroup_wait(ctx, &flow.receivers), 0);
    T_EQ(flow.got, flow.sent);
    if (!c->cut && !c->hurry)
        T_EQ(flow.got, (long)PEERS * VALUES * (VALUES + 1) / 2);
    gee_chan_unref(flow.ch);
}

static void test_flow(void **state) {
    (void)state;
    static struct flow_case cases[] = {
        {0, false, false}, {1, false, false}, {7, false, false}, {0, true, false},
        {3, true, false},  {0, false, true},  {2, true, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        t_sim(flows, &cases[i]);
        t_real(2, flows, &cases[i]);
        t_real(4, flows, &cases[i]);
    }
}

/* --- selects against selects, on two channels in opposite order --- */

static struct cross {
    gee_chan *a, *b;
    gee_waitgroup senders, receivers;
    atomic_long sent, got;
    bool hurry; /* each select has a deadline of its own */
} cross;

static int select_once(gee_ctx *ctx, gee_case *cases) {
    if (!cross.hurry)
        return gee_select(ctx, cases, 2);
    gee_ctx *soon = gee_ctx_with_deadline(ctx, gee_now_ns() + 50000);
    int k = gee_select(soon, cases, 2);
    gee_ctx_end(soon);
    return k;
}

static void sends_either(gee_ctx *ctx, void *arg) {
    for (int v = 1; v <= VALUES; v++) {
        int w = -v;
        gee_case cases[] = {{GEE_SEND, arg ? cross.a : cross.b, &v, 0},
                            {GEE_SEND, arg ? cross.b : cross.a, &w, 0}};
        int k = select_once(ctx, cases);
        cross.sent += k < 0 ? 0 : k == 0 ? v : -v;
    }
    gee_waitgroup_done(&cross.senders);
}

/* Go's idiom: a channel that was closed becomes nil, and is no case any more. */
static void receives_both(gee_ctx *ctx, void *arg) {
    int v = 0, w = 0;
    gee_case cases[] = {{GEE_RECV, arg ? cross.a : cross.b, &v, 0},
                        {GEE_RECV, arg ? cross.b : cross.a, &w, 0}};
    while (cases[0].ch || cases[1].ch) {
        int k = select_once(ctx, cases);
        if (k >= 0 && cases[k].rc == 0)
            cross.got += k == 0 ? v : w;
        else if (k >= 0)
            cases[k].ch = NULL;
    }
    gee_waitgroup_done(&cross.receivers);
}

struct cross_case {
    size_t cap;
    bool hurry;
};

static void crosses(gee_ctx *ctx, void *arg) {
    const struct cross_case *c = arg;
    cross.a = gee_chan_new(sizeof(int), c->cap);
    cross.b = gee_chan_new(sizeof(int), c->cap);
    cross.hurry = c->hurry;
    cross.sent = cross.got = 0;
    gee_waitgroup_add(&cross.senders, PEERS);
    gee_waitgroup_add(&cross.receivers, PEERS);
    for (int i = 0; i < PEERS; i++) {
        void *order = i & 1 ? &cross : NULL;
        T_RC(gee_go_on(i % gee_workers(), ctx, sends_either, order), 0);
        T_RC(gee_go_on((i + 1) % gee_workers(), ctx, receives_both, order), 0);
    }
    T_RC(gee_waitgroup_wait(ctx, &cross.senders), 0);
    gee_chan_close(cross.a);
    gee_chan_close(cross.b);
    T_RC(gee_waitgroup_wait(ctx, &cross.receivers), 0);
    T_EQ(cross.got, cross.sent);
    gee_chan_unref(cross.a);
    gee_chan_unref(cross.b);
}

static void test_crossed(void **state) {
    (void)state;
    static struct cross_case cases[] = {{0, false}, {2, false}, {0, true}, {1, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        t_sim(crosses, &cases[i]);
        t_real(2, crosses, &cases[i]);
        t_real(4, crosses, &cases[i]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_flow),
    cmocka_unit_test(test_crossed),
};

T_MAIN(tests)
