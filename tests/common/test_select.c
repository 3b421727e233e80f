/* Select: which case, how often, what a parked one leaves behind. */
#include "t.h"
#include <stdatomic.h>

/* A select in a task of its own. */
struct op {
    gee_ctx *ctx; /* of the select; NULL: the task's */
    gee_case cases[4];
    size_t n;
    uint64_t at_ms; /* when it returned */
    atomic_int rc;  /* written last */
};

enum { PARKED = 100 };

static void selects(gee_ctx *ctx, void *arg) {
    struct op *o = arg;
    int rc = gee_select(o->ctx ? o->ctx : ctx, o->cases, o->n);
    o->at_ms = gee_now_ms();
    o->rc = rc;
}

/* Virtual time moves once nobody can run: after this everyone has parked or ended. */
static void settle(gee_ctx *ctx) {
    gee_sleep(ctx, 1);
}

static void start(gee_ctx *ctx, struct op *o) {
    o->rc = PARKED;
    if (gee_go(ctx, selects, o) != 0)
        t_fail(__FILE__, __LINE__, "gee_go");
    settle(ctx);
}

/* --- of those that are ready each has the same chance --- */

enum { ROUNDS = 3000 };

static void fair(gee_ctx *ctx, void *arg) {
    const char *ready = arg; /* "110": the first two of three */
    gee_chan *ch[3];
    long count[3] = {0}, nready = 0;
    for (int i = 0; i < 3; i++) {
        ch[i] = gee_chan_new(sizeof(int), 1);
        nready += ready[i] == '1';
    }
    for (int round = 0; round < ROUNDS; round++) {
        int v[3] = {-1, -1, -1};
        gee_case cases[3];
        for (int i = 0; i < 3; i++) {
            cases[i] = (gee_case){.op = GEE_RECV, .ch = ch[i], .elem = &v[i]};
            if (ready[i] == '1')
                gee_chan_try_send(ch[i], &round); /* unless it is still there */
        }
        int k = round % 2 ? gee_select(ctx, cases, 3) : gee_select_try(cases, 3);
        T_CHECK(k >= 0 && k < 3 && ready[k] == '1');
        T_RC(cases[k].rc, 0);
        for (int i = 0; i < 3; i++)
            T_CHECK((v[i] >= 0) == (i == k));
        count[k]++;
    }
    for (int i = 0; i < 3; i++) {
        long want = ready[i] == '1' ? ROUNDS / nready : 0;
        if (count[i] < want - 150 || count[i] > want + 150) /* 5 times the deviation */
            T_FAIL("%s: case %d was chosen %ld times of %d", ready, i, count[i], ROUNDS);
        gee_chan_unref(ch[i]);
    }
}

static void test_fair(void **state) {
    (void)state;
    static const char *const ready[] = {"110", "101", "011", "111", "010"};
    for (size_t i = 0; i < sizeof(ready) / sizeof(*ready); i++) {
        t_sim(fair, (void *)ready[i]);
        t_real(1, fair, (void *)ready[i]);
    }
}

/* --- at once: one case, by the state of its channel --- */

static const struct at_once {
    const char *name;
    enum gee_case_op op;
    int cap; /* -1: the NULL channel */
    int fill;
    bool closed;
    int rc; /* UV_EAGAIN: not ready */
    int v;
} at_once[] = {
    {"receive, nil", GEE_RECV, -1, 0, false, UV_EAGAIN, 9},
    {"send, nil", GEE_SEND, -1, 0, false, UV_EAGAIN, 9},
    {"receive, empty", GEE_RECV, 1, 0, false, UV_EAGAIN, 9},
    {"receive, full", GEE_RECV, 1, 1, false, 0, 5},
    {"receive, closed full", GEE_RECV, 1, 1, true, 0, 5},
    {"receive, closed", GEE_RECV, 1, 0, true, UV_EOF, 0},
    {"send, nobody there", GEE_SEND, 0, 0, false, UV_EAGAIN, 9},
    {"send, empty", GEE_SEND, 1, 0, false, 0, 9},
    {"send, full", GEE_SEND, 1, 1, false, UV_EAGAIN, 9},
    {"send, closed", GEE_SEND, 1, 0, true, UV_EPIPE, 9},
};

/* Among channels that are never ready, at every place. */
static void one_case(gee_ctx *ctx, void *arg) {
    const struct at_once *a = arg;
    gee_chan *idle = gee_chan_new(0, 0);
    for (int k = 0; k < 6; k++) {
        gee_chan *ch = a->cap < 0 ? NULL : gee_chan_new(sizeof(int), (size_t)a->cap);
        int v = 5;
        for (int i = 0; i < a->fill; i++)
            gee_chan_try_send(ch, &v);
        if (a->closed)
            gee_chan_close(ch);
        v = 9;
        gee_case cases[] = {
            {GEE_RECV, idle, NULL, 0}, {GEE_SEND, NULL, NULL, 0}, {GEE_SEND, idle, NULL, 0}};
        cases[k % 3] = (gee_case){.op = a->op, .ch = ch, .elem = &v};
        uint64_t at = gee_now_ms();
        gee_ctx *soon = gee_ctx_with_timeout(ctx, 10);
        bool wait = k >= 3, ready = a->rc != UV_EAGAIN;
        int rc = wait ? gee_select(soon, cases, 3) : gee_select_try(cases, 3);
        gee_ctx_end(soon);
        if (rc != (ready ? k % 3 : wait ? UV_ETIMEDOUT : UV_EAGAIN))
            T_FAIL("%s, at %d: %s", a->name, k, t_err(rc));
        if (ready)
            T_RC(cases[k % 3].rc, a->rc);
        T_EQ(v, a->v);
        T_EQ(gee_now_ms() - at, wait && !ready ? 10 : 0);
        T_EQ(gee_chan_len(ch), a->fill + (a->rc == 0 ? (a->op == GEE_SEND ? 1 : -1) : 0));
        gee_chan_unref(ch);
    }
    gee_chan_unref(idle);
}

static void limits(gee_ctx *ctx, void *arg) {
    (void)arg;
    gee_chan *ch = gee_chan_new(0, 1);
    gee_case cases[GEE_SELECT_MAX + 1];
    for (int i = 0; i <= GEE_SELECT_MAX; i++)
        cases[i] = (gee_case){.op = GEE_SEND, .ch = i == 7 ? ch : NULL};
    T_RC(gee_select(ctx, cases, GEE_SELECT_MAX + 1), UV_E2BIG);
    T_RC(gee_select_try(cases, GEE_SELECT_MAX + 1), UV_E2BIG);
    T_RC(gee_select_try(NULL, 0), UV_EAGAIN);
    T_EQ(gee_chan_len(ch), 0);
    T_EQ(gee_select(ctx, cases, GEE_SELECT_MAX), 7);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 10);
    T_RC(gee_select(soon, NULL, 0), UV_ETIMEDOUT);
    T_RC(gee_select(soon, NULL, 0), UV_ETIMEDOUT);
    T_RC(gee_select(soon, cases, GEE_SELECT_MAX), UV_ETIMEDOUT); /* full by now */
    gee_ctx_end(soon);
    gee_chan_unref(ch);
}

static void test_at_once(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(at_once) / sizeof(*at_once); i++)
        t_sim(one_case, (void *)&at_once[i]);
    t_sim(limits, NULL);
}

/* --- parked: what ends it, and what it leaves in the other channels: nothing --- */

enum how { SEND_A, SEND_B, RECV_C, CLOSE_A, CLOSE_C, CTX, HOWS };
static const struct {
    int index, rc, v;
} parked_want[HOWS] = {{0, 0, 77},     {1, 0, 77},        {2, 0, 33},
                       {0, UV_EOF, 0}, {2, UV_EPIPE, 33}, {UV_ETIMEDOUT, 0, 0}};

static int end_select(gee_ctx *ctx, gee_chan **ch, int how, int *v) {
    switch (how) {
    case SEND_A:
    case SEND_B:
        return gee_chan_try_send(ch[how], v);
    case RECV_C:
        return gee_chan_try_recv(ch[2], v);
    case CLOSE_A:
        return gee_chan_close(ch[0]);
    case CLOSE_C:
        return gee_chan_close(ch[2]);
    default:
        return gee_sleep(ctx, 50);
    }
}

static void parked(gee_ctx *ctx, void *arg) {
    static struct op o;
    static int got[3];
    int how = *(int *)arg, v = 77, other;
    gee_chan *ch[3];
    for (int i = 0; i < 3; i++)
        ch[i] = gee_chan_new(sizeof(int), 0);
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 40);
    uint64_t at = gee_now_ms();
    got[0] = got[1] = -1;
    got[2] = 33;
    o.ctx = soon;
    o.n = 4;
    for (int i = 0; i < 4; i++) /* the last one: the same channel again */
        o.cases[i] = (gee_case){i == 2 ? GEE_SEND : GEE_RECV, ch[i % 3], &got[i % 3], PARKED};
    o.cases[3].ch = how == SEND_A || how == CLOSE_A ? ch[1] : ch[0];
    o.cases[3].elem = NULL;
    start(ctx, &o);
    T_EQ(o.rc, PARKED);
    T_RC(end_select(ctx, ch, how, &v), 0);
    /* Before it runs again: its queue entries are there, but taken. */
    T_RC(gee_chan_try_send(ch[1], &v), UV_EAGAIN);
    T_RC(gee_chan_try_recv(ch[2], &other), how == CLOSE_C ? UV_EOF : UV_EAGAIN);
    settle(ctx);
    T_EQ(o.rc, parked_want[how].index);
    T_EQ(o.at_ms - at, how == CTX ? 40 : 1);
    if (how != CTX) {
        T_RC(o.cases[o.rc].rc, parked_want[how].rc);
        T_EQ(got[o.rc], parked_want[how].v);
    }
    T_EQ(v, how == RECV_C ? 33 : 77);
    for (int i = 0; i < 3; i++) {
        bool shut = (how == CLOSE_A && i == 0) || (how == CLOSE_C && i == 2);
        T_RC(gee_chan_try_send(ch[i], &v), shut ? UV_EPIPE : UV_EAGAIN);
        T_RC(gee_chan_try_recv(ch[i], &other), shut ? UV_EOF : UV_EAGAIN);
        gee_chan_unref(ch[i]);
    }
    gee_ctx_end(soon);
}

/* Send and receive on one channel: not with itself, but with another that does the same. */
static void both_ways(gee_ctx *ctx, void *arg) {
    static struct op o[2];
    static int in[2], out[2];
    (void)arg;
    gee_chan *ch = gee_chan_new(sizeof(int), 0);
    for (int i = 0; i < 2; i++) {
        in[i] = -1;
        out[i] = 10 + i;
        o[i] = (struct op){.n = 2};
        o[i].cases[0] = (gee_case){.op = GEE_RECV, .ch = ch, .elem = &in[i]};
        o[i].cases[1] = (gee_case){.op = GEE_SEND, .ch = ch, .elem = &out[i]};
    }
    start(ctx, &o[0]);
    T_EQ(o[0].rc, PARKED);
    start(ctx, &o[1]);
    T_EQ(o[0].rc + o[1].rc, 1); /* one receives, the other sends */
    int r = o[0].rc == 0 ? 0 : 1;
    T_EQ(in[r], 10 + (1 - r));
    T_EQ(in[1 - r], -1);
    start(ctx, &o[0]);
    int v = 50;
    T_RC(gee_chan_try_send(ch, &v), 0);
    settle(ctx);
    T_EQ(o[0].rc, 0);
    T_EQ(in[0], 50);
    start(ctx, &o[1]);
    T_RC(gee_chan_try_recv(ch, &v), 0);
    settle(ctx);
    T_EQ(o[1].rc, 1);
    T_EQ(v, 11);
    T_RC(gee_chan_try_recv(ch, &v), UV_EAGAIN);
    T_RC(gee_chan_try_send(ch, &v), UV_EAGAIN);
    gee_chan_unref(ch);
}

static void test_parked(void **state) {
    (void)state;
    for (int how = 0; how < HOWS; how++)
        t_sim(parked, &how);
    t_sim(both_ways, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_fair),
    cmocka_unit_test(test_at_once),
    cmocka_unit_test(test_parked),
};

T_MAIN(tests)
