/*
 * The memory of a key's box. Most keys are short: their boxes are of one size, and kept for the
 * next ones.
 */
#include "base/pool.h"
#include "web/web.h"
#include <stdlib.h>

enum { SMALL = 40 }; /* 15 letters; not more, because a parked request has its boxes, too */

gee_box *gee_box_alloc(size_t key_size) {
    size_t size = sizeof(gee_box) + key_size;
    bool small = GEE_POOLS && size <= SMALL;
    gee_box *box = small ? gee_pool_get(GEE_POOL_BOXES, SMALL) : malloc(size);
    if (box)
        box->small = small;
    return box;
}

void gee_box_free(gee_box *box) {
    if (box->small)
        gee_pool_put(GEE_POOL_BOXES, box);
    else
        free(box);
}

/* Who has the only reference need not count it down: there is nobody to take another one. */
bool gee_box_is_last(gee_box *box) {
    return atomic_load_explicit(&box->refs, memory_order_acquire) == 1 ||
           atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1;
}
