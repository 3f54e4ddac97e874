/* failpoint.c - see failpoint.h. */
#include "common/failpoint.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/err.h"

enum { POINTS_MAX = 16, NAME_MAX_BYTES = 32 };

enum deed { KILL, STOP, SLEEP, ERROR };
static const char *const deeds[] = {"kill", "stop", "sleep", "error"};

struct point {
    char name[NAME_MAX_BYTES];
    unsigned nth, sleep_ms;
    enum deed deed;
    atomic_uint reached;
};

atomic_bool failpoint_armed;
static struct point points[POINTS_MAX];
static int n_points;

/* ---- reading ---- */

static rh_status unreadable(const char *item) {
    return err_set(
        RH_EINVAL,
        "RH_FAILPOINTS: \"%s\" is not NAME=[NTH:]DEED, where DEED is kill, stop, sleep:MS "
        "or error",
        item);
}

/* "500:kill", "stop", "2:sleep:300" */
static bool read_deed(const char *text, struct point *p) {
    char *end = NULL;
    p->nth = 1;
    if (*text >= '0' && *text <= '9') {
        p->nth = (unsigned)strtoul(text, &end, 10);
        if (*end != ':' || p->nth == 0)
            return false;
        text = end + 1;
    }
    for (p->deed = KILL; p->deed <= ERROR; p->deed++) {
        size_t n = strlen(deeds[p->deed]);
        if (strncmp(text, deeds[p->deed], n) != 0)
            continue;
        if (p->deed != SLEEP)
            return text[n] == '\0';
        p->sleep_ms = text[n] == ':' ? (unsigned)strtoul(text + n + 1, &end, 10) : 0;
        return p->sleep_ms > 0 && *end == '\0';
    }
    return false;
}

static rh_status read_item(const char *item) {
    const char *is = strchr(item, '=');
    struct point *p = &points[n_points];
    if (n_points == POINTS_MAX)
        return err_set(RH_EINVAL, "RH_FAILPOINTS names more than %d places", POINTS_MAX);
    if (is == NULL || is == item || is - item >= NAME_MAX_BYTES || !read_deed(is + 1, p))
        return unreadable(item);
    memcpy(p->name, item, (size_t)(is - item));
    p->name[is - item] = '\0';
    atomic_store(&p->reached, 0);
    n_points++;
    return RH_OK;
}

static rh_status read_all(const char *text) {
    char *copy = strdup(text), *rest = NULL;
    rh_status st = copy == NULL ? err_set(RH_ENOMEM, "no memory for RH_FAILPOINTS") : RH_OK;
    for (char *item = copy == NULL ? NULL : strtok_r(copy, ",", &rest); st == RH_OK && item != NULL;
         item = strtok_r(NULL, ",", &rest))
        st = read_item(item);
    free(copy);
    return st;
}

rh_status failpoint_begin(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pid_t process;
    rh_status st = RH_OK;
    pthread_mutex_lock(&lock);
    if (process != getpid()) {
        const char *text = getenv("RH_FAILPOINTS");
        n_points = 0;
        st = text == NULL ? RH_OK : read_all(text);
        atomic_store(&failpoint_armed, st == RH_OK && n_points > 0);
        process = st == RH_OK ? getpid() : 0;
    }
    pthread_mutex_unlock(&lock);
    return st;
}

/* ---- doing ---- */

static void sleep_ms(unsigned ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0)
        ;
}

static rh_status act(const struct point *p) {
    dprintf(STDERR_FILENO, "failpoint %s: %s\n", p->name, deeds[p->deed]);
    switch (p->deed) {
    case KILL:
        kill(getpid(), SIGKILL);
        break;
    case STOP:
        kill(getpid(), SIGSTOP);
        break;
    case SLEEP:
        sleep_ms(p->sleep_ms);
        break;
    case ERROR:
        return err_set(RH_EIO, "failpoint %s", p->name);
    }
    return RH_OK;
}

static rh_status reach(const char *name, bool may_fail) {
    rh_status st = RH_OK;
    const int n = atomic_load(&failpoint_armed) ? n_points : 0; /* behind it they are all written */
    for (int i = 0; i < n; i++) {
        struct point *p = &points[i];
        if (strcmp(p->name, name) == 0 && (may_fail || p->deed != ERROR) &&
            atomic_fetch_add(&p->reached, 1) + 1 == p->nth)
            st = act(p);
    }
    return st;
}

void failpoint_reach(const char *name) {
    rh_status none = reach(name, false);
    (void)none;
}

rh_status failpoint_try(const char *name) {
    return reach(name, true);
}
