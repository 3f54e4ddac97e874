/* main.c - the program rowhouse-server: settings, where its workers find it (an address, MPI, a launcher's pipe), and the
 * orderly end. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/failpoint.h"
#include "common/hash.h"
#include "common/log.h"
#include "ps/ckpt_tool.h"
#include "ps/server.h"
#include "ps/server_ckpt.h"
#include "ps/server_journal.h"
#include "ps/supervise.h"

struct settings {
    const char *listen, *shard, *job, *data_dir, *checkpoint_dir, *restore, *journal, *journal_sync,
        *log_level, *config;
    int64_t shards, world, credit, hold_limit, memory_limit, worker_timeout, stuck_timeout,
        cut_timeout, report_fd, rejoin;
    int insecure, read_only, child;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_item items[] = {
    {"listen", CONF_STRING, AT(listen), NULL, 0, 0, "RH_LISTEN", "ADDRESS",
     "Where to wait for workers: tcp://127.0.0.1:7700 (port * takes a free one), or "
     "ipc:///run/my.sock; or one address for each shard of this process, comma-separated. Without "
     "it the server must be started by mpirun or rowhouse run."},
    {"shard", CONF_STRING, AT(shard), "0/1", 0, 0, NULL, "FIRST/TOTAL",
     "The first shard that this process serves, and how many the job has in all."},
    {"shards", CONF_INT, AT(shards), "1", 1, PLACE_SHARDS_MAX, NULL, "N",
     "How many shards this process serves, each with its own thread and port (the next ports). "
     "With --shard 0/1, the job has just these."},
    {"world", CONF_INT, AT(world), "0", 0, 65536, "RH_WORLD", "N",
     "Workers of the job; the server ends when all have said goodbye. 0: the first worker says, "
     "and the server stays."},
    {"job", CONF_STRING, AT(job), "", 0, 0, "RH_JOB", "NAME",
     "The job's name or token; clients of another job are refused. Prefer the environment: "
     "arguments are visible to others."},
    {"insecure", CONF_BOOL, AT(insecure), "no", 0, 0, NULL, NULL,
     "Listen beyond this host although connections are not encrypted. Anybody who reaches the "
     "port can then read and change the tables."},
    {"credit", CONF_INT, AT(credit), "8388608", 65536, 1 << 30, NULL, "BYTES",
     "How many bytes a worker may have in flight to a shard."},
    {"hold-limit", CONF_INT, AT(hold_limit), "1024", 1, 1 << 30, "RH_HOLD_LIMIT", "MIB",
     "How much a shard may hold under bsp for clocks that are not closed, of all workers. What "
     "would "
     "go beyond is refused."},
    {"memory-limit", CONF_INT, AT(memory_limit), "0", 0, 1 << 30, "RH_MEMORY_LIMIT", "MIB",
     "How much the rows of all tables may take in this process, with their optimizer state; each "
     "of its "
     "shards has an equal part. Beyond it new rows are refused; those that are there are served "
     "and "
     "updated. 0: no limit."},
    {"data-dir", CONF_STRING, AT(data_dir), NULL, 0, 0, "RH_DATA_DIR", "DIR",
     "Let workers have files beneath DIR loaded by the servers themselves (rh_load with source = "
     "RH_SOURCE_SHARD). Without it a server opens no file for anybody."},
    {"checkpoint-dir", CONF_STRING, AT(checkpoint_dir), NULL, 0, 0, "RH_CHECKPOINT_DIR", "DIR",
     "The folder of the job's checkpoints: made if it is not there, and of this job alone. All "
     "server processes of a job, on whichever hosts, must be given the same shared folder."},
    {"restore", CONF_STRING, AT(restore), NULL, 0, 0, NULL, "NAME|latest",
     "Begin with checkpoint NAME of --checkpoint-dir, whatever number of shards has saved it, or "
     "with the newest; all servers of the job with the same. Everything is read and checked before "
     "anybody is answered; what is damaged or not there ends the server. (One whose name is latest "
     "must be renamed first: its name is that of its folder.)"},
    {"read-only", CONF_BOOL, AT(read_only), "no", 0, 0, NULL, NULL,
     "With --restore: serve what was restored, and refuse every change. The folder need not be "
     "writable, and may be that of a job which goes on saving there."},
    {"journal", CONF_STRING, AT(journal), NULL, 0, 0, "RH_JOURNAL", "DIR",
     "Write down every change before it is acknowledged, in DIR: a server that was killed and is "
     "started again with the same address, shards and job comes back to the same bits, and workers "
     "notice a pause. Of one job alone. What is there goes before --restore and --rejoin."},
    {"journal-sync", CONF_STRING, AT(journal_sync), "100", 0, 0, "RH_JOURNAL_SYNC",
     "never|MS|always",
     "When the journal is forced to the disk: never, or every so many milliseconds, or always "
     "before what it holds is acknowledged. It is about the machine losing power; a killed server "
     "loses nothing either way."},
    {"cut-timeout", CONF_INT, AT(cut_timeout), "10", 1, 86400, NULL, "SECONDS",
     "How long a checkpoint of the running job waits for workers to come to the end of a clock; "
     "then it is given up, and whoever wants it may try again."},
    {"worker-timeout", CONF_INT, AT(worker_timeout), "0", 0, 86400, "RH_WORKER_TIMEOUT", "SECONDS",
     "Who waits for a worker of which nothing was heard for so long, at a barrier or for the end "
     "of a "
     "clock, is told so. 0: callers wait until their own deadlines."},
    {"stuck-timeout", CONF_INT, AT(stuck_timeout), "60", 0, 86400, "RH_STUCK_TIMEOUT", "SECONDS",
     "A shard that has been in one request for so long, and does not even compute (else ten times "
     "as long), "
     "is stuck: the process ends with SIGABRT and a line that says in what, so that a supervisor "
     "starts it again. 0: never."},
    {"log-level", CONF_STRING, AT(log_level), "warn", 0, 0, "RH_LOG_LEVEL", "LEVEL",
     "error, warn, info or debug, on stderr."},
    {"config", CONF_STRING, AT(config), NULL, 0, 0, NULL, "FILE",
     "Read settings from a file: lines of name = value."},
    {NULL, CONF_SECTION, 0, NULL, 0, 0, NULL, NULL, "Given by rowhouse run:"},
    {"report-fd", CONF_INT, AT(report_fd), "-1", -1, 65535, NULL, "FD",
     "Write one line to this descriptor once the addresses are bound, and what is to be restored "
     "is: the addresses, comma-separated, and the newest generation in --checkpoint-dir (0: "
     "none)."},
    {"rejoin", CONF_INT, AT(rejoin), "-1", -1, 9e15, NULL, "GENERATION",
     "Take the place of a server of this job that has died, at the same --listen and --shard: the "
     "shards begin empty, and clients fill them, and put the others back, from the job's last "
     "checkpoint. GENERATION is what the first server there has reported: which checkpoints were "
     "in "
     "the folder before the job. --restore is what the job began with, and is not read at once."},
    {"child", CONF_BOOL, AT(child), "no", 0, 0, NULL, NULL,
     "This server is the child of a supervisor: it reports where it saves, too, behind the "
     "generation."},
};

static void usage_error(void) {
    fprintf(stderr, "rowhouse-server: %s\n", err_text());
}

/* "--shard 1/3" into first and total; both bounded. */
static rh_status read_shard(const struct settings *set, uint32_t *first, uint32_t *total) {
    unsigned a, b;
    char rest;
    if (sscanf(set->shard, "%u/%u%c", &a, &b, &rest) != 2 || b < 1 || b > PLACE_SHARDS_MAX ||
        a >= b)
        return err_set(RH_EINVAL,
                       "--shard %s: must be FIRST/TOTAL with FIRST below TOTAL, TOTAL at most %d, "
                       "such as 0/2",
                       set->shard, PLACE_SHARDS_MAX);
    if (a == 0 && b == 1)
        b = (uint32_t)set->shards;
    if (a + (uint32_t)set->shards > b)
        return err_set(RH_EINVAL, "--shard %s --shards %d: there is no shard %u of %u", set->shard,
                       (int)set->shards, a + (uint32_t)set->shards - 1, b);
    *first = a;
    *total = b;
    return RH_OK;
}

/* Larger than that of any earlier life of this shard. They are counted in tenths of a second: who takes the
 * place of another one, which may have begun in this very tenth, waits for the next. */
static uint32_t new_incarnation(bool rejoins) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (rejoins) {
        t.tv_nsec += 100000000 - t.tv_nsec % 100000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
            ;
    }
    uint32_t tenths = (uint32_t)t.tv_sec * 10 + (uint32_t)(t.tv_nsec / 100000000);
    return tenths == 0 ? 1 : tenths;
}

/* "ADDRESSES GENERATION", and a supervisor also hears where we save, if we do. */
static rh_status report(const struct settings *set, const struct server *s, uint64_t generation) {
    const char *const *addresses = server_addresses(s);
    bool saves = set->child && set->checkpoint_dir != NULL && !set->read_only;
    int fd = (int)set->report_fd, bad = 0;
    for (int64_t i = 0; i < set->shards; i++)
        bad |= dprintf(fd, "%s%s", i > 0 ? "," : "", addresses[i]) < 0;
    bad |= dprintf(fd, " %" PRIu64, generation) < 0;
    if (saves)
        bad |= dprintf(fd, " %s", set->checkpoint_dir) < 0;
    if (bad || dprintf(fd, "\n") < 0)
        return err_sys(RH_EIO, "cannot report the addresses to descriptor %d", fd);
    close(fd);
    return RH_OK;
}

/* Where a server under a plain mpirun listens: on loopback if every rank is on this host. */
static const char *mpi_listen(void) {
    const char *here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE"), *all = getenv("OMPI_COMM_WORLD_SIZE");
    return here != NULL && all != NULL && strcmp(here, all) == 0 ? "tcp://127.0.0.1:*"
                                                                 : "tcp://*:*";
}

/* What a server knows when it begins to live. */
struct life {
    const struct settings *set;
    struct server_ckpt ckpt;
    struct journals *journals;
    struct server *server;
    struct shard_config c;
    uint64_t generation; /* the newest in the folder when the job began */
};

/* A restore takes its time, and leaves nothing behind that would have to be put in order: there a
 * signal simply ends us. */
static rh_status restore(struct life *l) {
    sigset_t stop, before;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &stop, &before);
    rh_status st = server_ckpt_restore(&l->ckpt, l->c.ckpt, l->server, (uint32_t)l->set->shards);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}

/* Makes the shards, now that it is known which they are, and fills them if they begin with a
 * checkpoint. */
static rh_status fill(struct life *l, const char *job) {
    l->c.job = hash64(job, strlen(job));
    if (l->set->rejoin < 0 && l->c.ckpt != NULL)
        l->generation = server_ckpt_generation(l->c.ckpt);
    bool found = false; /* what the shards of an earlier life have written down */
    bool restores = l->ckpt.restore != NULL && !l->c.rejoins;
    rh_status st = RH_OK;
    if (l->journals != NULL)
        st = journals_look(l->journals, &l->c, (uint32_t)l->set->shards, restores, &found);
    if (st == RH_OK)
        st = server_make(l->server, &l->c, l->journals);
    if (st == RH_OK && found && restores)
        log_warn("--restore %s: not looked at, since there is a journal in %s", l->ckpt.restore,
                 l->set->journal);
    if (st == RH_OK && restores && !found)
        st = restore(l);
    if (st == RH_OK && l->journals != NULL)
        st = journals_begin(l->journals, l->server);
    if (st == RH_OK && l->c.shard == 0 && l->c.ckpt != NULL && !l->c.read_only)
        server_ckpt_clean(l->c.ckpt);
    return st;
}

/* Under a plain mpirun: shards are numbered over all server ranks, and the exchange says who else is
 * there. No rank goes on before all servers have been here. */
static rh_status fill_in_mpi(void *arg, const struct roster *r) {
    struct life *l = arg;
    l->c.shards = r->shards;
    l->c.world = r->world;
    for (uint32_t i = 0; i < r->shards; i++)
        if (strcmp(r->servers[i], server_addresses(l->server)[0]) == 0)
            l->c.shard = i;
    if (r->world == 0)
        return err_set(RH_EINVAL, "this mpirun has servers but no worker rank: use mpirun -np 2 "
                                  "rowhouse-server : -np 2 PROGRAM");
    return fill(l, r->job[0] != '\0' ? r->job : l->set->job);
}

static rh_status join_mpi(struct life *l) {
    struct roster r;
    rh_status st =
        roster_from_mpi(server_addresses(l->server), (uint32_t)l->set->shards, fill_in_mpi, l, &r);
    if (st == RH_OK)
        roster_fini(&r);
    return st;
}

static rh_status open_all(struct life *l, bool mpi) {
    const struct settings *set = l->set;
    struct server_options o = {.listen = mpi ? mpi_listen() : set->listen,
                               .shards = (uint32_t)set->shards,
                               .stuck_timeout_ms = set->stuck_timeout * 1000,
                               .insecure = set->insecure};
    rh_status st = read_shard(set, &l->c.shard, &l->c.shards);
    if (st == RH_OK && set->data_dir != NULL)
        st = source_beneath(set->data_dir, &l->c.source);
    if (st == RH_OK)
        st = server_ckpt_open(&l->ckpt, &l->c.ckpt);
    if (st == RH_OK && set->journal != NULL && set->read_only)
        st = err_set(RH_EINVAL, "--journal with --read-only: nothing changes that it could hold");
    if (st == RH_OK)
        st = journals_open(&(struct server_journal){set->journal, set->journal_sync}, &l->journals);
    return st == RH_OK ? server_open(&o, &l->server) : st;
}

static rh_status run(const struct settings *set, int *signal_out) {
    struct life l = {.set = set, .ckpt = {set->checkpoint_dir, set->restore, set->read_only != 0}};
    shard_config_init(&l.c);
    l.c.incarnation = new_incarnation(set->rejoin >= 0);
    l.c.credit_bytes = (uint32_t)set->credit;
    l.c.hold_bytes = (uint64_t)set->hold_limit << 20;
    l.c.memory_bytes = ((uint64_t)set->memory_limit << 20) / (uint64_t)set->shards;
    l.c.unix_ms = clock_unix_ms() - clock_now_ms();
    l.c.cut_timeout_ms = (uint32_t)set->cut_timeout * 1000;
    l.c.worker_timeout_ms = (uint32_t)set->worker_timeout * 1000;
    l.c.world = (uint32_t)set->world;
    l.c.read_only = l.ckpt.read_only;
    l.generation = set->rejoin > 0 ? (uint64_t)set->rejoin : 0;
    if (set->rejoin >= 0)
        server_ckpt_rejoin(&l.ckpt, l.generation, &l.c);
    bool mpi = set->listen == NULL;
    if (mpi && !roster_under_mpi())
        return err_set(RH_EINVAL,
                       "where to listen? Give --listen tcp://127.0.0.1:7700, or start the "
                       "server with rowhouse run or mpirun");
    rh_status st = open_all(&l, mpi);
    FAILPOINT("start.bound");
    if (st == RH_OK)
        st = mpi ? join_mpi(&l) : fill(&l, set->job);
    FAILPOINT("start.filled");
    if (st == RH_OK && set->report_fd >= 0)
        st = report(set, l.server, l.generation);
    FAILPOINT("start.reported");
    if (st == RH_OK)
        st = server_start(l.server);
    if (st == RH_OK)
        *signal_out = server_wait(l.server);
    bool finished = st == RH_OK && server_finished(l.server);
    server_close(&l.server);
    journals_close(&l.journals, finished);
    source_free(&l.c.source);
    ckpt_io_free(&l.c.ckpt);
    return st;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--ckpt") == 0)
        return ckpt_tool_main(argc, argv);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--supervise") == 0)
            return supervise_main(argc, argv);
    struct conf conf = {.program = "rowhouse-server",
                        .usage = "[options]",
                        .about =
                            "Holds the rows of embedding tables and applies what workers push.",
                        .items = items,
                        .n_items = sizeof items / sizeof *items,
                        .file_item = "config"};
    if (conf_wants_help(argc, argv)) {
        conf_help(&conf, stdout);
        return 0;
    }
    struct settings set;
    int words = 0;
    enum log_level level = LOG_WARN;
    rh_status st = conf_defaults(&conf, &set);
    if (st == RH_OK)
        st = conf_args(&conf, argc, argv, &set, &words);
    if (st == RH_OK)
        st = failpoint_begin();
    if (st == RH_OK && words > 0)
        st = err_set(RH_EINVAL, "what is \"%s\"? The server takes flags only; see --help", argv[1]);
    if (st == RH_OK && !log_level_parse(set.log_level, &level))
        st =
            err_set(RH_EINVAL, "--log-level %s: must be error, warn, info or debug", set.log_level);
    if (st != RH_OK) {
        usage_error();
        return 2;
    }
    log_init(level, "server");

    /* A busy server has many sockets; at 1,024 ZeroMQ's I/O thread spins when they run out. */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);

    int sig = 0;
    st = run(&set, &sig);
    if (st != RH_OK)
        fprintf(stderr, "rowhouse-server: %s\n", err_text());
    else if (sig != 0)
        log_info("stopped by signal %d", sig);
    conf_fini(&conf);
    return st == RH_OK ? 0 : st == RH_EINVAL ? 2 : 1;
}
