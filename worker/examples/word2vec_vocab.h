/* word2vec_vocab.h - the words of a text, numbered by how often they come. Every worker builds the
 * same vocabulary from the whole text; a word's number is its row in the tables. */
#ifndef EXAMPLES_WORD2VEC_VOCAB_H
#define EXAMPLES_WORD2VEC_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/rowhouse.h"

#include "common/status.h"

/* Different words, before the rare ones are dropped. */
enum { VOCAB_WORDS_MAX = 1 << 25 };
#define VOCAB_NONE UINT32_MAX

/* Counting: words come by vocab_add, and vocab_seal ends it. Afterwards only words that came often
 * enough are left, the most frequent first; of equal counts, the one that came first. */
struct vocab {
    uint32_t n;
    struct vocab_entry *entries; /* (n) */
    char *letters;               /* all words, each with a 0 behind it */
    uint32_t *cells;             /* (cells_cap) a hash table: 1 + the entry's number, or 0 */
    size_t letters_len, letters_cap, entries_cap, cells_cap;
    uint64_t total; /* occurrences, of the words that are left */
};

struct vocab_entry {
    size_t letters_at;
    uint64_t count;
    uint32_t hash, len;
};

rh_status vocab_init(struct vocab *v) MUST_CHECK;
void vocab_fini(struct vocab *v);

/* One more occurrence. RH_ENOMEM, RH_ELIMIT. */
rh_status vocab_add(struct vocab *v, const char *word, size_t len) MUST_CHECK;

/* Drops what came less than min_count times, and sorts. RH_EINVAL when nothing is left. */
rh_status vocab_seal(struct vocab *v, uint64_t min_count) MUST_CHECK;

/* A word's number, or VOCAB_NONE. */
uint32_t vocab_find(const struct vocab *v, const char *word, size_t len);
const char *vocab_word(const struct vocab *v, uint32_t i);

/* Of all words and their counts: the same for the same vocabulary, on every machine. */
uint64_t vocab_hash(const struct vocab *v);

/* How likely one occurrence of a word is to be used, with f = count / total:
 * sqrt(t / f) + t / f, at most 1. t = 0 uses all. */
double vocab_keep_probability(uint64_t count, uint64_t total, double t);

#endif
