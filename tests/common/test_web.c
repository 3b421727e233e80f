/* Groups, the chain of middlewares, and the keys of a request. */
#include "t_site.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Said in the body: what runs, in which order, is what the client reads. */
static void say(gee_req *req, const char *text) {
    gee_write(req, text, strlen(text));
}

static void around(gee_req *req) {
    say(req, gee_arg(req));
    say(req, "(");
    gee_next(req);
    say(req, ")");
    say(req, gee_arg(req)); /* its own again */
}

static void named(gee_req *req) {
    say(req, gee_arg(req) ? gee_arg(req) : "end");
}

static void no_next(gee_req *req) {
    say(req, "x");
}

static void next_twice(gee_req *req) {
    gee_next(req);
    say(req, "-");
    gee_next(req);
}

static void deep_next(gee_req *req) {
    gee_next(req);
    gee_next(req);
    say(req, "+");
}

static void abort_first(gee_req *req) {
    say(req, gee_aborted(req) ? "1" : "0");
    gee_abort(req);
    say(req, gee_aborted(req) ? "1" : "0");
    gee_next(req);
    say(req, ".");
}

static void end_aborts(gee_req *req) {
    gee_abort(req);
    gee_next(req); /* there is nothing behind it anyway */
    say(req, "end");
}

static void tells_abort(gee_req *req) {
    gee_next(req);
    say(req, gee_aborted(req) ? " aborted" : " not aborted");
}

static void refuse(gee_req *req) {
    if (gee_header(req, "X-Key") == NULL)
        gee_fail(req, 401);
    else
        gee_next(req);
}

static void mark(gee_req *req) {
    gee_add_header(req, "X-Mark", gee_arg(req));
    gee_next(req);
}

static void one(gee_group *r, const char *pattern, gee_handler middleware, gee_handler end) {
    gee_group *g = gee_group_new(r, "");
    gee_use(g, around, "m");
    gee_use(g, middleware, "n");
    gee_handle(g, "GET", pattern, end, NULL);
}

static void chains(gee_group *r) {
    one(r, "/no-next", no_next, named);
    one(r, "/next-twice", next_twice, named);
    one(r, "/abort", abort_first, named);
    one(r, "/end-aborts", tells_abort, end_aborts);
    one(r, "/refuse", refuse, named);
    one(r, "/nested-next", deep_next, next_twice);
    one(r, "/not-aborted", tells_abort, named);
}

static const char *const chain_cases[][2] = {
    {"/no-next", "m(x)m"},
    {"/next-twice", "m(end-)m"},
    {"/abort", "m(01.)m"},
    {"/end-aborts", "m(end aborted)m"},
    {"/not-aborted", "m(end not aborted)m"},
    {"/nested-next", "m(-+)m"},
};

static void test_chain_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (size_t i = 0; i < sizeof(chain_cases) / sizeof(*chain_cases); i++) {
        T_EQ(t_get(ctx, c, chain_cases[i][0]), 200);
        T_STR(t_body(c), chain_cases[i][1]);
    }
}

T_SITE(test_chain, chains)

/* --- groups --- */

static void nested(gee_group *r) {
    gee_GET(r, "/early", named); /* before any middleware */
    gee_use(r, around, "r");
    gee_group *api = gee_group_new(r, "/api");
    gee_GET(api, "/before", named);
    gee_use(api, around, "a");
    gee_use(api, around, "b");
    gee_group *v1 = gee_group_new(api, "/v1/:x");
    gee_use(v1, around, "v");
    gee_handle(v1, "GET", "/one", named, "one");
    gee_handle(v1, "POST", "/one", named, "post");
    gee_handle(v1, "GET", "", named, "v1");
    gee_use(api, around, "c"); /* later: also for what comes later in groups inside */
    gee_handle(v1, "GET", "/two", named, "two");
    gee_handle(api, "GET", "", named, "api");
    gee_handle(api, "GET", "/", named, "slash");
    gee_GET(r, "/apixxx", named);
    gee_GET(r, "/late", named);
    gee_GET(gee_group_new(r, "/api"), "/other", named); /* another group of that prefix */
}

static const char *const nested_cases[][2] = {
    {"/early", "end"},
    {"/late", "r(end)r"},
    {"/api/before", "r(end)r"},
    {"/api/v1/7/one", "r(a(b(v(one)v)b)a)r"},
    {"/api/v1/7", "r(a(b(v(v1)v)b)a)r"},
    {"/api/v1/7/two", "r(a(b(c(v(two)v)c)b)a)r"},
    {"/api", "r(a(b(c(api)c)b)a)r"},
    {"/api/", "r(a(b(c(slash)c)b)a)r"},
    {"/apixxx", "r(end)r"},
    {"/api/other", "r(end)r"},
};

static void test_groups_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < sizeof(nested_cases) / sizeof(*nested_cases); i++) {
            T_EQ(t_get(ctx, c, nested_cases[i][0]), 200);
            T_STR(t_body(c), nested_cases[i][1]);
        }
    T_EQ(t_ask(ctx, c, "POST", "/api/v1/7/one", ""), 200);
    T_STR(t_body(c), "r(a(b(v(post)v)b)a)r");
}

T_SITE(test_groups, nested)

/* No route: the root's middlewares see the request, those of a group do not. */
static void marked(gee_group *r) {
    gee_use(r, mark, "root");
    gee_group *api = gee_group_new(r, "/api");
    gee_use(api, mark, "api");
    gee_GET(api, "/x", named);
    gee_use(r, tells_abort, NULL);
}

static void test_no_route_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/nowhere"), 404);
    T_STR(t_field(c, "x-mark"), "root");
    T_STR(t_body(c), "404 Not Found\n");
    T_EQ(t_get(ctx, c, "/api/nowhere"), 404);
    T_STR(t_field(c, "x-mark"), "root");
    T_EQ(t_ask(ctx, c, "POST", "/api/x", ""), 405);
    T_STR(t_field(c, "x-mark"), "root");
    T_STR(t_body(c), "405 Method Not Allowed\n");
    T_EQ(t_get(ctx, c, "/api/x/../x"), 400); /* refused before anyone looked at it */
    T_STR(t_field(c, "x-mark"), NULL);
}

T_SITE(test_no_route, marked)

static void deny(gee_group *r) {
    gee_use(r, mark, "outer");
    gee_use(r, refuse, NULL);
    gee_GET(r, "/", named);
}

static void test_refuse_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/"), 401);
    T_STR(t_body(c), "401 Unauthorized\n");
    T_STR(t_field(c, "x-mark"), "outer");
    T_EQ(t_get(ctx, c, "/nowhere"), 401);
    T_EQ(t_ask(ctx, c, "GET", "/", "x-key: 1\r\n"), 200);
    T_STR(t_body(c), "end");
}

T_SITE(test_refuse, deny)

/* --- keys --- */

static atomic_int freed;

static void free_counted(void *value) {
    free(value);
    atomic_fetch_add(&freed, 1);
}

static void leaves_keys(gee_req *req) {
    static char constant[] = "constant";
    gee_set(req, "user", strdup("gee"), free_counted);
    gee_set(req, "constant", constant, NULL);
    gee_next(req);
    say(req, " then ");
    say(req, gee_get(req, "user"));
}

static void uses_keys(gee_req *req) {
    char name[16];
    say(req, gee_get(req, "user"));
    say(req, gee_get(req, "constant"));
    say(req, gee_get(req, "none") ? "some" : "none");
    gee_set(req, "user", strdup("other"), free_counted);
    say(req, atomic_load(&freed) == 1 ? " replaced" : " not freed");
    gee_set(req, "constant", NULL, NULL);
    say(req, gee_get(req, "constant") ? " set" : " unset");
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "key%d", i);
        gee_set(req, name, strdup(name), free_counted);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "key%d", i);
        if (strcmp(gee_get(req, name), name) != 0)
            say(req, " lost");
    }
}

struct sub {
    gee_req *req;
    gee_waitgroup *wg;
    int index;
};

/* All at the same few keys; each value is set once, and freed once. */
static void sub_task(gee_ctx *ctx, void *arg) {
    struct sub *s = arg;
    char name[16];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "k%d", i % 3);
        gee_set(s->req, name, strdup(name), free_counted);
        gee_sleep(ctx, (uint64_t)(s->index + i) % 3);
        gee_get(s->req, name);
        snprintf(name, sizeof(name), "own%d", s->index);
        gee_set(s->req, name, strdup(name), free_counted);
    }
    gee_waitgroup_done(s->wg);
}

static void in_sub_tasks(gee_req *req) {
    struct sub subs[8];
    gee_waitgroup wg = {0};
    gee_waitgroup_add(&wg, 8);
    for (int i = 0; i < 8; i++) {
        subs[i] = (struct sub){req, &wg, i};
        gee_go(gee_req_ctx(req), sub_task, &subs[i]);
    }
    gee_waitgroup_wait(NULL, &wg);
    char name[16];
    int found = 0;
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "own%d", i);
        found += t_streq(gee_get(req, name), name);
    }
    gee_string(req, 200, "%d of 8", found);
}

static void is_clean(gee_req *req) {
    gee_string(req, 200, "%s", gee_get(req, "user") ? "left" : "clean");
}

static void keyed(gee_group *r) {
    gee_GET(r, "/clean", is_clean);
    gee_GET(r, "/subs", in_sub_tasks);
    gee_use(r, leaves_keys, NULL);
    gee_GET(r, "/keys", uses_keys);
}

static void test_keys_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    atomic_store(&freed, 0);
    T_EQ(t_get(ctx, c, "/keys"), 200);
    T_STR(t_body(c), "geeconstantnone replaced unset then other");
    T_EQ(atomic_load(&freed), 22);
    T_EQ(t_get(ctx, c, "/clean"), 200); /* the next request of the connection */
    T_STR(t_body(c), "clean");
    atomic_store(&freed, 0);
    T_EQ(t_get(ctx, c, "/subs"), 200);
    T_STR(t_body(c), "8 of 8");
    T_EQ(atomic_load(&freed), 160);
}

T_SITE(test_keys, keyed)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_chain),  cmocka_unit_test(test_groups), cmocka_unit_test(test_no_route),
    cmocka_unit_test(test_refuse), cmocka_unit_test(test_keys),
};

T_MAIN(tests)
