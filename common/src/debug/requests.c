/*
 * /debug/requests: where the time of each request goes. A request is the task that serves it
 * and all that descend from that one: its family.
 */
#include "debug/page.h"
#include <inttypes.h>
#include <stdlib.h>

static void text_of_deadline(gee_buf *b, const gee_task_info *t) {
    if (t->deadline_ms == INT64_MAX)
        gee_buf_printf(b, "no deadline");
    else if (t->deadline_ms >= 0)
        gee_buf_printf(b, "%.1f s left", (double)t->deadline_ms / 1e3);
    else
        gee_buf_printf(b, "its time was up %.1f s ago", (double)-t->deadline_ms / 1e3);
    if (t->late)
        gee_buf_printf(b, ", AND ITS CLIENT HAS BEEN ANSWERED");
}

static int text(gee_req *req, const gee_task_info *tasks, int n) {
    gee_buf b = {0};
    for (int i = 0; i < n; i++) {
        if (!*tasks[i].request)
            continue;
        gee_buf_printf(&b, "%s\n    %.1f s, ", tasks[i].request, (double)tasks[i].request_ms / 1e3);
        text_of_deadline(&b, &tasks[i]);
        gee_buf_printf(&b, "\n");
        for (int j = 0; j < n; j++)
            if (tasks[j].family == tasks[i].family)
                gee_task_text(&b, &tasks[j]);
        gee_buf_printf(&b, "\n");
    }
    int rc = gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
    return rc;
}

static int json(gee_req *req, const gee_task_info *tasks, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        const gee_task_info *t = &tasks[i];
        if (!*t->request)
            continue;
        json_t *family = json_array();
        for (int j = 0; j < n; j++)
            if (tasks[j].family == t->family)
                json_array_append_new(family, gee_task_json(&tasks[j]));
        json_t *left = t->deadline_ms == INT64_MAX ? json_null() : json_integer(t->deadline_ms);
        json_array_append_new(list, json_pack("{s:s, s:I, s:o, s:b, s:o}", "request", t->request,
                                              "ms", (json_int_t)t->request_ms, "deadline_ms", left,
                                              "late", t->late, "tasks", family));
    }
    return gee_json(req, 200, "{s:o}", "requests", list);
}

void gee_requests_page(gee_req *req) {
    gee_task_info *tasks;
    int n = gee_tasks_list(&tasks);
    if (n < 0)
        gee_fail(req, 503);
    else if (gee_query_is(req, "format", "json"))
        json(req, tasks, n);
    else
        text(req, tasks, n);
    free(tasks);
}
