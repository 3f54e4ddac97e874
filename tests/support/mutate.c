/* mutate.c - see mutate.h. */
#include "tests/support/mutate.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *copy_new(size_t len) {
    uint8_t *memory = malloc(len + 1);
    if (memory == NULL)
        abort(); /* no ck_assert: the fuzzers have no Check */
    return memory + 1;
}

uint8_t *mutate_copy(const uint8_t *p, size_t len) {
    uint8_t *copy = copy_new(len);
    memcpy(copy, p, len);
    return copy;
}

void mutate_free(uint8_t *copy) {
    free(copy - 1);
}

static uint8_t *insert(struct rng *g, const uint8_t *p, size_t len, size_t *out_len) {
    size_t n = 1 + rng_below(g, 8);
    size_t at = rng_below(g, (uint32_t)len + 1);
    uint8_t *copy = copy_new(len + n);
    memcpy(copy, p, at);
    for (size_t i = 0; i < n; i++)
        copy[at + i] = (uint8_t)rng_u32(g);
    memcpy(copy + at + n, p + at, len - at);
    *out_len = len + n;
    return copy;
}

uint8_t *mutate_any(struct rng *g, const uint8_t *p, size_t len, size_t *out_len) {
    static const uint32_t hostile[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    uint32_t how = rng_below(g, 8);
    if (how == 0)
        return insert(g, p, len, out_len);
    *out_len = how == 1 ? rng_below(g, (uint32_t)len) : len;
    uint8_t *copy = mutate_copy(p, *out_len);
    if (how == 2) {
        memcpy(copy + rng_below(g, (uint32_t)len / 4) * 4, &hostile[rng_below(g, 5)], 4);
    } else if (how > 2) {
        for (uint32_t n = 1 + rng_below(g, 8); n > 0; n--)
            copy[rng_below(g, (uint32_t)len)] = (uint8_t)rng_u32(g);
    }
    return copy;
}
