/* supervise_budget.c - see supervise_budget.h. */
#include "ps/supervise_budget.h"

#include <assert.h>
#include <sys/wait.h>

/* As shells and our own programs have them. */
enum { EXIT_USAGE = 2, EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127 };

void budget_init(struct budget *b, uint32_t restarts) {
    assert(restarts <= BUDGET_MAX);
    *b = (struct budget){.max = restarts};
}

uint32_t budget_used(const struct budget *b, int64_t now_ms) {
    uint32_t kept = b->n < BUDGET_MAX ? b->n : BUDGET_MAX, used = 0;
    for (uint32_t i = 0; i < kept; i++)
        used += now_ms - b->at_ms[i] < BUDGET_WINDOW_MS;
    return used;
}

bool budget_take(struct budget *b, int64_t now_ms) {
    if (budget_used(b, now_ms) >= b->max)
        return false;
    b->at_ms[b->n++ % BUDGET_MAX] = now_ms;
    return true;
}

int64_t budget_next_ms(int64_t started_ms, int64_t now_ms) {
    return now_ms - started_ms < BUDGET_SHORT_MS ? now_ms + BUDGET_WAIT_MS : now_ms;
}

bool budget_mends(int status) {
    if (WIFSIGNALED(status))
        return true;
    int code = WEXITSTATUS(status);
    return code != 0 && code != EXIT_USAGE && code != EXIT_NOT_RUN && code != EXIT_NOT_FOUND;
}
