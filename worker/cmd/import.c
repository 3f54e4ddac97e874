/* import.c - `rowhouse import`: a file into a table of a job whose workers are not there yet. Observers
 * change nothing, as no clock would know of it; so this is worker 0 of 1, and only where it cannot take
 * the place of another. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"
#include "worker/cmd/transfer.h"
#include "worker/facts.h"

enum { HERE = 1 }; /* of msg_member_facts.state */

struct settings {
    struct look look;
    const char *format, *vocab, *tensor, *source, *optimizer;
    int64_t rows, dim, seed;
    double lr;
    int create, freeze;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    LOOK_ITEMS(SETTING(look)),
    {"format", CONF_STRING, SETTING(format), NULL, 0, 0, NULL, "NAME",
     "What the file has to be: " TRANSFER_FORMATS ". Default: whatever it is."},
    {"vocab", CONF_STRING, SETTING(vocab), NULL, 0, 0, NULL, "FILE",
     "Which row a word is: a word a line, whose row is the line's number from 0, or word<TAB>row a "
     "line. Without it, row i of the file is row i of the table."},
    {"tensor", CONF_STRING, SETTING(tensor), NULL, 0, 0, NULL, "NAME",
     "safetensors: which tensor. Default: the only one of floats with two dimensions."},
    {"source", CONF_STRING, SETTING(source), "client", 0, 0, NULL, "WHO",
     "client: this command reads FILE and sends its rows. shard: every server reads it itself, "
     "beneath its --data-dir, the vocabulary too."},
    {"freeze", CONF_BOOL, SETTING(freeze), "no", 0, 0, NULL, NULL,
     "Freeze the table once it is loaded."},
    {"json", CONF_BOOL, SETTING(look.json), "no", 0, 0, NULL, NULL, "Print JSON, for programs."},
    {NULL, CONF_SECTION, 0, NULL, 0, 0, NULL, NULL, "Of a table that is not there yet:"},
    {"create", CONF_BOOL, SETTING(create), "no", 0, 0, NULL, NULL, "Make it."},
    {"rows", CONF_INT, SETTING(rows), "0", 0, 281474976710656.0, NULL, "N",
     "Its rows. 0: as many as the file has, or the vocabulary."},
    {"dim", CONF_INT, SETTING(dim), "0", 0, 4096, NULL, "N",
     "Floats in a row. 0: as many as the file has."},
    {"optimizer", CONF_STRING, SETTING(optimizer), "sgd", 0, 0, NULL, "NAME",
     "sgd, adagrad, rowwise_adagrad, sparse_adam, adam, adamw or rmsprop, with PyTorch's "
     "defaults. A trainer that opens the table must ask for the same, or for none "
     "(rh_table_find)."},
    {"lr", CONF_REAL, SETTING(lr), "0.01", 0, 1e30, NULL, "X", "Its learning rate."},
    {"seed", CONF_INT, SETTING(seed), "0", 0, 9007199254740992.0, NULL, "N",
     "Of the initializer, N(0, 1), which rows that the file lacks have."},
};

static const struct {
    const char *name;
    rh_optimizer (*make)(double lr);
} optimizers[] = {{"sgd", rh_sgd},
                  {"adagrad", rh_adagrad},
                  {"rowwise_adagrad", rh_rowwise_adagrad},
                  {"sparse_adam", rh_sparse_adam},
                  {"adam", rh_adam},
                  {"adamw", rh_adamw},
                  {"rmsprop", rh_rmsprop}};
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers };

/* What the words on the command line come to. */
struct plan {
    const char *table, *path;
    rh_load_options load;
    rh_table_spec spec; /* of a new table */
    bool made;          /* the table, by us */
};

/* ---- is there room for us? ---- */

static rh_status refuse(const char *why) {
    return err_set(RH_EINVAL,
                   "%s: only a worker may change rows, and import must be the only one; import "
                   "before the workers start, or let the trainer call rh_load",
                   why);
}

/* Whether worker 0 of 1 would be taken for another worker, or others be there. */
static rh_status check_workers(rh_client *c) {
    struct facts_shard f;
    rh_status s = facts_ask_shard(c, 0, &f);
    if (s != RH_OK)
        return s;
    char why[128];
    uint32_t here = 0;
    for (uint32_t i = 0; i < f.shard.members; i++)
        here += f.members[i].state == HERE;
    if (here > 0) {
        snprintf(why, sizeof why, "the job has %" PRIu32 " worker%s at work", here,
                 here == 1 ? "" : "s");
        s = refuse(why);
    } else if (f.shard.members == 0 && f.shard.world > 0) {
        snprintf(why, sizeof why, "the servers wait for %" PRIu32 " worker%s of a launcher",
                 f.shard.world, f.shard.world == 1 ? "" : "s");
        s = refuse(why);
    }
    facts_fini_shard(&f);
    return s;
}

/* Looks first: what can be known beforehand is said before anything has changed. */
static rh_status look_first(struct settings *set, const char *table) {
    rh_table *t;
    rh_status s = look_join(&set->look);
    if (s != RH_OK)
        return s;
    s = check_workers(set->look.client);
    if (s == RH_OK) {
        s = rh_table_find(set->look.client, table, &t);
        if (s == RH_ENOTFOUND && set->create)
            s = RH_OK;
        else if (s == RH_ENOTFOUND)
            s = err_set(s, "there is no table %s; --create makes it", table);
    }
    rh_close(set->look.client);
    set->look.client = NULL;
    return s;
}

static rh_status join(struct settings *set) {
    rh_config cfg;
    rh_config_init(&cfg);
    cfg.servers = set->look.servers;
    cfg.job = set->look.job;
    cfg.rank = 0;
    cfg.world = 1;
    cfg.mode = RH_MODE_ASYNC;
    cfg.connect_timeout_ms = cfg.op_timeout_ms = (int)set->look.timeout_ms;
    return rh_connect(&cfg, &set->look.client);
}

/* ---- the table ---- */

static rh_status plan_table(const struct settings *set, struct plan *p) {
    rh_file_info file = {.rows = (uint64_t)set->rows, .embedding_dim = (uint32_t)set->dim};
    rh_status s = RH_OK;
    if (set->rows == 0 || set->dim == 0)
        s = rh_file_about(p->path, &p->load, &file);
    if (s != RH_OK)
        return s;
    rh_table_spec_init(&p->spec, set->rows != 0 ? (uint64_t)set->rows : file.rows,
                       set->dim != 0 ? (uint32_t)set->dim : file.embedding_dim);
    p->spec.seed = (uint64_t)set->seed;
    for (size_t i = 0; i < OPTIMIZERS; i++)
        if (strcmp(optimizers[i].name, set->optimizer) == 0)
            p->spec.optimizer = optimizers[i].make(set->lr);
    return RH_OK;
}

static rh_status open_table(const struct settings *set, struct plan *p, rh_table **t) {
    rh_status s = rh_table_find(set->look.client, p->table, t);
    if (s != RH_ENOTFOUND || !set->create)
        return s;
    s = rh_table_open(set->look.client, p->table, &p->spec, t);
    p->made = s == RH_OK;
    return s;
}

/* ---- what there is to tell ---- */

static void print_line(const char *what, uint64_t count, const char *first) {
    char figures[BAR_TEXT];
    printf("  %-10s %13s  %s\n", what, bar_grouped(count, figures), first);
}

static rh_status print(const struct settings *set, const struct plan *p, const rh_load_report *r,
                       double seconds) {
    if (set->look.json)
        return look_print_json(json_pack(
            "{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:f}", "table", p->table,
            "file", p->path, "format", transfer_name(r->format), "about", r->about, "created",
            (int)p->made, "matched", (json_int_t)r->matched, "missed", (json_int_t)r->missed,
            "duplicated", (json_int_t)r->duplicated, "unused", (json_int_t)r->unused,
            "first_matched", r->first_matched, "first_missed", r->first_missed, "first_duplicated",
            r->first_duplicated, "seconds", seconds));
    printf("%s%s%s: %s, %.1f s\n", p->table, p->made ? " (new)" : "",
           set->freeze ? " (frozen)" : "", r->about, seconds);
    print_line("matched", r->matched, r->first_matched);
    print_line("missed", r->missed, r->first_missed);
    if (set->vocab != NULL) {
        print_line("duplicated", r->duplicated, r->first_duplicated);
        print_line("unused", r->unused, "");
    }
    return RH_OK;
}

/* ---- the command ---- */

static rh_status load(const struct settings *set, struct plan *p) {
    rh_table *t;
    rh_load_report report;
    struct transfer transfer;
    rh_status s = open_table(set, p, &t);
    if (s != RH_OK)
        return s;
    p->load.progress = transfer_progress;
    p->load.progress_arg = &transfer;
    transfer_begin(&transfer, p->table, transfer_bytes);
    s = rh_load(t, p->path, &p->load, &report);
    double seconds = transfer_end(&transfer);
    if (s == RH_OK)
        return print(set, p, &report, seconds);
    if (p->made) {
        /* All or nothing: a table that is there because of a bad file would only surprise. */
        char text[ERR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", err_text());
        bool gone = rh_table_drop(&t) == RH_OK;
        err_set(s, "%s%s", text, gone ? "" : "; the new table is still there, and empty");
    }
    return s;
}

static rh_status run(struct settings *set, struct plan *p) {
    rh_status s = set->create ? plan_table(set, p) : RH_OK;
    if (s == RH_OK)
        s = look_first(set, p->table);
    if (s == RH_OK)
        s = join(set);
    if (s != RH_OK)
        return s;
    s = load(set, p);
    rh_close(set->look.client);
    return s;
}

static rh_status check(const struct settings *set, struct plan *p) {
    rh_status s = look_check(&set->look);
    if (s == RH_OK)
        s = transfer_format(set->format, &p->load.format);
    if (s != RH_OK)
        return s;
    bool known = false, shard = strcmp(set->source, "shard") == 0;
    for (size_t i = 0; i < OPTIMIZERS; i++)
        known |= strcmp(optimizers[i].name, set->optimizer) == 0;
    if (!known)
        return err_set(RH_EINVAL, "--optimizer %s: there is no such optimizer; see --help",
                       set->optimizer);
    if (!shard && strcmp(set->source, "client") != 0)
        return err_set(RH_EINVAL, "--source %s: client or shard", set->source);
    if (shard && set->create && (set->rows == 0 || set->dim == 0))
        return err_set(RH_EINVAL,
                       "--create with --source shard needs --rows and --dim: the file is not here");
    if (!set->create && (set->rows != 0 || set->dim != 0))
        return err_set(RH_EINVAL, "--rows and --dim are for a new table: give --create, too");
    p->load.source = shard ? RH_SOURCE_SHARD : RH_SOURCE_CLIENT;
    p->load.vocab = set->vocab;
    p->load.tensor = set->tensor;
    p->load.freeze = set->freeze != 0;
    return RH_OK;
}

int cmd_import(int argc, char **argv) {
    struct settings set = {0};
    struct plan plan = {.load = {.size = sizeof plan.load}};
    struct conf conf = {
        .program = "rowhouse import",
        .usage = "TABLE FILE [--vocab FILE] [--create] --servers ADDRESSES",
        .about = "Loads a file of vectors into a table of servers whose workers have not started "
                 "yet, or are gone. A bad file changes no row.",
        .items = ITEMS,
        .n_items = sizeof ITEMS / sizeof ITEMS[0]};
    int n_words, code;
    if (!cmd_begin(&conf, argc, argv, &set, &n_words, &code))
        return code;
    if (n_words != 2)
        return cmd_misused(&conf, n_words == 0   ? "into which table, and from which file?"
                                  : n_words == 1 ? "from which file?"
                                                 : "one table and one file at a time");
    plan.table = argv[1];
    plan.path = argv[2];
    if (check(&set, &plan) != RH_OK)
        return cmd_misused(&conf, err_text());
    return cmd_end(&conf, run(&set, &plan));
}
