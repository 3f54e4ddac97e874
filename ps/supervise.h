/* supervise.h - one rank of `rowhouse run`: starts its child, a server or the program, tells it
 * where the others are, starts another one where it dies, and ends as the last one ends. MPI sees
 * supervisors only.
 *
 * A server that succeeds another listens where that did, begins as a shard that was lost (--rejoin),
 * and is filled by the workers. A program that succeeds another finds RH_SUCCEEDS, how many
 * had its rank before and are dead, beside what those had found.
 *
 * What `rowhouse run` must know comes out of stderr, the one way back from every host, as notes: a
 * byte SUPERVISE_NOTE, a letter, a text, a newline, in one write.
 *
 *     F code text   the job has failed, and ends with this code; text is the one line that a person
 *              should see
 *     R text   a child has died, and another one has its place; text is a line for people
 *     E        a worker has ended well, or as it was told to
 *     S list   addresses of the servers, comma-separated, in shard order; the next S goes on with it
 *     C dir    those were all; and the folder of the servers' checkpoints, if they have one
 *
 * S and C come from server 0. Notes are written only if RH_NOTES is set; without it a failure is a
 * plain line.
 *
 * Signals, which mpirun passes on to every rank: SIGUSR1 stops workers, SIGUSR2 stops servers (who
 * outlive the workers, that may be saving), SIGTERM stops either. A child gets SIGTERM, and SIGKILL
 * after 30 s. */
#ifndef PS_SUPERVISE_H
#define PS_SUPERVISE_H

/* argv: rowhouse-server --supervise SERVERS --restarts N [server flags] -- PROGRAM [arguments]. Server
 * ranks come first. N: how many restarts of a child any ten minutes may see, at most 100. The exit
 * code. */
int supervise_main(int argc, char **argv);

#endif
