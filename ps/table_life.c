/* table_life.c - a table begins anew, in whole or in its weights, or ends. See table.h. */
#include <stdlib.h>

#include "ps/snapshot.h"
#include "ps/table.h"

static void leave_snapshot(struct table *t) {
    if (t->snapshot != NULL)
        snapshot_leave(t->snapshot);
}

void table_reset(struct table *t) {
    leave_snapshot(t);
    store_reset(&t->store);
    freeze_reset(&t->freeze, t->spec.frozen);
    t->skipped = 0;
}

/* Rows stay touched: their optimizer state must be kept, and a row that has some is a touched one to
 * everybody else. */
void table_renew(struct table *t, const struct spec *s) {
    leave_snapshot(t);
    t->spec = *s;
    init_setup(&t->init, s, t->name);
    const struct store *st = &t->store;
    for (uint64_t row = 0; (row = store_next_touched(st, row)) != STORE_NONE; row++)
        init_row(&t->init, t->index.ops->id_of(&t->index, row), store_row(st, row));
}

void table_empty(struct table *t) {
    leave_snapshot(t);
    freeze_fini(&t->freeze); /* it looks at the index */
    if (t->index.ops != NULL)
        t->index.ops->fini(&t->index);
    store_fini(&t->store);
    free(t->scratch);
    free(t->rows);
    t->scratch = NULL;
    t->rows = NULL;
    t->rows_cap = 0;
}
