/* ckpt_live.c - `rowhouse ckpt save` and `rowhouse ckpt restore`: the servers of a live job save a
 * checkpoint, or put one in the place of what they have. We come as an observer, and ask. */
#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/name.h"
#include "worker/cmd/cmd.h"
#include "worker/cmd/look.h"

struct settings {
    struct look look;
    int64_t timeout_s;
};

#define SETTING(field) offsetof(struct settings, field)
static const struct conf_item ITEMS[] = {
    LOOK_WHERE_ITEMS(SETTING(look)),
    {"timeout", CONF_INT, SETTING(timeout_s), "60", 1, 3600, NULL, "SECONDS",
     "How long to go on where nothing gets any further: nobody answers, a worker does not come to "
     "the end of a clock, no byte is written or read. A large checkpoint may take longer."},
    {"json", CONF_BOOL, SETTING(look.json), "no", 0, 0, NULL, NULL, "Print JSON, for programs."},
};

/* Nobody answers: that shows at once, and is no reason to wait as long as for a slow disk. */
enum { CONNECT_S = 5 };

static rh_status check_name(const char *name) {
    rh_status s = name_check("checkpoint", name);
    if (s == RH_OK && name[0] == '.')
        s = err_set(RH_EINVAL, "the name of checkpoint \"%s\" begins with a dot: choose another",
                    name);
    return s;
}

static rh_status print(const struct settings *set, const rh_checkpoint_info *is, bool restored,
                       double seconds) {
    if (set->look.json)
        return look_print_json(json_pack("{s:s, s:I, s:I, s:f}", "name", is->name, "generation",
                                         (json_int_t)is->generation, "clock", (json_int_t)is->clock,
                                         "seconds", seconds));
    printf("%s: generation %" PRIu64 ", clock %" PRIu64 ", %s in %.1f s\n", is->name,
           is->generation, is->clock, restored ? "restored" : "saved", seconds);
    return RH_OK;
}

static rh_status run(struct settings *set, const char *name, bool restore) {
    struct rh_checkpoint_info is = {.size = sizeof is};
    int64_t wait_s = set->timeout_s < CONNECT_S ? set->timeout_s : CONNECT_S;
    set->look.timeout_ms = wait_s * 1000;
    set->look.patience_ms = set->timeout_s * 1000;
    rh_status s = look_join(&set->look);
    if (s != RH_OK)
        return s;
    int64_t began_ms = clock_now_ms();
    s = restore ? rh_restore(set->look.client, name) : rh_save(set->look.client, name);
    double seconds = (double)(clock_now_ms() - began_ms) / 1000;
    if (s == RH_OK)
        s = rh_last_checkpoint(set->look.client, &is);
    if (s == RH_OK)
        s = print(set, &is, restore, seconds);
    rh_close(set->look.client);
    return s;
}

static int command(struct conf *conf, int argc, char **argv, bool restore) {
    struct settings set = {0};
    int n_words, code;
    if (!cmd_begin(conf, argc, argv, &set, &n_words, &code))
        return code;
    if (n_words != 1)
        return cmd_misused(conf, n_words == 0 ? "which checkpoint? Give it a name"
                                              : "one checkpoint at a time");
    rh_status s = check_name(argv[1]);
    if (s == RH_OK)
        s = look_check(&set.look);
    if (s != RH_OK)
        return cmd_misused(conf, err_text());
    return cmd_end(conf, run(&set, argv[1], restore));
}

int cmd_ckpt_save(int argc, char **argv) {
    struct conf conf = {
        .program = "rowhouse ckpt save",
        .usage = "NAME --servers ADDRESSES [options]",
        .about =
            "Saves a live job as checkpoint NAME of its servers' --checkpoint-dir, in place of an "
            "older one of that name, while training goes on; returns when it is whole and on disk. "
            "It takes each worker at the end of a clock (rh_tick). If it fails, what was "
            "there under that name is there still.",
        .items = ITEMS,
        .n_items = sizeof ITEMS / sizeof ITEMS[0]};
    return command(&conf, argc, argv, false);
}

int cmd_ckpt_restore(int argc, char **argv) {
    struct conf conf = {
        .program = "rowhouse ckpt restore",
        .usage = "NAME --servers ADDRESSES [options]",
        .about = "Puts checkpoint NAME of the servers' --checkpoint-dir in the place of everything "
                 "that they have, once all of it was read and found good. Workers of the job are "
                 "refused from then on, and have to connect again. To start servers from a "
                 "checkpoint, give them --restore NAME instead.",
        .items = ITEMS,
        .n_items = sizeof ITEMS / sizeof ITEMS[0]};
    return command(&conf, argc, argv, true);
}
