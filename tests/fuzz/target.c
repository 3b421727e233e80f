/* For libFuzzer: what does not hold is a crash. FUZZ_TARGET is one of those in fuzz.h. */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>

#ifndef FUZZ_TARGET
#define FUZZ_TARGET fuzz_one
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *wrong = FUZZ_TARGET(data, n);
    if (wrong) {
        fprintf(stderr, "fuzz: %s\n", wrong);
        abort();
    }
    return 0;
}
