/* fuzz_vec_glove.c - libFuzzer on the reader of GloVe text. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_GLOVE, data, size);
    return 0;
}
