/* Where a request's time goes: what its tasks wait for. For who may not park, so of this worker
 * alone. */
#include "runtime/worker.h"
#include "web/web.h"
#include <inttypes.h>

static void line_of(gee_buf *out, const gee_task *t, uint64_t now_ns) {
    gee_buf_printf(out, "  task %" PRIu64 " \"%s\": %s", t->id, t->name,
                   gee_task_state_text(t->state));
    if (t->state == GEE_TASK_WAITING)
        gee_buf_printf(out, " (%s) %.3f s at %s%s", gee_wait_reason_text(t->reason),
                       (double)(now_ns - t->since_ns) / 1e9, t->parked_at,
                       gee_ctx_hears(t->wait_ctx, t->owner) ? "" : ", DOES NOT LISTEN to its ctx");
    gee_buf_printf(out, ", created at %s\n", t->created_at);
}

void gee_where(gee_buf *out, const gee_task *t) {
    uint64_t now_ns = gee_worker_self()->now_ns;
    line_of(out, t, now_ns);
    gee_list_each (it, &t->kin)
        line_of(out, gee_container(it, gee_task, kin), now_ns);
}
