/* tables.c - the tables of a client: opened, found, asked about. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/msg.h"
#include "worker/facts.h"
#include "worker/frozen.h"
#include "worker/op.h"
#include "worker/tables.h"

/* The spec is checked, all but this. */
static rh_status read_padding(int64_t padding_idx, struct spec *out) {
    const int64_t rows = (int64_t)out->rows;
    if (padding_idx == RH_NO_PADDING)
        return RH_OK;
    if (padding_idx < -rows || padding_idx >= rows)
        return err_set(RH_EINVAL,
                       "padding_idx is %" PRId64 "; it must be within num_embeddings: allowed is "
                       "%" PRId64 " to %" PRId64 ", or RH_NO_PADDING",
                       padding_idx, -rows, rows - 1);
    out->padding_idx = (uint64_t)(padding_idx < 0 ? padding_idx + rows : padding_idx);
    return RH_OK;
}

static rh_status read_spec(const char *name, const rh_table_spec *in, struct spec *out) {
    if (in->size != sizeof *in)
        return err_set(
            RH_EINVAL,
            "rh_table_open: table %s: rh_table_spec.size is %u, not %zu: fill it in with "
            "rh_table_spec_init",
            name, in->size, sizeof *in);
    *out = (struct spec){.kind = SPEC_DENSE,
                         .dim = in->embedding_dim,
                         .rows = in->num_embeddings,
                         .seed = in->seed,
                         .init = in->init.kind,
                         .opt = in->optimizer.kind,
                         .opt_flags = in->optimizer.flags,
                         .lr = in->optimizer.lr,
                         .reduce = in->reduce,
                         .frozen = in->frozen,
                         .nonfinite = in->nonfinite,
                         .scale_grad_by_freq = in->scale_grad_by_freq,
                         .padding_idx = SPEC_NO_PADDING,
                         .max_norm = in->max_norm,
                         .norm_type = in->max_norm == 0 ? 0 : in->norm_type};
    memcpy(out->init_arg, in->init.arg, sizeof out->init_arg);
    memcpy(out->opt_arg, in->optimizer.arg, sizeof out->opt_arg);
    rh_status s = spec_check(out);
    if (s == RH_OK)
        s = read_padding(in->padding_idx, out);
    return s == RH_OK ? s : err_in(s, "rh_table_open: table %s", name);
}

/* ---- opening ---- */

/* What the shards say to an OPEN. */
struct opened {
    struct msg_opened lead;
    uint64_t pushes; /* the largest of all */
};

static bool take_opened(rh_op *op, const struct op_request *q, const struct head *h,
                        struct rd *body) {
    (void)h;
    struct opened *o = op->sink;
    struct msg_opened m;
    msg_get_opened(body, &m);
    if (body->bad || m.table == 0 || (q->shard != 0 && m.table != o->lead.table))
        return false;
    if (q->shard == 0)
        o->lead = m;
    if (m.pushes > o->pushes)
        o->pushes = m.pushes;
    return true;
}

/* Asks shards first .. first + n - 1 to open a table. */
static rh_status ask_open(rh_client *c, const char *what, uint32_t first, uint32_t n,
                          const struct msg_open *m, int64_t deadline_ms, struct opened *out) {
    rh_op *op;
    rh_status s = op_new(c, what, &op);
    if (s != RH_OK)
        return s;
    op->take = take_opened;
    op->sink = out;
    struct buf b;
    buf_init(&b, SPEC_BYTES + WIRE_NAME_MAX + 16);
    msg_put_open(&b, m);
    if (b.bad)
        s = err_set(RH_ENOMEM, "%s: no memory", what);
    for (uint32_t i = first; s == RH_OK && i < first + n; i++)
        s = op_ask(op, i, WIRE_OPEN, &b, 0);
    buf_fini(&b);
    if (s != RH_OK) {
        op_free(op);
        return s;
    }
    return op_run_until(op, deadline_ms);
}

static bool take_nothing(rh_op *op, const struct op_request *q, const struct head *h,
                         struct rd *body) {
    (void)op, (void)q, (void)body;
    return h->sections == 0;
}

/* Until every earlier clock is closed: which table a name is does not depend on who comes first. */
static rh_status await_clocks(rh_client *c, const char *what, int64_t deadline_ms) {
    rh_op *op;
    rh_status s = op_new(c, what, &op);
    if (s != RH_OK)
        return s;
    op->take = take_nothing;
    struct buf none;
    buf_init(&none, 0);
    s = op_ask(op, 0, WIRE_PULL, &none, 0);
    if (s != RH_OK) {
        op_free(op);
        return s;
    }
    return op_run_until(op, deadline_ms);
}

/* The lead first, which gives the number; then the others, with the number and the lead's spec. An
 * observer makes nothing: it knows a table by the lead's word. */
static rh_status open_everywhere(rh_client *c, const char *what, struct msg_open *m,
                                 int64_t deadline_ms, struct opened *o) {
    *o = (struct opened){0};
    rh_status s = RH_OK;
    if (c->mode == RH_MODE_BSP && !c->observer && rh_clock(c) > 0)
        s = await_clocks(c, what, deadline_ms);
    if (s == RH_OK)
        s = ask_open(c, what, 0, 1, m, deadline_ms, o);
    if (s != RH_OK || c->shards == 1 || c->observer)
        return s;
    m->table = o->lead.table;
    m->find = false;
    m->spec = o->lead.spec;
    return ask_open(c, what, 1, c->shards - 1, m, deadline_ms, o);
}

static rh_table *known(rh_client *c, const char *name) {
    rh_table *t = c->tables;
    while (t != NULL && (t->dropped || strcmp(t->name, name) != 0))
        t = t->next;
    return t;
}

static rh_table *make(rh_client *c, const char *name, const struct opened *o, double lr) {
    rh_table *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->c = c;
    t->number = o->lead.table;
    snprintf(t->name, sizeof t->name, "%s", name);
    t->spec = o->lead.spec;
    atomic_init(&t->lr, lr);
    atomic_init(&t->pushes, o->pushes);
    atomic_init(&t->thaws, o->lead.frozen ? UINT64_MAX : 0);
    /* A job in which nothing was ever frozen has nothing to tell. */
    atomic_init(&t->told, c->freezes == 0 ? 0 : FROZEN_UNKNOWN);
    t->next = c->tables;
    c->tables = t;
    return t;
}

/* The handle's spec follows what any worker has made of the table's. */
void tables_renew(rh_table *t, const struct spec *s) {
    t->spec.init = s->init;
    t->spec.seed = s->seed;
    memcpy(t->spec.init_arg, s->init_arg, sizeof t->spec.init_arg);
}

/* An initializer may have been changed since: the handle follows. */
static bool is_same(const rh_table *t, const struct spec *s) {
    rh_table like = {.spec = t->spec};
    tables_renew(&like, s);
    return spec_same(&like.spec, s, t->name) == RH_OK;
}

static void take_again(rh_table *t, const struct opened *o) {
    tables_renew(t, &o->lead.spec);
    t->spec.frozen = o->lead.spec.frozen;
    t->number = o->lead.table;
    t->pushed = 0;
    atomic_store(&t->pushes, o->pushes);
    atomic_store(&t->thaws, o->lead.frozen ? UINT64_MAX : 0);
    atomic_store(&t->lost, false);
    frozen_renew(t);
}

/* The handle of a table that was opened: the one that is there, unless another worker has dropped its
 * table and this is a new one of the name. One that was lost is there again. NULL: no memory. */
static rh_table *handle_of(rh_client *c, const char *name, const struct opened *o, double lr) {
    rh_table *t = known(c, name);
    if (t == NULL)
        return make(c, name, o, lr);
    if (atomic_load(&t->lost) && is_same(t, &o->lead.spec)) {
        take_again(t, o);
        atomic_store(&t->lr, lr);
        return t;
    }
    if (t->lost || t->number != o->lead.table) {
        t->dropped = true;
        return make(c, name, o, lr);
    }
    tables_renew(t, &o->lead.spec);
    return t;
}

/* want NULL: the table must exist. One thread at a time opens, so that a name becomes one handle. The
 * shards are asked each time: another worker may have dropped the table, or changed its spec. */
static rh_status open_table(rh_client *c, const char *what, const char *name,
                            const struct spec *want, rh_table **out) {
    struct msg_open m = {.find = want == NULL};
    rh_status s = spec_check_name(name);
    if (s == RH_OK)
        s = client_enter(c);
    if (s != RH_OK)
        return s;
    snprintf(m.name, sizeof m.name, "%s", name);
    if (want != NULL)
        m.spec = *want;
    const int64_t deadline_ms = client_deadline(c, -1);
    if (!client_wait_turn(c, &c->opening, deadline_ms)) {
        s = c->failed != RH_OK ? client_failed(c)
                               : err_set(RH_ETIMEDOUT, "%s: another thread is opening one", what);
        return client_leave(c, s);
    }
    c->opening = true;
    (void)client_leave(c, RH_OK);

    struct opened o;
    s = open_everywhere(c, what, &m, deadline_ms, &o);

    pthread_mutex_lock(&c->lock);
    c->opening = false;
    c->news = true;
    if (s == RH_OK) {
        rh_table *t = handle_of(c, name, &o, want == NULL ? o.lead.spec.lr : want->lr);
        if (t == NULL)
            s = err_set(RH_ENOMEM, "%s: no memory", what);
        else
            *out = t;
    }
    s = client_leave(c, s);
    if (s == RH_OK && (*out)->told == FROZEN_UNKNOWN)
        frozen_ask(*out, deadline_ms);
    return s;
}

rh_status rh_table_open(rh_client *c, const char *name, const rh_table_spec *spec, rh_table **out) {
    if (c->observer)
        return err_set(RH_EINVAL, "rh_table_open: an observer makes no tables: use rh_table_find");
    struct spec want;
    rh_status s = read_spec(name, spec, &want);
    return s == RH_OK ? open_table(c, "rh_table_open", name, &want, out) : s;
}

rh_status rh_table_find(rh_client *c, const char *name, rh_table **out) {
    return open_table(c, "rh_table_find", name, NULL, out);
}

uint64_t rh_table_num_embeddings(const rh_table *t) {
    return t->spec.rows;
}

uint32_t rh_table_embedding_dim(const rh_table *t) {
    return t->spec.dim;
}

/* ---- in a job that was restored ---- */

rh_status tables_check(const rh_table *t, const char *what) {
    if (!atomic_load(&t->lost))
        return RH_OK;
    return err_set(RH_ENOTFOUND,
                   "%s: table %s: the job has gone back to a checkpoint that does not have it, or "
                   "not as it was: open it again",
                   what, t->name);
}

static rh_status find_again(rh_table *t, const char *what) {
    rh_client *c = t->c;
    struct msg_open m = {.find = true};
    struct opened o;
    snprintf(m.name, sizeof m.name, "%s", t->name);
    rh_status s = open_everywhere(c, what, &m, client_deadline(c, -1), &o);
    if (s != RH_OK && s != RH_ENOTFOUND)
        return s;
    pthread_mutex_lock(&c->lock);
    if (s == RH_OK && is_same(t, &o.lead.spec))
        take_again(t, &o);
    else
        atomic_store(&t->lost, true);
    return client_leave(c, RH_OK);
}

rh_status tables_find_again(rh_client *c, const char *what) {
    rh_status s = RH_OK;
    for (rh_table *t = c->tables; s == RH_OK && t != NULL; t = t->next) {
        if (t->dropped) {
            atomic_store(&t->lost, true);
            continue;
        }
        s = find_again(t, what);
        if (s == RH_OK && !t->lost)
            frozen_ask(t, client_deadline(c, -1));
    }
    return s;
}

/* ---- learning rates ---- */

rh_status rh_set_lr(rh_table *t, double lr) {
    if (t->c->observer)
        return err_set(RH_EINVAL, "rh_set_lr: an observer pushes nothing");
    if (!isfinite(lr) || lr < 0)
        return err_set(RH_EINVAL,
                       "rh_set_lr: table %s: lr is %g: it must be finite and not negative", t->name,
                       lr);
    rh_status s = client_enter(t->c);
    if (s != RH_OK)
        return s;
    atomic_store(&t->lr, lr);
    return client_leave(t->c, RH_OK);
}

/* ---- what is there ---- */

rh_status rh_table_info(rh_table *t, struct rh_table_info *out) {
    struct facts_table f;
    rh_status s = tables_check(t, "rh_table_info");
    if (s != RH_OK)
        return s;
    s = facts_ask_table(t->c, t->number, &f);
    if (s != RH_OK)
        return err_in(s, "rh_table_info: table %s", t->name);
    *out = (struct rh_table_info){.num_embeddings = f.table.spec.rows,
                                  .touched = f.table.touched,
                                  .frozen = f.table.frozen_rows,
                                  .trainable = facts_trainable(&f),
                                  .steps = f.table.steps,
                                  .skipped = f.table.skipped,
                                  .memory_bytes = f.table.memory_bytes,
                                  .embedding_dim = f.table.spec.dim};
    memcpy(out->pulls_by_age, f.table.ages, sizeof out->pulls_by_age);
    memcpy(out->name, t->name, sizeof out->name);
    snprintf(out->optimizer, sizeof out->optimizer, "%s", spec_opt_name(f.table.spec.opt));
    return RH_OK;
}
