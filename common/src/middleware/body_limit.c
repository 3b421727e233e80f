#include "gee/middleware.h"
#include "middleware/own.h"

static void body_limit(gee_req *req) {
    const uint64_t *n = gee_arg(req);
    if (gee_body_limit(req, *n) < 0)
        gee_fail(req, 413);
    else
        gee_next(req);
}

int gee_use_body_limit(gee_group *g, uint64_t n) {
    static const gee_contract contract = {.name = "body limit", .provides = "body limit"};
    uint64_t *own = gee_own_alloc(g, sizeof(*own));
    if (own == NULL)
        return gee_own_failed(g, UV_ENOMEM, "body limit");
    *own = n;
    return gee_own_use(g, body_limit, own, &contract);
}
