/* golden_bags.c - see golden_bags.h. */
#include "tests/support/golden_bags.h"

#include <check.h>
#include <math.h>
#include <string.h>

void golden_open(struct golden_bags *g) {
    memset(g, 0, sizeof *g);
    g->file = fopen("tests/golden/bags.txt", "r");
    ck_assert_msg(g->file != NULL, "tests/golden/bags.txt: tests run in the root of the tree");
}

static void expect(struct golden_bags *g, const char *name) {
    char word[16];
    ck_assert_int_eq(fscanf(g->file, "%15s", word), 1);
    ck_assert_str_eq(word, name);
}

/* Lines of that name with n numbers each. */
static void read_floats(struct golden_bags *g, const char *name, size_t lines, size_t n,
                        double unit, float *out) {
    for (size_t i = 0; i < lines * n; i++) {
        double v;
        if (i % n == 0)
            expect(g, name);
        ck_assert_int_eq(fscanf(g->file, "%lf", &v), 1);
        out[i] = (float)(v * unit);
    }
}

static void read_ids(struct golden_bags *g, const char *name, size_t n, uint64_t *out) {
    expect(g, name);
    for (size_t i = 0; i < n; i++) {
        unsigned long long v;
        ck_assert_int_eq(fscanf(g->file, "%llu", &v), 1);
        out[i] = v;
    }
}

int golden_next_case(struct golden_bags *g) {
    char mode[8], kind[8], optimizer[16];
    long long padding;
    size_t rows;
    double lr;
    int got = fscanf(g->file, " case %7s %u %zu %zu %zu %7s %lld %d %15s %lf", mode, &g->dim, &rows,
                     &g->n, &g->n_bags, kind, &padding, &g->weighted, optimizer, &lr);
    if (got == EOF) {
        fclose(g->file);
        return 0;
    }
    ck_assert_int_eq(got, 10);
    ck_assert(g->dim <= GOLDEN_DIM && rows == GOLDEN_ROWS && g->n <= GOLDEN_N &&
              g->n_bags <= GOLDEN_BAGS);
    g->padding = padding < 0 ? GOLDEN_NO_PADDING : (uint64_t)padding;
    g->optimizer = strcmp(optimizer, "SGD") == 0 ? rh_sgd(lr) : rh_sparse_adam(lr);
    read_floats(g, "row", rows, g->dim, 1.0 / 256, g->rows);
    read_ids(g, "ids", g->n, g->ids);
    int last = strcmp(kind, "last") == 0, none = strcmp(kind, "none") == 0;
    read_ids(g, "offsets", none ? 0 : g->n_bags + (last ? 1 : 0), g->offsets);
    read_floats(g, "weights", 1, g->n, 1.0 / 64, g->weights);
    rh_bags_init(&g->bags, g->ids, g->n, none ? NULL : g->offsets, g->n_bags);
    g->bags.include_last_offset = last;
    g->bags.mode = strcmp(mode, "sum") == 0   ? RH_BAG_SUM
                   : strcmp(mode, "max") == 0 ? RH_BAG_MAX
                                              : RH_BAG_MEAN;
    g->bags.per_sample_weights = g->weighted ? g->weights : NULL;
    return 1;
}

void golden_next_step(struct golden_bags *g) {
    read_floats(g, "grad", g->n_bags, g->dim, 1.0 / 64, g->grads);
    read_floats(g, "out", g->n_bags, g->dim, 1, g->out);
    read_floats(g, "by_weight", 1, g->n, 1, g->by_weight);
    read_floats(g, "by_row", GOLDEN_ROWS, g->dim, 1, g->by_row);
    read_floats(g, "after", GOLDEN_ROWS, g->dim, 1, g->after);
}

void golden_assert_close(const char *what, size_t n, const float *got, const float *want) {
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= 1e-6f + 1e-5f * fabsf(want[i]),
                      "%s: value %zu is %.9g, torch's %.9g", what, i, (double)got[i],
                      (double)want[i]);
}
