#include "middleware/id.h"
#include "gee/panic.h"
#include "web/web.h"
#include <string.h>

bool gee_id_is_harmless(const char *id, size_t max, const char *extra) {
    size_t n = strlen(id);
    for (const char *s = id; *s; s++) {
        bool alnum = (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z');
        if (!alnum && strchr(extra, *s) == NULL)
            return false;
    }
    return n > 0 && n <= max;
}

int gee_status_at_end(const gee_req *req, bool returned) {
    const gee_exchange *x = &req->x;
    if (!returned || (!x->head_sent && gee_ctx_cause(req->ctx) == GEE_EPANIC))
        return 500;
    if (x->conn->gone && x->conn->gone != UV_EOF && !x->on_wire)
        return 499; /* nginx's; HTTP has none for it */
    return gee_status_of(req);
}
