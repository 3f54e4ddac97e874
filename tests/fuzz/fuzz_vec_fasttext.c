/* fuzz_vec_fasttext.c - libFuzzer on the reader of fastText .vec. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_FASTTEXT, data, size);
    return 0;
}
