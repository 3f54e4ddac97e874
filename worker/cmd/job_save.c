/* job_save.c - see job_save.h. What the child says, on either of its streams, is one line or a small
 * document, and fits into the pipe: so it is read when the child has ended, and not before. */
#include "worker/cmd/job_save.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process.h"

/* How long it may come no further: until the workers have come to the cut, then to a byte on disk. */
#define PATIENCE_S "20"

static void fail(struct job_save *v, const char *why) {
    v->saved = false;
    snprintf(v->text, sizeof v->text, "%s", why);
}

static bool start(struct job_save *v, const sigset_t *mask) {
    char self[PATH_MAX];
    int fds[2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n < 0 ? 0 : n] = '\0';
    char *line[] = {self, "ckpt", "save", JOB_SAVE_NAME, "--json", "--timeout", PATIENCE_S, NULL};
    if (pipe2(fds, O_CLOEXEC) != 0) {
        fail(v, strerror(errno));
        return false;
    }
    struct process_plan plan = {.argv = line,
                                .mask = mask,
                                .death_signal = SIGKILL,
                                .stderr_fd = fds[1],
                                .stdout_too = true};
    rh_status s = process_start(&plan, &v->child);
    close(fds[1]);
    v->said_fd = fds[0];
    if (s == RH_OK)
        return true;
    close(fds[0]);
    fail(v, err_text());
    return false;
}

bool job_save_begin(struct job_save *v, const sigset_t *mask) {
    if (v->folder[0] == '\0')
        return false;
    v->tried = true;
    return start(v, mask);
}

/* {"name": ..., "generation": 7, "clock": 1200, ...}; an async job has no clock of its own. */
static void take_document(struct job_save *v, const char *said) {
    json_t *o = json_loads(said, 0, NULL);
    long long clock = json_integer_value(json_object_get(o, "clock"));
    int n = snprintf(v->text, sizeof v->text, "generation %lld",
                     (long long)json_integer_value(json_object_get(o, "generation")));
    if (clock > 0)
        snprintf(v->text + n, sizeof v->text - (size_t)n, ", clock %lld", clock);
    v->saved = true;
    json_decref(o);
}

/* "rowhouse ckpt save: why" */
static void take_complaint(struct job_save *v, const char *said, int status) {
    static const char prefix[] = "rowhouse ckpt save: ";
    char how[64], text[128];
    if (strncmp(said, prefix, sizeof prefix - 1) == 0) {
        fail(v, said + sizeof prefix - 1);
        v->text[strcspn(v->text, "\n")] = '\0';
        return;
    }
    snprintf(text, sizeof text, "rowhouse ckpt save %s", process_end(status, how, sizeof how));
    fail(v, text);
}

bool job_save_ended(struct job_save *v) {
    int status;
    if (v->child == 0 || waitpid(v->child, &status, WNOHANG) != v->child)
        return false;
    char said[sizeof v->text];
    ssize_t n = read(v->said_fd, said, sizeof said - 1);
    said[n < 0 ? 0 : n] = '\0';
    close(v->said_fd);
    v->child = 0;
    if (process_exit_code(status) == 0)
        take_document(v, said);
    else
        take_complaint(v, said, status);
    return true;
}

void job_save_give_up(struct job_save *v, const char *because) {
    if (v->child == 0 || job_save_ended(v))
        return;
    kill(-v->child, SIGKILL);
    while (waitpid(v->child, NULL, 0) < 0 && errno == EINTR)
        ;
    close(v->said_fd);
    v->child = 0;
    fail(v, because);
}

char *job_save_outcome(const struct job_save *v, const char *resume) {
    char *text;
    int n;
    if (v->saved)
        n = asprintf(&text,
                     "saved \"%s\" (%s) in %s; to go on (the program may want a flag for it): %s",
                     JOB_SAVE_NAME, v->text, v->folder, resume);
    else
        n = asprintf(&text, "not saved: %s", v->text);
    return n < 0 ? NULL : text;
}
