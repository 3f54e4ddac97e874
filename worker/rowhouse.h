/*
 * rowhouse.h - embedding tables that outgrow one machine, as torch.nn.Embedding would have them.
 *
 * Servers hold the rows and apply the optimizer; a worker pulls the rows that its mini-batch names,
 * and pushes their gradients back. This is the whole public interface, simple things first:
 *
 *     1. statuses and error texts          6. clocks
 *     2. connecting                        7. freezing, learning rates
 *     3. tables                            8. what is there
 *     4. pull, push, write, read, copy     9. files
 *     5. operations in flight              10. bags of rows
 *                                          11. dense parameters
 *                                          12. checkpoints
 *
 * A worker, without its error checks:
 *
 *     rh_config cfg;
 *     rh_config_init(&cfg);                          // where the servers are: from RH_SERVERS
 *     rh_connect(&cfg, &client);
 *     rh_table_spec_init(&spec, 1000000, 64);        // a million rows of 64 floats
 *     rh_table_open(client, "words", &spec, &words);
 *     for (each mini-batch) {
 *         rh_pull(words, ids, n, rows);              // rows: (n, 64)
 *         ... compute grads: (n, 64) ...
 *         rh_push(words, ids, n, grads);
 *         rh_tick(client);
 *     }
 *     rh_close(client);
 *
 * Rules for every function, unless its comment says otherwise:
 *
 *   - Inputs come first, outputs last; a count stands right after what it counts. No pointer may be
 *     NULL.
 *   - A status is returned and must be looked at. RH_OK is 0. Outputs are written only on RH_OK.
 *   - Every wait has a deadline: rh_config.op_timeout_ms, or the argument timeout_ms.
 *   - One client may be used by many threads at once.
 *   - The library never returns memory for you to free, and never touches your arrays once the
 *     call, or the operation that it began, is over.
 *   - Ids are 64-bit, in any order, repeats allowed. They are checked before the first byte leaves:
 *     a call refused with RH_ERANGE or RH_EINVAL has changed nothing anywhere. n = 0 is fine.
 *   - After fork() the parent's client answers RH_EINVAL in the child, which may connect itself.
 */
#ifndef ROWHOUSE_H
#define ROWHOUSE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RH_VERSION "0.1.0"

#if defined(__GNUC__)
#define RH_API     __attribute__((visibility("default")))
#define RH_CHECKED __attribute__((visibility("default"), warn_unused_result))
#else
#define RH_API
#define RH_CHECKED
#endif

/* ---- 1. statuses and error texts ------------------------------------------------------------ */

/* Grouped by what to do about them. The numbers never change. */
#ifndef RH_STATUS_MAP
typedef enum rh_status {
    RH_OK = 0,
    /* the call was wrong: mend the program */
    RH_EINVAL = 1,    /* an argument makes no sense */
    RH_ERANGE = 2,    /* an id is not below num_embeddings */
    RH_EMISMATCH = 3, /* this table, mode or world exists with other settings */
    RH_ENOTFOUND = 4, /* no such table, file, word or checkpoint */
    /* the other side did not answer: try again, or give up */
    RH_ETIMEDOUT = 5,    /* the deadline passed; the text says who was waited for */
    RH_EUNREACHABLE = 6, /* nobody answers at an address */
    /* this client is not what the servers expect: connect anew, or read the cursor again */
    RH_EFENCED = 7,   /* another job, or a newer client of this rank, took over */
    RH_EROLLBACK = 8, /* the job went back to a checkpoint: call rh_cursor (see there) */
    RH_EPROTO = 9,    /* the other side breaks the protocol */
    RH_EVERSION = 10, /* the other side speaks another version of it */
    /* the machine: free something, or replace it */
    RH_ECORRUPT = 11, /* a file is damaged */
    RH_ELIMIT = 12,   /* a limit of the configuration was reached */
    RH_ENOMEM = 13,   /* out of memory */
    RH_EIO = 14       /* a file or socket failed; the text says how */
} rh_status;
#endif

/* A few words for a status: rh_strstatus(RH_ERANGE) is "id out of range". Never NULL. */
RH_API const char *rh_strstatus(rh_status status);

/* The text of this thread's last failure, with the facts: who, where, how many. Never NULL; "" when
 * nothing failed. Valid until this thread's next rowhouse call. */
RH_API const char *rh_errmsg(void);

/* The version of the library at run time, as RH_VERSION was when it was built. */
RH_API const char *rh_version(void);

/* ---- 2. connecting -------------------------------------------------------------------------- */

typedef struct rh_client rh_client;
typedef struct rh_table rh_table;
typedef struct rh_op rh_op;
typedef struct rh_batch rh_batch;

/* What a pull sees, and when a push is applied. The same for every worker of a job. */
typedef enum rh_mode {
    RH_MODE_DEFAULT = 0, /* async */
    /* A push is applied on arrival; a pull sees what has been applied, your own pushes included. */
    RH_MODE_ASYNC = 1,
    /* Async, but nobody runs away: a pull of clock c waits until every other worker that is here has
     * ended clock c - staleness - 1, so that it sees all of their pushes but those of the last few
     * clocks. A worker that has said goodbye, or has not come yet, is not waited for, unless the job
     * goes on from a checkpoint that it is in: where all must be there from the first clock on, call
     * rh_barrier before it. A staleness of 0 is not bsp: a pull sees all pushes of every earlier clock,
     * and whatever of this clock's has arrived; each push is a step of its own, in the order of
     * arrival, so that the bits are others from run to run. */
    RH_MODE_SSP = 2,
    /* A clock's pushes of all workers are applied as one when the last of them has ticked; a pull
     * sees exactly those of every earlier clock. */
    RH_MODE_BSP = 3
} rh_mode;

/* 1 ends the wait, as if its deadline had passed just now. Must not call the library. */
typedef int rh_interrupted(void *arg);

/* After each field: where rh_config_init takes it from, else its default. */
typedef struct rh_config {
    uint32_t size;          /* set by rh_config_init */
    uint32_t rank;          /* this worker's, below world. RH_RANK, else 0 */
    uint32_t world;         /* how many workers the job has. RH_WORLD, else 1 */
    rh_mode mode;           /* RH_MODE, as for rh_config_set_mode, else async */
    uint32_t staleness;     /* of ssp, in clocks; not looked at in other modes. RH_MODE, else 0 */
    int op_timeout_ms;      /* deadline of calls that name none. RH_OP_TIMEOUT_MS, else 60000 */
    int connect_timeout_ms; /* deadline of rh_connect. 60000 */
    uint32_t local_shards;  /* for "local:": shards inside this process, 1 to 64. 1 */
    uint32_t succeeds;      /* how many processes had this rank before and are dead: see rh_cursor.
                               RH_SUCCEEDS, which rowhouse run sets, else 0 */
    int observer;           /* 1: only look; counted in no clock, may change nothing
                               but what is frozen (not under bsp). 0 */

    /* Where the servers are: "tcp://host:7700,tcp://host:7701" or "ipc:///path,..." in shard order,
     * "local:" (or "local:4" for 4 shards), or "mpi:". RH_SERVERS, else "mpi:" under mpirun, else
     * "local:". Points to the environment, or to your string. */
    const char *servers;

    /* The job's name or token: servers of another job refuse us. RH_JOB, else "". */
    const char *job;

    /* For "local:": the folder that rh_save and rh_restore know checkpoints in; servers have a
     * --checkpoint-dir of their own. RH_CHECKPOINT_DIR, else NULL: there are none. */
    const char *checkpoint_dir;

    /* Called ten times a second by a call that waits, but only in the thread that called rh_connect:
     * for languages whose signal handlers run between their own instructions. NULL */
    rh_interrupted *interrupted;
    void *interrupted_arg;
} rh_config;

/* Fills *cfg from the environment and the defaults. Edit it afterwards. Never fails: what cannot be
 * read from the environment is refused by rh_connect, by the variable's name. */
RH_API void rh_config_init(rh_config *cfg);

/* Sets mode and staleness by name: "async", "ssp:3" (of staleness 3) or "bsp". RH_EINVAL: it is none
 * of these, and *cfg is as it was. */
RH_CHECKED rh_status rh_config_set_mode(rh_config *cfg, const char *name);

/*
 * Joins the job, and waits until every shard has let this worker in. Servers may start later than
 * their workers. "local:" starts private shards inside this process: no sockets, no threads,
 * nothing to start or stop.
 *
 * RH_EUNREACHABLE names the addresses that nobody answers at; RH_EMISMATCH says what differs (mode,
 * staleness, world, the order of the servers, the checkpoints that they began with, a rank that is taken); RH_EVERSION names both versions.
 */
RH_CHECKED rh_status rh_connect(const rh_config *cfg, rh_client **out);

/* Says goodbye: waits (up to op_timeout_ms) for what is still owed to the servers, ends the clock,
 * and frees the client with its tables, batches and operations. No other thread may still use them.
 * NULL is fine. */
RH_API void rh_close(rh_client *c);

/* ---- 3. tables ------------------------------------------------------------------------------ */

/* Made by the functions below, not by hand. What makes no sense in one, or is not there (each says
 * what is), is refused by rh_table_open, by name. */
typedef struct rh_optimizer {
    uint32_t kind;
    uint32_t flags; /* of rh_optimizer_flag */
    double lr;
    double arg[6];
} rh_optimizer;

typedef struct rh_init {
    uint32_t kind;
    uint32_t reserved;
    double arg[4];
} rh_init;

typedef enum rh_optimizer_flag {
    RH_NESTEROV = 1,      /* SGD, with momentum and without dampening */
    RH_CENTERED = 2,      /* RMSprop */
    RH_STEPS_PER_ROW = 4, /* SparseAdam: see there */
    RH_AMSGRAD = 8,       /* no optimizer has it: refused */
    RH_MAXIMIZE = 16      /* likewise: push the gradients with their sign turned */
} rh_optimizer_flag;

/*
 * The optimizers: torch.optim's formulas, names and defaults. rh_<name>(lr) has torch's defaults,
 * rh_<name>_with all that can be set; flags is 0, or flags of rh_optimizer_flag that it has.
 *
 * All are lazy: a step changes the rows that it names (pushes to), with their optimizer state, and
 * nothing else. So momentum does not move an absent row, its moments do not shrink, and it does not
 * decay: with weight_decay, frequent rows decay more than rare ones. Where every step names every
 * row, all are torch to rounding; where not, SparseAdam, Adagrad and SGD still are, the latter two
 * without weight_decay and momentum. T is the table's step count: of the pushes to it (async), or of
 * the clocks in which any worker pushed (bsp). eps is above 0, weight_decay not below.
 */

/* w -= lr * d, where d = g + weight_decay * w. With momentum: buf = momentum * buf + (1 - dampening)
 * * d, at the row's first step buf = d; w -= lr * buf, or with RH_NESTEROV lr * (d + momentum * buf).
 * rh_sgd: no momentum, no dampening, no weight_decay. */
RH_API rh_optimizer rh_sgd(double lr);
RH_API rh_optimizer rh_sgd_with(double lr, double momentum, double dampening, double weight_decay,
                                uint32_t flags);

/* torch.optim.SparseAdam with betas (0.9, 0.999) and eps 1e-8; each beta in [0, 1). Step size
 * lr * sqrt(1 - beta2^T) / (1 - beta1^T), eps outside the corrected root. A row that first comes late
 * in the table's life begins with a step of about 3 lr: RH_STEPS_PER_ROW counts T by row instead. */
RH_API rh_optimizer rh_sparse_adam(double lr);
RH_API rh_optimizer rh_sparse_adam_with(double lr, double beta1, double beta2, double eps,
                                        uint32_t flags);

/* torch.optim.Adagrad: the lr of step T is lr / (1 + (T - 1) * lr_decay). rh_adagrad: lr_decay,
 * weight_decay and initial_accumulator 0, eps 1e-10. No flags. */
RH_API rh_optimizer rh_adagrad(double lr);
RH_API rh_optimizer rh_adagrad_with(double lr, double lr_decay, double weight_decay,
                                    double initial_accumulator, double eps, uint32_t flags);

/* Adagrad with one float of state per row, the sum of the means of g^2 over it, as in FBGEMM. The
 * defaults are Adagrad's, but for FBGEMM's eps 1e-8. No flags. */
RH_API rh_optimizer rh_rowwise_adagrad(double lr);
RH_API rh_optimizer rh_rowwise_adagrad_with(double lr, double lr_decay, double weight_decay,
                                            double initial_accumulator, double eps, uint32_t flags);

/* torch.optim.Adam, for tables and parameters whose rows are all in every batch; for sparse ones take
 * SparseAdam. betas (0.9, 0.999), eps 1e-8 (added to the corrected root), weight_decay 0 (added to
 * g). No flags. */
RH_API rh_optimizer rh_adam(double lr);
RH_API rh_optimizer rh_adam_with(double lr, double beta1, double beta2, double eps,
                                 double weight_decay, uint32_t flags);

/* torch.optim.AdamW: Adam, but the decay is w *= 1 - lr * weight_decay, by default 0.01. No flags. */
RH_API rh_optimizer rh_adamw(double lr);
RH_API rh_optimizer rh_adamw_with(double lr, double beta1, double beta2, double eps,
                                  double weight_decay, uint32_t flags);

/* torch.optim.RMSprop: alpha 0.99, in [0, 1]; eps 1e-8, weight_decay 0, momentum 0; RH_CENTERED. */
RH_API rh_optimizer rh_rmsprop(double lr);
RH_API rh_optimizer rh_rmsprop_with(double lr, double alpha, double eps, double weight_decay,
                                    double momentum, uint32_t flags);

/* The initializers, as torch.nn.init. A row's first value depends on seed, table name and id alone,
 * so torch's numbers for a seed are others. */
RH_API rh_init rh_zeros(void);
RH_API rh_init rh_ones(void);
RH_API rh_init rh_constant(double value);
RH_API rh_init rh_uniform(double low, double high); /* [low, high) */
RH_API rh_init rh_normal(double mean, double std);  /* std >= 0 */

/* The normal law of mean and std > 0 between a and b, which are values, not multiples of std. */
RH_API rh_init rh_trunc_normal(double mean, double std, double a, double b);

/* Refused by rh_table_open: a row would depend on all others, but it must be known by itself. */
RH_API rh_init rh_orthogonal(void);

typedef enum rh_reduce {
    RH_REDUCE_SUM = 0, /* bsp: the workers' gradients of a clock are added */
    RH_REDUCE_MEAN = 1 /* bsp: ... and divided by the number of workers */
} rh_reduce;

/* What becomes of a push whose gradients hold NaN or infinity. */
typedef enum rh_nonfinite {
    RH_NONFINITE_REFUSE = 0, /* the call is RH_EINVAL. A sum of finite ones may still overflow */
    /* The servers leave such a row alone in this step, and count it (rh_table_info.skipped). Looked
     * at is what would be applied: the sum over equal ids, under bsp over all workers. */
    RH_NONFINITE_SKIP = 1
} rh_nonfinite;

#define RH_NO_PADDING INT64_MIN

/*
 * Begins with its size, so that it can grow. Edit what rh_table_spec_init has filled in. The last
 * four are torch.nn.Embedding's.
 *
 * padding_idx: this row begins as zeros, whatever the initializer, and learns from nobody: its
 * gradients are dropped unseen (NaN too), and the servers keep its bits and its optimizer's state.
 * rh_write and rh_load set it.
 *
 * max_norm: no row is seen above it. Torch's forward scales the rows that it looks up in place; here
 * a pull never writes. rh_pull and rh_export give each row, the padding row too, scaled as torch does
 * by max_norm / (norm + 1e-7) where its norm is above; a push replaces its rows by what a pull would
 * give, and steps from there. So a row that is only looked up keeps its stored bits, which rh_read
 * alone shows. Scaling a scaled row again changes last bits at most. The norm is the p-th root of the
 * sum of |x|^p, with p = norm_type above 0, or INFINITY for the largest |x|. A p that is not whole, or
 * above 16, uses libm's pow: it is slower, and the last bit may differ between kinds of machines.
 */
typedef struct rh_table_spec {
    uint32_t size;
    uint32_t embedding_dim;  /* floats in a row, 1 to 4096 */
    uint64_t num_embeddings; /* rows, 1 to 2^48; ids are 0 to num_embeddings - 1 */
    uint64_t seed;           /* of the initializer. 0 */
    rh_init init;            /* rh_normal(0, 1), as nn.Embedding */
    rh_optimizer optimizer;  /* rh_sgd(0.01) */
    rh_reduce reduce;        /* RH_REDUCE_SUM */
    uint32_t frozen;         /* 1: the table starts frozen. 0 */
    rh_nonfinite nonfinite;  /* RH_NONFINITE_REFUSE */
    /* 1: each gradient is divided by how often its id stands in the call, so that repeats count as
     * their mean. One rh_push, or one rh_batch_push, is the mini-batch. With every optimizer. 0 */
    uint32_t scale_grad_by_freq;
    int64_t padding_idx; /* negative: from the end, -1 is the last row. RH_NO_PADDING */
    double max_norm;     /* above 0, or 0 for none. 0 */
    double norm_type;    /* above 0; not looked at without max_norm. 2 */
} rh_table_spec;

RH_API void rh_table_spec_init(rh_table_spec *spec, uint64_t num_embeddings,
                               uint32_t embedding_dim);

/*
 * Initializers by the shape of the table: spec.init = rh_xavier_uniform(&spec, 1). As torch counts
 * them for the weight of an nn.Embedding, fan_in is embedding_dim and fan_out num_embeddings.
 *
 * Xavier: std is gain * sqrt(2 / (fan_in + fan_out)). Kaiming: std is rh_gain(of, a) / sqrt(fan);
 * torch's defaults are a 0, RH_FAN_IN, RH_LEAKY_RELU. The uniform ones are within sqrt(3) * std.
 */
typedef enum rh_fan { RH_FAN_IN = 0, RH_FAN_OUT = 1 } rh_fan;

typedef enum rh_nonlinearity {
    RH_LINEAR = 0, /* gain 1; convolutions too */
    RH_SIGMOID = 1,
    RH_TANH = 2,
    RH_RELU = 3,
    RH_LEAKY_RELU = 4,
    RH_SELU = 5
} rh_nonlinearity;

/* torch.nn.init.calculate_gain. param is the negative slope of RH_LEAKY_RELU (torch's default here:
 * 0.01), else not looked at. NaN for an unknown one. */
RH_API double rh_gain(rh_nonlinearity of, double param);

RH_API rh_init rh_xavier_uniform(const rh_table_spec *spec, double gain);
RH_API rh_init rh_xavier_normal(const rh_table_spec *spec, double gain);
RH_API rh_init rh_kaiming_uniform(const rh_table_spec *spec, double a, rh_fan fan,
                                  rh_nonlinearity of);
RH_API rh_init rh_kaiming_normal(const rh_table_spec *spec, double a, rh_fan fan,
                                 rh_nonlinearity of);

/*
 * Opens the table of this name on every shard, and makes it where it does not exist. name: 1 to 64
 * characters of [A-Za-z0-9_.-]. A table costs memory only for rows that were pushed or written: any
 * other row is the initializer's value for (seed, name, id), the same on any number of servers.
 *
 * RH_EMISMATCH: it exists with another spec, and the text names the field. A different lr is no
 * mismatch: the lr travels with the pushes. The table lives as long as its client; opening it twice
 * gives the same one, unless it was dropped between. Under bsp the call waits until every earlier
 * clock is closed, as rh_pull does.
 */
RH_CHECKED rh_status rh_table_open(rh_client *c, const char *name, const rh_table_spec *spec,
                                   rh_table **out);

/* Opens a table that exists already, with the spec it has. RH_ENOTFOUND if there is none. */
RH_CHECKED rh_status rh_table_find(rh_client *c, const char *name, rh_table **out);

/*
 * rh_table_reset, rh_table_init and rh_table_drop change a table as a whole, on every shard, for all
 * workers. Any worker of the job may call them; observers may not (RH_EINVAL). What other workers
 * have in flight meanwhile comes before or after it, shard by shard (async): where that matters, call
 * rh_barrier on both sides. Under bsp they happen when the clock closes, in rank order, before the
 * pushes of that clock.
 */

/* Every row is as if it had never been touched, and its memory is given back; no optimizer state; T
 * is 0, and counts as from a fresh table; frozen only if the spec says so. Initializer, seed and
 * the workers' learning rates stay. */
RH_CHECKED rh_status rh_table_reset(rh_table *t);

/*
 * torch.nn.init.*_(emb.weight): every row becomes the initializer's value for (seed, name, id), rows
 * that were pushed or written too, frozen or not. Optimizer state, T and freezing stay. It is in the
 * spec from then on: rh_table_open wants the new initializer and seed (under bsp once the clock is
 * closed), and RH_EMISMATCH names init or seed. A seed that was given before gives the same values
 * again: for others give another, as one would call torch.manual_seed. The padding row becomes zeros,
 * as nn.Embedding.reset_parameters() leaves it; a bare torch.nn.init would fill it.
 *
 * A table that has touched rows or steps wants force 1, or it is RH_EINVAL with how many, and nothing
 * has changed. RH_EINVAL too for what rh_table_open refuses: rh_orthogonal(), a NaN.
 */
RH_CHECKED rh_status rh_table_init(rh_table *t, rh_init init, uint64_t seed, int force);

/*
 * Removes the table, with its memory, from every shard. Its name is free at once (under bsp for
 * this worker; for the others when the clock closes). *t is NULL then; so it is after RH_ENOTFOUND:
 * another worker was first. Another handle's next call is RH_ENOTFOUND and
 * says which worker has dropped it, but rh_tick goes on. Under bsp the pushes and writes of the clock
 * to it are lost, whoever made them, and until the clock closes it can still be pulled from.
 */
RH_CHECKED rh_status rh_table_drop(rh_table **t);

RH_API uint64_t rh_table_num_embeddings(const rh_table *t);
RH_API uint32_t rh_table_embedding_dim(const rh_table *t);

/* ---- 4. pull, push, write, read, copy ------------------------------------------------------- */

/* rows: (n, dim), row i for ids[i]. Under bsp the call waits until every earlier clock is closed,
 * under ssp for workers that are too far behind (see rh_mode); RH_ETIMEDOUT names one. Rows are copied as they come: after RH_ETIMEDOUT some may have been written. */
RH_CHECKED rh_status rh_pull(rh_table *t, const uint64_t *ids, size_t n, float *rows);

/*
 * grads: (n, dim), the gradient of the loss by row ids[i]; those of equal ids are added first, in
 * order. Returns when every shard has it (async: applied; bsp: kept until the clock closes). NaN
 * and infinity are RH_EINVAL, unless rh_table_spec.nonfinite says else. A call is one step of the
 * optimizer for the table (async), also with n = 0 or nothing but the padding row. A push to a frozen row
 * succeeds and is dropped.
 *
 * After RH_ETIMEDOUT the push is still owed: it will be applied once, and rh_tick waits for it.
 *
 * RH_ELIMIT: a server's --hold-limit (bsp). The text says how much is held, and by whom. Of a call that
 * is refused so nothing is applied, on any shard, and it is no step; the clock goes on. This is so for all
 * that is held under bsp: writes, loads, freezes, resets.
 * Or a server's --memory-limit: rows that nobody has pushed to or written yet do not fit. Those that are
 * there are served and updated as ever. Under bsp nothing is applied; else all rows that fit are, which is
 * final, and the text says how many do not, and the first of them.
 */
RH_CHECKED rh_status rh_push(rh_table *t, const uint64_t *ids, size_t n, const float *grads);

/* Overwrites rows, with finite values; of equal ids the last wins. The optimizer's state of the
 * rows stays. Not stopped by a freeze. Under bsp it happens when the clock closes, before the
 * pushes. */
RH_CHECKED rh_status rh_write(rh_table *t, const uint64_t *ids, size_t n, const float *rows);

/* The stored bits, as rh_write or the optimizer left them, also above max_norm. Else as rh_pull. */
RH_CHECKED rh_status rh_read(rh_table *t, const uint64_t *ids, size_t n, float *rows);

/*
 * Row dst_ids[i] of dst becomes row src_ids[i] of src, the stored bits, for i = 0 .. n - 1: a soft
 * prompt starts from rows of a vocabulary. The rows pass through this client, a few MiB at a time: a
 * read and a write as above, with all that is said there. Both tables are this client's.
 *
 * Of equal dst_ids the last wins. dst may be src: then all rows are read before the first is written,
 * so a swap is a swap, and n rows are held in memory.
 *
 * RH_EMISMATCH: the dims differ, and the text names both. That and RH_ERANGE have changed nothing;
 * after any other failure (a row of src that is not finite is one) some rows may have been copied,
 * and copying again is fine.
 */
RH_CHECKED rh_status rh_copy(rh_table *dst, const uint64_t *dst_ids, rh_table *src,
                             const uint64_t *src_ids, size_t n);

/* ---- 5. operations in flight ---------------------------------------------------------------- */

/* As rh_pull and rh_push, but they return at once. rows must stay until the operation is over; ids
 * and grads are copied before the call returns. A pull sees the pushes that were begun before it
 * (async). Every operation must be waited for in the end. */
RH_CHECKED rh_status rh_pull_begin(rh_table *t, const uint64_t *ids, size_t n, float *rows,
                                   rh_op **out);
RH_CHECKED rh_status rh_push_begin(rh_table *t, const uint64_t *ids, size_t n, const float *grads,
                                   rh_op **out);

/* Waits for an operation. On RH_ETIMEDOUT it lives on and may be waited for again; on anything else
 * it is over, and *op is NULL. timeout_ms < 0: the client's op_timeout_ms, counted from here. A
 * NULL *op is RH_OK. */
RH_CHECKED rh_status rh_wait(rh_op **op, int timeout_ms);

/* 1 when rh_wait would not wait. */
RH_API int rh_op_done(const rh_op *op);

/*
 * A batch pulls from, and pushes to, several tables in one round trip per shard.
 *
 *     rh_batch_new(c, &b);
 *     rh_batch_pull(b, user, user_ids, n, user_rows);    // the arrays are read at begin, not here
 *     rh_batch_pull(b, item, item_ids, n, item_rows);
 *     rh_batch_run(b);                                   // or rh_batch_begin(b, &op); rh_wait(...)
 *
 * Pushes go before pulls. After begin or run the batch is empty, and may be filled again. A batch
 * is filled by one thread at a time.
 */
RH_CHECKED rh_status rh_batch_new(rh_client *c, rh_batch **out);
RH_CHECKED rh_status rh_batch_pull(rh_batch *b, rh_table *t, const uint64_t *ids, size_t n,
                                   float *rows);
RH_CHECKED rh_status rh_batch_push(rh_batch *b, rh_table *t, const uint64_t *ids, size_t n,
                                   const float *grads);
RH_CHECKED rh_status rh_batch_begin(rh_batch *b, rh_op **out);
RH_CHECKED rh_status rh_batch_run(rh_batch *b);
RH_API void rh_batch_free(rh_batch **b); /* sets *b to NULL; NULL in *b is fine */

/* ---- 6. clocks ------------------------------------------------------------------------------ */

/* Ends this worker's step: waits until every shard has all that was pushed in it. Under bsp the
 * clock closes when every worker has called it; that is waited for by the next pull, not here, and so
 * are under ssp those who are behind.
 * After RH_ETIMEDOUT call it again: it goes on waiting for the same tick. */
RH_CHECKED rh_status rh_tick(rh_client *c);

/* How many clocks this worker has ended. */
RH_API uint64_t rh_clock(const rh_client *c);

/* Waits until every worker of the job is here. timeout_ms as for rh_wait. RH_ETIMEDOUT names a rank
 * that is not here; calling again keeps the place. */
RH_CHECKED rh_status rh_barrier(rh_client *c, int timeout_ms);

RH_API uint32_t rh_rank(const rh_client *c);
RH_API uint32_t rh_world(const rh_client *c);
RH_API uint32_t rh_shards(const rh_client *c);

/* ---- 7. freezing, learning rates ------------------------------------------------------------ */

/*
 * Pushes to rows first .. first + count - 1, or to those of a list, are dropped from now on, whoever
 * sends them: for ever (until_clock 0), or those of a clock (rh_clock of the pusher) below
 * until_clock. A frozen row keeps its bits and its optimizer state, an untouched one stays untouched;
 * rh_write still writes it. What was said last about a row holds: a freeze until clock 5 of a row
 * that was frozen for ever ends it at 5. A range of a billion rows costs no more than one of ten; a
 * list costs the servers 4 bytes a row, or a page or two for a row that stands alone.
 *
 * RH_ERANGE: a row is not below num_embeddings, and nothing has changed. A count or n of 0 is fine.
 * RH_ELIMIT: more than a million ranges in a table.
 *
 * Async: returns when it is in force on every shard. Workers learn of it with the next answer of a
 * shard, and then do not send what would be dropped; so they learn of a thaw, and a push of one that
 * has not heard anything since (no pull, no tick, no barrier, for up to a second) may still be
 * dropped. Bsp: in force when this worker's clock closes, before its pushes; of several calls in a
 * clock that of the highest rank is the last. Workers send everything there: a thaw is exact.
 *
 * T does not move while the table is wholly frozen: by ranges, however many, that hold every row
 * together. (A table with rows that a list has thawed, or frozen for shorter, is not, until one call
 * freezes all of it.)
 *
 * Observers may call these too, but under bsp: RH_EINVAL, for they are in no clock.
 */
RH_CHECKED rh_status rh_freeze(rh_table *t, uint64_t first, uint64_t count, uint64_t until_clock);
RH_CHECKED rh_status rh_freeze_ids(rh_table *t, const uint64_t *ids, size_t n,
                                   uint64_t until_clock);
RH_CHECKED rh_status rh_unfreeze(rh_table *t, uint64_t first, uint64_t count);
RH_CHECKED rh_status rh_unfreeze_ids(rh_table *t, const uint64_t *ids, size_t n);

/* The learning rate of this worker's next pushes (async), or of its clock (bsp: the lowest rank
 * that pushed decides). */
RH_CHECKED rh_status rh_set_lr(rh_table *t, double lr);

/* ---- 8. what is there ----------------------------------------------------------------------- */

struct rh_table_info {
    uint64_t num_embeddings;
    uint64_t touched;      /* rows that were pushed or written, over all shards */
    uint64_t frozen;       /* rows that a push does not change now */
    uint64_t trainable;    /* parameters (not rows) that a push may change now: not of frozen rows,
                              nor of the padding row */
    uint64_t steps;        /* T: optimizer steps of the table. A push that reaches no shard, as its
                              rows are none or frozen, is told with the next push or tick */
    uint64_t skipped;      /* rows of pushes that RH_NONFINITE_SKIP has left out, over all shards */
    uint64_t memory_bytes; /* of touched rows and their optimizer state, over all shards */
    /* How stale what was pulled may have been (async, ssp): the workers' pulls and reads that were
     * answered, each counted once by every shard it went to (and for every MiB from there), by how many
     * clocks the last of the other workers was behind the puller: 0, 1, 2, 3, 4, 5 to 8, 9 to 16, more.
     * Since the servers began to run, or were restored. */
    uint64_t pulls_by_age[8];
    uint32_t embedding_dim;
    char name[65];
    char optimizer[24];
};

/* Added up over all shards. Works for observers. */
RH_CHECKED rh_status rh_table_info(rh_table *t, struct rh_table_info *out);

/* ---- 9. files ------------------------------------------------------------------------------- */

typedef enum rh_format {
    /* reading: by content, never by the name. Writing: by the name: .npy, .safetensors, .bin
     * (word2vec binary), else word2vec text */
    RH_FORMAT_AUTO = 0,
    RH_FORMAT_NPY =
        1, /* numpy's (n, dim): floats of 2, 4 or 8 bytes in any order; written <f4, C */
    RH_FORMAT_W2V = 2,         /* word2vec text: "n dim", then a word and dim numbers a line */
    RH_FORMAT_SAFETENSORS = 3, /* F16, BF16, F32 or F64; written F32 */
    RH_FORMAT_W2V_BIN = 4,     /* word2vec binary: "n dim", then a word and dim float32 a row */
    RH_FORMAT_GLOVE = 5,       /* GloVe text: as word2vec text, without the first line */
    RH_FORMAT_FASTTEXT = 6     /* fastText .vec: word2vec text with a space at the end of a line */
} rh_format;

/* Who opens the file. */
typedef enum rh_source {
    RH_SOURCE_AUTO = 0,   /* as RH_SOURCE_CLIENT */
    RH_SOURCE_CLIENT = 1, /* this client, at a path of its own, and streams the rows */
    /* Every shard by itself, in parallel, and keeps its own rows: a relative path beneath the
     * --data-dir of rowhouse-server, which every host of a server must have there alike. With
     * "local:" any path of this process. */
    RH_SOURCE_SHARD = 2
} rh_source;

/* Told on the calling thread how much is done of how much, some MiB at a time; may not call rowhouse. */
typedef void rh_progress(void *arg, uint64_t done, uint64_t total);

/* Zeros after size are the defaults. */
typedef struct rh_load_options {
    uint32_t size;     /* sizeof the struct */
    rh_format format;  /* RH_FORMAT_AUTO */
    const char *vocab; /* a file that says which row a word is, see rh_load. NULL: row i is row i */
    const char *tensor; /* safetensors: which. NULL: the only one of floats with two dimensions */
    rh_source source;   /* RH_SOURCE_AUTO. SHARD: vocab is a file of the servers, too */
    uint32_t freeze;    /* 1: rh_freeze of the whole table once it is loaded, for ever, as PyTorch's
                           from_pretrained does unless told otherwise. 0 */
    rh_progress *progress; /* in bytes: of all there is to read, and to read again. NULL */
    void *progress_arg;    /* its first argument */
} rh_load_options;

typedef struct rh_load_report {
    uint64_t matched; /* rows written */
    uint64_t missed;  /* rows of the table (with a vocabulary: its words) that the file has no line
                         for: they stay as they are */
    rh_format format; /* what the file was */
    uint64_t duplicated; /* with a vocabulary: rows whose word had come before; the first counts */
    uint64_t unused;     /* with a vocabulary: rows whose word it does not have */
    char about[256];     /* in words: "x.txt: GloVe text, 400000 x 300, no header" */
    /* The first few of each, "the, of, and, ...": words, or rows in figures where there are none. */
    char first_matched[128];
    char first_missed[128];
    char first_duplicated[128];
} rh_load_report;

/*
 * Writes the file's row i over row i of the table. The file is checked whole first: a bad one changes
 * nothing. Its dim must be the table's, and it may not have more rows. Who reads it, this client or
 * the servers, makes no difference to bits or report. Under bsp the rows are there when the clock
 * closes, as those of rh_write.
 *
 * With a vocabulary, a file of words (not npy or safetensors) fills the rows of the words that the
 * vocabulary has, in whatever order it has them, and may have as many others as it likes. The
 * vocabulary has a word a line, whose row is the line's number from 0, or word<TAB>row a line.
 *
 * o NULL: the defaults; report may be NULL. RH_ENOTFOUND, RH_ECORRUPT (with the line or the byte),
 * RH_EMISMATCH; RH_EINVAL for a kind of file that is not read, with what to do about it.
 *
 * With RH_SOURCE_SHARD the deadline is that of a step of some MiB, and the text names the shard. Each
 * shard keeps its rows in memory twice until all have read the file. RH_EMISMATCH: shards have
 * different files of that name. RH_EINVAL: a path that is absolute, has "..", or leads out of
 * --data-dir; servers without one; an observer. RH_ELIMIT: a vocabulary above 64 MiB.
 */
RH_CHECKED rh_status rh_load(rh_table *t, const char *path, const rh_load_options *o,
                             rh_load_report *report);

typedef struct rh_file_info {
    uint64_t rows; /* of the table that has room for it: the file's, or with a vocabulary one
                               more than the largest row it names */
    uint32_t embedding_dim; /* numbers in a row */
    rh_format format;       /* what the file is */
    char about[256];        /* as rh_load_report has it */
} rh_file_info;

/* How large a table a file wants, by its header, or, where it has none, by its lines; before there is
 * a client or a table. This process reads it: source SHARD is RH_EINVAL. Else as rh_load. */
RH_CHECKED rh_status rh_file_about(const char *path, const rh_load_options *o, rh_file_info *out);

/* Zeros after size are the defaults. */
typedef struct rh_export_options {
    uint32_t size;       /* sizeof the struct */
    rh_format format;    /* RH_FORMAT_AUTO */
    uint64_t n;          /* how many rows; 0 with ids NULL: the whole table */
    const uint64_t *ids; /* (n) which rows, or NULL for 0 .. n - 1 */

    /* (n) names for formats with words. NULL: those of the vocabulary, which must have every id;
     * without one, the ids in figures. */
    const char *const *words;
    const char *vocab;     /* a file as for rh_load, or NULL */
    const char *tensor;    /* safetensors: its name. NULL: the table's */
    rh_progress *progress; /* in rows. NULL */
    void *progress_arg;    /* its first argument */
} rh_export_options;

/* Saves rows, as rh_pull gives them, to a file that appears whole or not at all. o NULL: the whole
 * table. RH_EIO names the step that failed. */
RH_CHECKED rh_status rh_export(rh_table *t, const char *path, const rh_export_options *o);

/* ---- 10. bags of rows ----------------------------------------------------------------------- */

/*
 * torch.nn.EmbeddingBag: rows are pooled to one per bag, by this client, in the order of their
 * positions, and the gradients of bags are spread over their rows again. As torch has it:
 *
 *   - An empty bag is zeros, in every mode.
 *   - Ids that equal the table's padding_idx do not take part: a mean is by the count of the others,
 *     and a bag of nothing else is an empty one.
 *   - The gradient of max goes, column by column, to the row that had the maximum; of equals to the
 *     first. The other rows of the bag take part in the step, with zeros.
 *   - The gradient of a weight is the product of its bag's gradient and its row.
 *
 * A table with scale_grad_by_freq scales by how often an id comes in the whole call; torch has that
 * for sum and mean alone, so max is RH_EINVAL. (torch 1.13 takes another id's count where ids
 * repeat; here it is the id's own.)
 */
typedef enum rh_bag_mode { RH_BAG_SUM = 0, RH_BAG_MEAN = 1, RH_BAG_MAX = 2 } rh_bag_mode;

typedef struct rh_bags {
    uint32_t size;    /* set by rh_bags_init */
    rh_bag_mode mode; /* RH_BAG_MEAN, as in torch */
    const uint64_t *ids;
    size_t n;

    /* (n_bags) where each bag begins in ids: the first at 0, none before the one before it. NULL:
     * bags of n / n_bags ids each, which is torch's input of two dimensions. */
    const uint64_t *offsets;
    size_t n_bags;
    int include_last_offset; /* 1: offsets is (n_bags + 1), and its last is n. 0 */

    const float *per_sample_weights; /* (n), for RH_BAG_SUM: rows are multiplied by them. NULL */
} rh_bags;

RH_API void rh_bags_init(rh_bags *bags, const uint64_t *ids, size_t n, const uint64_t *offsets,
                         size_t n_bags);

/*
 * out: (n_bags, dim). rows: (n, dim), what was pulled, row i for ids[i], for whoever wants a
 * gradient that is made of it; or NULL. RH_EINVAL names the offset that makes no sense, with its
 * value, or what does not go together; else as rh_pull.
 */
RH_CHECKED rh_status rh_pull_bags(rh_table *t, const rh_bags *bags, float *out, float *rows);

/*
 * grads: (n_bags, dim), the gradient of the loss by each bag. One push and one step, as rh_push;
 * what reaches one row from several positions is added in their order. rows: (n, dim), as
 * rh_pull_bags gave them: needed by RH_BAG_MAX and by d_weights, else it may be NULL. d_weights: (n),
 * takes the gradient of the loss by per_sample_weights, 0 for padding; or NULL. It is written before
 * the push leaves, so also where that fails.
 */
RH_CHECKED rh_status rh_push_bags(rh_table *t, const rh_bags *bags, const float *grads,
                                  const float *rows, float *d_weights);

/*
 * The two halves without the network, for bags in a batch or in flight: rh_pull_bags is a pull of
 * ids into rows and rh_bags_pool, rh_push_bags is rh_bags_unpool and a push of row_grads, (n, dim).
 */
RH_CHECKED rh_status rh_bags_pool(const rh_table *t, const rh_bags *bags, const float *rows,
                                  float *out);
RH_CHECKED rh_status rh_bags_unpool(const rh_table *t, const rh_bags *bags, const float *grads,
                                    const float *rows, float *row_grads, float *d_weights);

/* ---- 11. dense parameters ------------------------------------------------------------------- */

/*
 * torch.nn.Parameter: a named tensor of any shape, pulled and pushed whole, with the optimizers,
 * clocks and freezes that tables have: a position embedding (1, N + 1, D), a class token, the weight
 * of a linear layer. All its arrays are (numel), in C order.
 *
 * It is kept as a table of rows of 1,024 floats (or of numel, where that is less), spread over the
 * shards; its name is the parameter's, a hyphen and the shape: "pos-1x197x768", "scale-scalar". That
 * table may be frozen, asked about, given another lr or initializer, saved, loaded, reset and dropped;
 * once it is dropped the name takes any shape. The end of its last row that is beyond numel has
 * gradients of 0 always, and is counted as parameters where tables are counted.
 */
typedef struct rh_param rh_param;

#define RH_PARAM_DIMS_MAX 8

/* As rh_table_spec: edit what rh_param_spec_init has filled in. */
typedef struct rh_param_spec {
    uint32_t size;
    uint32_t ndim;                     /* 0 (a scalar) to RH_PARAM_DIMS_MAX */
    uint64_t shape[RH_PARAM_DIMS_MAX]; /* (ndim) each at least 1; at most 2^32 floats in all */
    uint64_t seed;                     /* of the initializer. 0 */
    rh_init init;                      /* rh_zeros(): nn.Parameter has none of its own */
    rh_optimizer
        optimizer;    /* rh_sgd(0.01). Not rh_rowwise_adagrad: there are no rows it could mean */
    rh_reduce reduce; /* RH_REDUCE_SUM */
    uint32_t frozen;  /* 1: starts frozen. 0 */
    rh_nonfinite nonfinite; /* RH_NONFINITE_REFUSE. What is skipped is a row of 1,024 floats */
} rh_param_spec;

RH_API void rh_param_spec_init(rh_param_spec *spec, const uint64_t *shape, uint32_t ndim);

/* The initializers that count fans, as rh_xavier_uniform and the others above, for a tensor (out,
 * in, k...): fan_in is in * k..., fan_out is out * k... As in torch it takes two dimensions: else
 * rh_param_open refuses what they make. */
RH_API rh_init rh_param_xavier_uniform(const rh_param_spec *spec, double gain);
RH_API rh_init rh_param_xavier_normal(const rh_param_spec *spec, double gain);
RH_API rh_init rh_param_kaiming_uniform(const rh_param_spec *spec, double a, rh_fan fan,
                                        rh_nonlinearity of);
RH_API rh_init rh_param_kaiming_normal(const rh_param_spec *spec, double a, rh_fan fan,
                                       rh_nonlinearity of);

/*
 * Opens the parameter of this name, and makes it where it does not exist. name as for rh_table_open,
 * but with the shape behind it it has at most 64 characters.
 *
 * RH_EMISMATCH: it exists with another shape, and the text names both; or with another spec. The
 * parameter lives as long as its client; opening it twice gives the same one.
 */
RH_CHECKED rh_status rh_param_open(rh_client *c, const char *name, const rh_param_spec *spec,
                                   rh_param **out);

/* Opens one that exists already, with the shape and the spec it has. RH_ENOTFOUND if there is none. */
RH_CHECKED rh_status rh_param_find(rh_client *c, const char *name, rh_param **out);

RH_API uint64_t rh_param_numel(const rh_param *p);
RH_API const uint64_t *rh_param_shape(const rh_param *p, uint32_t *ndim); /* (*ndim), p's */

/* Its table, for rh_freeze, rh_set_lr, rh_table_info, rh_table_reset, rh_load and the like. After
 * rh_table_drop the parameter's calls are RH_ENOTFOUND, as those of a table. */
RH_API rh_table *rh_param_table(const rh_param *p);

/* As rh_pull, rh_push and rh_write of all rows. A push is one step. RH_EINVAL names the first value
 * that is not finite by its place in the array. */
RH_CHECKED rh_status rh_param_pull(rh_param *p, float *out);
RH_CHECKED rh_status rh_param_push(rh_param *p, const float *grads);
RH_CHECKED rh_status rh_param_write(rh_param *p, const float *values);

/* In flight, and in a batch with tables: one round trip for all. As in section 5. */
RH_CHECKED rh_status rh_param_pull_begin(rh_param *p, float *out, rh_op **op);
RH_CHECKED rh_status rh_param_push_begin(rh_param *p, const float *grads, rh_op **op);
RH_CHECKED rh_status rh_batch_pull_param(rh_batch *b, rh_param *p, float *out);
RH_CHECKED rh_status rh_batch_push_param(rh_batch *b, rh_param *p, const float *grads);

/* ---- 12. checkpoints ------------------------------------------------------------------------ */

/*
 * A checkpoint is one moment of the whole job: rows, optimizer state, what is frozen, clocks, and one
 * position of each worker, the same on all shards. On disk it is whole or absent. The servers write it
 * (--checkpoint-dir; with "local:" rh_config.checkpoint_dir), while training goes on, and it may be
 * restored on any number of them. What is in it stands in ps/CHECKPOINT.md.
 */

#define RH_CURSOR_MAX 65536 /* bytes */

/*
 * Where this worker stands in its data: an epoch, an offset in a file, the state of a random number
 * generator, whatever it wants to go on with. It is kept with the next checkpoint, and those that
 * follow, until it is set again. A checkpoint takes a worker at the end of one of its clocks, or in its
 * own rh_save: so say before each rh_tick where you will stand after it. Copied; sends nothing.
 *
 * RH_ELIMIT: above RH_CURSOR_MAX.
 */
RH_CHECKED rh_status rh_set_cursor(rh_client *c, const void *blob, size_t len);

/*
 * The cursor that worker `rank` had in the newest checkpoint which these servers have saved or were
 * restored from. buf: *len bytes of room; *len becomes how many it has (buf may be NULL where it is 0).
 * RH_ENOTFOUND: there is no checkpoint, or that worker had set none; RH_ELIMIT: *len is what it needs,
 * and buf is as it was. It is also how a client comes back that was rolled back, as below.
 */
RH_CHECKED rh_status rh_cursor(rh_client *c, uint32_t rank, void *buf, size_t *len);

/*
 * Saves the job as checkpoint `name`, in place of an older one of that name, and returns when it is
 * committed. It takes this worker as it stands now, with all it has pushed; the others at the end of a
 * clock of theirs, or in their own rh_save. Under bsp and ssp every worker calls it, after the same rh_tick; under
 * async any may, and observers too. The deadline (op_timeout_ms) is for progress, not for the whole.
 *
 * A name has 1 to 64 of [A-Za-z0-9._-], begins with no dot, and is not "latest". RH_EINVAL: it has others, or these
 * servers have no folder for checkpoints; RH_ETIMEDOUT names the worker that was waited for; RH_EIO
 * the step that failed. Whatever fails, training may go on, and what was there under the name is there.
 */
RH_CHECKED rh_status rh_save(rh_client *c, const char *name);

/*
 * When a server dies and another one takes its place (rowhouse run sees to that; by hand: --rejoin), what
 * it had is lost, and the whole job goes back to its last checkpoint, or to its beginning: no push is
 * lost then, and none counts twice, for rows and cursors are of one moment. What a worker does:
 *
 *     for (;;) {
 *         uint64_t next = 0;
 *         size_t len = sizeof next;
 *         rh_status s = rh_cursor(c, rh_rank(c), &next, &len);
 *         if (s == RH_OK || s == RH_ENOTFOUND)            // not found: from the beginning
 *             s = open_tables(c);
 *         while (s == RH_OK && next < steps)
 *             s = step(c, next++);                        // ends with rh_set_cursor(next + 1), rh_tick
 *         if (s != RH_EROLLBACK)
 *             return s;
 *     }
 *
 * The first call that hears of it is RH_EROLLBACK, and so is every one after it, of all threads, but for
 * rh_close and rh_cursor; what is in flight ends so. rh_cursor, whatever it is asked for, then brings the
 * client back: it puts the servers right, or waits for another client that does, joins the job again, and
 * answers. rh_clock says the clock to go on from. Tables and parameters that are open stay so if the
 * checkpoint has them under their name, with the same spec but for lr and initializer; the others' calls
 * are RH_ENOTFOUND until they are opened again, which gives the same handle. If it cannot come back within
 * op_timeout_ms of the last progress, the text says for which shard, and it may be called again.
 *
 * A worker that had closed its client does not come again: what it did behind the last checkpoint is
 * gone. So end with rh_save if that must not be; or with rh_barrier, so that nobody leaves before all
 * are done.
 *
 * When a worker dies, whoever starts it again says so (rh_config.succeeds; rowhouse run does, by RH_SUCCEEDS: 1
 * for the process behind the first, 2 for the next). Then rh_connect need not wait until the rank falls
 * silent; and if the dead one had done anything since the job last went back, it takes the whole job
 * back, as above, before it joins: the others' calls are RH_EROLLBACK, and its own rh_cursor says where
 * to go on. So the loop above is the whole of a trainer that may be killed at any time.
 */

/*
 * Puts checkpoint `name` in the place of everything the servers have, after all of it was read and
 * found good, while the job goes on: on any failure before that, nothing has changed. Every other
 * client's calls are RH_EROLLBACK from then on, as above. It takes twice the memory on the servers. The
 * deadline (op_timeout_ms) is for progress.
 *
 * This client goes on as the worker it was in the checkpoint, at its clock; rh_cursor says where. Its
 * tables are as above. What is in flight is RH_EROLLBACK, and so are, until it returns, the calls of this
 * client's other threads; they may not be in one that goes to the servers several times, such as rh_load,
 * rh_export, rh_copy, rh_table_reset.
 *
 * RH_ENOTFOUND: there is no such checkpoint; RH_ECORRUPT names the file; RH_EMISMATCH: it was saved
 * anew meanwhile, try again; RH_EINVAL, RH_EIO as rh_save. Another client's restore is waited for,
 * and sends this one back: RH_EROLLBACK. If a server fails while the checkpoint is being put in place,
 * the text says which have it, and this client is rolled back, as above.
 */
RH_CHECKED rh_status rh_restore(rh_client *c, const char *name);

typedef struct rh_checkpoint_info {
    uint32_t size;       /* sizeof the struct, to be set by the caller */
    uint32_t reserved;   /* 0 */
    uint64_t generation; /* from 1 on: a job's checkpoints have rising ones */
    uint64_t clock;      /* bsp: the clock it stands at. Else 0 */
    char name[65];
} rh_checkpoint_info;

/* The newest checkpoint that these servers have saved, or were restored from. RH_ENOTFOUND: none. */
RH_CHECKED rh_status rh_last_checkpoint(rh_client *c, rh_checkpoint_info *out);

#ifdef __cplusplus
}
#endif
#endif
