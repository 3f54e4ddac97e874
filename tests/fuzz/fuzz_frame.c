/* fuzz_frame.c - libFuzzer on every frame decoder: the bytes as they came, and once more under
 * right sums, without which no mutation would get past the header. */
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/any_frame.h"
#include "tests/support/mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *frame = mutate_copy(data, size);
    rh_status as_it_came = any_frame_read(frame, size);
    any_frame_reseal(frame, size);
    /* Making it right can turn a good frame only into a good one. */
    if (any_frame_read(frame, size) != RH_OK && as_it_came == RH_OK)
        abort();
    mutate_free(frame);
    return 0;
}
