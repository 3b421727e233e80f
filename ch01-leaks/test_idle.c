/*
 * Chapter 1, timer-never-stopped: a timer beside each request. The same source is linked over the
 * broken variant, the fixed one and each decoy; what a test reports says which of them it met.
 *
 * free() is wrapped by the linker in this program (chapter.mk): for as long as it is looked at,
 * memory that was given back is zeroed and kept aside. Who still writes to it is counted, and
 * harms nobody.
 */
#include "gee/middleware.h"
#include "t_census.h"
#include "t_client.h"
#include "t_site.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 50, IDLE_MS = 30000, AN_HOUR_MS = 3600 * 1000 };
enum { RACES = 20, ASIDE = 8192, SMALL = 512 };

/* --- memory that was given back, and is still used --- */

static bool watching; /* in simulation: there is one thread */
static struct {
    char *p;
    size_t size;
} aside[ASIDE];
static int naside, looked_at;

/* TSan would call it a race that the one who looks has synchronised with nobody, and be right. */
#ifdef GEE_TSAN
#define UNSEEN __attribute__((no_sanitize("thread")))
#else
#define UNSEEN
#endif

void __real_free(void *p);
void __wrap_free(void *p);
UNSEEN void __wrap_free(void *p) {
    size_t size = watching && p ? malloc_usable_size(p) : 0;
    if (size == 0 || size > SMALL || naside == ASIDE) {
        __real_free(p);
        return;
    }
    for (size_t i = 0; i < size; i++)
        ((volatile char *)p)[i] = 0;
    aside[naside].p = p;
    aside[naside++].size = size;
}

/* How many of them were written to since. They stay aside until the process ends. */
UNSEEN static int used_again(void) {
    int used = 0;
    watching = false;
    for (; looked_at < naside; looked_at++) {
        const volatile char *p = aside[looked_at].p;
        size_t i = 0;
        while (i < aside[looked_at].size && p[i] == 0)
            i++;
        used += i < aside[looked_at].size;
    }
    return used;
}

static void hello(gee_req *req) {
    gee_string(req, 200, "hello\n");
}

/* It ends in the moment in which its timer rings, and which of the two comes first is open. */
static void at_the_last_moment(gee_req *req) {
    gee_sleep(NULL, IDLE_MS);
    gee_string(req, 200, "hello\n");
}

static void routes(gee_group *r) {
    gee_use_idle_timeout(r, IDLE_MS);
    gee_GET(r, "/hello", hello);
    gee_GET(r, "/last-moment", at_the_last_moment);
}

struct left {
    int timers, ctxs;
};

static struct left left_since(const gee_census *base) {
    gee_census now;
    gee_census_take(&now);
    return (struct left){(int)(now.timers - base->timers), (int)(now.ctxs - base->ctxs)};
}

static bool any(struct left l) {
    return l.timers > 0 || l.ctxs > 0;
}

/* For how long from now, on the virtual clock, there is more than at first. */
static const char *stays(gee_ctx *ctx, const gee_census *base, char *buf, size_t size) {
    uint64_t start = gee_now_ms();
    while (any(left_since(base)) && gee_now_ms() - start < 2 * IDLE_MS)
        gee_sleep(ctx, 100);
    if (any(left_since(base)))
        gee_sleep(ctx, AN_HOUR_MS);
    if (any(left_since(base)))
        snprintf(buf, size, "for ever");
    else
        snprintf(buf, size, "for %.1f s", (double)(gee_now_ms() - start) / 1e3);
    return buf;
}

/* A connection of its own for the requests, which is then gone with all that is its. */
static int visit(gee_ctx *ctx, int port, int requests) {
    t_conn *c = t_dial(port, 0);
    int status = 200;
    for (int i = 0; c && status == 200 && i < requests; i++)
        status = t_get(ctx, c, "/hello");
    if (c)
        t_close(ctx, c);
    gee_sleep(ctx, 1);
    return c ? status : UV_ECONNREFUSED;
}

static void timer_never_stopped(gee_ctx *ctx, t_conn *c, int port) {
    gee_census base;
    char how_long[32];
    (void)c;
    gee_sleep(ctx, 1); /* c has been accepted */
    gee_census_take(&base);
    T_EQ(visit(ctx, port, REQUESTS), 200);
    struct left left = left_since(&base);
    if (any(left))
        T_FAIL("timer-never-stopped: %d requests that took no time leave %d timers and %d ctxs, %s",
               REQUESTS, left.timers, left.ctxs, stays(ctx, &base, how_long, sizeof(how_long)));
    watching = true;
    for (int i = 0; i < RACES; i++) {
        t_conn *d = t_dial(port, 0);
        t_get(ctx, d, "/last-moment");
        t_close(ctx, d);
    }
    gee_sleep(ctx, 1);
    int used = used_again();
    if (used > 0)
        T_FAIL("timer-never-stopped: of %d requests that end in the moment in which their timer "
               "rings, %d watches are used after they were freed",
               RACES, used);
}

static void test_timer_never_stopped(void **state) {
    (void)state;
    t_site_sim(&(t_site){routes, timer_never_stopped, NULL, 0});
}

static void timer_never_stopped_real(gee_ctx *ctx, t_conn *none, int port) {
    enum { TIMES = 20 };
    char out[512], diff[128];
    gee_census base;
    (void)none;
    t_census_rest(ctx, &base);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "'http://127.0.0.1:%d/hello?[1-%d]'", port, TIMES),
         0);
    t_census_settles(ctx, &base, 500, diff, sizeof(diff));
    struct left left = left_since(&base);
    if (any(left))
        T_FAIL("timer-never-stopped on a socket: %d requests by curl leave %d timers and %d ctxs",
               TIMES, left.timers, left.ctxs);
}

static void test_timer_never_stopped_real(void **state) {
    (void)state;
    t_site_real(1, &(t_site){routes, timer_never_stopped_real, NULL, 0});
}

/* --- make census: it looks a minute later, when those of half a minute have rung --- */

static void patient_routes(gee_group *r) {
    gee_use_idle_timeout(r, 10 * IDLE_MS);
    gee_GET(r, "/hello", hello);
}

static void visitor(gee_ctx *ctx, int port, int i) {
    (void)i;
    visit(ctx, port, 1);
}

T_CENSUS(timer_never_stopped, patient_routes, visitor)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_timer_never_stopped),
    cmocka_unit_test(test_timer_never_stopped_real),
    cmocka_unit_test(census_timer_never_stopped),
};

T_MAIN(tests)
