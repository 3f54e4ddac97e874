/* nearest.c - `rowhouse nearest`: the words whose vectors point most nearly where a word's does. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"
#include "worker/cmd/vectors.h"

#include "common/conf.h"
#include "common/err.h"

#define PROGRAM "rowhouse nearest"

enum { NEIGHBOURS_MAX = 1000, COLUMNS = 96, WORD_COLUMN = 12 };

struct settings {
    int64_t k;
    int json;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    {"k", CONF_INT, SETTING(k), "10", 1, NEIGHBOURS_MAX, NULL, "N", "How many neighbours."},
    {"json", CONF_BOOL, SETTING(json), "no", 0, 0, NULL, NULL, "Print JSON, for programs."},
};

struct neighbour {
    uint32_t row;
    float cosine;
};

/* The k best of all other words, the nearest first. Returns how many there are. */
static size_t find_nearest(const struct vectors *v, uint32_t row, size_t k,
                           struct neighbour best[]) {
    size_t n = 0;
    for (uint32_t other = 0; other < v->n; other++) {
        if (other == row)
            continue;
        float cosine = vectors_cosine(v, row, other);
        if (n == k && cosine <= best[k - 1].cosine)
            continue;
        size_t at = n < k ? n++ : k - 1;
        for (; at > 0 && best[at - 1].cosine < cosine; at--)
            best[at] = best[at - 1];
        best[at] = (struct neighbour){.row = other, .cosine = cosine};
    }
    return n;
}

/* "dog         hound 0.76  pony 0.74 ...", going on beneath the first neighbour. */
static void print_text(const struct vectors *v, const char *word, const struct neighbour *best,
                       size_t n) {
    int at = printf("%-*s", WORD_COLUMN, word);
    for (size_t i = 0; i < n; i++) {
        const char *name = v->words[best[i].row];
        int len = (int)strlen(name) + 7;
        if (at > WORD_COLUMN && at + len > COLUMNS)
            at = printf("\n%*s", WORD_COLUMN, "") - 1;
        at += printf("  %s %.2f", name, (double)best[i].cosine);
    }
    putchar('\n');
}

/* NULL if a word is not UTF-8. */
static json_t *to_json(const struct vectors *v, const char *word, const struct neighbour *best,
                       size_t n) {
    json_t *list = json_array();
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= json_array_append_new(list, json_pack("{s:s, s:f}", "word", v->words[best[i].row],
                                                     "similarity", (double)best[i].cosine));
    if (!bad)
        return json_pack("{s:s, s:o}", "word", word, "nearest", list);
    json_decref(list);
    return NULL;
}

static rh_status unknown_word(const struct vectors *v, const char *path, const char *word) {
    const char *meant = conf_did_you_mean(word, (const char *const *)v->words, v->n);
    return err_set(RH_ENOTFOUND, "there is no vector for '%s' among the %" PRIu32 " of %s%s%s",
                   word, v->n, path, meant ? "; did you mean " : "", meant ? meant : "");
}

/* Words of the command line, as rows. */
static rh_status find_rows(const struct vectors *v, const char *path, char **words, int n,
                           uint32_t *rows) {
    for (int i = 0; i < n; i++) {
        rows[i] = vectors_find(v, words[i]);
        if (rows[i] == VECTORS_NONE)
            return unknown_word(v, path, words[i]);
    }
    return RH_OK;
}

static rh_status show(const struct settings *set, const struct vectors *v, const char *path,
                      const uint32_t *rows, int n_rows) {
    struct neighbour best[NEIGHBOURS_MAX];
    json_t *results = json_array();
    int bad = 0;
    for (int i = 0; i < n_rows; i++) {
        size_t n = find_nearest(v, rows[i], (size_t)set->k, best);
        if (set->json)
            bad |= json_array_append_new(results, to_json(v, v->words[rows[i]], best, n));
        else
            print_text(v, v->words[rows[i]], best, n);
    }
    if (set->json && !bad)
        return look_print_json(json_pack("{s:s, s:o}", "vectors", path, "words", results));
    json_decref(results);
    return bad ? err_set(RH_ECORRUPT, "%s: JSON needs UTF-8, and some words are not", path) : RH_OK;
}

static rh_status load_and_show(const struct settings *set, char **words, int n_words) {
    struct vectors v;
    const char *path = words[0];
    rh_status s = vectors_load(&v, path);
    if (s != RH_OK)
        return s;
    uint32_t *rows = malloc((size_t)n_words * sizeof *rows);
    s = rows ? find_rows(&v, path, words + 1, n_words - 1, rows)
             : err_set(RH_ENOMEM, "no memory for %d words", n_words);
    if (s == RH_OK)
        s = show(set, &v, path, rows, n_words - 1);
    free(rows);
    vectors_fini(&v);
    return s;
}

int cmd_nearest(int argc, char **argv) {
    struct settings set;
    struct conf conf = {.program = PROGRAM,
                        .usage = "VECTORS WORD... [-k 10] [--json]",
                        .about = "Prints the words whose vectors are nearest to a word's, by "
                                 "cosine. VECTORS is a file of word2vec text.",
                        .items = ITEMS,
                        .n_items = sizeof ITEMS / sizeof ITEMS[0],
                        .single_dash = true};
    int n_words, code;
    if (!cmd_begin(&conf, argc, argv, &set, &n_words, &code))
        return code;
    if (n_words < 2)
        return cmd_misused(&conf, "a file of vectors and at least one word are needed");
    return cmd_end(&conf, load_and_show(&set, argv + 1, n_words));
}
