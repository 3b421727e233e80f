/* /debug/tasks?paths=1: where tasks come from, and how many. */
#include "debug/page.h"
#include <inttypes.h>
#include <stdlib.h>

static void line(gee_buf *b, const gee_path_info *p) {
    gee_buf_printf(b, "%8" PRIu64 " started %8" PRIu64 " ended %6" PRIu64 " live", p->started,
                   p->ended, p->live);
    if (p->live)
        gee_buf_printf(b, ", the oldest for %.1f s", (double)p->oldest_ms / 1e3);
    gee_buf_printf(b, "\n         created at %s", p->path[0]);
    for (int i = 1; i < GEE_PATH && p->path[i]; i++)
        gee_buf_printf(b, " < %s", p->path[i]);
    if (*p->reason)
        gee_buf_printf(b, "\n         %s at %s for up to %.1f s", p->reason, p->parked_at,
                       (double)p->waits_ms / 1e3);
    gee_buf_printf(b, "\n");
}

static int text(gee_req *req, const gee_path_info *paths, int n) {
    gee_buf b = {0};
    for (int i = 0; i < n; i++)
        line(&b, &paths[i]);
    int rc = gee_data(req, 200, "text/plain; charset=utf-8", gee_buf_head(&b), gee_buf_size(&b));
    gee_buf_free(&b);
    return rc;
}

static int json(gee_req *req, const gee_path_info *paths, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        const gee_path_info *p = &paths[i];
        json_t *path = json_array();
        for (int j = 0; j < GEE_PATH && p->path[j]; j++)
            json_array_append_new(path, json_string(p->path[j]));
        json_array_append_new(list, json_pack("{s:o, s:I, s:I, s:I, s:I, s:s, s:s*, s:I}", "path",
                                              path, "started", (json_int_t)p->started, "ended",
                                              (json_int_t)p->ended, "live", (json_int_t)p->live,
                                              "oldest_ms", (json_int_t)p->oldest_ms, "reason",
                                              p->reason, "parked_at", p->parked_at, "waits_ms",
                                              (json_int_t)p->waits_ms));
    }
    return gee_json(req, 200, "{s:o}", "paths", list);
}

void gee_paths_page(gee_req *req) {
    gee_path_info *paths;
    int n = gee_paths_list(&paths);
    if (n < 0)
        gee_fail(req, 503);
    else if (gee_query_is(req, "format", "json"))
        json(req, paths, n);
    else
        text(req, paths, n);
    if (n >= 0)
        free(paths);
}
