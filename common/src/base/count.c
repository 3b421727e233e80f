#include "base/count.h"

static gee_count_row rows[GEE_MAX_WORKERS + 1];
GEE_TLS_OF_HANDLERS gee_count_row *gee_count_own;

void gee_count_bind(int row) {
    gee_count_own = row ? &rows[row] : NULL;
}

void gee_count_shared(enum gee_count_kind kind, int64_t delta) {
    atomic_fetch_add_explicit(&rows[0].n[kind], delta, memory_order_relaxed);
}

int64_t gee_count_sum(enum gee_count_kind kind) {
    int64_t sum = 0;
    for (int i = 0; i <= GEE_MAX_WORKERS; i++)
        sum += atomic_load_explicit(&rows[i].n[kind], memory_order_relaxed);
    return sum;
}
