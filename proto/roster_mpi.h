/* roster_mpi.h - the contract between roster.c and the plug-in rowhouse-mpi.so, which alone knows mpi.h: one function, so that a
 * program without MPI needs none of it. */
#ifndef PROTO_ROSTER_MPI_H
#define PROTO_ROSTER_MPI_H

#include <stdbool.h>
#include <stddef.h>

struct roster_exchange {
    int rank, size;
    char **texts; /* (size) what each rank gave, 0-terminated; one malloc: free(texts) */
};

/* What a rank does when it knows the others; returns false if it failed. */
typedef bool roster_known_fn(void *arg, const struct roster_exchange *x);

/*
 * Gives text to every rank of this mpirun and receives theirs; all ranks must call it. Then calls known,
 * and returns when every rank has been through its own. Waits for them asleep. MPI is finalized
 * afterwards, unless the program had initialized it itself. Returns 0, or -1 with the reason in error; where known has
 * failed, there is none, and the process must end, for the others wait for it.
 */
typedef int roster_exchange_fn(const char *text, roster_known_fn *known, void *arg,
                               struct roster_exchange *out, char *error, size_t cap);

#define ROSTER_EXCHANGE_NAME "rh_mpi_exchange"

#endif
