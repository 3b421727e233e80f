#include "base/count.h"
#include "base/tools.h"
#include <stdatomic.h>

struct row {
    _Alignas(64) _Atomic int64_t n[GEE_COUNT_KINDS];
};

static struct row rows[GEE_MAX_WORKERS + 1];
static _Thread_local int own;

void gee_count_bind(int row) {
    own = row;
}

void gee_count(enum gee_count_kind kind, int64_t delta) {
    _Atomic int64_t *n = &rows[own].n[kind];
    if (own == 0)
        atomic_fetch_add_explicit(n, delta, memory_order_relaxed);
    else
        gee_atomic_store(n, atomic_load_explicit(n, memory_order_relaxed) + delta,
                         memory_order_relaxed);
}

int64_t gee_count_sum(enum gee_count_kind kind) {
    int64_t sum = 0;
    for (int i = 0; i <= GEE_MAX_WORKERS; i++)
        sum += atomic_load_explicit(&rows[i].n[kind], memory_order_relaxed);
    return sum;
}
