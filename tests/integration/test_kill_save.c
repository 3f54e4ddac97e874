/*
 * test_kill_save.c - SIGKILL while checkpoints are saved under load: of servers at random moments, life
 * after life of one job, each life on another number of servers; of a worker that owes its mark; of who
 * saves. Workers and those who save are processes. RH_TEST_KILLS=1000 makes so many lives of it.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/rng.h"
#include "ps/ckpt_file.h"
#include "ps/ckpt_folder.h"
#include "tests/support/job.h"
#include "tests/support/moment.h"
#include "tests/support/scratch.h"
#include "tests/support/seed.h"

enum { LIVES = 20, SHARDS_MAX = 4, SAVERS = 2, SAVES_EVERY = 7, PATIENCE_MS = 30000 };

/* What the processes of a test have told; it outlives them. */
struct told {
    atomic_uint_least64_t steps[MOMENT_WORKERS];    /* whose end all shards have acked */
    atomic_uint_least64_t promised[MOMENT_WORKERS]; /* steps before an rh_save that has returned */
    atomic_uint_least64_t generation;               /* of the newest that an rh_save has returned */
    atomic_uint_least64_t saves;                    /* that have returned */
};

static struct job job;
static struct told *told;
static pid_t workers[MOMENT_WORKERS], savers[SAVERS];

static void setup(void) {
    scratch_enter();
    setenv("RH_CHECKPOINT_DIR", ".", 1);
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(told != MAP_FAILED);
}

static void teardown(void) {
    munmap(told, sizeof *told);
    unsetenv("RH_CHECKPOINT_DIR");
    scratch_leave();
}

static void raise_to(atomic_uint_least64_t *at, uint64_t to) {
    uint64_t is = atomic_load(at);
    while (is < to && !atomic_compare_exchange_weak(at, &is, to))
        ;
}

/* ---- processes ---- */

static pid_t spawn(void (*run)(const void *arg), const void *arg) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(arg);
        _exit(0);
    }
    return pid;
}

/* It was alive, and still at work. */
static void end(pid_t *pid) {
    int status;
    if (*pid == 0)
        return;
    kill(*pid, SIGKILL);
    ck_assert_int_eq(waitpid(*pid, &status, 0), *pid);
    ck_assert_msg(WIFSIGNALED(status), "a process has ended by itself, with status 0x%x",
                  (unsigned)status);
    *pid = 0;
}

struct worker {
    uint32_t rank;
    bool resumes;
    uint32_t saves_every; /* 0: never */
    uint64_t dies_after;  /* it waits for that in the midst of the next step; 0: never */
    uint64_t takes_over;  /* from one that has died there; 0: from none */
};

/* A rank is free again some time after its worker was last heard of. */
static rh_client *take_over(uint32_t rank) {
    rh_config cfg = job.cfg;
    rh_client *c = NULL;
    cfg.rank = rank;
    for (int64_t until = job_now_ms() + PATIENCE_MS; rh_connect(&cfg, &c) != RH_OK; usleep(100000))
        ck_assert_msg(job_now_ms() < until, "%s", rh_errmsg());
    return c;
}

static void train(const void *arg) {
    const struct worker *w = arg;
    struct moment m;
    rh_client *c = w->takes_over != 0 ? take_over(w->rank) : job_connect(&job, w->rank);
    moment_begin(&m, c, w->rank);
    if (w->resumes)
        moment_resume(&m);
    if (w->takes_over != 0)
        moment_mend(&m, w->takes_over);
    for (;;) {
        moment_step(&m);
        atomic_store(&told->steps[w->rank], m.steps);
        if (w->saves_every != 0 && rh_clock(c) % w->saves_every == 0) {
            ck_assert_ok(rh_save(c, "own"));
            raise_to(&told->promised[w->rank], m.steps);
        }
        if (m.steps == w->dies_after) {
            moment_half_step(&m);
            pause();
        }
    }
}

struct saver {
    const char *names[2];
};

/* One save; and what was true before it is in what it has saved. */
static void save(rh_client *c, const char *name) {
    uint64_t steps[MOMENT_WORKERS];
    rh_checkpoint_info is = {.size = sizeof is};
    for (int i = 0; i < MOMENT_WORKERS; i++)
        steps[i] = atomic_load(&told->steps[i]);
    ck_assert_ok(rh_save(c, name));
    ck_assert_ok(rh_last_checkpoint(c, &is));
    for (int i = 0; i < MOMENT_WORKERS; i++)
        raise_to(&told->promised[i], steps[i]);
    raise_to(&told->generation, is.generation);
    atomic_fetch_add(&told->saves, 1);
}

static rh_client *observer(void) {
    rh_config look = job.cfg;
    rh_client *c;
    look.observer = 1;
    ck_assert_ok(rh_connect(&look, &c));
    return c;
}

static void save_all_the_while(const void *arg) {
    const struct saver *s = arg;
    rh_client *c = observer();
    for (int i = 0;; i ^= 1)
        save(c, s->names[i]);
}

static void await(const atomic_uint_least64_t *at, uint64_t least, const char *what) {
    for (int64_t until = job_now_ms() + PATIENCE_MS; atomic_load(at) < least; usleep(1000))
        ck_assert_msg(job_now_ms() < until, "no more %s in %d s: %" PRIu64 " of %" PRIu64, what,
                      PATIENCE_MS / 1000, (uint64_t)atomic_load(at), least);
}

static void await_steps(uint32_t rank, uint64_t more) {
    await(&told->steps[rank], atomic_load(&told->steps[rank]) + more, "steps");
}

/* ---- the folder ---- */

/* Attempts that are not finished, and what a finished one has replaced. */
static int leftovers(void) {
    int n = 0;
    DIR *d = opendir(".");
    ck_assert_ptr_nonnull(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] == '.' && strstr(e->d_name, ".tmp") != NULL;
    closedir(d);
    return n;
}

static void verify(struct ckpt_io *io, const char *name) {
    struct ckpt_fd folder;
    struct ckpt_manifest m;
    ck_assert_msg(ckpt_open(io, name, &folder, &m) == RH_OK, "%s", err_text());
    for (uint32_t i = 0; i < m.shards; i++) {
        struct ckpt_reader *r = NULL;
        ck_assert_msg(ckpt_reader_open(&folder, &m, i, &r) == RH_OK, "%s", err_text());
        ck_assert_msg(ckpt_reader_verify(r, NULL, NULL) == RH_OK, "%s", err_text());
        ckpt_reader_close(&r);
    }
    ckpt_manifest_fini(&m);
    ckpt_drop(&folder);
}

/* All that is there is whole, and one moment; and the newest is all that was promised. */
static void check_folder(void) {
    struct ckpt_io *io;
    struct ckpt_seen *all;
    uint32_t n;
    uint64_t cursors[MOMENT_WORKERS] = {0};
    ck_assert_int_eq(ckpt_io_beneath(".", &io), RH_OK);
    ck_assert_int_eq(ckpt_list(io, &all, &n), RH_OK);
    ck_assert_uint_gt(n, 0);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_msg(all[i].status == RH_OK, "\"%s\" cannot be read", all[i].name);
        verify(io, all[i].name);
        moment_check(all[i].name, i == 0 ? cursors : NULL);
    }
    ck_assert_uint_ge(all[0].generation, atomic_load(&told->generation));
    for (int i = 0; i < MOMENT_WORKERS; i++)
        ck_assert_msg(cursors[i] >= atomic_load(&told->promised[i]),
                      "\"%s\" has worker %d at %" PRIu64 ", which had ended step %" PRIu64
                      " before an rh_save that has returned",
                      all[0].name, i, cursors[i], (uint64_t)atomic_load(&told->promised[i]));
    free(all);
    ckpt_io_free(&io);
}

/* ---- lives ---- */

static void start_servers(uint32_t shards, bool resumes, rh_mode mode) {
    memset(&job, 0, sizeof job);
    rh_config_init(&job.cfg);
    for (uint32_t i = 0; i < shards; i++)
        servers_add(&job.servers, "tcp", NULL, i, shards, resumes ? "--restore=latest" : NULL);
    job.cfg.servers = job.servers.list;
    job.cfg.world = MOMENT_WORKERS;
    job.cfg.mode = mode;
    job.cfg.op_timeout_ms = job.cfg.connect_timeout_ms = PATIENCE_MS;
    ck_assert_int_eq(leftovers(), 0);
}

static void start_workers(bool resumes, uint32_t saving) {
    for (uint32_t rank = 0; rank < MOMENT_WORKERS; rank++) {
        const struct worker w = {
            .rank = rank, .resumes = resumes, .saves_every = rank < saving ? SAVES_EVERY : 0};
        workers[rank] = spawn(train, &w);
    }
}

static void end_workers(void) {
    for (int i = 0; i < MOMENT_WORKERS; i++)
        end(&workers[i]);
    for (int i = 0; i < SAVERS; i++)
        end(&savers[i]);
}

/* Who saves, and under which names. */
static const struct {
    const char *what;
    struct saver savers[SAVERS]; /* no names: it is not there */
} kinds[] = {
    {"one, one name", {{{"a", "a"}}}},
    {"one, two names", {{{"a", "b"}}}},
    {"two, one name", {{{"a", "a"}}, {{"a", "a"}}}},
    {"two, two names", {{{"a", "b"}}, {{"b", "a"}}}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* A file of an attempt that is being made. */
static bool is_there(const char *file) {
    for (const char *name = "ab"; *name != '\0'; name++) {
        char path[64];
        snprintf(path, sizeof path, ".%c.tmp/%s", *name, file);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* Any time; or soon after an attempt was begun, or is about to be put in place. */
static void await_moment(struct rng *g) {
    static const char *const files[] = {NULL, "", "MANIFEST.json"};
    static const uint32_t then_us[] = {100000, 5000, 1000};
    const uint64_t k = rng_below(g, 3);
    for (int64_t until = job_now_ms() + 1000; files[k] != NULL && job_now_ms() < until;)
        if (is_there(files[k]))
            break;
    usleep((useconds_t)rng_below(g, then_us[k]));
}

/* One server, or all at once. The others, which live on for a moment, are killed too, or told to stop. */
static void kill_servers(struct rng *g, uint32_t shards) {
    const uint64_t first = rng_below(g, shards + 1);
    const bool stop = rng_below(g, 2) == 0;
    for (uint32_t i = 0; i < shards; i++)
        if (first == shards || first == i)
            servers_signal(&job.servers, i, SIGKILL);
    printf(", kills %s%" PRIu64 "%s", first == shards ? "all " : "shard ", first,
           first == shards ? ""
           : stop          ? ", stops the others"
                           : " and then the others");
    if (first < shards)
        usleep((useconds_t)rng_below(g, 20000));
    for (uint32_t i = 0; i < shards && !stop; i++)
        if (job.servers.pids[i] != 0)
            servers_signal(&job.servers, i, SIGKILL);
    servers_stop(&job.servers);
}

static void live_and_die(struct rng *g, uint32_t shards, bool resumes) {
    const uint64_t kind = rng_below(g, KINDS);
    const rh_mode mode = rng_below(g, 4) == 0 ? RH_MODE_BSP : RH_MODE_ASYNC;
    const uint32_t all = mode == RH_MODE_BSP ? MOMENT_WORKERS : 1 + rng_below(g, MOMENT_WORKERS);
    const uint32_t saving = rng_below(g, 2) == 0 ? all : 0;
    printf("%u shards, %s, saved by %s%s", shards, mode == RH_MODE_BSP ? "bsp" : "async",
           kinds[kind].what,
           saving == 0   ? ""
           : saving == 1 ? " and a worker"
                         : " and workers");
    fflush(stdout);
    start_servers(shards, resumes, mode);
    start_workers(resumes, saving);
    for (int i = 0; i < SAVERS; i++)
        if (kinds[kind].savers[i].names[0] != NULL)
            savers[i] = spawn(save_all_the_while, &kinds[kind].savers[i]);
    /* All have come, and there is something to come back to. */
    const uint64_t before = atomic_load(&told->saves);
    for (uint32_t rank = 0; rank < MOMENT_WORKERS; rank++)
        await_steps(rank, 2);
    await(&told->saves, before + 1 + rng_below(g, 5), "saves");
    await_moment(g);
    kill_servers(g, shards);
    end_workers();
    const uint64_t saves = atomic_load(&told->saves);
    printf(" after %" PRIu64 " saves; %d left over\n", saves - before, leftovers());
    fflush(stdout);
}

static int lives(void) {
    const char *given = getenv("RH_TEST_KILLS");
    return given != NULL ? atoi(given) : LIVES;
}

START_TEST(what_was_saved_outlives_any_kill_of_servers_and_is_one_moment) {
    struct rng g;
    uint32_t shards = 0;
    rng_init(&g, test_seed("kill_save"), 0);
    for (int i = 0; i < lives(); i++) {
        shards = 1 + (uint32_t)((shards + rng_below(&g, SHARDS_MAX - 1)) % SHARDS_MAX);
        printf("life %d: ", i);
        live_and_die(&g, shards, i > 0);
        check_folder();
        /* Those after it were lost with their servers. */
        for (int k = 0; k < MOMENT_WORKERS; k++)
            atomic_store(&told->steps[k], 0);
    }
    start_servers(1 + shards % SHARDS_MAX, true, RH_MODE_ASYNC);
    start_workers(true, 0);
    for (int i = 0; i < MOMENT_WORKERS; i++)
        await(&told->steps[i], 1, "steps");
    end_workers();
    servers_stop(&job.servers);
}
END_TEST

/* ---- one process dies, the others go on ---- */

static void save_in_vain(const void *arg) {
    (void)arg;
    ck_assert_refused(rh_save(observer(), "a"), RH_ETIMEDOUT, "worker 1");
}

static void await_exit(pid_t pid) {
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with status 0x%x",
                  (unsigned)status);
}

START_TEST(a_worker_that_dies_owing_its_mark_is_named_and_when_its_rank_came_again_saves_work) {
    enum { DIES_AFTER = 5 };
    struct worker w[MOMENT_WORKERS] = {
        {.rank = 0}, {.rank = 1, .dies_after = DIES_AFTER}, {.rank = 2}};
    start_servers(3, false, RH_MODE_ASYNC);
    job.cfg.op_timeout_ms = 6000;
    for (int i = 0; i < MOMENT_WORKERS; i++)
        workers[i] = spawn(train, &w[i]);
    await(&told->steps[1], DIES_AFTER, "steps");
    pid_t saves = spawn(save_in_vain, NULL);
    for (int64_t until = job_now_ms() + PATIENCE_MS; leftovers() == 0; usleep(100))
        ck_assert_int_lt(job_now_ms(), until);
    usleep(50000); /* the others have marked, and are held */
    end(&workers[1]);
    /* Not held for as long as somebody wants to save: it is known soon that a mark will not come. */
    await_steps(0, 100);
    await_exit(saves);
    ck_assert_int_eq(leftovers(), 0);
    await_steps(2, 100);
    w[1] = (struct worker){.rank = 1, .takes_over = DIES_AFTER};
    workers[1] = spawn(train, &w[1]);
    await_steps(1, 10);
    rh_client *c = observer();
    for (int i = 0; i < 3; i++) {
        save(c, "a");
        check_folder();
    }
    rh_close(c);
    end_workers();
    servers_stop(&job.servers);
}
END_TEST

START_TEST(who_saves_may_die_and_another_saves_what_is_there_then) {
    enum { DEATHS = 5 };
    struct rng g;
    rng_init(&g, test_seed("kill_saver"), 0);
    start_servers(2, false, RH_MODE_ASYNC);
    start_workers(false, 0);
    for (int i = 0; i < DEATHS; i++) {
        savers[0] = spawn(save_all_the_while, &kinds[0].savers[0]);
        await_moment(&g);
        end(&savers[0]);
        await_steps(0, 10);
        rh_client *c = observer();
        save(c, "a");
        check_folder();
        rh_close(c);
    }
    end_workers();
    servers_stop(&job.servers);
}
END_TEST

int main(void) {
    TCase *tc = tcase_create("kill_save");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 100 + 5 * lives());
    tcase_add_test(tc, what_was_saved_outlives_any_kill_of_servers_and_is_one_moment);
    tcase_add_test(
        tc, a_worker_that_dies_owing_its_mark_is_named_and_when_its_rank_came_again_saves_work);
    tcase_add_test(tc, who_saves_may_die_and_another_saves_what_is_there_then);
    Suite *s = suite_create("kill_save");
    suite_add_tcase(s, tc);
    return job_main(s);
}
