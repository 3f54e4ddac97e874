/* supervise_notes.c - what a supervisor tells: notes to rowhouse run, as ps/supervise.h has them, or plain
 * lines where nobody reads notes. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "ps/supervise_inner.h"

static bool somebody_reads(void) {
    return getenv(SUPERVISE_NOTES) != NULL;
}

/* Written whole: several ranks share the terminal. */
void supervise_note(char letter, const char *text) {
    if (!somebody_reads())
        return;
    char line[ERR_TEXT_MAX + 64];
    int n = snprintf(line, sizeof line, "%c%c%s\n", SUPERVISE_NOTE, letter, text);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
    (void)ignored;
}

static void put(char letter, const char *note, const char *line) {
    supervise_note(letter, note);
    if (!somebody_reads())
        dprintf(STDERR_FILENO, "rowhouse run: %s\n", line);
}

int supervise_fail(int code, const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%d ", code);
    va_list args;
    va_start(args, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, args);
    va_end(args);
    put('F', text, text + n);
    return code;
}

void supervise_say(const char *fmt, ...) {
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    put('R', text, text);
}

/* In pieces: a note is short, so that no other rank's words come between. */
void supervise_tell_servers(const struct supervisor *s, const struct roster *r) {
    char list[ERR_TEXT_MAX];
    size_t len = 0;
    for (uint32_t i = 0; i < r->shards; i++) {
        if (len + strlen(r->servers[i]) + 2 > sizeof list) {
            supervise_note('S', list);
            len = 0;
        }
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len == 0 ? "" : ",",
                                r->servers[i]);
    }
    supervise_note('S', list);
    supervise_note('C', s->folder);
}
