/* any_frame.h - whole frames of any kind: made with random contents, and read to the last byte as
 * the shard or the client that receives them would. Shared by the unit tests and the fuzzer. */
#ifndef TESTS_SUPPORT_ANY_FRAME_H
#define TESTS_SUPPORT_ANY_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/rng.h"
#include "common/status.h"

enum { ANY_KINDS = 37, ANY_FRAME_MAX = 2048 };

/* Every kind that there is. */
extern const uint8_t any_kinds[ANY_KINDS];

/* A sealed frame of a few hundred bytes, at most ANY_FRAME_MAX, that any_frame_read takes; how long
 * it is. */
size_t any_frame_make(struct rng *g, uint8_t kind, uint8_t *frame);

/* Opens a frame, decodes its body and looks at every byte that it hands out. RH_OK only for one
 * that is good in every way that its receiver, who knows the tables 1 to 5, could check without
 * rows. */
rh_status any_frame_read(const uint8_t *frame, size_t len);

/* Makes a frame right again as far as magic, version, length and sums go: what it asks for then
 * reaches the decoders proper. Frames shorter than a header are left alone. */
void any_frame_reseal(uint8_t *frame, size_t len);

#endif
