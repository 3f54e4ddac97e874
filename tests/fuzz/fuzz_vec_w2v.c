/* fuzz_vec_w2v.c - libFuzzer on the reader of word2vec text. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_W2V, data, size);
    return 0;
}
