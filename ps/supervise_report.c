/* supervise_report.c - what a server child tells its supervisor: one line when it listens, or its last
 * word where it cannot. A server that was started again must be found where the first one was. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "ps/supervise_inner.h"

enum {
    REPORT_MAX = PLACE_SHARDS_MAX * ROSTER_ADDRESS_MAX + 24 + PATH_MAX,
    SAID_MAX = 65536 + 1 /* a pipe holds no more */
};

#define PREFIX "rowhouse-server: "

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- the line ---- */

int supervise_report_read(struct report *r) {
    if (r->text == NULL && (r->text = malloc(REPORT_MAX)) == NULL)
        return -1;
    ssize_t n = read(r->fd, r->text + r->len, REPORT_MAX - 1 - r->len);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return -1;
    r->len += (size_t)n;
    r->text[r->len] = '\0';
    char *end = strchr(r->text, '\n');
    if (end == NULL)
        return 0;
    *end = '\0';
    return 1;
}

void supervise_report_close(struct report *r) {
    if (r->fd >= 0)
        close(r->fd);
    free(r->text);
    *r = (struct report){.fd = -1};
}

/* The same interfaces, but the ports that the first server was given: what is told to others names this
 * host, which may have several. */
static bool make_listen(struct supervisor *s) {
    const char *given = supervise_given(s, "--listen");
    const char *first = given != NULL ? given : s->own_listen;
    size_t cap = 1, at = 0;
    for (uint32_t i = 0; i < s->n_addresses; i++)
        cap += strlen(s->addresses[i]) + strlen(first) + 1;
    s->listen = malloc(cap);
    if (s->listen == NULL)
        return false;
    s->listen[0] = '\0';
    for (uint32_t i = 0; i < s->n_addresses; i++) {
        const char *address = s->addresses[i], *port = strrchr(address, ':');
        size_t host = strcspn(first, ",");
        while (host > 0 && first[host - 1] != ':')
            host--;
        bool tcp = starts(address, "tcp://") && host > strlen("tcp:");
        at += (size_t)snprintf(s->listen + at, cap - at, "%s%.*s%s", i == 0 ? "" : ",",
                               tcp ? (int)host : 0, first, tcp ? port + 1 : address);
        const char *next = strchr(first, ',');
        first = next == NULL ? first : next + 1;
    }
    return true;
}

/* "tcp://a:1,tcp://a:2 7 folder", or without the folder. */
bool supervise_report_keep(struct supervisor *s) {
    s->told = s->report.text;
    s->report.text = NULL;
    s->addresses = calloc(PLACE_SHARDS_MAX, sizeof *s->addresses);
    if (s->addresses == NULL)
        return false;
    char *blank = strchr(s->told, ' '), *rest = NULL;
    s->folder = "";
    if (blank != NULL) {
        *blank = '\0';
        s->generation = strtoull(blank + 1, &rest, 10);
        s->folder = *rest == ' ' ? rest + 1 : "";
        rest = NULL;
    }
    for (char *a = strtok_r(s->told, ",", &rest); a != NULL && s->n_addresses < PLACE_SHARDS_MAX;
         a = strtok_r(NULL, ",", &rest))
        s->addresses[s->n_addresses++] = a;
    return make_listen(s);
}

bool supervise_report_same(const struct supervisor *s) {
    const char *p = s->report.text;
    for (uint32_t i = 0; i < s->n_addresses; i++) {
        size_t len = strlen(s->addresses[i]);
        bool last = i + 1 == s->n_addresses;
        if (strncmp(p, s->addresses[i], len) != 0)
            return false;
        p += len;
        if (last ? *p != ' ' && *p != '\0' : *p != ',')
            return false;
        p += !last;
    }
    return true;
}

/* ---- the last word ---- */

/* The last line, with the prefix of a program's own last word if there is one with it. What was logged
 * before goes on to our stderr. NULL: nothing is there. */
static const char *last_word(int fd, char said[SAID_MAX]) {
    size_t len = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (ssize_t n = 1; n > 0 && len + 1 < SAID_MAX && poll(&p, 1, 0) == 1; len += n > 0 ? n : 0)
        n = read(fd, said + len, SAID_MAX - 1 - len);
    said[len] = '\0';
    char *rest = NULL, *word = NULL;
    for (char *line = strtok_r(said, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        bool better = word == NULL || starts(line, PREFIX) || !starts(word, PREFIX);
        const char *other = better ? word : line;
        if (other != NULL)
            dprintf(STDERR_FILENO, "%s\n", other);
        word = better ? line : word;
    }
    return word;
}

bool supervise_last_word(struct supervisor *s) {
    char said[SAID_MAX];
    const char *word = last_word(s->stderr_fd, said);
    if (word != NULL)
        err_set(RH_EIO, "%s", word + (starts(word, PREFIX) ? strlen(PREFIX) : 0));
    return word != NULL;
}
