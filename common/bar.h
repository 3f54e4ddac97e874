/* bar.h - how far something long is, on stderr: a bar that redraws itself at a terminal, a line every
 * ten seconds elsewhere. Each is one write(), so that lines of several processes do not mix. A
 * launcher whose pipes hide the terminal says so: RH_TTY is 1 or 0, RH_COLUMNS its width. One thread
 * at a time. */
#ifndef COMMON_BAR_H
#define COMMON_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bar_style { BAR_NONE, BAR_LINES, BAR_DRAWN };
enum { BAR_COLUMNS_MAX = 120, BAR_TEXT = 32 };

struct bar {
    enum bar_style style;
    bool drawn; /* anything yet */
    size_t columns;
    int64_t began_us, drawn_us;
};

/* Starts the watch. Nothing is ever drawn if not `drawing`. */
void bar_begin(struct bar *b, bool drawing);
double bar_seconds(const struct bar *b);

/* True when it is time to draw: bar_draw would not come too often. */
bool bar_due(const struct bar *b);

/* Draws the text, at a terminal with a bar of done / total in front if there is room for one. last:
 * ends the line. */
void bar_draw(struct bar *b, uint64_t done, uint64_t total, const char *text, bool last);

/* What is drawn: "[###...] text" in columns - 1 characters, or the text alone, cut if it has to be;
 * columns 0: no bar, and as long as it is. Returns the length. */
size_t bar_line(uint64_t done, uint64_t total, const char *text, size_t columns, char *out,
                size_t cap);

/* 1234567 as "1,234,567", 3671 seconds as "1:01:11". Return out. */
const char *bar_grouped(uint64_t n, char out[BAR_TEXT]);
const char *bar_duration(double seconds, char out[BAR_TEXT]);

/* Seconds to go, at the pace so far; 0 if none is known. */
double bar_left(double seconds, uint64_t done, uint64_t total);

#endif
