/*
 * Chapter 1, waitgroup-missed-done: work in parts, of which one fails. The same source is linked
 * over the broken variant, the fixed one and each decoy; what a test reports says which of
 * them it met.
 *
 * Two functions are wrapped by the linker in this program (chapter.mk). gee_waitgroup_done lets
 * whoever waits go first, as he might on another thread: what a part does behind it
 * comes too late. gee_panic_print is counted.
 */
#include "t_census.h"
#include "t_client.h"
#include "t_left.h"
#include "t_site.h"
#include <stdio.h>
#include <string.h>

enum { PARTS = 8 };

/* --- what is wrapped --- */

static atomic_bool waiter_first;
static atomic_int printed;

int __real_gee_waitgroup_done(gee_waitgroup *wg);
int __wrap_gee_waitgroup_done(gee_waitgroup *wg);
int __wrap_gee_waitgroup_done(gee_waitgroup *wg) {
    int rc = __real_gee_waitgroup_done(wg);
    if (atomic_load(&waiter_first) && gee_task_self())
        gee_sleep(NULL, 1);
    return rc;
}

void __real_gee_panic_print(const gee_panic_info *info);
void __wrap_gee_panic_print(const gee_panic_info *info);
void __wrap_gee_panic_print(const gee_panic_info *info) {
    atomic_fetch_add(&printed, 1);
    __real_gee_panic_print(info);
}

/* --- the work --- */

/* How a wait ended. */
struct outcome {
    bool returned;
    int rc, results;
    uint64_t ms;
};
static _Atomic(gee_chan *) outcomes;

struct piece {
    const char *how; /* it goes: well, error, panic */
    bool result;
};

static int work(gee_ctx *ctx, void *arg) {
    struct piece *p = arg;
    bool well = strcmp(p->how, "well") == 0;
    bool last = strcmp(p->how, "last") == 0; /* it fails, when the others are done */
    int rc = gee_sleep(ctx, well ? 100 : last ? 200 : 20);
    if (rc < 0)
        return rc;
    if (strcmp(p->how, "panic") == 0)
        gee_panic("a part has panicked, as it should");
    p->result = well;
    return well ? 0 : UV_EIO;
}

static void fan(gee_req *req) {
    struct piece pieces[PARTS];
    gee_fanout *f = gee_fanout_new(gee_req_ctx(req), 0);
    uint64_t start = gee_now_ms();
    for (int i = 0; i < PARTS; i++) {
        pieces[i] = (struct piece){i == 3 ? gee_param(req, "how") : "well", false};
        gee_fanout_go(f, work, &pieces[i]);
    }
    struct outcome o = {true, gee_fanout_wait(f), 0, gee_now_ms() - start};
    for (int i = 0; i < PARTS; i++)
        o.results += pieces[i].result;
    gee_chan_try_send(outcomes, &o);
    if (gee_simulated())
        gee_sleep(NULL, 1000); /* nobody may still work on the pieces, whatever the wait said */
    gee_fanout_end(f);
    gee_string(req, o.rc < 0 ? 502 : 200, "%d results\n", o.results);
}

static void routes(gee_group *r) {
    gee_GET(r, "/fan/:how", fan);
}

static const char *in_words(const struct outcome *o, char *buf, size_t size) {
    snprintf(buf, size, "never");
    if (o->returned)
        snprintf(buf, size, "%s after %.2f s with %d results",
                 o->rc == GEE_EPANIC ? "GEE_EPANIC" : t_err(o->rc), (double)o->ms / 1e3,
                 o->results);
    return buf;
}

/* What a request sees that has a minute. */
static struct outcome visit(gee_ctx *ctx, int port, const char *target) {
    struct outcome o = {false, 0, 0, 0};
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 60 * 1000);
    t_conn *c = t_dial(port, 0);
    t_get(soon, c, target);
    t_close(ctx, c);
    gee_ctx_end(soon);
    gee_sleep(ctx, 1);
    gee_chan_try_recv(outcomes, &o);
    return o;
}

static bool is(const struct outcome *o, int rc, uint64_t ms, int results) {
    return o->returned && o->rc == rc && o->ms == ms && o->results == results;
}

static void each_way_out(gee_ctx *ctx, int port) {
    char a[64], b[64], d[64], parked[128];
    atomic_store(&printed, 0);
    int64_t before = t_tasks();
    struct outcome well = visit(ctx, port, "/fan/well"), error = visit(ctx, port, "/fan/error"),
                   panic = visit(ctx, port, "/fan/panic");
    int64_t left = t_tasks() - before;
    if (left > 0 || !is(&well, 0, 100, PARTS) || !is(&error, UV_EIO, 20, 0) ||
        !is(&panic, GEE_EPANIC, 20, 0))
        T_FAIL(
            "waitgroup-missed-done: the wait for %d parts returns: all go well: %s; one fails: %s; "
            "one panics: %s; %d tasks are left behind, %d found leaked (parked: %s)",
            PARTS, in_words(&well, a, sizeof(a)), in_words(&error, b, sizeof(b)),
            in_words(&panic, d, sizeof(d)), (int)left, t_leaked(),
            t_parked("GET /fan", parked, sizeof(parked)));
    if (atomic_load(&printed) == 0)
        T_FAIL("waitgroup-missed-done: one panics, and nothing of it is in the log");
    atomic_store(&waiter_first, true);
    struct outcome last = visit(ctx, port, "/fan/last");
    atomic_store(&waiter_first, false);
    if (!is(&last, UV_EIO, 200, PARTS - 1))
        T_FAIL("waitgroup-missed-done: the last of %d parts fails, who waits goes on in the moment "
               "of its done, and the wait returns: %s",
               PARTS, in_words(&last, a, sizeof(a)));
}

static void missed_done(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    outcomes = gee_chan_new(sizeof(struct outcome), 1);
    each_way_out(ctx, port);
    gee_chan_unref(outcomes);
    outcomes = NULL;
}

static void test_missed_done(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, missed_done, NULL, 0});
}

static void missed_done_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { CURLS = 3 };
    char out[256], parked[128];
    int answered = 0;
    (void)none;
    int64_t before = t_tasks();
    t_shell(ctx, out, sizeof(out),
            "for i in $(seq %d); do curl -s -m 3 -o /dev/null -w '%%{http_code}\\n' "
            "http://127.0.0.1:%d/fan/error & done; wait",
            CURLS, port);
    for (const char *at = out; (at = strstr(at, "502")) != NULL; at++)
        answered++;
    gee_sleep(ctx, 10);
    if (answered < CURLS)
        T_FAIL(
            "waitgroup-missed-done on a socket: within 3 s %d of %d curls are answered; %d tasks "
            "are left behind (parked: %s)",
            answered, CURLS, (int)(t_tasks() - before),
            t_parked("GET /fan", parked, sizeof(parked)));
}

static void test_missed_done_real(void **state) {
    const gee_limits limits = {.drain_ms = 50};
    (void)state;
    t_site_real(1, &(t_site){routes, missed_done_real, &limits, 0});
}

/* --- make census: part of the work fails, and the client has no patience --- */

static void asks(gee_ctx *ctx, int port, int i) {
    gee_ctx *soon = gee_ctx_with_timeout(ctx, 200);
    t_conn *c = t_dial(port, 0);
    (void)i;
    t_get(soon, c, "/fan/error");
    t_close(ctx, c);
    gee_ctx_end(soon);
}

T_CENSUS(waitgroup_missed_done, routes, asks)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(census_waitgroup_missed_done),
    cmocka_unit_test(test_missed_done),
    cmocka_unit_test(test_missed_done_real),
};

T_MAIN(tests)
