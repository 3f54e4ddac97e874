/* observer.c - clients that are no workers: one reads all tables when everybody has left, as `rowhouse export`
 * would; another comes by and saves the job, as `rowhouse ckpt save` does. */
#include <string.h>

#include "tests/sim/trial.h"

static bool fine(struct trial *t, rh_status s, const char *what) {
    if (s != RH_OK)
        world_fail(&t->w, "the observer at the end, %s: %s: %s", what, rh_strstatus(s),
                   rh_errmsg());
    return s == RH_OK && !t->observer.dead;
}

static bool read_table(struct trial *t, rh_client *c, uint32_t i) {
    static uint64_t ids[SCENE_ROWS_MAX];
    const char name[] = {'t', (char)('0' + i), '\0'};
    rh_table *table = NULL;
    for (uint64_t id = 0; id < t->scene->rows[i]; id++)
        ids[id] = id;
    return fine(t, rh_table_find(c, name, &table), "rh_table_find") &&
           fine(t, rh_pull(table, ids, t->scene->rows[i], t->rows[i]), "rh_pull");
}

void observer_run(void *arg) {
    struct trial *t = arg;
    rh_client *c = NULL;
    if (!fine(t, trial_connect(t, &t->observer, true, 0, &c), "rh_connect"))
        return;
    for (uint32_t i = 0; i < t->scene->tables; i++)
        if (!read_table(t, c, i))
            break;
    rh_close(c);
}

/* Where all save together, also because somebody else's attempt has failed and it went on, or has left in this
 * very clock. */
bool save_may_fail(const struct trial *t, rh_status s) {
    static const char *const reasons[] = {"all workers save after the same", "refused before",
                                          "this is no moment for a checkpoint"};
    for (int i = 0; i < 3 && s == RH_EINVAL && scene_saves_together(t->scene); i++)
        if (strstr(rh_errmsg(), reasons[i]) != NULL)
            return true;
    if (s == RH_EROLLBACK)
        return t->scene->deaths;
    return s == RH_ETIMEDOUT || s == RH_EUNREACHABLE || s == RH_EMISMATCH || s == RH_EFENCED ||
           s == RH_EIO;
}

void save_note(struct trial *t, rh_client *c) {
    rh_checkpoint_info is = {.size = sizeof is};
    t->saved++;
    if (rh_last_checkpoint(c, &is) == RH_OK && is.generation > t->durable)
        t->durable = is.generation;
}

void visitor_run(void *arg) {
    struct trial *t = arg;
    rh_client *c = NULL;
    rh_status s = trial_connect(t, &t->visitor, true, 0, &c);
    if (s == RH_OK) {
        world_say(&t->w, &t->visitor, "rh_save");
        s = rh_save(c, "visit");
        if (s == RH_OK && !t->visitor.dead)
            save_note(t, c);
    }
    world_say(&t->w, &t->visitor, "%s", s == RH_OK ? "saved" : rh_errmsg());
    if (s != RH_OK && !save_may_fail(t, s) && !t->visitor.dead)
        world_fail(&t->w, "a checkpoint from outside: %s: %s", rh_strstatus(s), rh_errmsg());
    rh_close(c);
}
