/* roster.c - see roster.h. MPI comes in by dlopen, from beside the program or the library. */
#include "proto/roster.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "proto/address.h"
#include "proto/net.h"
#include "proto/roster_mpi.h"

enum { TEXT_MAX = 1 << 20, TOKEN_BYTES = 16, FILE_MAX = 4096 };
_Static_assert((int)ROSTER_ADDRESS_MAX == (int)ADDRESS_MAX, "an address fits into a roster");

/* ---- from a list ---- */

static rh_status check_address(const struct roster *r, const char *address) {
    for (uint32_t i = 0; i < r->shards; i++)
        if (strcmp(r->servers[i], address) == 0)
            return err_set(RH_EINVAL, "%s is listed twice: each shard has an address of its own",
                           address);
    const struct net_ops *ops;
    struct address a;
    rh_status s = net_find(address, &ops);
    return s == RH_OK ? address_parse(address, false, &a) : s;
}

static rh_status add_server(struct roster *r, const char *address, size_t len) {
    if (len == 0)
        return err_set(RH_EINVAL, "an address is empty (two commas in a row?)");
    if (len >= ROSTER_ADDRESS_MAX)
        return err_set(RH_EINVAL, "the address \"%.40s...\" is longer than %d bytes", address,
                       ROSTER_ADDRESS_MAX - 1);
    if (r->shards == PLACE_SHARDS_MAX)
        return err_set(RH_EINVAL, "there are more than %d servers", PLACE_SHARDS_MAX);
    void *p = realloc(r->servers, (r->shards + 1) * sizeof *r->servers);
    if (p == NULL)
        return err_set(RH_ENOMEM, "no memory for %u addresses", r->shards + 1);
    r->servers = p;
    char *to = r->servers[r->shards];
    memcpy(to, address, len);
    to[len] = '\0';
    rh_status s = check_address(r, to);
    if (s == RH_OK)
        r->shards++;
    return s;
}

rh_status roster_parse(const char *servers, struct roster *out) {
    static const char blanks[] = " \t\n";
    struct roster r = {0};
    rh_status s = RH_OK;
    for (const char *at = servers; s == RH_OK; at++) {
        at += strspn(at, blanks);
        size_t piece = strcspn(at, ","), len = piece;
        while (len > 0 && strchr(blanks, at[len - 1]) != NULL)
            len--;
        s = add_server(&r, at, len);
        at += piece;
        if (*at == '\0')
            break;
    }
    if (s != RH_OK) {
        roster_fini(&r);
        return err_in(s, "servers \"%.200s\"", servers);
    }
    *out = r;
    return RH_OK;
}

void roster_fini(struct roster *r) {
    free(r->servers);
    *r = (struct roster){0};
}

/* ---- from MPI ---- */

int roster_under_mpi(void) {
    return getenv("OMPI_COMM_WORLD_RANK") != NULL;
}

/* Leaves of a file's path only its directory. */
static void keep_directory(char *path) {
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        *slash = '\0';
    else
        path[0] = '\0';
}

/* The directory of the library, if this code came in with one. */
static void library_directory(char dir[FILE_MAX]) {
    Dl_info info;
    dir[0] = '\0';
    if (dladdr((void *)(uintptr_t)roster_fini, &info) != 0 && info.dli_fname != NULL)
        snprintf(dir, FILE_MAX, "%s", info.dli_fname);
    keep_directory(dir);
}

static void program_directory(char dir[FILE_MAX]) {
    ssize_t n = readlink("/proc/self/exe", dir, FILE_MAX - 1);
    dir[n < 0 ? 0 : n] = '\0';
    keep_directory(dir);
}

/* Looks beside the library, then beside the program, as they are built and as they are installed.
 * The last resort is the loader's own search, which also says best what is missing. */
static void find_plugin(char path[FILE_MAX]) {
    static const char *const places[] = {"/../lib/rowhouse", "/rowhouse", "/lib/rowhouse", ""};
    const char *given = getenv("RH_MPI_PLUGIN");
    if (given != NULL) {
        snprintf(path, FILE_MAX, "%s", given);
        return;
    }
    char dirs[2][FILE_MAX];
    library_directory(dirs[0]);
    program_directory(dirs[1]);
    for (int d = 0; d < 2; d++)
        for (size_t i = 0; dirs[d][0] != '\0' && i < sizeof places / sizeof *places; i++) {
            int n = snprintf(path, FILE_MAX, "%s%s/rowhouse-mpi.so", dirs[d], places[i]);
            if (n < FILE_MAX && access(path, F_OK) == 0)
                return;
        }
    snprintf(path, FILE_MAX, "rowhouse-mpi.so");
}

static rh_status load_exchange(roster_exchange_fn **out) {
    char path[FILE_MAX];
    find_plugin(path);
    /* Open MPI's own plug-ins look for its symbols among the global ones; and it does not survive
     * being unloaded. */
    void *so = dlopen(path, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    void *f = so == NULL ? NULL : dlsym(so, ROSTER_EXCHANGE_NAME);
    if (f == NULL)
        return err_set(RH_EIO,
                       "MPI cannot be used: %s. Is Open MPI installed (package openmpi-bin)? "
                       "RH_MPI_PLUGIN may say where rowhouse-mpi.so lies",
                       dlerror());
    *(void **)out = f;
    return RH_OK;
}

/* What a rank says: "S" and its addresses, or "W"; each rank a token, of which rank 0's counts. */
static rh_status own_text(const char *const *addresses, uint32_t n, struct buf *b) {
    uint8_t token[TOKEN_BYTES];
    if (getrandom(token, sizeof token, 0) != sizeof token)
        return err_sys(RH_EIO, "cannot draw a token for the job");
    for (size_t i = 0; i < sizeof token; i++)
        buf_printf(b, "%02x", token[i]);
    buf_printf(b, n > 0 ? " S" : " W");
    for (uint32_t i = 0; i < n; i++)
        buf_printf(b, " %s", addresses[i]);
    buf_put_u8(b, 0);
    return b->bad ? err_set(RH_ELIMIT, "%u addresses are too many for one rank", n) : RH_OK;
}

/* Server ranks in order make the list of shards; worker ranks in order are numbered. */
static rh_status read_texts(const struct roster_exchange *x, struct roster *r) {
    rh_status s = RH_OK;
    for (int rank = 0; s == RH_OK && rank < x->size; rank++) {
        char *rest = NULL, *token = strtok_r(x->texts[rank], " ", &rest);
        const char *role = strtok_r(NULL, " ", &rest);
        if (token == NULL || role == NULL || strlen(token) >= sizeof r->job)
            return err_set(RH_EVERSION, "rank %d of this mpirun runs another version", rank);
        if (rank == 0)
            memcpy(r->job, token, strlen(token) + 1);
        if (*role == 'W') {
            if (rank == x->rank)
                r->rank = r->world;
            r->world++;
        }
        for (const char *a; s == RH_OK && (a = strtok_r(NULL, " ", &rest)) != NULL;)
            s = add_server(r, a, strlen(a));
    }
    if (s == RH_OK && r->shards == 0)
        return err_set(RH_EUNREACHABLE, "this mpirun has no server rank: use mpirun -np 2 "
                                        "rowhouse-server : -np 2 PROGRAM");
    return s;
}

/* What is made of the texts, and what is to be done with it. */
struct known {
    struct roster roster;
    roster_ready_fn *ready;
    void *arg;
    rh_status status;
};

/* Texts that make no sense make none to all ranks: then nobody waits for anybody. */
static bool known(void *arg, const struct roster_exchange *x) {
    struct known *k = arg;
    k->status = read_texts(x, &k->roster);
    if (k->status != RH_OK || k->ready == NULL)
        return true;
    k->status = k->ready(k->arg, &k->roster);
    return k->status == RH_OK;
}

static rh_status ask_mpi(const char *const *addresses, uint32_t n, roster_ready_fn *ready,
                         void *arg, struct roster *out) {
    roster_exchange_fn *exchange = NULL;
    struct roster_exchange x = {0};
    struct known k = {.ready = ready, .arg = arg};
    char error[256];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    rh_status s = load_exchange(&exchange);
    if (s == RH_OK)
        s = own_text(addresses, n, &text);
    if (s == RH_OK && exchange((const char *)text.p, known, &k, &x, error, sizeof error) != 0 &&
        k.status == RH_OK)
        s = err_set(RH_EIO, "%s", error);
    if (s == RH_OK)
        s = k.status;
    buf_fini(&text);
    free(x.texts);
    if (s == RH_OK)
        *out = k.roster;
    else
        roster_fini(&k.roster);
    return s;
}

static rh_status copy(const struct roster *r, struct roster *out) {
    void *servers = malloc(r->shards * sizeof *r->servers);
    if (servers == NULL)
        return err_set(RH_ENOMEM, "no memory for %u addresses", r->shards);
    *out = *r;
    out->servers = memcpy(servers, r->servers, r->shards * sizeof *r->servers);
    return RH_OK;
}

rh_status roster_from_mpi(const char *const *addresses, uint32_t n, roster_ready_fn *ready,
                          void *arg, struct roster *out) {
    /* MPI can be initialized once in a process, and the job does not change: who asks again, to
     * connect a second client, gets the first answer. */
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct roster answer;
    if (!roster_under_mpi())
        return err_set(RH_EINVAL, "\"mpi:\" works only in a program that mpirun started");
    pthread_mutex_lock(&lock);
    rh_status s = answer.servers != NULL ? RH_OK : ask_mpi(addresses, n, ready, arg, &answer);
    if (s == RH_OK)
        s = copy(&answer, out);
    pthread_mutex_unlock(&lock);
    return s;
}
