/* What is measured beside the stores of store.h: common.c. */
#ifndef CH03_BENCH_H
#define CH03_BENCH_H

#include "store.h"

extern const store_kind store_keys, store_flags;

#endif
