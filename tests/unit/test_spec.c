/* test_spec.c - a spec out of bounds is refused with the field's name; two specs that differ are
 * told apart with the field and both values. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "proto/spec.h"
#include "tests/unit/suites.h"

static struct spec sgd, adam;

static void setup(void) {
    sgd = (struct spec){
        .kind = SPEC_DENSE,
        .dim = 64,
        .rows = 1000,
        .seed = 7,
        .init = SPEC_NORMAL,
        .opt = SPEC_SGD,
        .init_arg = {0, 1},
        .lr = 0.01,
        .padding_idx = SPEC_NO_PADDING,
    };
    adam = sgd;
    adam.opt = SPEC_SPARSE_ADAM;
    adam.opt_arg[0] = 0.9;
    adam.opt_arg[1] = 0.999;
    adam.opt_arg[2] = 1e-8;
}

static void says(const char *words) {
    ck_assert_msg(strstr(err_text(), words) != NULL, "\"%s\" does not say \"%s\"", err_text(),
                  words);
}

static void refused(const struct spec *s, const char *field, const char *value) {
    ck_assert_int_eq(spec_check(s), RH_EINVAL);
    says(field);
    says(value);
}

#define REFUSED(base, member, v, field, text) \
    do {                                      \
        struct spec s = base;                 \
        s.member = v;                         \
        refused(&s, field, text);             \
    } while (0)

#define TAKEN(base, member, v)                   \
    do {                                         \
        struct spec s = base;                    \
        s.member = v;                            \
        ck_assert_int_eq(spec_check(&s), RH_OK); \
    } while (0)

START_TEST(what_a_user_would_ask_for_is_taken) {
    ck_assert_int_eq(spec_check(&sgd), RH_OK);
    ck_assert_int_eq(spec_check(&adam), RH_OK);
}
END_TEST

START_TEST(shape_is_bounded) {
    REFUSED(sgd, kind, 0, "kind", "0");
    REFUSED(sgd, kind, 2, "kind", "2");
    REFUSED(sgd, dim, 0, "embedding_dim", "0");
    REFUSED(sgd, dim, 4097, "embedding_dim", "4097");
    REFUSED(sgd, rows, 0, "num_embeddings", "0");
    REFUSED(sgd, rows, (UINT64_C(1) << 48) + 1, "num_embeddings", "281474976710657");
    TAKEN(sgd, dim, 1);
    TAKEN(sgd, dim, 4096);
    TAKEN(sgd, rows, 1);
    TAKEN(sgd, rows, UINT64_C(1) << 48);
    TAKEN(sgd, seed, UINT64_MAX);
}
END_TEST

START_TEST(initializers_are_bounded) {
    REFUSED(sgd, init, 0, "init", "0");
    REFUSED(sgd, init, SPEC_INITS_END, "init", "6");
    REFUSED(sgd, init_arg[0], NAN, "normal's mean", "nan");
    REFUSED(sgd, init_arg[0], 4e38, "normal's mean", "e+38");
    REFUSED(sgd, init_arg[1], -1, "normal's std", "-1");
    REFUSED(sgd, init_arg[1], INFINITY, "normal's std", "inf");
    TAKEN(sgd, init_arg[1], 0);

    struct spec uniform = sgd;
    uniform.init = SPEC_UNIFORM;
    uniform.init_arg[0] = -0.5;
    uniform.init_arg[1] = 0.5;
    REFUSED(uniform, init_arg[0], 0.75, "uniform's high", "0.5");
    REFUSED(uniform, init_arg[0], -INFINITY, "uniform's low", "-inf");
    REFUSED(uniform, init_arg[1], -1, "uniform's high", "-1");
    TAKEN(uniform, init_arg[1], -0.5);

    struct spec trunc = sgd;
    trunc.init = SPEC_TRUNC_NORMAL;
    memcpy(trunc.init_arg, (const double[]){0, 1, -2, 2}, sizeof trunc.init_arg);
    ck_assert_int_eq(spec_check(&trunc), RH_OK);
    REFUSED(trunc, init_arg[1], 0, "trunc_normal's std", "0");
    REFUSED(trunc, init_arg[2], 2.5, "trunc_normal's b", "2.5 to");
    REFUSED(trunc, init_arg[3], INFINITY, "trunc_normal's b", "inf");
    TAKEN(trunc, init_arg[3], -2);

    struct spec constant = sgd;
    constant.init = SPEC_CONSTANT;
    constant.init_arg[1] = 0;
    REFUSED(constant, init_arg[0], NAN, "constant's value", "nan");
    TAKEN(constant, init_arg[0], -FLT_MAX);
}
END_TEST

START_TEST(optimizers_are_bounded) {
    REFUSED(sgd, opt, 0, "optimizer", "0");
    REFUSED(sgd, opt, SPEC_OPTS_END, "optimizer", "8");
    REFUSED(adam, opt_arg[0], 1, "SparseAdam's beta1 is 1;", "0 to 0.99999999999999989");
    REFUSED(adam, opt_arg[0], -0.1, "SparseAdam's beta1", "-0.1");
    REFUSED(adam, opt_arg[1], 1, "SparseAdam's beta2", "1");
    REFUSED(adam, opt_arg[1], NAN, "SparseAdam's beta2", "nan");
    REFUSED(adam, opt_arg[2], 0, "SparseAdam's eps", "0");
    REFUSED(adam, opt_arg[2], INFINITY, "SparseAdam's eps", "inf");
    TAKEN(adam, opt_arg[0], 0);
    TAKEN(adam, opt_arg[1], 0.99999999999999);
    REFUSED(sgd, lr, -0.5, "lr", "-0.5");
    REFUSED(adam, lr, NAN, "lr", "nan");
    TAKEN(adam, lr, 0);
}
END_TEST

START_TEST(orthogonal_is_refused_with_the_reason) {
    REFUSED(sgd, init, SPEC_ORTHOGONAL, "orthogonal", "each row would depend on all others");
}
END_TEST

START_TEST(what_an_optimizer_has_not_is_refused_by_name) {
    REFUSED(sgd, opt_flags, SPEC_NESTEROV, "nesterov", "needs momentum above 0");
    struct spec momentum = sgd;
    momentum.opt_arg[SGD_MOMENTUM] = 0.9;
    TAKEN(momentum, opt_flags, SPEC_NESTEROV);
    momentum.opt_arg[SGD_DAMPENING] = 0.5;
    ck_assert_int_eq(spec_check(&momentum), RH_OK);
    REFUSED(momentum, opt_flags, SPEC_NESTEROV, "nesterov", "not 0.90000000000000002 and 0.5");
    REFUSED(momentum, opt_arg[SGD_MOMENTUM], -1, "SGD's momentum", "-1");
    REFUSED(momentum, opt_arg[SGD_DECAY], -1, "SGD's weight_decay", "-1");

    TAKEN(adam, opt_flags, SPEC_STEPS_PER_ROW);
    REFUSED(adam, opt_flags, SPEC_AMSGRAD, "SparseAdam has no amsgrad", "");
    REFUSED(sgd, opt_flags, SPEC_MAXIMIZE, "SGD has no maximize", "sign turned");
    REFUSED(sgd, opt_flags, SPEC_CENTERED, "SGD has no centered", "");
    REFUSED(sgd, opt_flags, 0x80000000, "SGD has no flag of that number", "");
    REFUSED(adam, opt_arg[3], 0.1, "SparseAdam's argument 3", "0.1");
    struct spec decayed = adam;
    decayed.opt = SPEC_ADAMW;
    TAKEN(decayed, opt_arg[3], 0.1);
    REFUSED(decayed, opt_arg[3], -0.1, "AdamW's weight_decay", "-0.1");
    REFUSED(decayed, opt_flags, SPEC_STEPS_PER_ROW, "AdamW has no steps_per_row", "");

    struct spec rms = sgd;
    rms.opt = SPEC_RMSPROP;
    rms.opt_arg[RMSPROP_ALPHA] = 0.99;
    rms.opt_arg[RMSPROP_EPS] = 1e-8;
    TAKEN(rms, opt_flags, SPEC_CENTERED);
    REFUSED(rms, opt_arg[RMSPROP_ALPHA], 1.5, "RMSprop's alpha", "1.5");
    REFUSED(rms, opt_arg[RMSPROP_EPS], 0, "RMSprop's eps", "0");
}
END_TEST

START_TEST(what_nn_embedding_does_with_rows_is_bounded) {
    REFUSED(sgd, padding_idx, 1000, "padding_idx is 1000", "0 to 999");
    TAKEN(sgd, padding_idx, 999);
    TAKEN(sgd, padding_idx, 0);
    REFUSED(sgd, scale_grad_by_freq, 2, "scale_grad_by_freq is 2", "0 to 1");
    TAKEN(adam, scale_grad_by_freq, 1);
    REFUSED(sgd, norm_type, 2, "norm_type is 2", "0 to 0");
    struct spec limited = sgd;
    limited.norm_type = 2;
    TAKEN(limited, max_norm, 1e-30);
    TAKEN(limited, max_norm, INFINITY);
    REFUSED(limited, max_norm, -1, "max_norm is -1", "above 0, or 0 for none");
    REFUSED(limited, max_norm, NAN, "max_norm is nan", "above 0");
    limited.max_norm = 1;
    TAKEN(limited, norm_type, 0.5);
    TAKEN(limited, norm_type, INFINITY);
    REFUSED(limited, norm_type, 0, "norm_type is 0", "above 0, infinity too");
    REFUSED(limited, norm_type, -1, "norm_type is -1", "above 0");
    REFUSED(limited, norm_type, NAN, "norm_type is nan", "above 0");
}
END_TEST

START_TEST(reduce_and_frozen_are_bounded) {
    REFUSED(sgd, reduce, 2, "reduce", "2");
    REFUSED(sgd, frozen, 2, "frozen", "2");
    REFUSED(sgd, nonfinite, 2, "nonfinite", "2");
    TAKEN(sgd, nonfinite, SPEC_SKIP);
    TAKEN(sgd, reduce, SPEC_MEAN);
    TAKEN(sgd, frozen, 1);
}
END_TEST

START_TEST(arguments_that_do_not_exist_are_zero) {
    REFUSED(sgd, init_arg[2], 1, "normal's argument 2", "1");
    REFUSED(sgd, init_arg[3], NAN, "normal's argument 3", "nan");
    REFUSED(sgd, opt_arg[3], 0.9, "SGD's argument 3", "0.9");
    REFUSED(adam, opt_arg[5], -1, "SparseAdam's argument 5", "-1");
    struct spec zeros = sgd;
    zeros.init = SPEC_ZEROS;
    refused(&zeros, "zeros's argument 1", "1");
}
END_TEST

#define DIFFERS(base, member, v, words)                               \
    do {                                                              \
        struct spec s = base;                                         \
        s.member = v;                                                 \
        ck_assert_int_eq(spec_same(&base, &s, "user"), RH_EMISMATCH); \
        says("\"user\"");                                             \
        says(words);                                                  \
    } while (0)

START_TEST(a_mismatch_names_the_field_and_both_values) {
    DIFFERS(sgd, kind, 2, "kind 1, not 2");
    DIFFERS(sgd, dim, 32, "embedding_dim 64, not 32");
    DIFFERS(sgd, rows, 999, "num_embeddings 1000, not 999");
    DIFFERS(sgd, seed, 8, "seed 7, not 8");
    DIFFERS(sgd, init, SPEC_UNIFORM, "init normal, not uniform");
    DIFFERS(sgd, init_arg[1], 0.5, "normal's std 1, not 0.5");
    DIFFERS(sgd, opt, SPEC_SPARSE_ADAM, "optimizer SGD, not SparseAdam");
    DIFFERS(adam, opt_arg[0], 0.5, "SparseAdam's beta1 0.90000000000000002, not 0.5");
    DIFFERS(adam, opt_arg[2], 0.5, "SparseAdam's eps 1e-08, not 0.5");
    DIFFERS(sgd, opt_arg[0], 0.5, "SGD's momentum 0, not 0.5");
    DIFFERS(sgd, opt_flags, SPEC_NESTEROV, "SGD without nesterov");
    DIFFERS(sgd, opt_flags, 64, "opt_flags 0, not 64");
    DIFFERS(sgd, reduce, SPEC_MEAN, "reduce sum, not mean");
    DIFFERS(sgd, nonfinite, SPEC_SKIP, "nonfinite refuse, not skip");
    DIFFERS(sgd, scale_grad_by_freq, 1, "scale_grad_by_freq 0, not 1");
    DIFFERS(sgd, padding_idx, 3, "no padding_idx, not 3");
    DIFFERS(sgd, max_norm, 2, "max_norm 0, not 2");
    DIFFERS(sgd, norm_type, 2, "norm_type 0, not 2");
    struct spec padded = sgd;
    padded.padding_idx = 3;
    DIFFERS(padded, padding_idx, 4, "padding_idx 3, not 4");
    DIFFERS(padded, padding_idx, SPEC_NO_PADDING, "padding_idx 3, not none");
}
END_TEST

START_TEST(lr_and_frozen_may_differ) {
    struct spec s = sgd;
    s.lr = 1;
    s.frozen = 1;
    ck_assert_int_eq(spec_same(&sgd, &s, "user"), RH_OK);
}
END_TEST

START_TEST(specs_that_were_not_checked_compare_without_harm) {
    struct spec s = sgd;
    s.init = s.opt = s.reduce = UINT32_MAX;
    ck_assert_int_eq(spec_same(&s, &s, "user"), RH_OK);
    ck_assert_int_eq(spec_same(&sgd, &s, "user"), RH_EMISMATCH);
    says("init normal, not ?");
}
END_TEST

START_TEST(a_spec_is_168_bytes_and_comes_back) {
    ck_assert_uint_eq(SPEC_BYTES, 168);
    struct spec full = adam;
    full.opt_flags = SPEC_STEPS_PER_ROW;
    full.nonfinite = SPEC_SKIP;
    full.scale_grad_by_freq = 1;
    full.padding_idx = 5;
    full.max_norm = 1.5;
    full.norm_type = INFINITY;
    full.frozen = 1;
    uint8_t room[SPEC_BYTES + 1];
    for (int odd = 0; odd < 2; odd++) {
        struct buf b;
        buf_wrap(&b, room + odd, SPEC_BYTES);
        spec_put(&b, &full);
        ck_assert(!b.bad);
        ck_assert_uint_eq(b.len, SPEC_BYTES);
        struct spec back;
        struct rd r;
        rd_init(&r, room + odd, SPEC_BYTES);
        spec_get(&r, &back);
        ck_assert(rd_done(&r));
        ck_assert_int_eq(spec_same(&full, &back, "user"), RH_OK);
        ck_assert(back.lr == full.lr && back.frozen == full.frozen);
    }
}
END_TEST

START_TEST(a_cut_spec_is_bad_at_every_length) {
    uint8_t room[SPEC_BYTES];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    spec_put(&b, &adam);
    for (size_t len = 0; len < SPEC_BYTES; len++) {
        struct spec back;
        struct rd r;
        rd_init(&r, room, len);
        spec_get(&r, &back);
        ck_assert(r.bad);
    }
}
END_TEST

START_TEST(names_are_1_to_64_plain_characters) {
    char longest[WIRE_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[WIRE_NAME_MAX] = 0;
    ck_assert_int_eq(spec_check_name(longest), RH_OK);
    longest[WIRE_NAME_MAX] = 'a';
    longest[WIRE_NAME_MAX + 1] = 0;
    ck_assert_int_eq(spec_check_name(longest), RH_EINVAL);
    says("longer than 64");
    ck_assert_int_eq(spec_check_name("AZaz09_.-"), RH_OK);
    ck_assert_int_eq(spec_check_name(""), RH_EINVAL);
    says("empty");
    ck_assert_int_eq(spec_check_name("a b"), RH_EINVAL);
    says("character 2 (0x20)");
    ck_assert_int_eq(spec_check_name("../x"), RH_EINVAL);
    says("character 3");
    ck_assert_int_eq(spec_check_name("\xc3\xa4"), RH_EINVAL);
    says("character 1 (0xc3)");
}
END_TEST

START_TEST(numbers_have_names) {
    ck_assert_str_eq(spec_opt_name(SPEC_SGD), "SGD");
    ck_assert_str_eq(spec_opt_name(SPEC_SPARSE_ADAM), "SparseAdam");
    ck_assert_str_eq(spec_opt_name(SPEC_ROWWISE_ADAGRAD), "RowWiseAdagrad");
    ck_assert_str_eq(spec_opt_name(0), "?");
    ck_assert_str_eq(spec_opt_name(UINT32_MAX), "?");
    ck_assert_str_eq(spec_init_name(SPEC_ZEROS), "zeros");
    ck_assert_str_eq(spec_init_name(SPEC_NORMAL), "normal");
    ck_assert_str_eq(spec_init_name(SPEC_INITS_END), "?");
}
END_TEST

Suite *spec_suite(void) {
    Suite *suite = suite_create("spec");
    TCase *tc = tcase_create("spec");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, what_a_user_would_ask_for_is_taken);
    tcase_add_test(tc, shape_is_bounded);
    tcase_add_test(tc, initializers_are_bounded);
    tcase_add_test(tc, optimizers_are_bounded);
    tcase_add_test(tc, orthogonal_is_refused_with_the_reason);
    tcase_add_test(tc, what_an_optimizer_has_not_is_refused_by_name);
    tcase_add_test(tc, what_nn_embedding_does_with_rows_is_bounded);
    tcase_add_test(tc, reduce_and_frozen_are_bounded);
    tcase_add_test(tc, arguments_that_do_not_exist_are_zero);
    tcase_add_test(tc, a_mismatch_names_the_field_and_both_values);
    tcase_add_test(tc, lr_and_frozen_may_differ);
    tcase_add_test(tc, specs_that_were_not_checked_compare_without_harm);
    tcase_add_test(tc, a_spec_is_168_bytes_and_comes_back);
    tcase_add_test(tc, a_cut_spec_is_bad_at_every_length);
    tcase_add_test(tc, names_are_1_to_64_plain_characters);
    tcase_add_test(tc, numbers_have_names);
    suite_add_tcase(suite, tc);
    return suite;
}
