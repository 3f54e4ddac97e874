/* fuzz_vec_sniff.c - libFuzzer on files of which nobody says what they are. */
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_vec(VEC_AUTO, data, size);
    return 0;
}
