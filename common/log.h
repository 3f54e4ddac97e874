/* log.h - one line per event on stderr, written with one write(): time, level, who, what. For
 * programs; the client library logs nothing and speaks through statuses. Lower case, exact cause,
 * never a guess.
 *
 *     2026-01-31T12:00:00.123Z warn server 0/2: worker 3 said nothing for 5000 ms
 *
 * Time is UTC, so that lines of several hosts sort together. Bytes of the text that would break the
 * line or the terminal are shown as ?. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "common/status.h"

enum log_level { LOG_ERROR = 0, LOG_WARN = 1, LOG_INFO = 2, LOG_DEBUG = 3 };

/* who: "server 0/2", kept as a copy of at most 31 bytes. Set once at start, before other threads
 * log; without it LOG_INFO and nobody. */
void log_init(enum log_level level, const char *who);
bool log_level_parse(const char *word, enum log_level *out); /* error, warn, info, debug */

/* Any thread. Keeps errno. A line longer than 2,047 bytes is cut. */
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
