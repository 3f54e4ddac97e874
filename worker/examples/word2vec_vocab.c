/* word2vec_vocab.c - see word2vec_vocab.h. Entries in order of arrival, letters in one long piece,
 * and an open-addressing hash table of entry numbers beside them. */
#include "worker/examples/word2vec_vocab.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"

enum { CELLS_FIRST = 1 << 12, ENTRIES_FIRST = 1 << 11, LETTERS_FIRST = 1 << 14 };

static rh_status no_memory(const struct vocab *v) {
    return err_set(RH_ENOMEM, "no memory for a vocabulary of more than %" PRIu32 " words", v->n);
}

rh_status vocab_init(struct vocab *v) {
    *v = (struct vocab){
        .letters_cap = LETTERS_FIRST, .entries_cap = ENTRIES_FIRST, .cells_cap = CELLS_FIRST};
    v->letters = malloc(v->letters_cap);
    v->entries = malloc(v->entries_cap * sizeof *v->entries);
    v->cells = calloc(v->cells_cap, sizeof *v->cells);
    if (v->letters && v->entries && v->cells)
        return RH_OK;
    vocab_fini(v);
    return no_memory(v);
}

void vocab_fini(struct vocab *v) {
    free(v->letters);
    free(v->entries);
    free(v->cells);
    *v = (struct vocab){0};
}

const char *vocab_word(const struct vocab *v, uint32_t i) {
    assert(i < v->n);
    return v->letters + v->entries[i].letters_at;
}

/* The cell of the word, or the free one where it would go. */
static size_t probe(const struct vocab *v, const char *word, size_t len, uint32_t hash) {
    size_t at = hash & (v->cells_cap - 1);
    for (; v->cells[at] != 0; at = (at + 1) & (v->cells_cap - 1)) {
        const struct vocab_entry *e = &v->entries[v->cells[at] - 1];
        if (e->hash == hash && e->len == len && memcmp(v->letters + e->letters_at, word, len) == 0)
            break;
    }
    return at;
}

uint32_t vocab_find(const struct vocab *v, const char *word, size_t len) {
    uint32_t cell = v->cells[probe(v, word, len, hash32(word, len))];
    return cell == 0 ? VOCAB_NONE : cell - 1;
}

/* Enters all entries into an empty hash table. No two are equal, so none is compared. */
static void fill_cells(struct vocab *v) {
    memset(v->cells, 0, v->cells_cap * sizeof *v->cells);
    for (uint32_t i = 0; i < v->n; i++) {
        size_t at = v->entries[i].hash & (v->cells_cap - 1);
        while (v->cells[at] != 0)
            at = (at + 1) & (v->cells_cap - 1);
        v->cells[at] = i + 1;
    }
}

/* Room for one more entry, in a hash table at most half full, and for n more letters. */
static rh_status make_room(struct vocab *v, size_t n) {
    if (v->n == VOCAB_WORDS_MAX)
        return err_set(RH_ELIMIT, "the text has more than %d different words", VOCAB_WORDS_MAX);
    if (v->letters_len + n > v->letters_cap) {
        char *letters = realloc(v->letters, 2 * v->letters_cap);
        if (!letters)
            return no_memory(v);
        v->letters = letters;
        v->letters_cap *= 2;
    }
    if (v->n == v->entries_cap) {
        struct vocab_entry *entries = realloc(v->entries, 2 * v->entries_cap * sizeof *entries);
        if (!entries)
            return no_memory(v);
        v->entries = entries;
        v->entries_cap *= 2;
    }
    if (2 * ((size_t)v->n + 1) > v->cells_cap) {
        uint32_t *cells = malloc(2 * v->cells_cap * sizeof *cells);
        if (!cells)
            return no_memory(v);
        free(v->cells);
        v->cells = cells;
        v->cells_cap *= 2;
        fill_cells(v);
    }
    return RH_OK;
}

rh_status vocab_add(struct vocab *v, const char *word, size_t len) {
    assert(len + 1 <= LETTERS_FIRST);
    uint32_t hash = hash32(word, len);
    size_t at = probe(v, word, len, hash);
    if (v->cells[at] == 0) {
        rh_status s = make_room(v, len + 1);
        if (s != RH_OK)
            return s;
        at = probe(v, word, len, hash); /* the table may be another one */
        v->entries[v->n] =
            (struct vocab_entry){.letters_at = v->letters_len, .hash = hash, .len = (uint32_t)len};
        memcpy(v->letters + v->letters_len, word, len);
        v->letters[v->letters_len + len] = 0;
        v->letters_len += len + 1;
        v->cells[at] = ++v->n;
    }
    v->entries[v->cells[at] - 1].count++;
    v->total++;
    return RH_OK;
}

/* Most frequent first, then the earliest: letters lie in order of arrival. */
static int by_count(const void *a, const void *b) {
    const struct vocab_entry *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->letters_at < y->letters_at ? -1 : 1;
}

rh_status vocab_seal(struct vocab *v, uint64_t min_count) {
    qsort(v->entries, v->n, sizeof *v->entries, by_count);
    uint64_t most = v->n > 0 ? v->entries[0].count : 0;
    while (v->n > 0 && v->entries[v->n - 1].count < min_count)
        v->total -= v->entries[--v->n].count;
    fill_cells(v);
    if (v->n == 0)
        return err_set(RH_EINVAL,
                       "no word comes %" PRIu64 " times (the most frequent comes %" PRIu64
                       "): use a larger text or a smaller -minCount",
                       min_count, most);
    return RH_OK;
}

uint64_t vocab_hash(const struct vocab *v) {
    uint64_t h = 0;
    for (uint32_t i = 0; i < v->n; i++)
        h = hash64_seeded(vocab_word(v, i), v->entries[i].len, h + v->entries[i].count);
    return h;
}

double vocab_keep_probability(uint64_t count, uint64_t total, double t) {
    if (t == 0)
        return 1;
    double ratio = t * (double)total / (double)count;
    return fmin(sqrt(ratio) + ratio, 1);
}
