/* coro.h - functions that stop in the middle and go on later: a worker's own code, blocking calls and
 * all, runs as one, so that one thread plays them all in an order that a seed decides. Each has a stack of its own,
 * and its own err_text. One thread. */
#ifndef TESTS_SIM_CORO_H
#define TESTS_SIM_CORO_H

#include <stdbool.h>

struct coro;

/* Never NULL: aborts when memory is out. It has not begun. */
struct coro *coro_new(void (*run)(void *arg), void *arg);

/* Runs it until it yields or is over. Not from within another one. */
void coro_resume(struct coro *c);

/* In a coro: back to whoever has resumed it. */
void coro_yield(struct coro *c);

bool coro_is_over(const struct coro *c);

/* It is over, or has not begun. *c becomes NULL; NULL is fine. Its stack is kept for the next one. */
void coro_free(struct coro **c);

#endif
