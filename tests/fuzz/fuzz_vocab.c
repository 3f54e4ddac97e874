/* fuzz_vocab.c - libFuzzer on vocabularies: what is read is found again. */
#include <stdlib.h>
#include <string.h>

#include "common/vocab.h"
#include "tests/support/fuzz_vec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct vocab_file *v;
    if (vocab_file_open(fuzz_file(data, size), &v) != RH_OK)
        return 0;
    for (uint32_t i = 0; i < vocab_file_count(v); i++) {
        uint32_t by_word, by_id;
        if (!vocab_file_find(v, vocab_file_word(v, i), &by_word) || by_word != i ||
            !vocab_file_find_id(v, vocab_file_id(v, i), &by_id) || by_id != i)
            abort();
    }
    vocab_file_close(&v);
    return 0;
}
