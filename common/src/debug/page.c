/* /debug/tasks: the census, and what each task does. */
#include "debug/page.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void gee_task_text(gee_buf *b, const gee_task_info *t) {
    gee_buf_printf(b, "task %-4" PRIu64 " %-8s", t->id, t->state);
    if (t->parked_at)
        gee_buf_printf(b, " (%s) %.1f s at %s", t->reason, (double)t->since_ms / 1e3, t->parked_at);
    gee_buf_printf(b, "\n          \"%s\", worker %d, created at %s, age %.1f s\n", t->name,
                   t->worker, t->created_at, (double)t->age_ms / 1e3);
    if (t->ctx_err)
        gee_buf_printf(b, "          its ctx ended %.1f s ago: %s (%s)%s\n",
                       (double)t->ctx_ended_ms / 1e3, uv_err_name(t->ctx_err),
                       uv_strerror(t->ctx_cause),
                       t->parked_at && !t->hears_ctx ? " AND IT DOES NOT LISTEN" : "");
}

static int text(gee_req *req, const gee_census *c, const gee_task_info *tasks, int n) {
    gee_buf b = {0};
    gee_buf_printf(&b, "census:");
#define X(name) gee_buf_printf(&b, " %s %" PRId64, #name, c->name);
    GEE_CENSUS(X)
#undef X
    gee_buf_printf(&b, "\n\n");
    for (int i = 0; i < n; i++)
        gee_task_text(&b, &tasks[i]);
    int rc = gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
    return rc;
}

json_t *gee_task_json(const gee_task_info *t) {
    return json_pack("{s:I, s:i, s:s, s:s, s:s, s:s, s:s*, s:I, s:I, s:i, s:I, s:b}", "id",
                     (json_int_t)t->id, "worker", t->worker, "name", t->name, "state", t->state,
                     "reason", t->reason, "created_at", t->created_at, "parked_at", t->parked_at,
                     "age_ms", (json_int_t)t->age_ms, "since_ms", (json_int_t)t->since_ms,
                     "ctx_err", t->ctx_err, "ctx_ended_ms", (json_int_t)t->ctx_ended_ms,
                     "hears_ctx", t->hears_ctx);
}

static int json(gee_req *req, const gee_census *c, const gee_task_info *tasks, int n) {
    json_t *census = json_object(), *list = json_array();
#define X(name) json_object_set_new(census, #name, json_integer(c->name));
    GEE_CENSUS(X)
#undef X
    for (int i = 0; i < n; i++)
        json_array_append_new(list, gee_task_json(&tasks[i]));
    return gee_json(req, 200, "{s:o, s:o}", "census", census, "tasks", list);
}

/* --- ?leaked=1 --- */

/* A line for each of its tasks. */
static void circle(gee_buf *b, const char *at) {
    const char *arrow;
    for (; *at && (arrow = strstr(at + 1, " -> ")) != NULL; at = arrow)
        gee_buf_printf(b, "             %.*s\n", (int)(arrow - at), at);
    if (*at)
        gee_buf_printf(b, "             %s\n", at);
}

static int leaks_text(gee_req *req, const gee_leak *leaks, int n) {
    gee_buf b = {0};
    gee_buf_printf(&b, "leaked: %d\n\n", n);
    for (int i = 0; i < n; i++) {
        gee_task_text(&b, &leaks[i].task);
        if (leaks[i].kind != GEE_LEAK_DEAF) /* of the deaf it has been said */
            gee_buf_printf(&b, "          IT IS STUCK: %s\n", leaks[i].why);
        circle(&b, leaks[i].circle);
    }
    int rc = gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
    return rc;
}

static int leaks_json(gee_req *req, const gee_leak *leaks, int n) {
    static const char *const kinds[] = {"deaf", "stuck", "circle"};
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_t *one = gee_task_json(&leaks[i].task);
        json_object_set_new(one, "leak", json_string(kinds[leaks[i].kind]));
        json_object_set_new(one, "why", json_string(leaks[i].why));
        if (*leaks[i].circle)
            json_object_set_new(one, "circle", json_string(leaks[i].circle));
        json_array_append_new(list, one);
    }
    return gee_json(req, 200, "{s:i, s:o}", "leaked", n, "tasks", list);
}

bool gee_query_is(gee_req *req, const char *name, const char *value) {
    return strcmp(gee_default_query(req, name, ""), value) == 0;
}

static void leaks_page(gee_req *req) {
    gee_leak *leaks;
    int n = gee_leakcheck(&leaks);
    if (n < 0)
        gee_fail(req, 503);
    else if (gee_query_is(req, "format", "json"))
        leaks_json(req, leaks, n);
    else
        leaks_text(req, leaks, n);
    free(leaks);
}

static void tasks_page(gee_req *req) {
    gee_census census;
    gee_task_info *tasks;
    if (gee_query_is(req, "leaked", "1")) {
        leaks_page(req);
        return;
    }
    if (gee_query_is(req, "paths", "1")) {
        gee_paths_page(req);
        return;
    }
    int n = gee_tasks_list(&tasks);
    if (n < 0) {
        gee_fail(req, 503);
        return;
    }
    gee_census_take(&census);
    if (gee_query_is(req, "format", "json"))
        json(req, &census, tasks, n);
    else
        text(req, &census, tasks, n);
    free(tasks);
}

int gee_debug_routes(gee_group *g) {
    int rc = gee_GET(g, "/debug/tasks", tasks_page);
    if (rc == 0)
        rc = gee_GET(g, "/debug/requests", gee_requests_page);
    return rc < 0 ? rc : gee_GET(g, "/debug/routes", gee_routes_page);
}
