/*
 * The chain, by its table (ch02-timeouts/chain.md): at each phase of a request which link runs,
 * how many have been started, whether gee_next runs anything, and whether the head is written.
 */
#include "t_site.h"
#include "web/web.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the links of one request note, in order: a request at a time, and a lock, since nothing else
 * orders its task and the client's. */
static gee_mutex lock;
static char story[2048];

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    gee_mutex_lock(NULL, &lock);
    size_t n = strlen(story);
    vsnprintf(story + n, sizeof(story) - n, fmt, ap);
    gee_mutex_unlock(&lock);
    va_end(ap);
}

/* A GET, and what was noted meanwhile. */
static int get(gee_ctx *ctx, t_conn *c, const char *target, char *told) {
    int status = t_get(ctx, c, target);
    gee_mutex_lock(NULL, &lock);
    memcpy(told, story, sizeof(story));
    story[0] = '\0';
    gee_mutex_unlock(&lock);
    return status;
}

/* "log in 0/1 -;": its name by gee_arg, the link that runs, how many were started, the head. */
static void phase(gee_req *req, const char *what) {
    note("%s %s %zu/%zu %s; ", (const char *)gee_arg(req), what, req->at, req->reached,
         req->x.head_sent ? "head" : "-");
}

static void around(gee_req *req) {
    phase(req, "in");
    gee_next(req);
    phase(req, "out");
}

static void answers(gee_req *req) {
    phase(req, "in");
    gee_string(req, 200, "ok");
    phase(req, "answered");
}

/* --- the table --- */

static void goes_on_at_the_end(gee_req *req) {
    answers(req);
    gee_next(req); /* there is nothing further in */
    phase(req, "out");
}

static void tabled(gee_group *r) {
    gee_use(r, around, "log");
    gee_use(r, around, "auth");
    gee_handle(r, "GET", "/", goes_on_at_the_end, "handler");
    gee_handle(r, "POST", "/", answers, "post");
}

static void test_table_body(gee_ctx *ctx, t_conn *c, int port) {
    char told[sizeof(story)];
    (void)port;
    for (int twice = 0; twice < 2; twice++) { /* each request begins anew */
        T_EQ(get(ctx, c, "/", told), 200);
        T_STR(told, "log in 0/1 -; auth in 1/2 -; handler in 2/3 -; handler answered 2/3 head; "
                    "handler out 2/3 head; auth out 1/3 head; log out 0/3 head; ");
    }
}

T_SITE(test_table, tabled)

/* --- gee_next twice --- */

static void twice(gee_req *req) {
    phase(req, "in");
    gee_next(req);
    phase(req, "between");
    gee_next(req);
    phase(req, "out");
}

/* It answers and does not go on; the first time. */
static void once_closed(gee_req *req) {
    phase(req, "in");
    if (gee_get(req, "been"))
        gee_next(req);
    gee_set(req, "been", req, NULL);
}

static void not_twice(gee_group *r) {
    gee_group *a = gee_group_new(r, "/a"), *b = gee_group_new(r, "/b"), *c = gee_group_new(r, "/c");
    gee_use(a, twice, "m");
    gee_handle(a, "GET", "", answers, "h");
    gee_use(b, twice, "m");
    gee_use(b, twice, "n");
    gee_handle(b, "GET", "", answers, "h");
    gee_use(c, twice, "m");
    gee_use(c, once_closed, "n");
    gee_handle(c, "GET", "", answers, "h");
}

static void test_next_twice_body(gee_ctx *ctx, t_conn *c, int port) {
    char told[sizeof(story)];
    static const char *const all[][2] = {
        {"/a", "m in 0/1 -; h in 1/2 -; h answered 1/2 head; m between 0/2 head; m out 0/2 head; "},
        {"/b", "m in 0/1 -; n in 1/2 -; h in 2/3 -; h answered 2/3 head; n between 1/3 head; "
               "n out 1/3 head; m between 0/3 head; m out 0/3 head; "},
        {"/c", "m in 0/1 -; n in 1/2 -; m between 0/2 -; m out 0/2 -; "},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        T_EQ(get(ctx, c, all[i][0], told), 200);
        T_STR(told, all[i][1]);
    }
}

T_SITE(test_next_twice, not_twice)

/* --- gee_abort --- */

static void told(gee_req *req, const char *what) {
    note("%s %s %zu/%zu %s; ", (const char *)gee_arg(req), what, req->at, req->reached,
         gee_aborted(req) ? "aborted" : "-");
}

/* Both of its gee_next are behind the abort of someone further in, or find nothing. */
static void watches(gee_req *req) {
    told(req, "in");
    gee_next(req);
    told(req, "out");
    gee_next(req);
    told(req, "out again");
}

static void aborts(gee_req *req) {
    told(req, "in");
    gee_abort(req);
    gee_next(req);
    told(req, "after");
}

static void aborts_once(gee_req *req) {
    bool first = gee_get(req, "been") == NULL;
    gee_set(req, "been", req, NULL);
    told(req, "in");
    if (first)
        gee_fail(req, 401);
    else
        gee_next(req);
}

static void aborts_on_the_way_back(gee_req *req) {
    told(req, "in");
    gee_next(req);
    gee_abort(req);
    told(req, "out");
}

static void last(gee_req *req) {
    told(req, "in");
}

static void last_aborts(gee_req *req) {
    gee_abort(req);
    gee_abort(req); /* it is that already */
    last(req);
}

static void aborted(gee_group *r) {
    static const struct {
        const char *prefix;
        gee_handler second, end;
    } all[] = {{"/first", NULL, last},         {"/middle", aborts, last},
               {"/once", aborts_once, last},   {"/back", aborts_on_the_way_back, last},
               {"/end", watches, last_aborts}, {"/not", watches, last}};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        gee_group *g = gee_group_new(r, all[i].prefix);
        gee_use(g, all[i].second ? watches : aborts, "m");
        gee_use(g, all[i].second ? all[i].second : watches, "n");
        gee_handle(g, "GET", "", all[i].end, "h");
    }
}

static void test_abort_body(gee_ctx *ctx, t_conn *c, int port) {
    char told[sizeof(story)];
    static const struct {
        const char *target;
        int status;
        const char *story;
    } all[] = {
        {"/first", 200, "m in 0/1 -; m after 0/1 aborted; "},
        {"/middle", 200,
         "m in 0/1 -; n in 1/2 -; n after 1/2 aborted; m out 0/2 aborted; "
         "m out again 0/2 aborted; "},
        {"/once", 401, "m in 0/1 -; n in 1/2 -; m out 0/2 aborted; m out again 0/2 aborted; "},
        {"/back", 200,
         "m in 0/1 -; n in 1/2 -; h in 2/3 -; n out 1/3 aborted; m out 0/3 aborted; "
         "m out again 0/3 aborted; "},
        {"/end", 200,
         "m in 0/1 -; n in 1/2 -; h in 2/3 aborted; n out 1/3 aborted; n out again 1/3 aborted; "
         "m out 0/3 aborted; m out again 0/3 aborted; "},
        {"/not", 200,
         "m in 0/1 -; n in 1/2 -; h in 2/3 -; n out 1/3 -; n out again 1/3 -; m out 0/3 -; "
         "m out again 0/3 -; "},
    };
    (void)port;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        T_EQ(get(ctx, c, all[i].target, told), all[i].status);
        T_STR(told, all[i].story);
    }
}

T_SITE(test_abort, aborted)

/* --- panic --- */

static void go_on(void *req) {
    gee_next(req);
}

static void recovers(gee_req *req) {
    phase(req, "in");
    int rc = gee_recover(go_on, req, NULL);
    phase(req, rc < 0 ? "recovered" : "out");
    gee_next(req); /* the links that were started have been */
    phase(req, "out");
}

static void panics(gee_req *req) {
    phase(req, "in");
    gee_panic("in a link");
}

static void panics_on_the_way_back(gee_req *req) {
    phase(req, "in");
    gee_next(req);
    gee_panic("in a link");
}

static void panicky(gee_group *r) {
    gee_group *h = gee_group_new(r, "/handler"), *m = gee_group_new(r, "/middle");
    gee_group *b = gee_group_new(r, "/back"), *nobody = gee_group_new(r, "/nobody");
    gee_use(h, recovers, "r");
    gee_use(h, around, "m");
    gee_handle(h, "GET", "", panics, "h");
    gee_use(m, recovers, "r");
    gee_use(m, panics, "m");
    gee_handle(m, "GET", "", answers, "h");
    gee_use(b, recovers, "r");
    gee_use(b, panics_on_the_way_back, "m");
    gee_handle(b, "GET", "", answers, "h");
    gee_use(nobody, around, "m");
    gee_handle(nobody, "GET", "", panics, "h");
}

static void test_panic_body(gee_ctx *ctx, t_conn *c, int port) {
    static const struct {
        const char *target;
        int status;
        const char *story;
    } all[] = {
        {"/handler", 200, "r in 0/1 -; m in 1/2 -; h in 2/3 -; r recovered 0/3 -; r out 0/3 -; "},
        /* The handler was never started, and now never is: what has panicked is not stepped over.
         */
        {"/middle", 200, "r in 0/1 -; m in 1/2 -; r recovered 0/2 -; r out 0/2 -; "},
        {"/back", 200,
         "r in 0/1 -; m in 1/2 -; h in 2/3 -; h answered 2/3 head; r recovered 0/3 head; "
         "r out 0/3 head; "},
        {"/nobody", 500, "m in 0/1 -; h in 1/2 -; "},
    };
    (void)port;
    int before = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    int status[4];
    char told[4][sizeof(story)];
    dup2(null, STDERR_FILENO); /* what nobody recovers is told there */
    for (size_t i = 0; i < 4; i++) {
        status[i] = get(ctx, c, all[i].target, told[i]);
    }
    dup2(before, STDERR_FILENO);
    close(before);
    close(null);
    for (size_t i = 0; i < 4; i++) {
        T_EQ(status[i], all[i].status);
        T_STR(told[i], all[i].story);
    }
}

T_SITE(test_panic, panicky)

/* --- where the head is written --- */

static void streams(gee_req *req) {
    gee_write(req, "a", 1);
    phase(req, "wrote");
    gee_flush(req);
    phase(req, "flushed");
}

/* Too late for a status, and it is told so; not too late for its own end. */
static void answers_too(gee_req *req) {
    gee_next(req);
    int rc = gee_string(req, 500, "mine");
    note("%s; ", t_err(rc));
}

static void answers_first(gee_req *req) {
    gee_string(req, 403, "no");
    gee_abort(req);
    phase(req, "answered");
}

static void headed(gee_group *r) {
    gee_group *s = gee_group_new(r, "/stream"), *f = gee_group_new(r, "/first");
    gee_use(s, answers_too, "m");
    gee_handle(s, "GET", "", streams, "h");
    gee_use(f, around, "m");
    gee_use(f, answers_first, "n");
    gee_handle(f, "GET", "", answers, "h");
}

static void test_head_body(gee_ctx *ctx, t_conn *c, int port) {
    char told[sizeof(story)];
    (void)port;
    T_EQ(get(ctx, c, "/stream", told), 200);
    T_STR(t_body(c), "a");
    T_STR(told, "h wrote 1/2 head; h flushed 1/2 head; EALREADY; ");
    T_EQ(get(ctx, c, "/first", told), 403);
    T_STR(told, "m in 0/1 -; n answered 1/2 head; m out 0/2 head; ");
}

T_SITE(test_head, headed)

/* --- groups, and other chains --- */

static void nested(gee_group *r) {
    gee_use(r, around, "root");
    gee_group *api = gee_group_new(r, "/api");
    gee_use(api, around, "api");
    gee_group *v1 = gee_group_new(api, "/v1");
    gee_use(v1, around, "v1");
    gee_handle(v1, "GET", "/x", answers, "x");
}

/* Groups that are nested make one chain: no index of theirs begins anew. */
static void test_nested_groups_body(gee_ctx *ctx, t_conn *c, int port) {
    char told[sizeof(story)];
    (void)port;
    T_EQ(get(ctx, c, "/api/v1/x", told), 200);
    T_STR(told, "root in 0/1 -; api in 1/2 -; v1 in 2/3 -; x in 3/4 -; x answered 3/4 head; "
                "v1 out 2/4 head; api out 1/4 head; root out 0/4 head; ");
    T_EQ(get(ctx, c, "/api/v1/nowhere", told), 404); /* the root's, and the 404, which aborts */
    T_STR(told, "root in 0/1 -; root out 0/2 head; ");
}

T_SITE(test_nested_groups, nested)

/* More than an index of seven bits could count, and than Gin's abort index. */
enum { LINKS = 300, HALF = 150 };
static _Atomic int runs, backs;

static void counts(gee_req *req) {
    runs++;
    if (runs == HALF && gee_query(req, "half"))
        gee_abort(req);
    gee_next(req);
    backs++;
}

static void many(gee_group *r) {
    for (int i = 0; i < LINKS; i++)
        gee_use(r, counts, NULL);
    gee_handle(r, "GET", "/", counts, NULL);
}

static void test_many_links_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    runs = backs = 0;
    T_EQ(t_get(ctx, c, "/"), 200);
    T_EQ(runs, LINKS + 1);
    T_EQ(backs, LINKS + 1);
    runs = backs = 0;
    T_EQ(t_get(ctx, c, "/?half=1"), 200);
    T_EQ(runs, HALF);
    T_EQ(backs, HALF);
}

T_SITE(test_many_links, many)

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_table),      cmocka_unit_test(test_next_twice),
    cmocka_unit_test(test_abort),      cmocka_unit_test(test_panic),
    cmocka_unit_test(test_head),       cmocka_unit_test(test_nested_groups),
    cmocka_unit_test(test_many_links),
};

T_MAIN(tests)
