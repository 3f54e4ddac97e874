/* freeze.c - `rowhouse freeze` and `rowhouse unfreeze`: a table of a live job, a range of its rows, or
 * a list of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "worker/cmd/cmd.h"
#include "worker/cmd/ids.h"
#include "worker/cmd/look.h"

struct settings {
    struct look look;
    const char *rows, *ids;
    int64_t until_clock;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    LOOK_ITEMS(SETTING(look)),
    {"rows", CONF_STRING, SETTING(rows), NULL, 0, 0, NULL, "FIRST:COUNT",
     "These rows only. Default: the whole table."},
    {"ids", CONF_STRING, SETTING(ids), NULL, 0, 0, NULL, "LIST|FILE",
     "These rows only: 3,17,42, or the name of a text file of ids, with white space between."},
    /* last: unfreeze has no such thing */
    {"until-clock", CONF_INT, SETTING(until_clock), "0", 0, 4294967295.0, NULL, "N",
     "Freeze for pushes of clocks below N, that is of a worker that has called rh_tick fewer than "
     "N "
     "times. 0: for ever."},
};
enum { N_ITEMS = sizeof ITEMS / sizeof ITEMS[0] };

/* What is to be frozen. */
struct choice {
    uint64_t first, count; /* a range, if there are no ids; count UINT64_MAX: the whole table */
    struct ids ids;
};

static rh_status read_range(const char *text, struct choice *c) {
    const char *colon = strchr(text, ':');
    if (colon == NULL || !ids_one(text, (size_t)(colon - text), &c->first) ||
        !ids_one(colon + 1, strlen(colon + 1), &c->count))
        return err_set(RH_EINVAL, "--rows %s: give FIRST:COUNT, such as 0:1000", text);
    return RH_OK;
}

/* ---- doing it ---- */

static rh_status apply(const struct settings *set, rh_table *t, const struct choice *c, bool undo) {
    uint64_t until = (uint64_t)set->until_clock;
    if (set->ids != NULL)
        return undo ? rh_unfreeze_ids(t, c->ids.at, c->ids.n)
                    : rh_freeze_ids(t, c->ids.at, c->ids.n, until);
    uint64_t count = set->rows != NULL ? c->count : rh_table_num_embeddings(t);
    return undo ? rh_unfreeze(t, c->first, count) : rh_freeze(t, c->first, count, until);
}

static rh_status run(struct settings *set, const char *name, const struct choice *c, bool undo) {
    rh_table *t;
    struct rh_table_info info;
    rh_status s = look_join(&set->look);
    if (s != RH_OK)
        return s;
    s = rh_table_find(set->look.client, name, &t);
    if (s == RH_OK)
        s = apply(set, t, c, undo);
    if (s == RH_OK)
        s = rh_table_info(t, &info);
    if (s == RH_OK)
        printf("%s: %" PRIu64 " of %" PRIu64 " rows frozen, %" PRIu64 " of %" PRIu64
               " parameters trainable\n",
               name, info.frozen, info.num_embeddings, info.trainable,
               info.num_embeddings * info.embedding_dim);
    rh_close(set->look.client);
    return s;
}

static int command(struct conf *conf, int argc, char **argv, bool undo) {
    struct settings set = {0};
    struct choice c = {0};
    int n_words, code;
    if (!cmd_begin(conf, argc, argv, &set, &n_words, &code))
        return code;
    if (n_words != 1)
        return cmd_misused(conf, n_words == 0 ? "which table?" : "one table at a time");
    if (set.rows != NULL && set.ids != NULL)
        return cmd_misused(conf, "--rows and --ids: give one of them");
    rh_status s = look_check(&set.look);
    if (s == RH_OK && set.rows != NULL)
        s = read_range(set.rows, &c);
    if (s == RH_OK && set.ids != NULL && ids_is_list(set.ids))
        s = ids_from_list(set.ids, &c.ids);
    if (s != RH_OK) {
        ids_fini(&c.ids);
        return cmd_misused(conf, err_text());
    }
    if (set.ids != NULL && !ids_is_list(set.ids))
        s = ids_from_file(set.ids, &c.ids);
    if (s == RH_OK)
        s = run(&set, argv[1], &c, undo);
    ids_fini(&c.ids);
    return cmd_end(conf, s);
}

#define ABOUT                                                                                    \
    " Works in a job that runs async; under bsp a freeze belongs to a clock, and only a worker " \
    "can "                                                                                       \
    "give it."

int cmd_freeze(int argc, char **argv) {
    struct conf conf = {.program = "rowhouse freeze",
                        .usage = "TABLE [--rows FIRST:COUNT | --ids LIST|FILE] [--until-clock N] "
                                 "--servers ADDRESSES",
                        .about = "Freezes a table of a live job, or rows of it: the servers drop "
                                 "what is pushed to them from now on." ABOUT,
                        .items = ITEMS,
                        .n_items = N_ITEMS};
    return command(&conf, argc, argv, false);
}

int cmd_unfreeze(int argc, char **argv) {
    struct conf conf = {.program = "rowhouse unfreeze",
                        .usage = "TABLE [--rows FIRST:COUNT | --ids LIST|FILE] --servers ADDRESSES",
                        .about = "Lets a table of a live job, or rows of it, learn again." ABOUT,
                        .items = ITEMS,
                        .n_items = N_ITEMS - 1};
    return command(&conf, argc, argv, true);
}
