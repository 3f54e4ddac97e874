/* eval.c - `rowhouse eval`: how well the cosines of vectors agree with people, who were asked how
 * near two words are. Reads what such lists come as: two words and a number on a line, between tabs
 * or blanks, comments behind #. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"
#include "worker/cmd/spearman.h"
#include "worker/cmd/vectors.h"

#include "common/err.h"

#define PROGRAM "rowhouse eval"

enum { LINE_MAX_BYTES = 4096 };

struct settings {
    const char *pairs;
    int json;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    {"pairs", CONF_STRING, SETTING(pairs), NULL, 0, 0, NULL, "FILE",
     "Two words and how near people find them on each line, as in WordSim-353 and MEN."},
    {"json", CONF_BOOL, SETTING(json), "no", 0, 0, NULL, NULL, "Print JSON, for programs."},
};

/* The pairs whose words both have vectors. */
struct scores {
    double *people, *cosines; /* (covered) */
    size_t covered, total, cap;
};

static rh_status add_score(struct scores *s, double person, double cosine) {
    if (s->covered == s->cap) {
        size_t cap = s->cap > 0 ? 2 * s->cap : 1024;
        double *people = realloc(s->people, cap * sizeof *people);
        if (people)
            s->people = people;
        double *cosines = realloc(s->cosines, cap * sizeof *cosines);
        if (cosines)
            s->cosines = cosines;
        if (!people || !cosines)
            return err_set(RH_ENOMEM, "no memory for %zu pairs", cap);
        s->cap = cap;
    }
    s->people[s->covered] = person;
    s->cosines[s->covered++] = cosine;
    return RH_OK;
}

/* line is cut into words. RH_EINVAL if it is not two words and a number. */
static rh_status take_line(struct scores *s, const struct vectors *v, char *line) {
    static const char blanks[] = " \t\r\n";
    char *rest, *end = NULL;
    const char *a = strtok_r(line, blanks, &rest), *b = strtok_r(NULL, blanks, &rest);
    const char *number = strtok_r(NULL, blanks, &rest);
    if (!a || a[0] == '#')
        return RH_OK;
    double person = number ? strtod(number, &end) : 0;
    if (!end || end == number || *end != 0 || !isfinite(person) || strtok_r(NULL, blanks, &rest))
        return err_set(RH_EINVAL, "this is not two words and a number");
    s->total++;
    uint32_t x = vectors_find(v, a), y = vectors_find(v, b);
    if (x == VECTORS_NONE || y == VECTORS_NONE)
        return RH_OK;
    return add_score(s, person, (double)vectors_cosine(v, x, y));
}

static rh_status read_pairs(struct scores *s, const struct vectors *v, const char *path) {
    FILE *f = fopen(path, "re");
    if (!f)
        return err_sys(errno == ENOENT ? RH_ENOTFOUND : RH_EIO, "cannot open %s", path);
    char line[LINE_MAX_BYTES];
    rh_status status = RH_OK;
    for (uint64_t number = 1; status == RH_OK && fgets(line, sizeof line, f); number++) {
        if (strlen(line) == sizeof line - 1)
            status = err_set(RH_EINVAL, "this line is too long for two words and a number");
        else
            status = take_line(s, v, line);
        if (status != RH_OK)
            err_in(status, "%s line %" PRIu64, path, number);
    }
    if (status == RH_OK && ferror(f))
        status = err_sys(RH_EIO, "cannot read %s", path);
    fclose(f);
    return status;
}

static rh_status print_result(const struct settings *set, const char *path, const struct scores *s,
                              double correlation) {
    if (set->json)
        return look_print_json(json_pack("{s:s, s:s, s:f, s:I, s:I}", "vectors", path, "pairs",
                                         set->pairs, "spearman", correlation, "covered",
                                         (json_int_t)s->covered, "total", (json_int_t)s->total));
    printf("%s: Spearman %.4f over %zu of %zu pairs\n", set->pairs, correlation, s->covered,
           s->total);
    return RH_OK;
}

static rh_status evaluate(const struct settings *set, const char *path) {
    struct vectors v;
    struct scores scores = {0};
    double correlation;
    rh_status s = vectors_load(&v, path);
    if (s != RH_OK)
        return s;
    s = read_pairs(&scores, &v, set->pairs);
    if (s == RH_OK) {
        s = spearman(scores.covered, scores.people, scores.cosines, &correlation);
        if (s != RH_OK)
            err_in(s, "%s: %zu of %zu pairs have vectors in %s", set->pairs, scores.covered,
                   scores.total, path);
    }
    if (s == RH_OK)
        s = print_result(set, path, &scores, correlation);
    free(scores.people);
    free(scores.cosines);
    vectors_fini(&v);
    return s;
}

int cmd_eval(int argc, char **argv) {
    struct settings set;
    struct conf conf = {.program = PROGRAM,
                        .usage = "VECTORS --pairs FILE [--json]",
                        .about = "Prints how well the cosines of vectors agree with people on "
                                 "pairs of words: Spearman's rank correlation. VECTORS is a file "
                                 "of word2vec text.",
                        .items = ITEMS,
                        .n_items = sizeof ITEMS / sizeof ITEMS[0]};
    int n_words, code;
    if (!cmd_begin(&conf, argc, argv, &set, &n_words, &code))
        return code;
    if (n_words != 1)
        return cmd_misused(&conf, "one file of vectors is needed");
    if (!set.pairs)
        return cmd_misused(&conf, "--pairs is missing: the file of pairs");
    return cmd_end(&conf, evaluate(&set, argv[1]));
}
