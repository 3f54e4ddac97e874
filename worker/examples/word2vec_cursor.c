/* word2vec_cursor.c - see word2vec_cursor.h. */
#include "worker/examples/word2vec_cursor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"

static const char MAGIC[] = "RHW2VEC\n";
enum { MAGIC_LEN = sizeof MAGIC - 1, VERSION = 1, VALUE_TEXT = 40 };

enum kind { NUMBER, REAL, HASH, MODE };

/* What a user can change about it comes first: the rest follows from that. */
static const struct ingredient {
    const char *what; /* "... is 7 here, and was 5" */
    enum kind kind;
    size_t offset;
} INGREDIENTS[] = {
    {"the size of the text, in bytes,", NUMBER, offsetof(struct recipe, text_bytes)},
    {"the beginning of the text (its hash)", HASH, offsetof(struct recipe, text_start)},
    {"the number of workers", NUMBER, offsetof(struct recipe, workers)},
    {"-mode", MODE, offsetof(struct recipe, mode)},
    {"-dim", NUMBER, offsetof(struct recipe, dim)},
    {"-ws", NUMBER, offsetof(struct recipe, window)},
    {"-neg", NUMBER, offsetof(struct recipe, negatives)},
    {"-epoch", NUMBER, offsetof(struct recipe, epochs)},
    {"-minCount", NUMBER, offsetof(struct recipe, min_count)},
    {"-t", REAL, offsetof(struct recipe, subsample)},
    {"-lr", REAL, offsetof(struct recipe, lr)},
    {"-seed", NUMBER, offsetof(struct recipe, seed)},
    {"the number of batches in a part (-batch)", NUMBER, offsetof(struct recipe, batches)},
    {"the number of different words", NUMBER, offsetof(struct recipe, words)},
    {"the vocabulary (its hash)", HASH, offsetof(struct recipe, vocab)},
};
enum { N_INGREDIENTS = sizeof INGREDIENTS / sizeof INGREDIENTS[0] };
_Static_assert(CURSOR_BYTES == 56 + N_INGREDIENTS * 8, "word2vec_cursor.h has the layout");
_Static_assert(sizeof(struct recipe) == N_INGREDIENTS * 8, "each ingredient is compared");

static const void *field(const struct recipe *r, size_t i) {
    return (const char *)r + INGREDIENTS[i].offset;
}

/* ---- bytes ---- */

void cursor_put(struct buf *b, const struct cursor *p) {
    buf_put_bytes(b, MAGIC, MAGIC_LEN);
    buf_put_u32(b, VERSION);
    buf_put_u32(b, 0);
    buf_put_u64(b, p->step);
    buf_put_u64(b, p->clock);
    buf_put_u64(b, p->words);
    buf_put_f64(b, p->loss);
    buf_put_f64(b, p->seconds);
    for (size_t i = 0; i < N_INGREDIENTS; i++) {
        uint64_t bits; /* of a double, too: put_f64 puts these */
        memcpy(&bits, field(&p->recipe, i), sizeof bits);
        buf_put_u64(b, bits);
    }
}

rh_status cursor_get(const void *bytes, size_t len, struct cursor *out) {
    struct rd r;
    struct cursor p;
    rd_init(&r, bytes, len);
    const uint8_t *magic = rd_bytes(&r, MAGIC_LEN);
    if (magic == NULL || memcmp(magic, MAGIC, MAGIC_LEN) != 0)
        return err_set(RH_EINVAL, "%zu bytes that are not the cursor of a word2vec trainer", len);
    uint32_t version = rd_u32(&r);
    if (!r.bad && version != VERSION)
        return err_set(RH_EINVAL, "a cursor of version %" PRIu32 "; this trainer knows version %d",
                       version, VERSION);
    rd_must(&r, rd_u32(&r) == 0);
    p.step = rd_u64(&r);
    p.clock = rd_u64(&r);
    p.words = rd_u64(&r);
    p.loss = rd_f64(&r);
    p.seconds = rd_f64(&r);
    for (size_t i = 0; i < N_INGREDIENTS; i++) {
        uint64_t bits = rd_u64(&r);
        memcpy((char *)&p.recipe + INGREDIENTS[i].offset, &bits, sizeof bits);
    }
    rd_must(&r, p.step <= p.recipe.batches * p.recipe.epochs);
    rd_must(&r, isfinite(p.loss) && isfinite(p.seconds) && p.seconds >= 0);
    if (!rd_done(&r))
        return err_set(RH_EINVAL, "a cursor that makes no sense, of %zu bytes", len);
    *out = p;
    return RH_OK;
}

/* ---- what has to be the same ---- */

static const char *value_text(const struct recipe *r, size_t i, char out[VALUE_TEXT]) {
    uint64_t number;
    double real;
    memcpy(&number, field(r, i), sizeof number);
    memcpy(&real, field(r, i), sizeof real);
    switch (INGREDIENTS[i].kind) {
    case NUMBER:
        snprintf(out, VALUE_TEXT, "%" PRIu64, number);
        break;
    case REAL:
        snprintf(out, VALUE_TEXT, "%.10g", real);
        break;
    case HASH:
        snprintf(out, VALUE_TEXT, "%016" PRIx64, number);
        break;
    case MODE:
        snprintf(out, VALUE_TEXT, "%s",
                 number == RH_MODE_BSP   ? "bsp"
                 : number == RH_MODE_SSP ? "ssp"
                                         : "async");
        break;
    }
    return out;
}

rh_status recipe_check(const struct recipe *was, const struct recipe *is) {
    char before[VALUE_TEXT], now[VALUE_TEXT];
    for (size_t i = 0; i < N_INGREDIENTS; i++)
        if (memcmp(field(was, i), field(is, i), sizeof(uint64_t)) != 0)
            return err_set(RH_EMISMATCH, "%s is %s here, and was %s", INGREDIENTS[i].what,
                           value_text(is, i, now), value_text(was, i, before));
    return RH_OK;
}
