/* supervise.h - one rank of `rowhouse run`: starts its child, a server or the program, tells it
 * where the others are, and ends as it ends. MPI sees supervisors only.
 *
 * What `rowhouse run` must know comes out of stderr, the one way back from every host, as notes: a
 * byte SUPERVISE_NOTE, a letter, a text, a newline, in one write.
 *
 *     F code text   the job has failed, and ends with this code; text is the one line that a person
 *              should see
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

/* argv: rowhouse-server --supervise SERVERS [server flags] -- PROGRAM [arguments]. Server ranks come
 * first. The exit code. */
int supervise_main(int argc, char **argv);

#endif
