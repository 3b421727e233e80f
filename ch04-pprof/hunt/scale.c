/* The scale: a serial device, which answers when it has settled. Its driver has one call. */
#include "hunt.h"
#include <time.h>

enum { SETTLE_MS = 20 };

static bool straight;

static void read_scale(void *arg) {
    int *grams = arg;
    nanosleep(&(struct timespec){.tv_nsec = SETTLE_MS * 1000000L}, NULL);
    *grams = 1250;
}

static void weigh(gee_req *req) {
    int grams = 0, rc = 0;
    if (straight)
        read_scale(&grams);
    else
        rc = gee_blocking(gee_req_ctx(req), read_scale, &grams);
    if (rc == 0)
        gee_string(req, 200, "%s: %d g\n", gee_param(req, "id"), grams);
}

int scale_routes(gee_group *g, bool guilty) {
    straight = guilty;
    return gee_GET(g, "/weigh/:id", weigh);
}
