/* bar.c - see bar.h. */
#include "common/bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"

enum { DRAW_EVERY_US = 200 * 1000, LINE_EVERY_US = 10 * 1000 * 1000, BAR_MIN = 10 };

static enum bar_style find_style(void) {
    const char *tty = getenv("RH_TTY");
    bool is_tty = tty != NULL ? strcmp(tty, "1") == 0 : isatty(STDERR_FILENO);
    return is_tty ? BAR_DRAWN : BAR_LINES;
}

static size_t find_columns(void) {
    const char *text = getenv("RH_COLUMNS");
    struct winsize size = {0};
    long columns = text != NULL ? strtol(text, NULL, 10) : 0;
    if (columns <= 0 && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    if (columns <= 0)
        columns = 80;
    return columns < BAR_COLUMNS_MAX ? (size_t)columns : BAR_COLUMNS_MAX;
}

void bar_begin(struct bar *b, bool drawing) {
    *b = (struct bar){.style = drawing ? find_style() : BAR_NONE, .columns = find_columns()};
    b->began_us = b->drawn_us = clock_now_us();
}

double bar_seconds(const struct bar *b) {
    return (double)(clock_now_us() - b->began_us) * 1e-6;
}

bool bar_due(const struct bar *b) {
    int64_t every_us = b->style == BAR_DRAWN ? DRAW_EVERY_US : LINE_EVERY_US;
    return b->style != BAR_NONE && clock_now_us() - b->drawn_us >= every_us;
}

const char *bar_grouped(uint64_t n, char out[BAR_TEXT]) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

const char *bar_duration(double seconds, char out[BAR_TEXT]) {
    uint64_t s = seconds < 1e9 ? (uint64_t)seconds : (uint64_t)1e9;
    if (s < 3600)
        snprintf(out, BAR_TEXT, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    else
        snprintf(out, BAR_TEXT, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60,
                 s % 60);
    return out;
}

double bar_left(double seconds, uint64_t done, uint64_t total) {
    return done > 0 && done < total ? seconds * (double)(total - done) / (double)done : 0;
}

size_t bar_line(uint64_t done, uint64_t total, const char *text, size_t columns, char *out,
                size_t cap) {
    char squares[BAR_COLUMNS_MAX + 1];
    size_t len = strlen(text), room = columns > len + 4 ? columns - len - 4 : 0;
    size_t full = total > 0 ? (size_t)((double)done / (double)total * (double)room) : room;
    if (room > BAR_COLUMNS_MAX)
        room = BAR_COLUMNS_MAX;
    full = full < room ? full : room;
    memset(squares, '#', full);
    memset(squares + full, '.', room - full);
    squares[room] = 0;
    /* A line that wraps could not be drawn over. */
    int shown = columns > 0 && len >= columns ? (int)columns - 1 : (int)len;
    int n = room < BAR_MIN ? snprintf(out, cap, "%.*s", shown, text)
                           : snprintf(out, cap, "[%s] %s", squares, text);
    return (size_t)n < cap ? (size_t)n : cap - 1;
}

void bar_draw(struct bar *b, uint64_t done, uint64_t total, const char *text, bool last) {
    char line[512];
    size_t len = 0;
    const bool drawn = b->style == BAR_DRAWN;
    if (b->style == BAR_NONE)
        return;
    if (drawn)
        line[len++] = '\r';
    len += bar_line(done, total, text, drawn ? b->columns : 0, line + len, sizeof line - len - 4);
    if (drawn) {
        memcpy(line + len, "\x1b[K", 3); /* what a longer line before has left */
        len += 3;
    }
    if (!drawn || last)
        line[len++] = '\n';
    b->drawn = true;
    b->drawn_us = clock_now_us();
    /* Whether it arrives is not worth failing for. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}
