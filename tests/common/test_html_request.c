/* Pages as answers: whole or not at all, from one set for all workers, with nothing left over. */
#include "t_site.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *refuses(gee_html_call *call) {
    if (json_is_string(call->args[0]))
        gee_panic("a function for templates panics");
    call->error = "is told to";
    return NULL;
}

static json_t *slowly(gee_html_call *call) {
    gee_yield();
    return json_sprintf("%" JSON_INTEGER_FORMAT "!", json_integer_value(call->args[0]));
}

static gee_html *pages(void) {
    static const char rows[] = "{{define \"row\"}}<td title=\"{{.}}\">{{. | slowly}}</td>{{end}}"
                               "<h1>{{.title}}</h1>{{range .rows}}{{template \"row\" .}}{{end}}\n";
    gee_html *h = gee_html_new(NULL);
    gee_html_func(h, "fail", refuses, NULL, 0);
    gee_html_func(h, "slowly", slowly, NULL, 0);
    gee_html_parse(h, "rows", rows);
    gee_html_parse(h, "fails", "<p>half {{$x := slowly 1}}{{slowly 2}}{{fail .}}</p>");
    gee_html_parse(h, "empty", "");
    return h;
}

static void show(gee_req *req) {
    gee_html_pack(req, 201, "rows", "{s:s, s:[i,i]}", "title", gee_query(req, "t"), "rows", 1, 2);
}

static void fails(gee_req *req) {
    const char *how = gee_query(req, "how");
    int want = UV_EINVAL, rc = 0;
    if (strcmp(how, "function") == 0)
        rc = gee_html_render(req, 200, "fails", json_integer(1));
    else if (strcmp(how, "panic") == 0)
        rc = gee_html_render(req, 200, "fails", json_string("x"));
    else if (strcmp(how, "data") == 0)
        rc = gee_html_render(req, 200, "rows", NULL);
    else if (strcmp(how, "pack") == 0)
        rc = gee_html_pack(req, 200, "rows", "{s:s}", "title", "\xff");
    else if ((want = UV_ENOENT) < 0)
        rc = gee_html_render(req, 200, "none", json_object());
    if (rc != want)
        t_fail(__FILE__, __LINE__, "%s: %s", how, t_err(rc));
}

static void twice(gee_req *req) {
    gee_html_render(req, 200, "empty", json_object());
    int rc = gee_html_render(req, 200, "rows", json_object());
    if (rc != UV_EALREADY)
        t_fail(__FILE__, __LINE__, "%s", t_err(rc));
}

static void bare(gee_group *r) {
    gee_GET(r, "/show", show);
    gee_GET(r, "/fails", fails);
    gee_GET(r, "/twice", twice);
}

static void routes(gee_group *r) {
    bare(r);
    if (gee_engine_html(gee_engine_of(r), pages()) != 0)
        t_fail(__FILE__, __LINE__, "gee_engine_html");
}

static void test_a_page_is_an_answer_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/show?t=%3Cb%3E"), 201);
    T_STR(t_field(c, "content-type"), "text/html; charset=utf-8");
    T_STR(t_body(c), "<h1>&lt;b&gt;</h1><td title=\"1\">1!</td><td title=\"2\">2!</td>\n");
    T_EQ(t_get(ctx, c, "/twice"), 200);
    T_STR(t_body(c), "");
}

T_SITE(test_a_page_is_an_answer, routes)

static void test_a_page_that_fails_is_a_500_body(gee_ctx *ctx, t_conn *c, int port) {
    static const char *const hows[] = {"function", "data", "pack", "name"};
    char target[64];
    (void)port;
    for (size_t i = 0; i < sizeof(hows) / sizeof(*hows); i++) {
        snprintf(target, sizeof(target), "/fails?how=%s", hows[i]);
        T_EQ(t_get(ctx, c, target), 500);
        T_STR(t_body(c), "500 Internal Server Error\n");
        T_STR(t_field(c, "content-type"), "text/plain; charset=utf-8");
    }
}

static void test_a_page_that_fails_is_a_500(void **state) {
    (void)state;
    t_site_once(&(t_site){routes, test_a_page_that_fails_is_a_500_body, NULL, 0});
}

static void panics_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/fails?how=panic"), 500);
}

static void test_a_function_that_panics_leaves_nothing(void **state) {
    (void)state;
    t_site_once(&(t_site){routes, panics_body, NULL, 0});
}

static void no_set_body(gee_ctx *ctx, t_conn *c, int port) {
    (void)port;
    T_EQ(t_get(ctx, c, "/fails?how=name"), 500);
}

static void test_an_engine_without_templates_has_none(void **state) {
    (void)state;
    t_site_once(&(t_site){bare, no_set_body, NULL, 0});
}

static void wrong(gee_ctx *ctx, void *arg) {
    gee_server *srv;
    gee_engine *e = gee_engine_new();
    gee_html *h = pages();
    (void)ctx;
    (void)arg;
    gee_html_parse(h, "wrong", "{{end}}");
    int first = gee_engine_html(e, h), rc = gee_listen(e, "127.0.0.1", 0, NULL, &srv);
    gee_engine_free(e);
    e = gee_engine_new();
    int good = gee_engine_html(e, pages()), again = gee_engine_html(e, pages());
    int none = gee_engine_html(e, NULL);
    gee_engine_free(e);
    T_RC(first, UV_EINVAL);
    T_RC(rc, UV_EINVAL);
    T_RC(good, 0);
    T_RC(again, UV_EEXIST);
    T_RC(none, UV_EEXIST);
}

static void test_a_wrong_set_is_the_engines_error(void **state) {
    (void)state;
    t_run(&(gee_config){.sim = true}, 0, wrong, NULL);
}

/* --- all workers at once --- */

enum { WORKERS = 3, TASKS = 3, PAGES = 8 };

typedef struct many {
    gee_html *h;
    json_t *data;
    gee_waitgroup wg;
} many;

static void some_pages(gee_ctx *ctx, void *arg) {
    many *m = arg;
    (void)ctx;
    for (int i = 0; i < PAGES; i++) {
        char *out = NULL, err[256];
        if (gee_html_execute(m->h, "rows", m->data, &out, NULL, err, sizeof(err)) != 0)
            t_fail(__FILE__, __LINE__, "%s", err);
        else if (strcmp(out, "<h1>x</h1><td title=\"1\">1!</td><td title=\"2\">2!</td>\n") != 0)
            t_fail(__FILE__, __LINE__, "%s", out);
        free(out);
    }
    gee_waitgroup_done(&m->wg);
}

static void all_workers(gee_ctx *ctx, void *arg) {
    many m = {.h = pages(), .data = json_pack("{s:s, s:[i,i]}", "title", "x", "rows", 1, 2)};
    (void)arg;
    int rc = gee_html_compile(m.h);
    gee_waitgroup_add(&m.wg, WORKERS * TASKS);
    for (int i = 0; i < WORKERS * TASKS; i++)
        if (gee_go_on(i % WORKERS, ctx, some_pages, &m) != 0)
            gee_waitgroup_done(&m.wg);
    gee_waitgroup_wait(ctx, &m.wg);
    json_decref(m.data);
    gee_html_free(m.h);
    T_RC(rc, 0);
}

static void test_workers_share_a_set(void **state) {
    (void)state;
    t_real(WORKERS, all_workers, NULL);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_an_answer),
        cmocka_unit_test(test_a_page_that_fails_is_a_500),
        cmocka_unit_test(test_a_function_that_panics_leaves_nothing),
        cmocka_unit_test(test_an_engine_without_templates_has_none),
        cmocka_unit_test(test_a_wrong_set_is_the_engines_error),
        cmocka_unit_test(test_workers_share_a_set),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
