/* observer.c - reads all tables when everybody has left, as `rowhouse export` would. */
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
    if (!fine(t, trial_connect(t, &t->observer, true, &c), "rh_connect"))
        return;
    for (uint32_t i = 0; i < t->scene->tables; i++)
        if (!read_table(t, c, i))
            break;
    rh_close(c);
}
