/* err.c - see err.h. */
#include "common/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[ERR_TEXT_MAX];

/* Arguments may be the old text itself ("%s", err_text()), so the new one is built beside it. */
static void set(const char *behind, const char *fmt, va_list args) {
    char next[ERR_TEXT_MAX];
    int len = vsnprintf(next, sizeof next, fmt, args);
    if (len < 0)
        next[len = 0] = '\0';
    if (behind[0] != '\0' && (size_t)len < sizeof next)
        snprintf(next + len, sizeof next - (size_t)len, ": %s", behind);
    memcpy(text, next, strlen(next) + 1);
}

rh_status err_set(rh_status s, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    set("", fmt, args);
    va_end(args);
    return s;
}

rh_status err_in(rh_status s, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    set(text, fmt, args);
    va_end(args);
    return s;
}

rh_status err_sys(rh_status s, const char *fmt, ...) {
    char memory[128];
    const char *why = strerror_r(errno, memory, sizeof memory);
    va_list args;
    va_start(args, fmt);
    set(why, fmt, args);
    va_end(args);
    return s;
}

const char *err_text(void) {
    return text;
}

void err_clear(void) {
    text[0] = '\0';
}
