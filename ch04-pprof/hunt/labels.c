/* Labels: each gets the next number of the day, and goes to the nearest of many printers. */
#include "hunt.h"

enum { PRINT_MS = 25 };

static bool together;
static gee_mutex day;
static int numbers;

static int print(gee_ctx *ctx) {
    return gee_sleep(ctx, PRINT_MS);
}

static void label(gee_req *req) {
    gee_ctx *ctx = gee_req_ctx(req);
    if (gee_mutex_lock(ctx, &day) < 0)
        return;
    int number = ++numbers, rc = 0;
    if (together)
        rc = print(ctx);
    gee_mutex_unlock(&day);
    if (!together)
        rc = print(ctx);
    if (rc == 0)
        gee_string(req, 200, "label %d for %s\n", number, gee_param(req, "id"));
}

int labels_routes(gee_group *g, bool guilty) {
    together = guilty;
    return gee_POST(g, "/label/:id", label);
}
