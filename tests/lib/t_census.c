#include "t_census.h"
#include "base/tools.h"
#include "runtime/timer.h"
#include "runtime/worker.h"
#include <inttypes.h>
#include <stdio.h>

enum { LOOK_EVERY_MS = 1, SETTLE_MS = 60 * 1000, SETTLE_REAL_MS = 500 };

/* What measures is not counted: its timer, and that of the pause between two visits. */
static struct measure {
    gee_timer clock;
    gee_census base;
    t_row *row; /* NULL: nobody measures */
    bool pausing;
} m;

static void take(gee_census *now) {
    gee_census_take(now);
    now->timers -= gee_timer_armed(&m.clock) + m.pausing;
#define X(name) now->name -= m.base.name;
    GEE_CENSUS(X)
#undef X
}

static void look(void) {
    gee_census now;
    if (m.row == NULL)
        return;
    take(&now);
#define X(name)                      \
    if (now.name > m.row->peak.name) \
        m.row->peak.name = now.name;
    GEE_CENSUS(X)
#undef X
    if (now.reqs + now.copies > m.row->peak_requests)
        m.row->peak_requests = now.reqs + now.copies;
}

/* Whichever task calls it: they are of one worker, and what it writes is not theirs. */
void t_census_look(void) {
    gee_tsan_ignore_begin();
    look();
    gee_tsan_ignore_end();
}

static void look_again(gee_timer *t) {
    t_census_look();
    gee_timer_start(t, gee_clock_in_ms(LOOK_EVERY_MS), look_again);
}

static void pause_until(uint64_t ms) {
    uint64_t now = gee_now_ms();
    m.pausing = true;
    if (now < ms)
        gee_sleep(NULL, ms - now);
    m.pausing = false;
}

static bool is_zero(const gee_census *c) {
    int64_t any = 0;
#define X(name) any |= c->name;
    GEE_CENSUS(X)
#undef X
    return any == 0;
}

static void settle(gee_census *left) {
    uint64_t until = gee_now_ms() + SETTLE_REAL_MS;
    if (gee_simulated())
        gee_sleep(NULL, SETTLE_MS);
    gee_sleep(NULL, 0); /* behind those who wake at the same moment */
    for (take(left); !gee_simulated() && !is_zero(left) && gee_now_ms() < until; take(left))
        gee_sleep(NULL, 1);
}

void t_census_visits(gee_ctx *ctx, void (*visit)(gee_ctx *ctx, int i, void *arg), void *arg,
                     t_row *row) {
    *row = (t_row){.peak_requests = 0};
    gee_census_take(&m.base);
    m.row = row;
    look_again(&m.clock);
    for (int i = 0; i < T_VISITS; i++) {
        uint64_t next = gee_now_ms() + T_VISIT_EVERY_MS;
        visit(ctx, i, arg);
        t_census_look();
        if (gee_simulated())
            pause_until(next);
    }
    gee_timer_stop(&m.clock);
    settle(&row->left);
    row->left_requests = row->left.reqs + row->left.copies;
    m.row = NULL;
}

bool t_census_say(const char *name, const t_row *row) {
    printf("census: %s", name);
#define X(kind) printf(" %s %" PRId64 " %" PRId64, #kind, row->peak.kind, row->left.kind);
    GEE_CENSUS(X)
#undef X
    printf(" requests %" PRId64 " %" PRId64 "\n", row->peak_requests, row->left_requests);
    fflush(stdout);
    return is_zero(&row->left);
}

/* --- a server --- */

struct site {
    const char *name;
    void (*routes)(gee_group *root);
    void (*visit)(gee_ctx *ctx, int port, int i);
    int port;
};

/* Around everything: the shortest of requests is seen too. */
static void look_around(gee_req *req) {
    gee_next(req);
    t_census_look();
}

static void one_visit(gee_ctx *ctx, int i, void *arg) {
    const struct site *s = arg;
    s->visit(ctx, s->port, i);
}

static void measure(gee_ctx *ctx, void *arg) {
    struct site *s = arg;
    gee_server *srv;
    t_row row;
    gee_engine *e = gee_engine_new();
    gee_use(gee_root(e), look_around, NULL);
    s->routes(gee_root(e));
    int rc = gee_listen(e, "127.0.0.1", 0, NULL, &srv);
    if (rc == 0) {
        s->port = gee_server_port(srv);
        t_census_visits(ctx, one_visit, s, &row);
        if (!t_census_say(s->name, &row))
            t_fail(__FILE__, __LINE__, "%s: something is left of %d visits", s->name, T_VISITS);
        rc = gee_server_shutdown(srv);
    }
    if (rc != UV_ETIMEDOUT) /* else requests are left, and use it */
        gee_engine_free(e);
    if (rc < 0)
        t_fail(__FILE__, __LINE__, "%s: the server: %s", s->name, t_err(rc));
}

void t_census_site(const char *name, void (*routes)(gee_group *root),
                   void (*visit)(gee_ctx *ctx, int port, int i)) {
    gee_config cfg = {.sim = true};
    t_run(&cfg, 0, measure, &(struct site){name, routes, visit, 0});
}
