/* The rate of exchange: good for half a second, then it is asked for again, which takes a while. */
#include "hunt.h"
#include <time.h>

enum { GOOD_MS = 500, ASK_MS = 40 };

static bool each;
static gee_mutex asking;
static uint64_t until_ms;
static int rate;

static void ask(void *arg) {
    int *answer = arg;
    nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000L}, NULL);
    *answer = 10873;
}

static bool is_good(void) {
    return gee_now_ms() < until_ms;
}

static int renew(gee_ctx *ctx) {
    int answer, rc = gee_blocking(ctx, ask, &answer);
    if (rc == 0) {
        rate = answer;
        until_ms = gee_now_ms() + GOOD_MS;
    }
    return rc;
}

static int get_rate(gee_ctx *ctx) {
    if (is_good())
        return 0;
    if (each)
        return renew(ctx);
    int rc = gee_mutex_lock(ctx, &asking);
    if (rc < 0)
        return rc;
    if (!is_good()) /* nobody else has asked meanwhile */
        rc = renew(ctx);
    gee_mutex_unlock(&asking);
    return rc;
}

static void show_rate(gee_req *req) {
    if (get_rate(gee_req_ctx(req)) == 0)
        gee_string(req, 200, "%d.%04d\n", rate / 10000, rate % 10000);
    else
        gee_fail(req, 503);
}

int rates_routes(gee_group *g, bool guilty) {
    each = guilty;
    return gee_GET(g, "/rate", show_rate);
}
