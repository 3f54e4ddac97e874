/* coro.c - see coro.h. */
#include "tests/sim/coro.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "common/err.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif

#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 1 << 20, SPARES_MAX = 16 };

struct coro {
    void (*run)(void *arg);
    void *arg;
    bool begun, over;
    ucontext_t here, outside;
    char *stack;
    void *fake, *outside_fake; /* AddressSanitizer's stacks for what outlives its scope */
    const void *outside_bottom;
    size_t outside_bytes;
    char text[ERR_TEXT_MAX];
};

static struct coro *spares[SPARES_MAX];
static int n_spares;
static struct coro *starting;

/* ---- what AddressSanitizer must know of a switch ---- */

static void leave_for(void **fake, const void *bottom, size_t bytes) {
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(fake, bottom, bytes);
#else
    (void)fake;
    (void)bottom;
    (void)bytes;
#endif
}

static void arrive(void *fake, const void **bottom, size_t *bytes) {
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(fake, bottom, bytes);
#else
    (void)fake;
    (void)bottom;
    (void)bytes;
#endif
}

/* ---- switching ---- */

static void begin(void) {
    struct coro *c = starting;
    arrive(NULL, &c->outside_bottom, &c->outside_bytes);
    c->run(c->arg);
    c->over = true;
    leave_for(NULL, c->outside_bottom, c->outside_bytes);
    swapcontext(&c->here, &c->outside);
    abort();
}

static void set_text(const char *text) {
    if (*text == '\0')
        err_clear();
    else
        err_set(RH_OK, "%s", text);
}

void coro_resume(struct coro *c) {
    assert(!c->over);
    starting = c;
    c->begun = true;
    leave_for(&c->outside_fake, c->stack, STACK_BYTES);
    swapcontext(&c->outside, &c->here);
    arrive(c->outside_fake, NULL, NULL);
}

void coro_yield(struct coro *c) {
    strcpy(c->text, err_text());
    leave_for(&c->fake, c->outside_bottom, c->outside_bytes);
    swapcontext(&c->here, &c->outside);
    arrive(c->fake, &c->outside_bottom, &c->outside_bytes);
    set_text(c->text);
}

bool coro_is_over(const struct coro *c) {
    return c->over;
}

/* ---- birth and death ---- */

static struct coro *make(void) {
    struct coro *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    c->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    /* The lowest page is never given: who needs more stack dies there, not in somebody's memory. */
    if (c->stack == MAP_FAILED || mprotect(c->stack, 4096, PROT_NONE) != 0)
        abort();
    return c;
}

/* getcontext may return twice, for all that compilers know: nothing else stands beside it. */
static __attribute__((noinline)) void set_out(struct coro *c) {
    getcontext(&c->here);
    c->here.uc_stack.ss_sp = c->stack;
    c->here.uc_stack.ss_size = STACK_BYTES;
    c->here.uc_link = NULL;
    makecontext(&c->here, begin, 0);
}

struct coro *coro_new(void (*run)(void *arg), void *arg) {
    struct coro *c = n_spares > 0 ? spares[--n_spares] : make();
    *c = (struct coro){.run = run, .arg = arg, .stack = c->stack};
    set_out(c);
    return c;
}

void coro_free(struct coro **out) {
    struct coro *c = *out;
    if (c == NULL)
        return;
    assert(c->over || !c->begun);
    if (n_spares < SPARES_MAX) {
        spares[n_spares++] = c;
    } else {
        munmap(c->stack, STACK_BYTES);
        free(c);
    }
    *out = NULL;
}
