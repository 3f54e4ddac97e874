/* roster_mpi.c - the plug-in rowhouse-mpi.so: one exchange of texts among the ranks of an mpirun. Open MPI spins in everything that
 * blocks, so nothing here blocks: what is begun is asked for every few milliseconds. */
#include "proto/roster_mpi.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, ASK_EVERY_US = 5000, SLACK_NS = 20 * 1000 * 1000 };

/* Says why nothing happens: MPI_Init itself waits until every rank is in it, and cannot be asked.
 * Until all have come: what they do then takes its time. Ranks 0 and 1 speak, so that one does even if the other is the one that is missing. */
struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over, runs;
};

static void *watch(void *arg) {
    struct watchdog *w = arg;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&w->lock);
    while (!w->is_over)
        if (pthread_cond_timedwait(&w->over, &w->lock, &until) == ETIMEDOUT) {
            static const char line[] =
                "rowhouse: still waiting for the other ranks of this mpirun after 30 s: each must "
                "be a rowhouse-server (one that restores a checkpoint takes its time), or a "
                "program that connects with \"mpi:\"\n";
            ssize_t ignored = write(STDERR_FILENO, line, sizeof line - 1);
            (void)ignored;
            break;
        }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void watchdog_start(struct watchdog *w) {
    *w = (struct watchdog){.is_over = false};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->over, NULL);
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    bool speaks = rank != NULL && (strcmp(rank, "0") == 0 || strcmp(rank, "1") == 0);
    w->runs = speaks && pthread_create(&w->thread, NULL, watch, w) == 0;
}

static void watchdog_stop(struct watchdog *w) {
    pthread_mutex_lock(&w->lock);
    w->is_over = true;
    pthread_cond_signal(&w->over);
    pthread_mutex_unlock(&w->lock);
    if (w->runs)
        pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->over);
    pthread_mutex_destroy(&w->lock);
}

static void wait_asleep(MPI_Request *request) {
    int done = 0;
    while (MPI_Test(request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
        usleep(ASK_EVERY_US);
}

/* Every rank's text, one behind the other, and pointers to them in front; lengths count the 0. */
static char **gather(const char *text, int size, int *lengths, int *starts) {
    MPI_Request request;
    int mine = (int)strlen(text) + 1;
    MPI_Iallgather(&mine, 1, MPI_INT, lengths, 1, MPI_INT, MPI_COMM_WORLD, &request);
    wait_asleep(&request);
    int total = 0;
    for (int i = 0; i < size; i++) {
        starts[i] = total;
        total += lengths[i];
    }
    char **texts = malloc((size_t)size * sizeof *texts + (size_t)total);
    if (texts == NULL)
        return NULL;
    char *bytes = (char *)(texts + size);
    MPI_Iallgatherv(text, mine, MPI_CHAR, bytes, lengths, starts, MPI_CHAR, MPI_COMM_WORLD,
                    &request);
    wait_asleep(&request);
    for (int i = 0; i < size; i++) {
        texts[i] = bytes + starts[i];
        bytes[starts[i] + lengths[i] - 1] = '\0';
    }
    return texts;
}

/* MPI_Init waits for the other ranks in naps of 100 us, which cost 15 % of a core. A thread with
 * timer slack naps longer. */
static bool init_asleep(void) {
    int slack_ns = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, SLACK_NS);
    int failed = MPI_Init(NULL, NULL);
    prctl(PR_SET_TIMERSLACK, slack_ns > 0 ? slack_ns : 0);
    return failed == MPI_SUCCESS;
}

/* With MPI initialized. */
static const char *exchange(const char *text, struct roster_exchange *out) {
    MPI_Comm_rank(MPI_COMM_WORLD, &out->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &out->size);
    int *numbers = malloc(2 * (size_t)out->size * sizeof *numbers);
    out->texts = numbers == NULL ? NULL : gather(text, out->size, numbers, numbers + out->size);
    free(numbers);
    return out->texts == NULL ? "no memory for what the ranks of this mpirun say" : NULL;
}

static void wait_for_all(void) {
    MPI_Request request;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    wait_asleep(&request);
}

__attribute__((visibility("default"))) roster_exchange_fn rh_mpi_exchange;

int rh_mpi_exchange(const char *text, roster_known_fn *known, void *arg,
                    struct roster_exchange *out, char *error, size_t cap) {
    int is_up = 0, is_over = 0;
    const char *failed = NULL;
    struct watchdog dog;
    watchdog_start(&dog);
    MPI_Initialized(&is_up);
    MPI_Finalized(&is_over);
    bool ours = !is_up && !is_over && init_asleep();
    if (is_over)
        failed = "this program has finalized MPI already: it must connect before that";
    else if (!is_up && !ours)
        failed = "MPI_Init failed";
    else
        failed = exchange(text, out);
    watchdog_stop(&dog);
    if (failed == NULL && !known(arg, out)) {
        *error = '\0';
        return -1; /* not through MPI_Finalize, which waits for the others as they do for us */
    }
    if (failed == NULL)
        wait_for_all();
    if (ours)
        MPI_Finalize();
    if (failed != NULL)
        snprintf(error, cap, "%s", failed);
    return failed == NULL ? 0 : -1;
}
