#include "gee/middleware.h"
#include "gee/recovery.h"

gee_engine *gee_engine_default(void) {
    gee_engine *e = gee_engine_new();
    if (e && (gee_use_logger(gee_root(e), NULL) < 0 || gee_use_recovery(gee_root(e), NULL) < 0)) {
        gee_engine_free(e);
        return NULL;
    }
    return e;
}
