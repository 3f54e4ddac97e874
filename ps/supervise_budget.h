/* supervise_budget.h - whether a child that has died is started again, and when. Pure functions of what
 * waitpid has said and of the time. */
#ifndef PS_SUPERVISE_BUDGET_H
#define PS_SUPERVISE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BUDGET_MAX = 100,
    BUDGET_WINDOW_MS = 10 * 60 * 1000, /* so many restarts in any ten minutes, and no more */
    BUDGET_SHORT_MS = 1000,            /* a child that lived no longer than this ... */
    BUDGET_WAIT_MS = 1000              /* ... is not started again at once */
};

struct budget {
    uint32_t max;              /* 0: nothing is ever started again */
    uint32_t n;                /* restarts ever */
    int64_t at_ms[BUDGET_MAX]; /* ring: when the last ones were */
};

/* restarts: at most BUDGET_MAX. */
void budget_init(struct budget *b, uint32_t restarts);

/* How many there were in the ten minutes before now. */
uint32_t budget_used(const struct budget *b, int64_t now_ms);

/* Takes one. False: all are used. */
bool budget_take(struct budget *b, int64_t now_ms);

/* When a child that was started then, and has died now, may be started again. */
int64_t budget_next_ms(int64_t started_ms, int64_t now_ms);

/* Whether an end, as waitpid says it, may be mended by another start: a crash, not a wrong flag or a
 * program that cannot be run, and not a good end. */
bool budget_mends(int status);

#endif
