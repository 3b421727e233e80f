/* For libFuzzer: what does not hold is a crash. */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const char *wrong = fuzz_one(data, n);
    if (wrong) {
        fprintf(stderr, "fuzz: %s\n", wrong);
        abort();
    }
    return 0;
}
