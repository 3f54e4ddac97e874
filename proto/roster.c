/* roster.c - see roster.h. MPI comes in by dlopen, from beside the program or the library. */
#include "proto/roster.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/err.h"
#include "proto/net.h"
#include "proto/roster_mpi.h"

enum { TEXT_MAX = 1 << 20, TOKEN_BYTES = 16 };

/* ---- from a list ---- */

static rh_status add_server(struct roster *r, const char *address, size_t len) {
    if (len == 0)
        return err_set(RH_EINVAL, "an address is empty (two commas in a row?)");
    if (len >= ROSTER_ADDRESS_MAX)
        return err_set(RH_EINVAL, "the address \"%.40s...\" is longer than %d characters", address,
                       ROSTER_ADDRESS_MAX - 1);
    if (r->shards == PLACE_SHARDS_MAX)
        return err_set(RH_EINVAL, "more than %d servers", PLACE_SHARDS_MAX);
    void *p = realloc(r->servers, (r->shards + 1) * sizeof *r->servers);
    if (p == NULL)
        return err_set(RH_ENOMEM, "no memory for %u addresses", r->shards + 1);
    r->servers = p;
    char *to = r->servers[r->shards];
    memcpy(to, address, len);
    to[len] = '\0';
    for (uint32_t i = 0; i < r->shards; i++)
        if (strcmp(r->servers[i], to) == 0)
            return err_set(RH_EINVAL, "%s is listed twice: each shard has an address of its own",
                           to);
    const struct net_ops *ops;
    rh_status st = net_find(to, &ops);
    if (st == RH_OK)
        r->shards++;
    return st;
}

rh_status roster_parse(const char *servers, struct roster *out) {
    struct roster r = {0};
    rh_status st = RH_OK;
    const char *at = servers;
    while (st == RH_OK) {
        size_t len = strcspn(at, ",");
        st = add_server(&r, at, len);
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    if (st != RH_OK) {
        roster_fini(&r);
        return err_in(st, "servers \"%.200s\"", servers);
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

/* The directory of the file that this code was loaded from, the program or the library; "" if it cannot be told. */
static void own_directory(char *out, size_t cap) {
    Dl_info info;
    out[0] = '\0';
    if (dladdr((void *)(uintptr_t)roster_fini, &info) != 0 && info.dli_fname != NULL &&
        strchr(info.dli_fname, '/') != NULL) {
        snprintf(out, cap, "%s", info.dli_fname);
    } else {
        ssize_t n = readlink("/proc/self/exe", out, cap - 1);
        out[n < 0 ? 0 : n] = '\0';
    }
    char *slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
}

/* The plug-in's function. It stays loaded: Open MPI does not survive being unloaded. */
static rh_status load_exchange(roster_exchange_fn **out) {
    static const char *const places[] = {"%s/../lib/rowhouse/rowhouse-mpi.so",
                                         "%s/rowhouse/rowhouse-mpi.so", "%s/rowhouse-mpi.so"};
    char dir[2048], path[4096], reason[512] = "no such file";
    void *so = NULL;
    const char *given = getenv("RH_MPI_PLUGIN");
    own_directory(dir, sizeof dir);
    for (size_t i = 0; so == NULL && i < sizeof places / sizeof *places; i++) {
        if (given != NULL)
            snprintf(path, sizeof path, "%s", given);
        else
            snprintf(path, sizeof path, places[i], dir);
        if (access(path, F_OK) != 0)
            continue;
        /* Open MPI's own plug-ins look for its symbols among the global ones. */
        so = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
        if (so == NULL)
            snprintf(reason, sizeof reason, "%s", dlerror());
    }
    void *f = so == NULL ? NULL : dlsym(so, ROSTER_EXCHANGE_NAME);
    if (f == NULL)
        return err_set(RH_EIO,
                       "MPI cannot be used: %s: %s. Is Open MPI here (package openmpi-bin), and "
                       "rowhouse-mpi.so beside the library (or named by RH_MPI_PLUGIN)?",
                       path, reason);
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
    return b->bad ? err_set(RH_ENOMEM, "no memory for %u addresses", n) : RH_OK;
}

/* Server ranks in order make the list of shards; worker ranks in order are numbered. */
static rh_status read_texts(const struct roster_exchange *x, struct roster *r) {
    rh_status st = RH_OK;
    for (int rank = 0; st == RH_OK && rank < x->size; rank++) {
        char *rest = NULL, *token = strtok_r(x->texts[rank], " ", &rest);
        const char *role = strtok_r(NULL, " ", &rest);
        if (token == NULL || role == NULL || strlen(token) >= sizeof r->job)
            return err_set(RH_EPROTO, "rank %d of this mpirun speaks another version", rank);
        if (rank == 0)
            strcpy(r->job, token);
        if (*role == 'W') {
            if (rank == x->rank)
                r->rank = r->world;
            r->world++;
        }
        for (const char *a; st == RH_OK && (a = strtok_r(NULL, " ", &rest)) != NULL;)
            st = add_server(r, a, strlen(a));
    }
    if (st == RH_OK && r->shards == 0)
        return err_set(RH_EUNREACHABLE, "this mpirun has no server rank: use mpirun -np 2 "
                                        "rowhouse-server : -np 2 PROGRAM");
    return st;
}

rh_status roster_from_mpi(const char *const *addresses, uint32_t n, struct roster *out) {
    roster_exchange_fn *exchange;
    struct roster_exchange x = {0};
    struct roster r = {0};
    char error[256];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    rh_status st = roster_under_mpi()
                       ? load_exchange(&exchange)
                       : err_set(RH_EINVAL, "\"mpi:\" works only in a program that mpirun started");
    if (st == RH_OK)
        st = own_text(addresses, n, &text);
    if (st == RH_OK && exchange((const char *)text.p, &x, error, sizeof error) != 0)
        st = err_set(RH_EIO, "%s", error);
    if (st == RH_OK)
        st = read_texts(&x, &r);
    buf_fini(&text);
    free(x.texts);
    if (st == RH_OK)
        *out = r;
    else
        roster_fini(&r);
    return st;
}
