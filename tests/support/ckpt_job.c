/* ckpt_job.c - see ckpt_job.h. */
#include "tests/support/ckpt_job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hash.h"
#include "proto/place.h"
#include "ps/ckpt_folder.h"
#include "ps/ckpt_shard.h"
#include "ps/shard_inner.h"

enum {
    ROWS_MAX = 12,
    HUGE_TABLE = 3,
    DROPPED = 11,
    EMPTY = 12,
    RENEWED = 13,
    RESET = 14,
    PARAM = 15
};
enum { PARAM_ROWS = 3, PARAM_DIM = 1024, PARAM_FLOATS = 2500 }; /* as a worker lays out so many */

/* No ck_assert: the makers of golden files have no Check. */
static void must(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "ckpt_job: %s: %s\n", what, talker_refusal());
    abort();
}

/* ---- tables ---- */

static struct spec spec_of(uint32_t number) {
    struct spec s = {.kind = SPEC_DENSE,
                     .dim = 1 + number % 5,
                     .rows =
                         20000, /* below what gets huge pages: thousands of such jobs are made */
                     .seed = UINT64_C(0xFEDCBA9876543210) + number,
                     .init = SPEC_UNIFORM,
                     .init_arg = {-1, 1},
                     .opt = SPEC_SGD,
                     .lr = 0.1,
                     .padding_idx = SPEC_NO_PADDING};
    switch (number) {
    case 1:
        s.padding_idx = 7;
        break;
    case 2:
    case DROPPED:
        s.opt_arg[SGD_MOMENTUM] = 0.9;
        s.max_norm = 1.5;
        s.norm_type = number == 2 ? 2 : INFINITY;
        s.rows = 100;
        break;
    case HUGE_TABLE:
    case 4:
        s.opt = SPEC_SPARSE_ADAM;
        s.opt_arg[ADAM_BETA1] = 0.9;
        s.opt_arg[ADAM_BETA2] = 0.999;
        s.opt_arg[ADAM_EPS] = 1e-8;
        s.opt_flags = number == 4 ? SPEC_STEPS_PER_ROW : 0;
        s.rows = number == HUGE_TABLE ? UINT64_C(1) << 30 : 500;
        break;
    case 5:
    case 6:
        s.opt = number == 5 ? SPEC_ADAGRAD : SPEC_ROWWISE_ADAGRAD;
        s.opt_arg[ADAGRAD_INITIAL] = 0.1;
        s.opt_arg[ADAGRAD_EPS] = 1e-10;
        break;
    case 7:
    case 8:
    case RESET:
        s.opt = number == 8 ? SPEC_ADAMW : SPEC_ADAM;
        s.opt_arg[ADAM_BETA1] = 0.9;
        s.opt_arg[ADAM_BETA2] = 0.999;
        s.opt_arg[ADAM_EPS] = 1e-8;
        s.opt_arg[ADAM_DECAY] = 0.01;
        s.reduce = number == 8 ? SPEC_MEAN : SPEC_SUM;
        s.dim = number == 7 ? 64 : 4;
        s.rows = 2000;
        break;
    case 9:
        s.opt = SPEC_RMSPROP;
        s.opt_arg[RMSPROP_ALPHA] = 0.99;
        s.opt_arg[RMSPROP_EPS] = 1e-8;
        s.opt_arg[RMSPROP_MOMENTUM] = 0.9;
        s.opt_flags = SPEC_CENTERED;
        s.nonfinite = SPEC_SKIP;
        s.scale_grad_by_freq = 1;
        break;
    case 10:
        s.frozen = 1;
        break;
    case PARAM:
        s.opt = SPEC_ADAM;
        s.opt_arg[ADAM_BETA1] = 0.9;
        s.opt_arg[ADAM_BETA2] = 0.999;
        s.opt_arg[ADAM_EPS] = 1e-8;
        s.dim = PARAM_DIM;
        s.rows = PARAM_ROWS;
        break;
    default:
        break;
    }
    return s;
}

static void open_tables(struct ckpt_job *j, uint32_t rank, uint32_t shard) {
    for (uint32_t number = 1; number <= JOB_TABLES; number++) {
        if (number == DROPPED && j->steps > 2)
            continue;
        uint8_t room[512];
        struct buf b;
        struct msg_open m = {.table = number, .spec = spec_of(number)};
        const struct table *t = shard_table(j->shard[shard], number);
        if (t != NULL)
            m.spec = t->spec; /* it may have another initializer by now */
        snprintf(m.name, sizeof m.name, "table-%u", number);
        if (shard == 0 && j->steps == 0)
            m.table = 0;
        buf_wrap(&b, room, sizeof room);
        msg_put_open(&b, &m);
        must(talker_op(&j->talk[rank][shard], WIRE_OPEN, 0, 0, &b) == WIRE_OPENED, "open");
    }
}

static void hello(struct ckpt_job *j, uint32_t rank, uint32_t shard) {
    uint8_t room[64];
    struct buf b;
    struct talker *t = &j->talk[rank][shard];
    talker_init(t, j->shard[shard], &j->nets[shard], rank);
    buf_wrap(&b, room, sizeof room);
    msg_put_hello(&b, &(struct msg_hello){.shard = shard,
                                          .shards = j->shards,
                                          .mode = (uint8_t)j->mode,
                                          .world = JOB_WORKERS});
    talker_send(t, WIRE_HELLO, 0, t->head.num, (struct opnum){0}, 0, &b);
    struct head h;
    must(talker_answer(t, &h, 0, NULL) == WIRE_WELCOME, "hello");
    t->head.worker_inc = h.worker_inc;
    t->head.server_inc = h.server_inc;
    t->head.num = (struct opnum){.clock = j->steps};
    t->last = (struct opnum){0};
}

void ckpt_job_shards(struct ckpt_job *j, uint32_t shards) {
    *j = (struct ckpt_job){.shards = shards};
    for (uint32_t i = 0; i < shards; i++) {
        struct shard_config c;
        shard_config_init(&c);
        c.incarnation = 42;
        c.shard = i;
        c.shards = shards;
        memory_net_init(&j->nets[i]);
        must(shard_new(&c, &j->nets[i].net, &j->shard[i]) == RH_OK, "a shard");
    }
}

static void everybody_comes(struct ckpt_job *j) {
    for (uint32_t i = 0; i < j->shards; i++)
        for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
            hello(j, rank, i);
    for (uint32_t i = 0; i < j->shards; i++)
        for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
            open_tables(j, rank, i);
}

void ckpt_job_init(struct ckpt_job *j, uint32_t mode, uint32_t shards, uint64_t seed) {
    ckpt_job_shards(j, shards);
    ckpt_job_come(j, mode, seed);
}

void ckpt_job_come(struct ckpt_job *j, uint32_t mode, uint64_t seed) {
    j->mode = mode;
    rng_init(&j->g, seed, 1);
    everybody_comes(j);
}

void ckpt_job_fini(struct ckpt_job *j) {
    for (uint32_t i = 0; i < j->shards; i++) {
        shard_free(&j->shard[i]);
        memory_net_fini(&j->nets[i]);
    }
    *j = (struct ckpt_job){0};
}

/* ---- a step ---- */

struct batch {
    uint64_t ids[ROWS_MAX];
    float rows[PARAM_ROWS * PARAM_DIM]; /* or ROWS_MAX of 64 */
    uint32_t n;
};

static uint64_t draw_id(struct ckpt_job *j, uint64_t rows) {
    uint64_t id = rng_u32(&j->g) % 4 == 0 ? rng_u64(&j->g) : rng_below(&j->g, 300);
    return id % rows;
}

/* A dense parameter moves whole; behind its end are zeros. */
static void draw_param(struct ckpt_job *j, struct batch *b) {
    b->n = PARAM_ROWS;
    for (uint32_t i = 0; i < PARAM_ROWS; i++)
        b->ids[i] = i;
    memset(b->rows, 0, sizeof b->rows);
    for (uint32_t i = 0; i < PARAM_FLOATS; i++)
        b->rows[i] = rng_f32(&j->g) - 0.5f;
}

static void draw(struct ckpt_job *j, const struct spec *s, struct batch *b) {
    if (s->dim == PARAM_DIM) {
        draw_param(j, b);
        return;
    }
    uint32_t n = rng_below(&j->g, ROWS_MAX + 1);
    b->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = draw_id(j, s->rows);
        bool there = false;
        for (uint32_t k = 0; k < b->n; k++)
            there |= b->ids[k] == id;
        if (!there)
            b->ids[b->n++] = id;
    }
    for (uint32_t i = 0; i < b->n * s->dim; i++)
        b->rows[i] = rng_f32(&j->g) - 0.5f;
    if (s->nonfinite == SPEC_SKIP && b->n > 3)
        b->rows[0] = NAN;
}

static void part_of(const struct ckpt_job *j, const struct batch *b, uint32_t dim, uint32_t shard,
                    struct batch *out) {
    out->n = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        if (place_shard(b->ids[i], j->shards) != shard)
            continue;
        memcpy(out->rows + (size_t)out->n * dim, b->rows + (size_t)i * dim, dim * sizeof(float));
        out->ids[out->n++] = b->ids[i];
    }
}

/* Sends the batch's parts to their shards. */
static void send_batch(struct ckpt_job *j, uint32_t rank, uint32_t number, const struct batch *b,
                       bool push) {
    struct spec s = spec_of(number);
    for (uint32_t i = 0; i < j->shards; i++) {
        struct batch part;
        struct talker *t = &j->talk[rank][i];
        part_of(j, b, s.dim, i, &part);
        /* Under async T is what a shard has heard of: here all hear of every push. */
        if (part.n == 0 && (!push || j->mode == JOB_BSP))
            continue;
        t->lr = 0.01 * (rank + 1);
        int is = push ? talker_push(t, number, part.n, part.ids, s.dim, part.rows,
                                    j->pushes[rank][number - 1])
                      : talker_write(t, number, part.n, part.ids, s.dim, part.rows);
        must(is == WIRE_ACK, push ? "push" : "write");
    }
}

static void to_all(struct ckpt_job *j, uint32_t rank, uint8_t kind, uint16_t flags,
                   const struct buf *body) {
    for (uint32_t i = 0; i < j->shards; i++)
        must(talker_op(&j->talk[rank][i], kind, flags, 0, body) == WIRE_ACK, "an op");
}

static void freeze_something(struct ckpt_job *j, uint32_t rank, uint32_t number) {
    struct spec s = spec_of(number);
    uint8_t room[64];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    uint64_t first = draw_id(j, s.rows), most = s.rows - first;
    uint64_t count = 1 + rng_below(&j->g, 100);
    uint64_t until = rng_below(&j->g, 2) == 0 ? 0 : j->steps + 1 + rng_below(&j->g, 6);
    uint16_t flags = rng_below(&j->g, 4) == 0 ? WIRE_UNDO : 0;
    msg_put_freeze(&b, &(struct msg_freeze){.table = number,
                                            .first = first,
                                            .count = count < most ? count : most,
                                            .until_clock = until});
    to_all(j, rank, WIRE_FREEZE, flags, &b);
}

static void freeze_list(struct ckpt_job *j, uint32_t rank, uint32_t number) {
    struct spec s = spec_of(number);
    struct batch all, part;
    draw(j, &s, &all);
    uint64_t until = rng_below(&j->g, 2) == 0 ? 0 : j->steps + 1 + rng_below(&j->g, 6);
    for (uint32_t i = 0; i < j->shards; i++) {
        uint8_t room[256];
        struct buf b;
        part_of(j, &all, s.dim, i, &part);
        buf_wrap(&b, room, sizeof room);
        struct msg_freeze_ids m = {.table = number, .until_clock = until, .count = part.n};
        m.ids = (const uint8_t *)part.ids;
        msg_put_freeze_ids(&b, &m);
        must(talker_op(&j->talk[rank][i], WIRE_FREEZE_IDS, 0, 0, &b) == WIRE_ACK, "freeze ids");
    }
}

static void reset(struct ckpt_job *j, uint32_t rank) {
    uint8_t room[128];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_reset(&b, &(struct msg_reset){RESET, JOB_WORKERS});
    for (uint32_t i = 0; i < JOB_WORKERS; i++)
        msg_put_count(&b, &(struct msg_count){i, j->pushes[i][RESET - 1]});
    to_all(j, rank, WIRE_RESET, 0, &b);
}

static void renew(struct ckpt_job *j, uint32_t rank) {
    uint8_t room[128];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_init(&b, &(struct msg_init){.table = RENEWED,
                                        .turn = j->steps,
                                        .init = SPEC_NORMAL,
                                        .init_arg = {0, 0.5},
                                        .seed = j->steps});
    to_all(j, rank, WIRE_RESET, WIRE_INIT, &b);
}

static void drop(struct ckpt_job *j, uint32_t rank) {
    uint8_t room[16];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    msg_put_drop(&b, &(struct msg_drop){DROPPED});
    to_all(j, rank, WIRE_DROP, 0, &b);
}

static bool is_live(const struct ckpt_job *j, uint32_t number) {
    return number != EMPTY && (number != DROPPED || j->steps < 2);
}

static void tick(struct ckpt_job *j, uint32_t rank) {
    uint8_t room[1024];
    struct buf b;
    uint16_t n = 0;
    buf_wrap(&b, room, sizeof room);
    for (uint32_t number = 1; number <= JOB_TABLES; number++) {
        if (!is_live(j, number))
            continue;
        msg_put_tick(&b,
                     &(struct msg_tick){number, 1, 0.01 * (rank + 1), j->pushes[rank][number - 1]});
        n++;
    }
    for (uint32_t i = 0; i < j->shards; i++) {
        struct talker *t = &j->talk[rank][i];
        t->head.num.call = WIRE_CALL_END - 1;
        must(talker_op(t, WIRE_TICK, 0, n, &b) == WIRE_ACK, "tick");
        t->head.num = (struct opnum){t->head.num.clock + 1, 0, 0};
    }
}

static void work(struct ckpt_job *j, uint32_t rank) {
    struct batch b;
    for (uint32_t number = 1; number <= JOB_TABLES; number++) {
        struct spec s = spec_of(number);
        if (!is_live(j, number))
            continue;
        draw(j, &s, &b);
        j->pushes[rank][number - 1]++;
        send_batch(j, rank, number, &b, true);
        draw(j, &s, &b);
        for (uint32_t i = 0; i < b.n * s.dim; i++)
            b.rows[i] = isnan(b.rows[i]) ? 1 : b.rows[i];
        if (rng_below(&j->g, 8) == 0)
            send_batch(j, rank, number, &b, false);
        if (number < DROPPED && rng_below(&j->g, 6) == 0)
            freeze_something(j, rank, number);
        if (number < DROPPED && rng_below(&j->g, 6) == 0)
            freeze_list(j, rank, number);
    }
    if (rank == 1 && j->steps % 4 == 1)
        reset(j, rank);
    if (j->steps % 3 == 1)
        renew(j, rank);
    if (rank == 0 && j->steps == 2)
        drop(j, rank);
}

void ckpt_job_step(struct ckpt_job *j) {
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        work(j, rank);
    for (uint32_t rank = 0; rank < JOB_WORKERS; rank++)
        tick(j, rank);
    j->steps++;
}

/* ---- the digest: sums of hashes, so that no order matters ---- */

static uint64_t mix(uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t all[] = {a, b, c};
    return hash64(all, sizeof all);
}

static uint64_t floats(const float *p, uint32_t n) {
    bool zeros = true;
    for (uint32_t i = 0; p != NULL && i < n; i++) {
        uint32_t bits;
        memcpy(&bits, p + i, sizeof bits);
        zeros &= bits == 0;
    }
    return zeros ? n : hash64(p, n * sizeof *p); /* no state is zeros */
}

static uint64_t rows_of(const struct table *t) {
    uint64_t sum = 0, touched = 0;
    const struct store *s = &t->store;
    for (uint64_t row = 0; (row = store_next_touched(s, row)) != STORE_NONE; row++) {
        uint64_t id = t->index.ops->id_of(&t->index, row);
        sum += mix(id, floats(store_row(s, row), s->dim),
                   mix(floats(store_slot(s, row), s->slot_dim),
                       floats(store_own(s, row), s->own_dim), t->number));
        touched++;
    }
    must(touched == s->n_touched, "rows are miscounted");
    return sum + t->skipped;
}

static uint64_t frozen_of(const struct table *t, uint64_t clock) {
    const struct freeze *f = &t->freeze;
    uint64_t sum = 0;
    for (uint64_t at = clock; at < clock + 8; at++)
        sum += mix(at, 0, 1) * freeze_count(f, at);
    for (uint64_t row = 0; (row = freeze_next_listed(f, row)) != FREEZE_NONE; row++)
        sum += mix(t->index.ops->id_of(&t->index, row), freeze_until(f, row, 0), t->number);
    return sum;
}

static uint64_t table_life(const struct shard *s, const struct table *t) {
    uint8_t room[SPEC_BYTES];
    struct buf b;
    buf_wrap(&b, room, sizeof room);
    spec_put(&b, &t->spec);
    uint64_t runs = hash64(t->freeze.runs, t->freeze.n_runs * sizeof *t->freeze.runs);
    uint64_t lists = mix(t->freeze.whole, t->freeze.lists_least, 0);
    return mix(mix(hash64(room, b.len), s->steps[t->number - 1], t->renewed), runs, lists);
}

uint64_t ckpt_job_digest(const struct ckpt_job *j) {
    uint64_t sum = 0, lead = 0;
    for (uint32_t i = 0; i < j->shards; i++) {
        const struct shard *s = j->shard[i];
        uint64_t known = s->closed;
        for (uint32_t n = 0; n < s->n_tables; n++) {
            if (s->tables[n] == NULL) {
                known = mix(known, s->dropped[n]->dropped_by, hash64(s->dropped[n]->name, 5));
                continue;
            }
            sum += rows_of(s->tables[n]) + frozen_of(s->tables[n], s->closed);
            known = mix(known, table_life(s, s->tables[n]), n);
            for (uint32_t rank = 0; rank < s->n_sessions; rank++)
                known = mix(known, session_pushes(s->sessions[rank], n + 1),
                            session_counted(s->sessions[rank], n + 1));
        }
        for (uint32_t rank = 0; rank < s->n_sessions; rank++)
            known = mix(known, s->sessions[rank]->ended, rank);
        lead = i == 0 ? known : lead;
        must(known == lead, "shards know different things");
    }
    return sum + lead;
}

/* ---- saving and restoring ---- */

/* Each shard's manifest must say what the lead's does. */
static rh_status gather(const struct ckpt_job *j, struct ckpt_manifest *m) {
    struct hash128 lead, its;
    rh_status st = ckpt_shard_manifest(j->shard[0], m);
    if (st == RH_OK)
        st = ckpt_manifest_agreed(m, &lead);
    for (uint32_t i = 1; st == RH_OK && i < j->shards; i++) {
        struct ckpt_manifest other;
        st = ckpt_shard_manifest(j->shard[i], &other);
        if (st != RH_OK)
            break;
        st = ckpt_manifest_agreed(&other, &its);
        if (st == RH_OK && (its.low != lead.low || its.high != lead.high))
            st = err_set(RH_EMISMATCH, "shards 0 and %u know different things", i);
        ckpt_manifest_fini(&other);
    }
    return st == RH_OK ? ckpt_manifest_files(m, j->shards) : st;
}

rh_status ckpt_job_save(const struct ckpt_job *j, struct ckpt_io *io, const char *name,
                        uint64_t generation) {
    struct ckpt_manifest m = {0};
    struct ckpt_fd folder = {.fd = -2};
    rh_status st = gather(j, &m);
    m.generation = generation;
    m.saved_unix_ms = 1700000000000 + generation;
    if (st == RH_OK)
        st = ckpt_begin(io, name, &folder);
    bool begun = st == RH_OK;
    for (uint32_t i = 0; st == RH_OK && i < j->shards; i++)
        st = ckpt_shard_write(j->shard[i], &folder, generation, &m.files[i]);
    if (st == RH_OK)
        st = ckpt_commit(io, name, &folder, &m);
    else if (begun)
        ckpt_abandon(io, name, &folder);
    ckpt_manifest_fini(&m);
    return st;
}

rh_status ckpt_job_restore(struct ckpt_job *j, struct ckpt_io *io, const char *name,
                           uint32_t shards) {
    struct ckpt_manifest m = {0};
    struct ckpt_fd folder = {.fd = -2};
    *j = (struct ckpt_job){0};
    rh_status st = ckpt_open(io, name, &folder, &m);
    if (st != RH_OK)
        return st;
    ckpt_job_shards(j, shards);
    j->mode = m.mode;
    for (uint32_t i = 0; st == RH_OK && i < shards; i++)
        st = ckpt_shard_restore(j->shard[i], &folder, &m, name);
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
    if (st != RH_OK)
        ckpt_job_fini(j);
    return st;
}

void ckpt_job_resume(struct ckpt_job *j, const struct ckpt_job *from) {
    j->mode = from->mode;
    j->steps = from->steps;
    j->g = from->g;
    memcpy(j->pushes, from->pushes, sizeof j->pushes);
    everybody_comes(j);
}
