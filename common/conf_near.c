/* conf_near.c - "did you mean": which of the known words a mistyped one is nearest to. */
#include <string.h>

#include "common/conf.h"

enum { NEAR_WORD_MAX = 64 };

static size_t min(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Damerau-Levenshtein distance: letters added, lost, changed, or swapped with their neighbour (none
 * touched twice). Three rows of its table are enough. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    size_t rows[3][NEAR_WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        now[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *oldest = before;
        before = above;
        above = now;
        now = oldest;
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min(change, 1 + min(above[j], now[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min(now[j], 1 + before[j - 2]);
        }
    }
    return now[b_len];
}

const char *conf_did_you_mean(const char *word, const char *const *candidates, size_t n) {
    const char *best = NULL;
    size_t len = strlen(word), least = (len + 1) / 3 + 1; /* a third of the letters may be wrong */
    for (size_t i = 0; i < n && len <= NEAR_WORD_MAX; i++) {
        size_t candidate_len = strlen(candidates[i]);
        if (candidate_len > NEAR_WORD_MAX)
            continue;
        size_t distance = edit_distance(word, len, candidates[i], candidate_len);
        if (distance < least) {
            least = distance;
            best = candidates[i];
        }
    }
    return best;
}
