/* run.c - `rowhouse run`: the launcher. mpirun underneath, with its traps hidden: it refuses root
 * and more ranks than cores, binds ranks to cores, explains itself at length, gives a second to
 * save on SIGTERM, and lies about terminals. Every rank is a supervisor (rowhouse-server
 * --supervise), so the program itself needs no MPI. Here the line is made; job.c runs it. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/err.h"
#include "worker/cmd/cmd.h"
#include "worker/cmd/job.h"
#include "worker/cmd/job_save.h"
#include "worker/cmd/run_flags.h"
#include "worker/cmd/shell.h"

enum { RANKS_MAX = 65536, RESTARTS_MAX = 100, TOKEN_BYTES = 16 };

struct settings {
    int64_t servers, workers, restarts;
    const char *hostfile, *env_file;
    int dry_run;
};

#define AT(field) offsetof(struct settings, field)
static const struct conf_item items[] = {
    {"s", CONF_INT, AT(servers), "1", 1, 1024, NULL, "N", "How many server processes."},
    {"w", CONF_INT, AT(workers), "1", 1, RANKS_MAX, NULL, "N", "How many workers."},
    {"hostfile", CONF_STRING, AT(hostfile), NULL, 0, 0, NULL, "FILE",
     "The hosts, as mpirun reads them: lines of \"name slots=N\". Servers come first. Without it, "
     "everything runs on this host. Between hosts nothing is encrypted yet: --insecure says that "
     "you know."},
    {"restarts", CONF_INT, AT(restarts), "5", 0, RESTARTS_MAX, NULL, "N",
     "How often a server or a worker that has died is started again, each of them, in any ten "
     "minutes; then the job ends. A program that has died is started with RH_SUCCEEDS set, and "
     "goes "
     "on from its cursor if it reads that. 0: the first death ends the job."},
    {"env-file", CONF_STRING, AT(env_file), NULL, 0, 0, NULL, "FILE",
     "Write RH_SERVERS and RH_JOB there once the servers listen, for a shell that wants to look at "
     "this job: . FILE; rowhouse status. Nobody else can read it; it goes when the job ends."},
    {"dry-run", CONF_BOOL, AT(dry_run), "no", 0, 0, NULL, NULL,
     "Print the mpirun line, and do not run it."},
};
enum { N_ITEMS = sizeof items / sizeof *items };

/* What mpirun is told through its environment; what the user has set stays. Its own wait before it
 * kills, odls_base_sigkill_timeout, stays at 1: it passes once before SIGTERM and once behind it,
 * so that 30 would mean half a minute in which nobody is told anything. Ranks that are to be
 * stopped in peace are asked by SIGUSR1: see job.c. */
static const struct {
    const char *name, *value;
    bool one_host; /* only without a hostfile: there a user's mistake in it should show */
} settled[] = {
    {"OMPI_MCA_rmaps_base_oversubscribe", "1", true}, /* four ranks on two cores */
    {"OMPI_MCA_hwloc_base_binding_policy", "none", false},
    {"OMPI_MCA_btl_vader_single_copy_mechanism", "none", false}, /* containers forbid it, loudly */
    {"OMPI_MCA_pml", "ob1", false},
    {"OMPI_MCA_btl", "self,vader,tcp", false},
};

/* A list of words that grows; for argv. It owns its words, and ends in NULL. */
struct words {
    char **p;
    size_t n, cap;
};

static void add_part(struct words *w, const char *word, size_t len) {
    if (w->n + 1 >= w->cap) {
        w->cap = w->cap == 0 ? 32 : 2 * w->cap;
        w->p = realloc(w->p, w->cap * sizeof *w->p);
    }
    char *copy = w->p == NULL ? NULL : strndup(word, len);
    if (copy == NULL) {
        fputs("rowhouse run: out of memory\n", stderr);
        exit(CMD_FAILED);
    }
    w->p[w->n++] = copy;
    w->p[w->n] = NULL;
}

static void add(struct words *w, const char *word) {
    add_part(w, word, strlen(word));
}

static void add_number(struct words *w, int64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    add(w, text);
}

static void words_fini(struct words *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->p[i]);
    free(w->p);
}

/* The item of a flag that is ours, or NULL. */
static const struct conf_item *own_item(const char *arg) {
    const char *name = arg + strspn(arg, "-");
    size_t len = strcspn(name, "=");
    if (name == arg || name - arg > 2)
        return NULL;
    for (size_t i = 0; i < N_ITEMS; i++)
        if (items[i].name != NULL && strlen(items[i].name) == len &&
            strncmp(items[i].name, name, len) == 0)
            return &items[i];
    return NULL;
}

/* The line as it was typed; what stands in it before "--", in two; and the program behind it. The words
 * are argv's. */
struct parts {
    char **line; /* NULL-terminated */
    char **ours; /* (n_ours) as conf_args wants them: from 1 on */
    int n_ours;
    char **theirs;  /* NULL-terminated: the servers' flags, with room for one more */
    char *made;     /* a word of theirs that is ours */
    char **program; /* NULL-terminated; NULL: there is none */
};

static bool split(int argc, char **argv, struct parts *p) {
    int n_theirs = 0;
    *p = (struct parts){.line = argv,
                        .ours = calloc((size_t)argc + 1, sizeof *p->ours),
                        .theirs = calloc((size_t)argc + 2, sizeof *p->theirs)};
    if (p->ours == NULL || p->theirs == NULL)
        return false;
    p->ours[p->n_ours++] = argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            p->program = i + 1 < argc ? &argv[i + 1] : NULL;
            break;
        }
        const struct conf_item *item = own_item(argv[i]);
        bool help = conf_wants_help(2, &argv[i - 1]); /* this one word */
        if (item == NULL && !help) {
            p->theirs[n_theirs++] = argv[i];
            continue;
        }
        p->ours[p->n_ours++] = argv[i];
        bool more = item != NULL && item->type != CONF_BOOL && strchr(argv[i], '=') == NULL;
        if (more && i + 1 < argc && strcmp(argv[i + 1], "--") != 0)
            p->ours[p->n_ours++] = argv[++i];
    }
    return true;
}

/* ---- environment ---- */

static bool make_token(void) {
    unsigned char bytes[TOKEN_BYTES];
    char token[2 * TOKEN_BYTES + 1];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return setenv("RH_JOB", token, 0) == 0;
}

/* Inside every rank stdout is a terminal and stderr is none, whatever is outside: so the ranks are
 * told. */
static void set_terminal(void) {
    struct winsize size;
    char columns[16];
    bool tty = isatty(STDERR_FILENO);
    bool known = tty && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    snprintf(columns, sizeof columns, "%d", known ? size.ws_col : 80);
    setenv("RH_TTY", tty ? "1" : "0", 0);
    setenv("RH_COLUMNS", columns, 0);
}

/* Sets what mpirun is told; or only prints it, as a shell would be told. */
static void settle_one(const char *name, const char *value, bool print) {
    if (print)
        printf("%s=%s ", name, value);
    else
        setenv(name, value, 0);
}

static void settle(const struct settings *set, bool print) {
    for (size_t i = 0; i < sizeof settled / sizeof *settled; i++)
        if (!settled[i].one_host || set->hostfile == NULL)
            settle_one(settled[i].name, settled[i].value, print);
    if (geteuid() == 0) {
        settle_one("OMPI_ALLOW_RUN_AS_ROOT", "1", print);
        settle_one("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", print);
    }
}

/* What the ranks are told, and only they. */
static bool set_environment(void) {
    set_terminal();
    /* mpirun explains every end in boxes of ten lines; what has ended we say in one. */
    setenv("OMPI_MCA_orte_execute_quiet", "1", 1);
    return setenv(JOB_NOTES, "1", 1) == 0 && make_token();
}

/* ---- the line ---- */

/* mpirun takes nothing to other hosts by itself. */
static void add_exports(struct words *line) {
    static const char *const wanted[] = {"RH_", "PATH=", "LD_LIBRARY_PATH=", "PYTHONPATH="};
    for (char **v = environ; *v != NULL; v++)
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (strncmp(*v, wanted[i], strlen(wanted[i])) == 0) {
                add(line, "-x");
                add_part(line, *v, strcspn(*v, "="));
            }
}

/* mpirun cuts the name of a program at a blank, but not the folder where it looks for one. */
static void add_server(struct words *line, const char *server) {
    if (strpbrk(server, " \t") == NULL) {
        add(line, server);
        return;
    }
    const char *name = strrchr(server, '/') + 1;
    add(line, "--path");
    add_part(line, server, (size_t)(name - 1 - server));
    add(line, name);
}

static void make_line(struct words *line, const struct settings *set, const char *server,
                      const struct parts *p) {
    add(line, "mpirun");
    if (set->hostfile != NULL) {
        add(line, "--hostfile");
        add(line, set->hostfile);
        add_exports(line);
    }
    add(line, "--stdin"); /* to the first worker; mpirun's habit is the first rank, a server */
    add_number(line, set->servers);
    add(line, "-np");
    add_number(line, set->servers + set->workers);
    add_server(line, server);
    add(line, "--supervise");
    add_number(line, set->servers);
    add(line, "--restarts");
    add_number(line, set->restarts);
    for (char **flag = p->theirs; *flag != NULL; flag++)
        add(line, *flag);
    add(line, "--");
    for (char **word = p->program; *word != NULL; word++)
        add(line, *word);
}

static void print_line(const struct settings *set, const struct words *line) {
    settle(set, true);
    for (size_t i = 0; i < line->n; i++) {
        if (i > 0)
            putchar(' ');
        shell_put(stdout, line->p[i]);
    }
    putchar('\n');
}

/* Can it be run? RH_EINVAL is the user's mistake. */
static rh_status check(const struct settings *set, char **program, char *server, size_t cap) {
    if (program == NULL)
        return err_set(RH_EINVAL,
                       "which program? Give it behind --, as in rowhouse run -s 2 -w 2 -- "
                       "./train data.txt");
    for (char **p = program; *p != NULL; p++)
        if (strcmp(*p, ":") == 0)
            return err_set(RH_EINVAL, "mpirun takes the argument \":\" for its own, wherever it "
                                      "stands: put the program's line into a script");
    if (set->hostfile != NULL && access(set->hostfile, R_OK) != 0)
        return err_sys(RH_EINVAL, "cannot read the hostfile %s", set->hostfile);
    if (!cmd_find_server(server, cap))
        return err_set(RH_ENOTFOUND,
                       "%s is not there: rowhouse and rowhouse-server belong together", server);
    return RH_OK;
}

/* The line as it was typed, but from that checkpoint. To be freed; NULL: no memory. */
static char *resume_line(char **word, const char *checkpoint) {
    static const char flag[] = "--restore";
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return NULL;
    shell_put(f, program_invocation_name);
    for (; *word != NULL && strcmp(*word, "--") != 0; word++) {
        if (strcmp(*word, flag) == 0 && word[1] != NULL) {
            word++; /* and its value */
            continue;
        }
        if (strncmp(*word, flag, sizeof flag - 1) == 0 && (*word)[sizeof flag - 1] == '=')
            continue;
        putc(' ', f);
        shell_put(f, *word);
    }
    fprintf(f, " %s %s", flag, checkpoint);
    for (; *word != NULL; word++) {
        putc(' ', f);
        shell_put(f, *word);
    }
    return fclose(f) == 0 ? text : NULL;
}

/* Under a hostfile mpirun fails with words that we do not show, and mostly for these two reasons. */
static int run_line(const struct settings *set, const struct parts *p, const struct words *line) {
    char doubt[512] = "", *resume = resume_line(p->line, JOB_SAVE_NAME);
    char *go_on = resume_line(p->line, "latest");
    struct job_plan plan = {.line = line->p,
                            .workers = (uint32_t)set->workers,
                            .doubt = doubt,
                            .resume = resume == NULL ? "" : resume,
                            .go_on = go_on == NULL ? "" : go_on,
                            .env_file = set->env_file};
    if (set->hostfile != NULL)
        snprintf(doubt, sizeof doubt,
                 ". Has %.300s slots for %lld servers and %lld workers, on hosts that answer?",
                 set->hostfile, (long long)set->servers, (long long)set->workers);
    settle(set, false);
    int code = job_run(&plan);
    free(resume);
    free(go_on);
    return code;
}

/* With settings that were read. The exit code. */
static int run(struct conf *c, const struct settings *set, struct parts *p) {
    char server[4096];
    rh_status s = check(set, p->program, server, sizeof server);
    if (s == RH_OK)
        s = run_flags_settle(p->theirs, set->hostfile == NULL, &p->made);
    if (s == RH_OK && !set->dry_run && !set_environment())
        s = err_sys(RH_EIO, "cannot make a token for the job");
    if (s == RH_EINVAL)
        return cmd_misused(c, err_text());
    if (s != RH_OK)
        return cmd_end(c, s);
    struct words line = {0};
    make_line(&line, set, server, p);
    int code = CMD_OK;
    if (set->dry_run)
        print_line(set, &line);
    else
        code = run_line(set, p, &line);
    words_fini(&line);
    int ended = cmd_end(c, RH_OK);
    return code != CMD_OK ? code : ended;
}

int cmd_run(int argc, char **argv) {
    struct settings set;
    struct conf c = {
        .program = "rowhouse run",
        .usage = "-s SERVERS -w WORKERS [options] [server flags] -- PROGRAM [arguments]",
        .about = "Runs a job: servers, and copies of PROGRAM as workers, under mpirun. Flags "
                 "before -- that are not listed here go to the servers (rowhouse-server "
                 "--help): --checkpoint-dir DIR --restore NAME begins with a checkpoint, for "
                 "example. The program finds RH_SERVERS, RH_RANK, RH_WORLD and RH_JOB in "
                 "its environment, and needs no MPI.",
        .items = items,
        .n_items = N_ITEMS,
        .single_dash = true};
    struct parts p;
    int n_words = 0, code = CMD_FAILED;
    if (!split(argc, argv, &p))
        code = cmd_end(&c, err_set(RH_ENOMEM, "no memory for %d arguments", argc));
    else if (cmd_begin(&c, p.n_ours, p.ours, &set, &n_words, &code))
        code = run(&c, &set, &p);
    free(p.ours);
    free(p.theirs);
    free(p.made);
    return code;
}
