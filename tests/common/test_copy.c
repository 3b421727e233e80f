/* Copies of requests: what is in them, how long it lives, and who may touch it. */
#include "t_client.h"
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char trace_key;
static atomic_int freed;

static void counted_free(void *p) {
    atomic_fetch_add(&freed, 1);
    free(p);
}

static int set_text(gee_req *req, const char *key, const char *text) {
    char *value = strdup(text);
    int rc = gee_set(req, key, value, counted_free);
    if (rc < 0)
        free(value);
    return rc;
}

/* Everything that can be read of a request, on one line. */
static void describe(gee_req *req, char *out, size_t size) {
    const char *header = gee_header(req, "x-THING"), *none = gee_header(req, "x-none");
    const char *a = gee_query(req, "a"), *f = gee_form(req, "f"), *user = gee_get(req, "user");
    const char *rest = gee_param(req, "rest"), *trace = gee_ctx_value(gee_req_ctx(req), &trace_key);
    snprintf(out, size, "%s %s %s|%s %s|%s %s|%s %s|%s %s|%s|%d", gee_method(req), gee_target(req),
             gee_route(req), gee_param(req, "id"), rest, header, none ? none : "-", a, f, user,
             trace, (const char *)gee_get(req, "static"), gee_status_of(req));
}

/* What tasks tell the test: each takes the lock, since nothing else orders them. */
static gee_mutex lock;
static struct {
    char before[512], after[512];
    char remote[2][64];
    int err, done, freed_before, freed_with;
    gee_req *copy;
} seen;

static void forget(void) {
    gee_mutex_lock(NULL, &lock);
    memset(&seen, 0, sizeof(seen));
    gee_mutex_unlock(&lock);
}

static void later(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    gee_sleep(ctx, 100); /* by now another request has had the connection and its memory */
    gee_mutex_lock(NULL, &lock);
    snprintf(seen.remote[1], sizeof(seen.remote[1]), "%s", gee_remote(copy));
    describe(copy, seen.after, sizeof(seen.after));
    seen.err = gee_ctx_err(gee_req_ctx(copy));
    seen.freed_before = atomic_load(&freed);
    gee_req_release(copy);
    seen.freed_with = atomic_load(&freed);
    seen.done++;
    gee_mutex_unlock(&lock);
}

static void detach(gee_req *req) {
    gee_req *copy;
    char *borrowed = gee_alloc(req, 8);
    strcpy(borrowed, "mine");
    gee_status(req, 201);
    gee_form(req, "f");
    set_text(req, "user", "ada");
    gee_set(req, "static", (void *)"always", gee_forever);
    gee_set(req, "borrowed", borrowed, NULL);
    gee_mutex_lock(NULL, &lock);
    describe(req, seen.before, sizeof(seen.before));
    copy = gee_req_copy(req);
    snprintf(seen.remote[0], sizeof(seen.remote[0]), "%s", gee_remote(req));
    gee_mutex_unlock(&lock);
    if (copy == NULL || gee_get(copy, "borrowed") != NULL || gee_get(req, "borrowed") != borrowed)
        t_fail(__FILE__, __LINE__, "a value of the request's memory is in the copy");
    set_text(req, "user", "eve"); /* not seen in the copy */
    set_text(req, "late", "too");
    if (gee_go(gee_req_ctx(copy), later, copy) != 0)
        gee_req_release(copy);
}

static void traced(gee_req *req) {
    gee_ctx *before = gee_req_ctx(req);
    gee_ctx *ctx = gee_ctx_with_value(before, &trace_key, strdup("t1"), free);
    gee_req_set_ctx(req, ctx);
    gee_next(req);
    gee_req_set_ctx(req, before);
    gee_ctx_end(ctx);
}

static void overwrites(gee_req *req) {
    char *p = gee_alloc(req, 1500);
    memset(p, 'x', 1500);
    gee_string(req, 200, "ok");
}

static bool refuses(gee_req *copy) {
    char buf[8];
    const char *data;
    size_t n;
    json_t *value;
    json_error_t err;
    bool ok = gee_string(copy, 200, "no") == UV_EALREADY;
    ok &= gee_json(copy, 200, "{s:i}", "a", 1) == UV_EALREADY;
    ok &= gee_set_header(copy, "X-A", "b") == UV_EALREADY;
    ok &= gee_write(copy, "x", 1) == UV_EALREADY && gee_flush(copy) == UV_EALREADY;
    ok &= gee_fail(copy, 500) == UV_EALREADY && gee_sse_event(copy, NULL, "x") == UV_EALREADY;
    ok &= gee_body_read(copy, buf, 1) == UV_EINVAL && gee_body(copy, &data, &n) == UV_EINVAL;
    ok &= gee_json_body(copy, 0, &value, &err) < 0;
    gee_status(copy, 500);
    gee_next(copy);
    return ok && gee_status_of(copy) == 200 && strcmp(gee_arg(copy), "arg") == 0;
}

static int64_t copies(void) {
    gee_census now;
    gee_census_take(&now);
    return now.copies;
}

static void refused(gee_req *req) {
    gee_req *copy = gee_req_copy(req), *second = gee_req_copy(copy);
    bool ok = refuses(copy) && refuses(second) && copies() == 2;
    gee_req_release(copy);
    ok = ok && strcmp(gee_target(second), "/refused") == 0 && !gee_aborted(req) && copies() == 1;
    gee_req_release(second);
    ok = ok && copies() == 0;
    gee_string(req, ok ? 200 : 500, "still here");
}

static void kept(gee_req *req) {
    set_text(req, "user", "ada");
    gee_mutex_lock(NULL, &lock);
    seen.copy = gee_req_copy(req);
    gee_mutex_unlock(&lock);
}

static void routes(gee_group *r) {
    gee_POST(r, "/overwrites", overwrites);
    gee_handle(r, "POST", "/refused", refused, "arg");
    gee_GET(r, "/kept/:id/*rest", kept);
    gee_use(r, traced, NULL);
    gee_POST(r, "/detach/:id/*rest", detach);
}

static void test_a_copy_outlives_its_request_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char form[] = "application/x-www-form-urlencoded\r\nX-Thing: 1";
    (void)port;
    forget();
    atomic_store(&freed, 0);
    T_EQ(t_post(ctx, c, "/detach/7/x/y?a=b%20c", form, "f=g"), 201);
    T_EQ(t_post(ctx, c, "/overwrites", "text/plain", ""), 200);
    T_EQ(atomic_load(&freed), 2); /* eve and too */
    gee_sleep(ctx, 200);
    gee_mutex_lock(NULL, &lock);
    gee_mutex_unlock(&lock); /* the others have ended */
    T_EQ(seen.done, 1);
    T_STR(seen.before, "POST /detach/7/x/y?a=b%20c /detach/:id/*rest|7 x/y|1 -|b c g|ada t1|always|"
                       "201");
    T_STR(seen.after, seen.before);
    T_STR(seen.remote[1], seen.remote[0]);
    T_CHECK(*seen.remote[0]);
    T_RC(seen.err, 0);
    T_EQ(seen.freed_before, 2);
    T_EQ(seen.freed_with, 3);
}

T_SITE(test_a_copy_outlives_its_request, routes)

static void test_the_end_of_the_client_is_not_the_copys_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)c;
    forget();
    t_conn *d = t_dial(port, 0);
    t_puts(ctx, d, "POST /detach/7/x?a=1 HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    gee_sleep(ctx, 10);
    t_reset(ctx, d);
    gee_sleep(ctx, 200);
    gee_mutex_lock(NULL, &lock);
    gee_mutex_unlock(&lock); /* the others have ended */
    T_EQ(seen.done, 1);
    T_RC(seen.err, 0);
}

T_SITE(test_the_end_of_the_client_is_not_the_copys, routes)

static void test_a_copy_answers_nobody_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_post(ctx, c, "/refused", "application/json", "[]"), 200);
    T_STR(t_body(c), "still here");
}

T_SITE(test_a_copy_answers_nobody, routes)

/* --- after the server and its engine --- */

static int serve_once(gee_ctx *ctx) {
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    routes(gee_root(e));
    int status = gee_listen(e, "127.0.0.1", 0, NULL, &srv);
    if (status == 0) {
        t_conn *c = t_dial(gee_server_port(srv), 0);
        status = t_get(ctx, c, "/kept/7/x");
        t_close(ctx, c);
        gee_server_shutdown(srv);
    }
    gee_engine_free(e);
    return status;
}

static void release_elsewhere(void *arg) {
    gee_req_release(arg);
}

static void outlives(gee_ctx *ctx, void *arg) {
    uv_thread_t thread;
    (void)arg;
    atomic_store(&freed, 0);
    T_EQ(serve_once(ctx), 200);
    T_STR(gee_param(seen.copy, "id"), "7");
    T_STR(gee_route(seen.copy), "/kept/:id/*rest");
    T_STR(gee_get(seen.copy, "user"), "ada");
    T_EQ(atomic_load(&freed), 0);
    T_EQ(uv_thread_create(&thread, release_elsewhere, seen.copy), 0);
    uv_thread_join(&thread);
    T_EQ(atomic_load(&freed), 1);
}

static void test_a_copy_outlives_the_engine(void **state) {
    (void)state;
    t_sim(outlives, NULL);
}

/* --- at the same time, on another worker --- */

enum { ROUNDS = 20, SETS = 200 };

static atomic_int readers, good;

static void reads_copy(gee_ctx *ctx, void *arg) {
    gee_req *copy = arg;
    const char *first = gee_get(copy, "n");
    bool same = first != NULL && gee_get(copy, "k7") == NULL;
    (void)ctx;
    for (int i = 0; i < SETS; i++) {
        same &= gee_get(copy, "n") == first && strcmp(first, "before") == 0;
        same &= strcmp(gee_query(copy, "a"), "1") == 0 && gee_form(copy, "x") == NULL;
        if (i % 16 == 0)
            gee_yield();
    }
    atomic_fetch_add(&good, same);
    gee_req_release(copy);
    atomic_fetch_sub(&readers, 1);
}

struct setting {
    gee_req *req;
    gee_waitgroup wg;
};

/* A sub-task: the request waits for it. */
static void sets_keys(gee_ctx *ctx, void *arg) {
    struct setting *s = arg;
    char key[8];
    (void)ctx;
    for (int i = 0; i < SETS; i++) {
        snprintf(key, sizeof(key), "k%d", i % 40);
        set_text(s->req, i % 3 ? key : "n", "after");
    }
    gee_waitgroup_done(&s->wg);
}

static void busy(gee_req *req) {
    struct setting s = {.req = req};
    gee_ctx *ctx = gee_req_ctx(req);
    set_text(req, "n", "before");
    for (int i = 0; i < 4; i++) { /* all copies before the first set */
        gee_req *copy = gee_req_copy(req);
        atomic_fetch_add(&readers, 1);
        gee_go_on(i % gee_workers(), gee_req_ctx(copy), reads_copy, copy);
    }
    gee_waitgroup_add(&s.wg, 2);
    for (int i = 0; i < 2; i++)
        gee_go_on(i % gee_workers(), ctx, sets_keys, &s);
    for (int i = 0; i < 4; i++) /* and some while others set */
        gee_req_release(gee_req_copy(req));
    gee_waitgroup_wait(NULL, &s.wg);
    gee_string(req, 200, ".");
}

static void busy_routes(gee_group *r) {
    gee_GET(r, "/busy", busy);
}

static void busy_body(gee_ctx *ctx, t_conn *c, int port) {
    char out[64];
    (void)c;
    atomic_store(&good, 0);
    T_EQ(t_shell(ctx, out, sizeof(out), T_CURL "'http://127.0.0.1:%d/busy?a=1&b=[1-%d]'", port,
                 ROUNDS),
         0);
    T_EQ(strlen(out), ROUNDS);
    while (atomic_load(&readers) > 0)
        gee_sleep(ctx, 1);
    T_EQ(atomic_load(&good), 4 * ROUNDS);
}

static void test_copies_are_read_while_others_set(void **state) {
    (void)state;
    for (int workers = 1; workers <= 3; workers++)
        t_site_real(workers, &(t_site){busy_routes, busy_body, NULL, 0});
}

/* --- the ctx of a copy --- */

static void without_cancel(gee_ctx *ctx, void *arg) {
    static const char key;
    uint64_t deadline;
    (void)arg;
    gee_ctx *parent = gee_ctx_with_timeout(ctx, 10);
    gee_ctx *valued = gee_ctx_with_value(parent, &key, strdup("v"), free);
    gee_ctx *detached = gee_ctx_without_cancel(valued);
    gee_ctx *child = gee_ctx_with_timeout(detached, 50);
    gee_ctx_end(valued);
    gee_sleep(ctx, 20);
    T_RC(gee_ctx_err(parent), UV_ETIMEDOUT);
    T_RC(gee_ctx_err(detached), 0);
    T_CHECK(!gee_ctx_deadline(detached, &deadline));
    T_STR(gee_ctx_value(child, &key), "v");
    T_RC(gee_ctx_wait(child), UV_ETIMEDOUT);
    gee_ctx_end(child);
    gee_ctx_end(parent);
    child = gee_ctx_with_cancel(detached);
    gee_ctx_cancel(detached, UV_EPIPE);
    T_RC(gee_ctx_cause(child), UV_EPIPE);
    gee_ctx_end(child);
    gee_ctx_unref(detached);
    gee_ctx_end(gee_ctx_without_cancel(NULL)); /* of the background, which is not counted */
    gee_ctx_unref(gee_ctx_without_cancel(ctx));
}

static void test_a_ctx_without_cancel(void **state) {
    (void)state;
    t_sim(without_cancel, NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_copy_outlives_its_request),
    cmocka_unit_test(test_the_end_of_the_client_is_not_the_copys),
    cmocka_unit_test(test_a_copy_answers_nobody),
    cmocka_unit_test(test_a_copy_outlives_the_engine),
    cmocka_unit_test(test_copies_are_read_while_others_set),
    cmocka_unit_test(test_a_ctx_without_cancel),
};

T_MAIN(tests)
