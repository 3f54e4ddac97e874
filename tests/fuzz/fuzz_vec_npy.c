/* fuzz_vec_npy.c - libFuzzer on the reader of .npy. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_NPY, data, size);
    return 0;
}
