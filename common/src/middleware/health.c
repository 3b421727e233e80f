/*
 * The pages of /healthz and /readyz, and the engine's list of checks. How these are asked
 * is in check.c.
 */
#include "gee/health.h"
#include "gee/panic.h"
#include "gee/req.h"
#include "middleware/check.h"
#include "web/web.h"
#include <string.h>

enum { DEFAULT_MS = 1000 };

static void healthz(gee_req *req) {
    gee_set_header(req, "Cache-Control", "no-store");
    gee_string(req, 200, "ok\n");
}

static bool draining(const gee_req *req) {
    return atomic_load(&req->engine->unready) || atomic_load(&req->x.conn->part->srv->draining);
}

/* libuv has no name for a panic. */
static const char *error_name(int rc, char *buf, size_t size) {
    return rc == GEE_EPANIC ? "EPANIC" : uv_err_name_r(rc, buf, size);
}

static json_t *report(const gee_asked *a) {
    char err[64];
    json_t *one = json_pack("{s:s, s:b}", "name", a->check->name, "ok", a->rc == 0);
    if (one && a->rc != 0)
        json_object_set_new(one, "error", json_string(error_name(a->rc, err, sizeof(err))));
    return one;
}

/* Those of that name; NULL: all. How many, or UV_ENOMEM. */
static ssize_t choose(gee_req *req, const char *name, gee_asked **asked) {
    ssize_t n = 0;
    for (gee_check *c = req->engine->checks; c; c = c->next)
        n++;
    *asked = gee_alloc(req, ((size_t)n + 1) * sizeof(**asked));
    if (*asked == NULL)
        return UV_ENOMEM;
    n = 0;
    for (gee_check *c = req->engine->checks; c; c = c->next)
        if (name == NULL || strcmp(c->name, name) == 0)
            (*asked)[n++].check = c;
    return n;
}

static void answer(gee_req *req, gee_asked *asked, size_t n) {
    bool ending = draining(req), ready = !ending;
    json_t *list = json_array();
    gee_check_ask(gee_req_ctx(req), asked, n);
    for (size_t i = 0; i < n; i++) {
        ready = ready && asked[i].rc == 0;
        json_array_append_new(list, report(&asked[i]));
    }
    gee_set_header(req, "Cache-Control", "no-store");
    gee_json(req, ready && list ? 200 : 503, "{s:b, s:b, s:o*}", "ready", ready && list, "draining",
             ending, "checks", list);
}

static void readyz(gee_req *req) {
    const char *name = gee_param(req, "check");
    gee_asked *asked;
    ssize_t n = choose(req, name, &asked);
    if (n < 0)
        gee_fail(req, 503);
    else if (name && n == 0)
        gee_fail(req, 404);
    else
        answer(req, asked, (size_t)n);
}

int gee_health_routes(gee_group *g) {
    int rc = gee_GET(g, "/healthz", healthz);
    if (rc == 0)
        rc = gee_GET(g, "/readyz", readyz);
    return rc < 0 ? rc : gee_GET(g, "/readyz/:check", readyz);
}

/* --- checks --- */

int gee_ready_check_within(gee_engine *e, const char *name, uint64_t ms, gee_ready_fn fn,
                           void *arg) {
    gee_check **last = &e->checks;
    if (name == NULL || *name == '\0' || fn == NULL)
        return UV_EINVAL;
    gee_check *c = gee_check_new(name, ms ? ms : DEFAULT_MS, fn, arg);
    if (c == NULL)
        return UV_ENOMEM;
    if (gee_engine_own(e, c, gee_check_unref) < 0) {
        gee_check_unref(c);
        return UV_ENOMEM;
    }
    while (*last)
        last = &(*last)->next;
    *last = c;
    return 0;
}

int gee_ready_check(gee_engine *e, const char *name, gee_ready_fn fn, void *arg) {
    return gee_ready_check_within(e, name, 0, fn, arg);
}

void gee_set_ready(gee_engine *e, bool ready) {
    atomic_store(&e->unready, !ready);
}
