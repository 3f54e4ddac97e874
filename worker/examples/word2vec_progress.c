/* word2vec_progress.c - see word2vec_progress.h. */
#include "worker/examples/word2vec_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"

enum { BAR_EVERY_US = 200 * 1000, LINE_EVERY_US = 10 * 1000 * 1000 };
enum { COLUMNS_MAX = 120, BAR_MIN = 10, LOSS_STEPS = 100 };

static enum progress_style find_style(void) {
    const char *tty = getenv("RH_TTY");
    int is_tty = tty ? strcmp(tty, "1") == 0 : isatty(STDERR_FILENO);
    return is_tty ? PROGRESS_BAR : PROGRESS_LINES;
}

static size_t find_columns(void) {
    const char *text = getenv("RH_COLUMNS");
    struct winsize size = {0};
    long columns = text ? strtol(text, NULL, 10) : 0;
    if (columns <= 0 && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    if (columns <= 0)
        columns = 80;
    return columns < COLUMNS_MAX ? (size_t)columns : COLUMNS_MAX;
}

void progress_begin(struct progress *p, int drawing) {
    pthread_mutex_init(&p->mutex, NULL);
    p->style = drawing ? find_style() : PROGRESS_NONE;
    p->columns = find_columns();
    p->began_us = p->drawn_us = clock_now_us();
    p->steps_done = p->words = 0;
    p->loss = p->lr = 0;
}

double progress_seconds(const struct progress *p) {
    return (double)(clock_now_us() - p->began_us) * 1e-6;
}

/* 1234567 as 1,234,567 */
static const char *grouped(uint64_t n, char out[32]) {
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

/* 3671 as 1:01:11 */
static const char *duration(double seconds, char out[32]) {
    uint64_t s = seconds < 1e9 ? (uint64_t)seconds : (uint64_t)1e9;
    if (s < 3600)
        snprintf(out, 32, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    else
        snprintf(out, 32, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    return out;
}

size_t progress_text(const struct progress *p, double seconds, size_t columns, char *out,
                     size_t cap) {
    uint64_t done = p->steps_done, epoch = done * p->epochs / p->steps + 1;
    double rate = seconds > 0 ? (double)p->words * p->world / seconds : 0;
    double left = done > 0 ? seconds * (double)(p->steps - done) / (double)done : 0;
    char words[32], eta[32], text[256], bar[COLUMNS_MAX + 1];
    int len = snprintf(text, sizeof text,
                       "epoch %" PRIu64 "/%" PRIu32 " %3" PRIu64 " %%  %s words/s  loss %.3f  "
                       "lr %.5f  ETA %s",
                       epoch < p->epochs ? epoch : p->epochs, p->epochs, done * 100 / p->steps,
                       grouped((uint64_t)rate, words), p->loss, p->lr, duration(left, eta));
    size_t room = columns > (size_t)len + 4 ? columns - (size_t)len - 4 : 0;
    size_t full = (size_t)(done * room / p->steps);
    memset(bar, '#', full);
    memset(bar + full, '.', room - full);
    bar[room] = 0;
    if (columns > 0 && (size_t)len >= columns)
        text[columns - 1] = 0; /* a line that wraps could not be drawn over */
    len = snprintf(out, cap, room < BAR_MIN ? "%.0s%s" : "[%s] %s", bar, text);
    return (size_t)len < cap ? (size_t)len : cap - 1;
}

/* With one write(). Whether it arrives is not worth failing for. */
static void draw(struct progress *p, int64_t now_us, int last) {
    char line[512];
    size_t len = 0;
    int bar = p->style == PROGRESS_BAR;
    if (bar)
        line[len++] = '\r';
    len += progress_text(p, (double)(now_us - p->began_us) * 1e-6, bar ? p->columns : 0, line + len,
                         sizeof line - len - 4);
    if (bar) {
        memcpy(line + len, "\x1b[K", 3); /* what a longer line before has left */
        len += 3;
    }
    if (!bar || last)
        line[len++] = '\n';
    p->drawn_us = now_us;
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

void progress_add(struct progress *p, uint64_t words, double loss, double lr) {
    pthread_mutex_lock(&p->mutex);
    p->steps_done++;
    p->words += words;
    /* The mean of all steps, and after LOSS_STEPS of them of about the last ones. */
    p->loss += (loss - p->loss) / (double)(p->steps_done < LOSS_STEPS ? p->steps_done : LOSS_STEPS);
    p->lr = lr;
    int64_t now_us = clock_now_us();
    int64_t every_us = p->style == PROGRESS_BAR ? BAR_EVERY_US : LINE_EVERY_US;
    if (p->style != PROGRESS_NONE && now_us - p->drawn_us >= every_us)
        draw(p, now_us, 0);
    pthread_mutex_unlock(&p->mutex);
}

void progress_end(struct progress *p) {
    if (p->style != PROGRESS_NONE && p->steps_done > 0)
        draw(p, clock_now_us(), 1);
    pthread_mutex_destroy(&p->mutex);
}
