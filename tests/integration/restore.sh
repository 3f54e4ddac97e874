#!/bin/bash
# restore.sh - whole jobs that begin with a checkpoint, under rowhouse run, a plain mpirun and without either; and that
# what is not whole is never served: each refusal is one line that names it, and nobody is left behind.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"

export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

# mpirun cuts the name of a program at a blank.
ln -s "$bin" "$root/bin"
bin=$root/bin
golden=$PWD/tests/golden/ckpt-v1

# All tables of the golden job but the dropped one and the one with 2^30 rows.
tables='1 2 4 5 6 7 8 9 10 12 13 14'
mkdir "$root/want" "$root/own"
cp -r "$golden"/* "$root/own" && chmod -R u+w "$root/own" || exit 1
for t in $tables; do
    "$bin/rowhouse" ckpt export "$golden/bsp-3" "table-$t" --output "$root/want/$t.npy" >/dev/null || exit 1
done
"$bin/rowhouse" ckpt reshard "$golden/bsp-3" --shards 3 --to "$root/own/other" >/dev/null || exit 1 # generation 2

# fresh: a folder of checkpoints of this test's own, $dir/ck: bsp-3, async-2 (generation 1) and other (2).
fresh() { cp -r "$root/own" "$dir/ck"; }

# What a worker does: every table into files, $0/N.npy.
# shellcheck disable=SC2016
pull_all='for t in $2; do "$1" export "table-$t" "$0/$t.npy" >/dev/null || exit 1; done'

# same: every table is as `rowhouse ckpt export` has it, to the last bit.
same() {
    local t
    for t in $tables; do
        cmp -s "$dir/$t.npy" "$root/want/$t.npy" || fail "table-$t is another"
        rm -f "$dir/$t.npy"
    done
}

run() {
    "$bin/rowhouse" run "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    # mpirun sometimes grumbles when its ranks end while it starts them.
    sed -i '/^\[warn\] Epoll \|PMIX ERROR/d' "$dir/err"
}

# ---- the same rows everywhere ----

test_three_files_on_any_number_of_servers_under_rowhouse_run() {
    local s
    fresh
    for s in 1 2 5 8; do
        run -s "$s" -w 1 --checkpoint-dir "$dir/ck" --restore bsp-3 -- bash -c "$pull_all" "$dir" "$bin/rowhouse" "$tables"
        [ "$status" = 0 ] || fail "$s servers: status $status"
        [ -s "$dir/err" ] && fail "$s servers: something on stderr"
        same
    done
    run -s 2 -w 1 --shards 4 --checkpoint-dir "$dir/ck" --restore bsp-3 --read-only -- \
        bash -c "$pull_all" "$dir" "$bin/rowhouse" "$tables"
    [ "$status" = 0 ] || fail "2 servers of 4 shards: status $status"
    same
    nobody_is_left
}

test_three_files_under_a_plain_mpirun() {
    local s
    fresh
    for s in 1 2; do
        mpirun -np "$s" "$bin/rowhouse-server" --checkpoint-dir "$dir/ck" --restore bsp-3 --log-level info : \
            -np 1 "$bin/rowhouse-word2vec" -input "$golden/../adam.txt" -output "$dir/v" -dim 8 -minCount 1 -epoch 1 \
            >"$dir/out" 2>"$dir/err" || fail "$s servers: status $?"
        [ "$(grep -c 'restored checkpoint bsp-3 .*(generation 1, clock 6, 678 rows in 3 files) onto 1 shard' "$dir/err")" = "$s" ] ||
            fail "$s servers: what was restored"
    done
    nobody_is_left
}

# begin FLAG...: a server in the background, $server; its addresses are in $RH_SERVERS once it has reported. False: it has not.
begin() {
    rm -f "$dir/report"
    mkfifo "$dir/report"
    "$bin/rowhouse-server" --listen 'tcp://127.0.0.1:*' --report-fd 3 --log-level info "$@" \
        3>"$dir/report" >"$dir/out" 2>"$dir/err" &
    server=$!
    read -r RH_SERVERS _ <"$dir/report" || return 1
    export RH_SERVERS
}

finish() {
    kill -TERM "$server"
    wait "$server" || fail "the server's status is $?"
}

test_three_files_in_one_server_without_mpi() {
    local n
    fresh
    for n in 1 2 5 8; do
        begin --shards "$n" --checkpoint-dir "$dir/ck" --restore bsp-3 --read-only || fail "$n shards: no report"
        bash -c "$pull_all" "$dir" "$bin/rowhouse" "$tables"
        same
        finish
    done
}

test_latest_is_the_one_of_the_largest_generation() {
    fresh
    begin --checkpoint-dir "$dir/ck" --restore latest || fail 'no report'
    grep -q 'restored checkpoint other of ' "$dir/err" || fail 'which one'
    finish
    begin --checkpoint-dir "$dir/ck" --restore async-2 || fail 'no report'
    grep -q 'restored checkpoint async-2 of ' "$dir/err" || fail 'which one'
    finish
}

test_the_folder_may_come_from_the_environment_or_a_file() {
    fresh
    RH_CHECKPOINT_DIR=$dir/ck begin --restore bsp-3 || fail 'environment: no report'
    finish
    printf 'checkpoint-dir = %s\nrestore = bsp-3\nread-only = yes\n' "$dir/ck" >"$dir/settings"
    begin --config "$dir/settings" || fail 'file: no report'
    finish
    # The servers of a launcher find the folder that was meant where it was started.
    (cd "$dir" && RH_CHECKPOINT_DIR=ck run --restore bsp-3 -- true && [ "$status" = 0 ]) || fail 'relative, environment'
    (cd "$dir" && run --checkpoint-dir ck --restore bsp-3 -- true && [ "$status" = 0 ]) || fail 'relative, flag'
}

# ---- a folder ----

test_a_folder_is_made_for_its_owner_alone() {
    begin --checkpoint-dir "$dir/new" || fail 'no report'
    [ "$(stat -c %a "$dir/new")" = 700 ] || fail "mode $(stat -c %a "$dir/new")"
    finish
    run -s 2 -w 1 --checkpoint-dir "$dir/newer" -- test -d "$dir/newer"
    [ "$status" = 0 ] || fail "status $status"
}

test_leftovers_of_dead_attempts_are_cleaned_by_shard_0() {
    fresh
    mkdir "$dir/ck/.bsp-3.tmp" "$dir/ck/.x.tmp" "$dir/ck/.mine"
    echo half >"$dir/ck/.x.tmp/shard-00000-of-00001.rhs"
    begin --checkpoint-dir "$dir/ck" --shard 1/2 || fail 'no report'
    [ -d "$dir/ck/.x.tmp" ] || fail 'shard 1 has cleaned'
    finish
    begin --checkpoint-dir "$dir/ck" --restore bsp-3 --read-only || fail 'no report'
    [ -d "$dir/ck/.x.tmp" ] || fail 'a server that only serves has cleaned'
    finish
    begin --checkpoint-dir "$dir/ck" || fail 'no report'
    [ "$(names "$dir/ck")" = '.mine async-2 bsp-3 other ' ] || fail "left: $(names "$dir/ck")"
    grep -q 'info .*removed 2 unfinished checkpoints of dead attempts' "$dir/err" || fail 'not logged'
    finish
}

test_what_cannot_be_cleaned_stops_nothing() {
    fresh
    mkdir "$dir/ck/.x.tmp"
    touch "$dir/ck/.x.tmp/foreign"
    begin --checkpoint-dir "$dir/ck" || fail 'no report'
    finish
}

# ---- what is refused ----

# names DIR: what is in it; sums DIR: every file beneath it, and its bytes.
names() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | tr '\n' ' '; }
sums() { (cd "$1" && find . -type f -exec sha256sum {} + | sort); }

# ended CODE WHO TEXT WHAT: that status, and one line, of WHO, that has TEXT.
ended() {
    [ "$status" = "$1" ] || fail "$4: status $status, not $1"
    [ "$(grep -c '' "$dir/err")" = 1 ] || fail "$4: not one line"
    [[ $(<"$dir/err") == "$2: "*"$3"* ]] || fail "$4: the line is not \"$2: ... $3\""
}

# refused CODE TEXT FLAG...: a server, and a job, that end with that code and one line that has TEXT; they report to nobody.
refused() {
    local code=$1 text=$2
    shift 2
    if begin --shards 2 "$@"; then
        finish
        fail "served: $*"
        return
    fi
    wait "$server"
    status=$?
    ended "$code" rowhouse-server "$text" "$*"
    run -s 2 -w 2 "$@" -- touch "$dir/trained"
    ended "$code" 'rowhouse run' "$text" "rowhouse run $*"
    [ ! -e "$dir/trained" ] || fail "a program was started: $*"
    nobody_is_left
}

test_flags_that_do_not_go_together() {
    refused 2 'Give --checkpoint-dir DIR' --restore bsp-3
    refused 2 'Give --restore NAME' --read-only
    fresh
    refused 2 'Give --restore NAME' --read-only --checkpoint-dir "$dir/ck"
}

test_wrong_names() {
    fresh
    refused 1 "there is no checkpoint \"nine\" in $dir/ck" --checkpoint-dir "$dir/ck" --restore nine
    refused 2 'checkpoint name "../ck"' --checkpoint-dir "$dir/ck" --restore ../ck
    refused 2 'checkpoint name "bsp-3/"' --checkpoint-dir "$dir/ck" --restore bsp-3/
    refused 2 "a checkpoint's name is empty" --checkpoint-dir "$dir/ck" --restore ''
    ln -s bsp-3 "$dir/ck/link"
    refused 1 "$dir/ck/link" --checkpoint-dir "$dir/ck" --restore link
    mkdir "$dir/ck/empty"
    refused 1 "$dir/ck/empty is no checkpoint" --checkpoint-dir "$dir/ck" --restore empty
}

test_wrong_folders() {
    refused 2 "$dir/none" --checkpoint-dir "$dir/none" --restore bsp-3
    [ ! -e "$dir/none" ] || fail 'it was made'
    refused 2 "$dir/none" --checkpoint-dir "$dir/none" --restore latest
    refused 2 "$dir/none/deep" --checkpoint-dir "$dir/none/deep"
    touch "$dir/file"
    refused 2 "$dir/file" --checkpoint-dir "$dir/file"
    refused 2 "$dir/file" --checkpoint-dir "$dir/file" --restore bsp-3
    mkdir "$dir/bare"
    refused 1 "there is no checkpoint in $dir/bare" --checkpoint-dir "$dir/bare" --restore latest
}

test_damage_of_every_kind_is_named_and_never_served() {
    local file=shard-00001-of-00003.rhs bytes
    fresh
    cd "$dir/ck" || exit 1
    bytes=$(stat -c %s "bsp-3/$file")

    mv "bsp-3/$file" kept
    refused 1 "bsp-3/$file: No such file" --checkpoint-dir "$dir/ck" --restore bsp-3
    ln -s ../kept "bsp-3/$file"
    refused 1 "bsp-3/$file" --checkpoint-dir "$dir/ck" --restore bsp-3
    rm "bsp-3/$file"
    mkfifo "bsp-3/$file"
    refused 1 "bsp-3/$file" --checkpoint-dir "$dir/ck" --restore bsp-3
    rm "bsp-3/$file"
    head -c $((bytes - 1)) kept >"bsp-3/$file"
    refused 1 "bsp-3/$file has $((bytes - 1)) bytes" --checkpoint-dir "$dir/ck" --restore bsp-3
    cat kept - <<<x >"bsp-3/$file"
    refused 1 "bsp-3/$file has $((bytes + 2)) bytes" --checkpoint-dir "$dir/ck" --restore bsp-3
    cp kept "bsp-3/$file"
    printf 'x' | dd of="bsp-3/$file" bs=1 seek=1000 conv=notrunc 2>/dev/null
    refused 1 "bsp-3/$file is damaged" --checkpoint-dir "$dir/ck" --restore bsp-3
    # The same shard of another checkpoint of the same job.
    cp "other/$file" "bsp-3/$file"
    [ "$(stat -c %s "bsp-3/$file")" = "$bytes" ] || fail 'the test needs a foreign file of the same size'
    refused 1 "bsp-3/$file" --checkpoint-dir "$dir/ck" --restore bsp-3
    cp kept "bsp-3/$file"

    printf '#' | dd of=bsp-3/MANIFEST.json bs=1 seek=500 conv=notrunc 2>/dev/null
    refused 1 'bsp-3/MANIFEST.json is damaged' --checkpoint-dir "$dir/ck" --restore bsp-3
    # Nobody knows then which is the newest.
    refused 1 'checkpoint "bsp-3"' --checkpoint-dir "$dir/ck" --restore latest
    begin --checkpoint-dir "$dir/ck" --restore other || fail 'another one: no report'
    finish
}

# Of files that one process needs nothing of, another does: none of them serves.
test_a_file_that_only_the_last_server_needs_ends_the_job() {
    fresh
    printf 'x' | dd of="$dir/ck/bsp-3/shard-00002-of-00003.rhs" bs=1 seek=1000 conv=notrunc 2>/dev/null
    run -s 3 -w 1 --checkpoint-dir "$dir/ck" --restore bsp-3 -- touch "$dir/trained"
    [ "$status" = 1 ] || fail "status $status"
    grep -q '^rowhouse run: server 2 cannot start: .*shard-00002-of-00003.rhs is damaged' "$dir/err" || fail 'the line'
    [ ! -e "$dir/trained" ] || fail 'a program was started'
    mpirun -np 3 "$bin/rowhouse-server" --checkpoint-dir "$dir/ck" --restore bsp-3 : \
        -np 1 "$bin/rowhouse-word2vec" -input "$golden/../adam.txt" -output "$dir/v" -dim 8 >"$dir/out" 2>"$dir/err" &&
        fail 'mpirun: status 0'
    grep -q '^rowhouse-server: .*shard-00002-of-00003.rhs is damaged' "$dir/err" || fail 'mpirun: the line'
    [ ! -e "$dir/v.vec" ] || fail 'mpirun: it has trained'
    nobody_is_left
}

test_a_folder_without_permission() {
    local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ TMPDIR=/tmp)
    if [ "$(id -u)" != 0 ] || ! "${as_nobody[@]}" test -x "$bin/rowhouse-server" -a -r "$root/own/bsp-3/MANIFEST.json"; then
        return # we are somebody already, or nobody cannot read the build
    fi
    fresh
    server_as_nobody() {
        "${as_nobody[@]}" timeout 5 "$bin/rowhouse-server" --listen 'tcp://127.0.0.1:*' "$@" >"$dir/out" 2>"$dir/err"
        status=$?
    }
    chmod -R a+rX "$dir/ck"
    server_as_nobody --checkpoint-dir "$dir/ck"
    ended 2 rowhouse-server "$dir/ck: this process cannot write there: Permission denied" 'not writable'
    server_as_nobody --checkpoint-dir "$dir/ck" --restore bsp-3 --read-only
    [ "$status" = 124 ] || fail 'it need not be writable where nothing is saved'
    chmod 700 "$dir/ck"
    server_as_nobody --checkpoint-dir "$dir/ck" --restore bsp-3 --read-only
    ended 2 rowhouse-server "$dir/ck is no folder that can be opened: Permission denied" 'not readable'
    chmod 755 "$dir/ck"
    chmod 600 "$dir/ck/bsp-3/shard-00000-of-00003.rhs"
    server_as_nobody --checkpoint-dir "$dir/ck" --restore bsp-3 --read-only
    ended 1 rowhouse-server 'shard-00000-of-00003.rhs: Permission denied' 'a file'
    server_as_nobody --checkpoint-dir /checkpoints-of-nobody
    ended 2 rowhouse-server '/checkpoints-of-nobody is not there, and cannot be made: Permission denied' 'in the root'
}

# ---- ends in between ----

test_a_killed_restore_leaves_nothing() {
    local i before pid
    fresh
    before=$(sums "$dir/ck")
    for ((i = 0; i < 30; i++)); do
        "$bin/rowhouse-server" --listen 'tcp://127.0.0.1:*' --shards 8 --checkpoint-dir "$dir/ck" --restore bsp-3 \
            >"$dir/out" 2>"$dir/err" &
        pid=$!
        sleep "0.0$((i / 3))"
        { kill "-$((i % 2 == 0 ? 9 : 15))" "$pid" && wait "$pid"; } 2>/dev/null
    done
    [ "$(sums "$dir/ck")" = "$before" ] || fail 'it changed something'
    [ "$(names "$dir/ck")" = 'async-2 bsp-3 other ' ] || fail "it left something: $(names "$dir/ck")"
    begin --checkpoint-dir "$dir/ck" --restore bsp-3 || fail 'no report'
    finish
    nobody_is_left
}

# A server that has not reported, as one that restores for minutes: its settings are a pipe that says nothing.
test_a_job_can_be_stopped_while_its_servers_restore() {
    local job i
    mkfifo "$dir/settings"
    "$bin/rowhouse" run -s 2 -w 2 --config "$dir/settings" -- touch "$dir/trained" >"$dir/out" 2>"$dir/err" &
    job=$!
    for ((i = 0; i < 200; i++)); do
        [ "$(pids_of '(/.*/)?rowhouse-server --child' | wc -l)" = 2 ] && break
        sleep 0.1
    done
    kill -INT "$job"
    wait "$job"
    status=$?
    [ "$status" = 130 ] || fail "status $status"
    [ ! -e "$dir/trained" ] || fail 'a program was started'
    nobody_is_left
}

# A worker that waits for servers for a second is not told of one before it has restored, which takes this one three.
test_under_mpirun_nobody_goes_on_before_all_have_restored() {
    [ -z "${RH_SAN-}" ] || return # its runtime must come first
    fresh
    cat >"$dir/slow.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
int openat(int dir, const char *name, int flags, unsigned mode) {
    int (*next)(int, const char *, int, ...);
    *(void **)&next = dlsym(RTLD_NEXT, "openat");
    if (strcmp(name, "shard-00002-of-00003.rhs") == 0)
        sleep(3);
    return next(dir, name, flags, mode);
}
END
    cat >"$dir/worker.c" <<'END'
#include <stdio.h>
#include "rowhouse.h"
int main(void) {
    rh_config cfg;
    rh_client *c;
    rh_config_init(&cfg);
    cfg.connect_timeout_ms = 1000;
    if (rh_connect(&cfg, &c) != RH_OK)
        return puts(rh_errmsg()), 1;
    printf("at clock %d\n", (int)rh_clock(c));
    rh_close(c);
    return 0;
}
END
    "${CC:-cc}" -w -shared -fPIC -o "$dir/slow.so" "$dir/slow.c" -ldl || { fail 'no slow disk'; return; }
    "${CC:-cc}" -Iworker -o "$dir/worker" "$dir/worker.c" -L"$bin/../lib" -Wl,-rpath,"$bin/../lib" -lrowhouse ||
        { fail 'no worker'; return; }
    mpirun -np 1 env LD_PRELOAD="$dir/slow.so" "$bin/rowhouse-server" --checkpoint-dir "$dir/ck" --restore bsp-3 : \
        -np 1 "$bin/rowhouse-server" --checkpoint-dir "$dir/ck" --restore bsp-3 : -np 1 "$dir/worker" \
        >"$dir/out" 2>"$dir/err" || fail "status $?"
    [ "$(<"$dir/out")" = 'at clock 6' ] || fail 'the worker has not come in'
    nobody_is_left
}

run_tests
