/* test_specs.c - the constructors of the public header: torch's defaults, gains and fans. What torch
 * 1.13 has was read off its torch.nn.init and torch.optim. */
#include "worker/rowhouse.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "common/err.h"
#include "proto/spec.h"
#include "tests/unit/suites.h"

static rh_table_spec shape; /* a thousand rows of 64 */

static void setup(void) {
    rh_table_spec_init(&shape, 1000, 64);
}

static struct spec as_read(rh_optimizer o, rh_init init) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 64,
                     .rows = 1000,
                     .init = init.kind,
                     .opt = o.kind,
                     .opt_flags = o.flags,
                     .lr = o.lr,
                     .padding_idx = SPEC_NO_PADDING};
    memcpy(s.init_arg, init.arg, sizeof s.init_arg);
    memcpy(s.opt_arg, o.arg, sizeof s.opt_arg);
    return s;
}

static void assert_optimizer(rh_optimizer o, const char *name, const double *arg) {
    struct spec s = as_read(o, rh_zeros());
    ck_assert_int_eq(spec_check(&s), RH_OK);
    ck_assert_str_eq(spec_opt_name(s.opt), name);
    ck_assert(s.lr == 0.125 && s.opt_flags == 0);
    for (int i = 0; i < SPEC_OPT_ARGS; i++)
        ck_assert_msg(s.opt_arg[i] == arg[i], "%s's argument %d is %g", name, i, s.opt_arg[i]);
}

START_TEST(optimizers_begin_with_the_defaults_of_torch) {
    assert_optimizer(rh_sgd(0.125), "SGD", (const double[6]){0});
    assert_optimizer(rh_sparse_adam(0.125), "SparseAdam", (const double[6]){0.9, 0.999, 1e-8});
    assert_optimizer(rh_adagrad(0.125), "Adagrad", (const double[6]){0, 0, 0, 1e-10});
    assert_optimizer(rh_rowwise_adagrad(0.125), "RowWiseAdagrad", (const double[6]){0, 0, 0, 1e-8});
    assert_optimizer(rh_adam(0.125), "Adam", (const double[6]){0.9, 0.999, 1e-8, 0});
    assert_optimizer(rh_adamw(0.125), "AdamW", (const double[6]){0.9, 0.999, 1e-8, 0.01});
    assert_optimizer(rh_rmsprop(0.125), "RMSprop", (const double[6]){0.99, 1e-8, 0, 0});
}
END_TEST

START_TEST(arguments_arrive_where_they_are_read) {
    assert_optimizer(rh_sgd_with(0.125, 0.9, 0.25, 0.5, 0), "SGD",
                     (const double[6]){0.9, 0.25, 0.5});
    assert_optimizer(rh_adagrad_with(0.125, 1, 2, 3, 4, 0), "Adagrad",
                     (const double[6]){1, 2, 3, 4});
    assert_optimizer(rh_rowwise_adagrad_with(0.125, 1, 2, 3, 4, 0), "RowWiseAdagrad",
                     (const double[6]){1, 2, 3, 4});
    assert_optimizer(rh_adamw_with(0.125, 0.1, 0.2, 3, 4, 0), "AdamW",
                     (const double[6]){0.1, 0.2, 3, 4});
    assert_optimizer(rh_rmsprop_with(0.125, 0.1, 2, 3, 4, 0), "RMSprop",
                     (const double[6]){0.1, 2, 3, 4});
}
END_TEST

static void assert_refused(rh_optimizer o, rh_init init, const char *words) {
    struct spec s = as_read(o, init);
    ck_assert_int_eq(spec_check(&s), RH_EINVAL);
    ck_assert_msg(strstr(err_text(), words) != NULL, "%s", err_text());
}

START_TEST(what_is_not_there_is_refused_by_name) {
    rh_init z = rh_zeros();
    assert_refused(rh_sgd_with(1, 0, 0, 0, RH_NESTEROV), z, "nesterov needs momentum");
    assert_refused(rh_sgd_with(1, 0.9, 0.1, 0, RH_NESTEROV), z, "nesterov needs momentum");
    assert_refused(rh_adam_with(1, 0.9, 0.999, 1e-8, 0, RH_AMSGRAD), z, "Adam has no amsgrad");
    assert_refused(rh_adamw_with(1, 0.9, 0.999, 1e-8, 0, RH_MAXIMIZE), z, "AdamW has no maximize");
    assert_refused(rh_adagrad_with(1, 0, 0, 0, 1, RH_CENTERED), z, "Adagrad has no centered");
    assert_refused(rh_sgd(1), rh_orthogonal(), "orthogonal");
}
END_TEST

START_TEST(gains_are_those_of_torch) {
    ck_assert(rh_gain(RH_LINEAR, 0) == 1 && rh_gain(RH_SIGMOID, 0) == 1);
    ck_assert(rh_gain(RH_TANH, 0) == 1.6666666666666667);
    ck_assert(rh_gain(RH_RELU, 7) == 1.4142135623730951);
    ck_assert(rh_gain(RH_LEAKY_RELU, 0.2) == 1.3867504905630728);
    ck_assert(rh_gain(RH_SELU, 0) == 0.75);
    ck_assert(isnan(rh_gain((rh_nonlinearity)99, 0)));
}
END_TEST

static void assert_uniform(rh_init init, double bound) {
    ck_assert_uint_eq(init.kind, SPEC_UNIFORM);
    ck_assert_msg(init.arg[1] == bound && init.arg[0] == -bound, "bound %.17g", init.arg[1]);
}

static void assert_normal(rh_init init, double std) {
    ck_assert_uint_eq(init.kind, SPEC_NORMAL);
    ck_assert_msg(init.arg[0] == 0 && init.arg[1] == std, "std %.17g", init.arg[1]);
}

START_TEST(fans_are_counted_as_torch_does) {
    assert_uniform(rh_xavier_uniform(&shape, 1.5), 0.11264088922239572);
    assert_normal(rh_xavier_normal(&shape, 1.5), 0.06503324771430899);
    assert_uniform(rh_kaiming_uniform(&shape, 0, RH_FAN_IN, RH_LEAKY_RELU), 0.3061862178478973);
    assert_normal(rh_kaiming_normal(&shape, 0.2, RH_FAN_OUT, RH_LEAKY_RELU), 0.04385290096535146);
    assert_uniform(rh_kaiming_uniform(&shape, 0, RH_FAN_OUT, RH_TANH), 0.09128709291752769);
    assert_normal(rh_kaiming_normal(&shape, 0, RH_FAN_IN, RH_SELU), 0.09375);
}
END_TEST

/* Of (10, 3, 5, 5) torch counts 75 in and 250 out, of (1, 197, 768) 151296 and 768. */
START_TEST(fans_of_a_parameter_are_those_of_its_own_shape) {
    static const uint64_t conv[] = {10, 3, 5, 5}, pos[] = {1, 197, 768}, linear[] = {64, 32};
    rh_param_spec s;
    rh_param_spec_init(&s, conv, 4);
    assert_normal(rh_param_xavier_normal(&s, 2), 0.15689290811054724);
    assert_uniform(rh_param_xavier_uniform(&s, 2), sqrt(3) * 0.15689290811054724);
    assert_normal(rh_param_kaiming_normal(&s, 0, RH_FAN_IN, RH_RELU), 0.1632993161855452);
    assert_normal(rh_param_kaiming_normal(&s, 0.2, RH_FAN_OUT, RH_LEAKY_RELU), 0.08770580193070292);
    rh_param_spec_init(&s, pos, 3);
    assert_uniform(rh_param_kaiming_uniform(&s, 0.2, RH_FAN_IN, RH_LEAKY_RELU),
                   sqrt(3) * 0.0035652058058196017);
    assert_normal(rh_param_kaiming_normal(&s, 0, RH_FAN_OUT, RH_RELU), 0.051031036307982884);
    rh_param_spec_init(&s, linear, 2);
    assert_normal(rh_param_xavier_normal(&s, 2), 0.28867513459481287);
    s.ndim = 1;
    ck_assert(isnan(rh_param_xavier_normal(&s, 1).arg[1]));
    ck_assert(isnan(rh_param_kaiming_uniform(&s, 0, RH_FAN_IN, RH_RELU).arg[0]));
}
END_TEST

START_TEST(a_parameter_begins_with_zeros_and_plain_sgd) {
    static const uint64_t shape_in[] = {2, 3};
    rh_param_spec s;
    rh_param_spec_init(&s, shape_in, 2);
    ck_assert(s.size == sizeof s && s.ndim == 2 && s.shape[0] == 2 && s.shape[1] == 3);
    ck_assert(s.init.kind == SPEC_ZEROS && s.optimizer.kind == SPEC_SGD && s.optimizer.lr == 0.01);
}
END_TEST

START_TEST(an_unknown_fan_or_nonlinearity_is_refused) {
    assert_refused(rh_sgd(1), rh_kaiming_uniform(&shape, 0, (rh_fan)9, RH_RELU),
                   "uniform's low is");
    assert_refused(rh_sgd(1), rh_kaiming_normal(&shape, 0, RH_FAN_IN, (rh_nonlinearity)9),
                   "normal's std is");
}
END_TEST

START_TEST(a_spec_begins_without_padding_norm_and_scaling) {
    ck_assert(shape.padding_idx == RH_NO_PADDING && shape.max_norm == 0 && shape.norm_type == 2);
    ck_assert_uint_eq(shape.scale_grad_by_freq, 0);
    ck_assert_uint_eq(shape.size, sizeof shape);
}
END_TEST

START_TEST(ones_are_a_constant) {
    ck_assert_uint_eq(rh_ones().kind, SPEC_CONSTANT);
    ck_assert(rh_ones().arg[0] == 1);
}
END_TEST

Suite *specs_suite(void) {
    TCase *tc = tcase_create("constructors");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, optimizers_begin_with_the_defaults_of_torch);
    tcase_add_test(tc, arguments_arrive_where_they_are_read);
    tcase_add_test(tc, what_is_not_there_is_refused_by_name);
    tcase_add_test(tc, gains_are_those_of_torch);
    tcase_add_test(tc, fans_are_counted_as_torch_does);
    tcase_add_test(tc, fans_of_a_parameter_are_those_of_its_own_shape);
    tcase_add_test(tc, a_parameter_begins_with_zeros_and_plain_sgd);
    tcase_add_test(tc, an_unknown_fan_or_nonlinearity_is_refused);
    tcase_add_test(tc, a_spec_begins_without_padding_norm_and_scaling);
    tcase_add_test(tc, ones_are_a_constant);
    Suite *s = suite_create("specs");
    suite_add_tcase(s, tc);
    return s;
}
