/* fuzz_vec_safetensors.c - libFuzzer on the reader of safetensors. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_SAFETENSORS, data, size);
    return 0;
}
