#include "gee/recovery.h"
#include "middleware/own.h"
#include "web/web.h"

typedef struct recovery {
    gee_panic_fn answer;
} recovery;

static void go_on(void *req) {
    gee_next(req);
}

static void recover(gee_req *req) {
    const recovery *r = gee_arg(req);
    size_t fields = req->x.out_fields.n;
    gee_panic_info panic;
    if (gee_recover(go_on, req, &panic) == 0)
        return;
    gee_panic_print(&panic);
    gee_abort(req);
    if (!gee_exchange_retract(&req->x, fields))
        gee_exchange_break(&req->x);
    else if (r->answer)
        r->answer(req, &panic);
    else
        gee_fail(req, 500);
}

int gee_use_recovery(gee_group *g, gee_panic_fn answer) {
    static const gee_contract contract = {.name = "recovery", .provides = "recovery"};
    recovery *r = gee_own_alloc(g, sizeof(*r));
    if (r == NULL)
        return gee_own_failed(g, UV_ENOMEM, "recovery");
    r->answer = answer;
    return gee_own_use(g, recover, r, &contract);
}
