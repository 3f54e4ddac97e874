/* log.c - see log.h. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, LEVELS = 4 };

static const char *const level_names[LEVELS] = {"error", "warn", "info", "debug"};

/* A program has one stderr, so it has one log. */
static struct {
    enum log_level level;
    char who[32];
} log_state = {.level = LOG_INFO};

void log_init(enum log_level level, const char *who) {
    log_state.level = level;
    snprintf(log_state.who, sizeof log_state.who, "%s", who);
}

bool log_level_parse(const char *word, enum log_level *out) {
    for (int i = 0; i < LEVELS; i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Puts "time level who: " at the start of line; its length. */
static size_t put_head(char line[LINE_MAX_BYTES], enum log_level level) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(line, LINE_MAX_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    const char *who = log_state.who;
    len += (size_t)snprintf(line + len, LINE_MAX_BYTES - len, ".%03dZ %s %s%s",
                            (int)(now.tv_nsec / 1000000), level_names[level], who,
                            who[0] != '\0' ? ": " : "");
    return len;
}

void log_at(enum log_level level, const char *fmt, ...) {
    if (level > log_state.level)
        return;
    int kept_errno = errno;
    char line[LINE_MAX_BYTES];
    size_t head = put_head(line, level);
    errno = kept_errno; /* for %m */
    va_list args;
    va_start(args, fmt);
    int text = vsnprintf(line + head, sizeof line - head, fmt, args);
    va_end(args);
    size_t len = strlen(line);
    if (text < 0)
        len = head;
    for (size_t i = head; i < len; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7F)
            line[i] = '?';
    line[len] = '\n'; /* in the place of the 0 */
    /* Nobody is left to tell if stderr itself fails. */
    ssize_t written = write(STDERR_FILENO, line, len + 1);
    (void)written;
    errno = kept_errno;
}
