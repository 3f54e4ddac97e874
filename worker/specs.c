/* specs.c - what a table is to be: optimizers, initializers and their defaults. Nothing is checked
 * here: spec_check does that, when a table is opened. */
#include <math.h>

#include "proto/spec.h"
#include "worker/rowhouse.h"

/* ---- optimizers ---- */

_Static_assert((uint32_t)RH_NESTEROV == SPEC_NESTEROV && (uint32_t)RH_CENTERED == SPEC_CENTERED &&
                   (uint32_t)RH_STEPS_PER_ROW == SPEC_STEPS_PER_ROW &&
                   (uint32_t)RH_AMSGRAD == SPEC_AMSGRAD && (uint32_t)RH_MAXIMIZE == SPEC_MAXIMIZE,
               "the public flags are those of the wire");

rh_optimizer rh_sgd(double lr) {
    return rh_sgd_with(lr, 0, 0, 0, 0);
}

rh_optimizer rh_sgd_with(double lr, double momentum, double dampening, double weight_decay,
                         uint32_t flags) {
    return (rh_optimizer){
        .kind = SPEC_SGD,
        .flags = flags,
        .lr = lr,
        .arg = {[SGD_MOMENTUM] = momentum, [SGD_DAMPENING] = dampening, [SGD_DECAY] = weight_decay},
    };
}

rh_optimizer rh_sparse_adam(double lr) {
    return rh_sparse_adam_with(lr, 0.9, 0.999, 1e-8, 0);
}

rh_optimizer rh_sparse_adam_with(double lr, double beta1, double beta2, double eps,
                                 uint32_t flags) {
    return (rh_optimizer){
        .kind = SPEC_SPARSE_ADAM,
        .flags = flags,
        .lr = lr,
        .arg = {[ADAM_BETA1] = beta1, [ADAM_BETA2] = beta2, [ADAM_EPS] = eps},
    };
}

rh_optimizer rh_adagrad(double lr) {
    return rh_adagrad_with(lr, 0, 0, 0, 1e-10, 0);
}

rh_optimizer rh_adagrad_with(double lr, double lr_decay, double weight_decay,
                             double initial_accumulator, double eps, uint32_t flags) {
    return (rh_optimizer){
        .kind = SPEC_ADAGRAD,
        .flags = flags,
        .lr = lr,
        .arg = {[ADAGRAD_LR_DECAY] = lr_decay,
                [ADAGRAD_DECAY] = weight_decay,
                [ADAGRAD_INITIAL] = initial_accumulator,
                [ADAGRAD_EPS] = eps},
    };
}

rh_optimizer rh_rowwise_adagrad(double lr) {
    return rh_rowwise_adagrad_with(lr, 0, 0, 0, 1e-8, 0);
}

rh_optimizer rh_rowwise_adagrad_with(double lr, double lr_decay, double weight_decay,
                                     double initial_accumulator, double eps, uint32_t flags) {
    rh_optimizer o = rh_adagrad_with(lr, lr_decay, weight_decay, initial_accumulator, eps, flags);
    o.kind = SPEC_ROWWISE_ADAGRAD;
    return o;
}

rh_optimizer rh_adam(double lr) {
    return rh_adam_with(lr, 0.9, 0.999, 1e-8, 0, 0);
}

rh_optimizer rh_adam_with(double lr, double beta1, double beta2, double eps, double weight_decay,
                          uint32_t flags) {
    return (rh_optimizer){
        .kind = SPEC_ADAM,
        .flags = flags,
        .lr = lr,
        .arg = {[ADAM_BETA1] = beta1,
                [ADAM_BETA2] = beta2,
                [ADAM_EPS] = eps,
                [ADAM_DECAY] = weight_decay},
    };
}

rh_optimizer rh_adamw(double lr) {
    return rh_adamw_with(lr, 0.9, 0.999, 1e-8, 0.01, 0);
}

rh_optimizer rh_adamw_with(double lr, double beta1, double beta2, double eps, double weight_decay,
                           uint32_t flags) {
    rh_optimizer o = rh_adam_with(lr, beta1, beta2, eps, weight_decay, flags);
    o.kind = SPEC_ADAMW;
    return o;
}

rh_optimizer rh_rmsprop(double lr) {
    return rh_rmsprop_with(lr, 0.99, 1e-8, 0, 0, 0);
}

rh_optimizer rh_rmsprop_with(double lr, double alpha, double eps, double weight_decay,
                             double momentum, uint32_t flags) {
    return (rh_optimizer){
        .kind = SPEC_RMSPROP,
        .flags = flags,
        .lr = lr,
        .arg = {[RMSPROP_ALPHA] = alpha,
                [RMSPROP_EPS] = eps,
                [RMSPROP_DECAY] = weight_decay,
                [RMSPROP_MOMENTUM] = momentum},
    };
}

/* ---- initializers ---- */

rh_init rh_zeros(void) {
    return (rh_init){.kind = SPEC_ZEROS};
}

rh_init rh_ones(void) {
    return rh_constant(1);
}

rh_init rh_constant(double value) {
    return (rh_init){.kind = SPEC_CONSTANT, .arg = {value}};
}

rh_init rh_uniform(double low, double high) {
    return (rh_init){.kind = SPEC_UNIFORM, .arg = {low, high}};
}

rh_init rh_normal(double mean, double std) {
    return (rh_init){.kind = SPEC_NORMAL, .arg = {mean, std}};
}

rh_init rh_trunc_normal(double mean, double std, double a, double b) {
    return (rh_init){.kind = SPEC_TRUNC_NORMAL, .arg = {mean, std, a, b}};
}

rh_init rh_orthogonal(void) {
    return (rh_init){.kind = SPEC_ORTHOGONAL};
}

double rh_gain(rh_nonlinearity of, double param) {
    switch (of) {
    case RH_LINEAR:
    case RH_SIGMOID:
        return 1;
    case RH_TANH:
        return 5.0 / 3;
    case RH_RELU:
        return sqrt(2);
    case RH_LEAKY_RELU:
        return sqrt(2 / (1 + param * param));
    case RH_SELU:
        return 0.75;
    }
    return NAN;
}

static rh_init uniform_of(double std) {
    return rh_uniform(-sqrt(3) * std, sqrt(3) * std);
}

/* As torch.nn.init._calculate_fan_in_and_fan_out. */
struct fans {
    double in, out;
};

static struct fans table_fans(const rh_table_spec *spec) {
    return (struct fans){spec->embedding_dim, (double)spec->num_embeddings};
}

/* NaN below two dimensions: torch fails there, and so does rh_param_open. */
static struct fans param_fans(const rh_param_spec *spec) {
    if (spec->ndim < 2 || spec->ndim > RH_PARAM_DIMS_MAX)
        return (struct fans){NAN, NAN};
    double field = 1;
    for (uint32_t i = 2; i < spec->ndim; i++)
        field *= (double)spec->shape[i];
    return (struct fans){(double)spec->shape[1] * field, (double)spec->shape[0] * field};
}

static double xavier_std(struct fans f, double gain) {
    return gain * sqrt(2 / (f.in + f.out));
}

static double kaiming_std(struct fans f, double a, rh_fan fan, rh_nonlinearity of) {
    double n = fan == RH_FAN_IN ? f.in : fan == RH_FAN_OUT ? f.out : NAN;
    return rh_gain(of, a) / sqrt(n);
}

rh_init rh_xavier_uniform(const rh_table_spec *spec, double gain) {
    return uniform_of(xavier_std(table_fans(spec), gain));
}

rh_init rh_xavier_normal(const rh_table_spec *spec, double gain) {
    return rh_normal(0, xavier_std(table_fans(spec), gain));
}

rh_init rh_kaiming_uniform(const rh_table_spec *spec, double a, rh_fan fan, rh_nonlinearity of) {
    return uniform_of(kaiming_std(table_fans(spec), a, fan, of));
}

rh_init rh_kaiming_normal(const rh_table_spec *spec, double a, rh_fan fan, rh_nonlinearity of) {
    return rh_normal(0, kaiming_std(table_fans(spec), a, fan, of));
}

rh_init rh_param_xavier_uniform(const rh_param_spec *spec, double gain) {
    return uniform_of(xavier_std(param_fans(spec), gain));
}

rh_init rh_param_xavier_normal(const rh_param_spec *spec, double gain) {
    return rh_normal(0, xavier_std(param_fans(spec), gain));
}

rh_init rh_param_kaiming_uniform(const rh_param_spec *spec, double a, rh_fan fan,
                                 rh_nonlinearity of) {
    return uniform_of(kaiming_std(param_fans(spec), a, fan, of));
}

rh_init rh_param_kaiming_normal(const rh_param_spec *spec, double a, rh_fan fan,
                                rh_nonlinearity of) {
    return rh_normal(0, kaiming_std(param_fans(spec), a, fan, of));
}

/* ---- the spec ---- */

void rh_table_spec_init(rh_table_spec *spec, uint64_t num_embeddings, uint32_t embedding_dim) {
    *spec = (rh_table_spec){.size = sizeof *spec,
                            .embedding_dim = embedding_dim,
                            .num_embeddings = num_embeddings,
                            .init = rh_normal(0, 1),
                            .optimizer = rh_sgd(0.01),
                            .reduce = RH_REDUCE_SUM,
                            .padding_idx = RH_NO_PADDING,
                            .norm_type = 2};
}

void rh_param_spec_init(rh_param_spec *spec, const uint64_t *shape, uint32_t ndim) {
    *spec = (rh_param_spec){.size = sizeof *spec,
                            .ndim = ndim,
                            .init = rh_zeros(),
                            .optimizer = rh_sgd(0.01),
                            .reduce = RH_REDUCE_SUM};
    for (uint32_t i = 0; i < ndim && i < RH_PARAM_DIMS_MAX; i++)
        spec->shape[i] = shape[i];
}
