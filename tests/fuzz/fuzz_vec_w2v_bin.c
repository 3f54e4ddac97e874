/* fuzz_vec_w2v_bin.c - libFuzzer on the reader of word2vec binary. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_W2V_BIN, data, size);
    return 0;
}
