#!/bin/bash
# save.sh - a live job saved from outside: `rowhouse ckpt save`; `rowhouse run` that is told to stop; scripts/checkpoint.sh
# and scripts/restore.sh. The job is the word2vec trainer, on a text that it would read for ever.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"
rowhouse=$bin/rowhouse
golden=$PWD/tests/golden/ckpt-v1
scripts=$PWD/scripts
export RH_BIN=$bin

awk 'BEGIN { for (i = 0; i < 20000; i++) print "word" (i * 7919 % 401) " and word" (i * 104729 % 599) }' >"$root/text"
train=("$bin/rowhouse-word2vec" -input "$root/text" -dim 16 -minCount 1 -epoch 1000000 -batch 100)

# ---- jobs ----

# servers N FLAG...: on plain tcp; $list is where they are.
servers() {
    local n=$1 i
    list=''
    for ((i = 0; i < n; i++)); do
        "$bin/rowhouse-server" --listen 'tcp://127.0.0.1:*' --shard "$i/$n" --report-fd 3 "${@:2}" \
            3>"$dir/at.$i" 2>>"$dir/err" &
        await 10 test -s "$dir/at.$i"
        list=$list${list:+,}$(cut -d" " -f1 "$dir/at.$i")
    done
}

# trainers N MODE: once they train.
trainers() {
    local n=$1 i
    for ((i = 0; i < n; i++)); do
        RH_RANK=$i RH_WORLD=$n RH_MODE=$2 "${train[@]}" -output "$dir/v$i" --servers "$list" >/dev/null 2>"$dir/trainer.$i" &
    done
    await 30 trains "$n"
}

# trains N: N workers have come beyond the beginning.
trains() {
    local far
    far=$("$rowhouse" status --servers "$list" 2>/dev/null | grep -oE '^  worker [0-9]+: here, clock [1-9][0-9]+,' | cut -d: -f1 | sort -u)
    [ "$(grep -c . <<<"$far")" = "$1" ]
}

# run_job FLAG...: under rowhouse run, 2 servers and 2 trainers, once they train; $job and $list are theirs.
run_job() {
    start_job "$rowhouse" run -s 2 -w 2 --env-file "$dir/env" "$@" -- "${train[@]}" -output "$dir/v"
}

start_job() {
    "$@" >"$dir/out" 2>"$dir/err" &
    job=$!
    await 10 test -s "$dir/env"
    # shellcheck source=/dev/null
    . "$dir/env"
    list=$RH_SERVERS
    await 30 trains 2
}

# await SECONDS COMMAND...: until it is true.
await() {
    local until_ms=$(($(now_ms) + $1 * 1000 * (soon / 5000)))
    while ! "${@:2}"; do
        if [ "$(now_ms)" -gt "$until_ms" ]; then
            fail "waited for: ${*:2}"
            return
        fi
        sleep 0.05
    done
}

finish() {
    local left
    mapfile -t left < <(pids_of '(/.*/)?rowhouse-(word2vec|server)')
    { [ ${#left[@]} = 0 ] || kill -KILL "${left[@]}" && wait; } 2>/dev/null
    nobody_is_left
}

# ckpt ARGUMENT...: rowhouse ckpt; then $said and $status.
ckpt() {
    said=$("$rowhouse" ckpt "$@" 2>&1)
    status=$?
}

# is STATUS PATTERN: what the last one came to.
is() {
    [ "$status" = "$1" ] || fail "status $status, not $1: $said"
    [[ $said =~ $2 ]] || fail "'$said' is not /$2/"
}

whole() {
    ckpt verify "$1"
    is 0 ' is whole: '
}

# clocks PATH: those of the workers in a checkpoint, in one line.
clocks() { "$rowhouse" ckpt inspect "$1" | awk '/^worker / { on = 1; next } on { print $2 }' | xargs; }

# names DIR: what is in it, in one line.
names() {
    local found
    mapfile -t found < <(ls -A "$1")
    echo "${found[*]}"
}

# damage FILE: one bit in its middle.
damage() {
    local at byte
    at=$(($(stat -c %s "$1") / 2))
    byte=$(od -An -tu1 -j $at -N 1 "$1")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek=$at conv=notrunc 2>/dev/null
}

# ---- rowhouse ckpt save ----

test_an_async_job_that_trains_is_saved() {
    mkdir "$dir/ck"
    servers 2 --checkpoint-dir "$dir/ck"
    trainers 2 async
    ckpt save one --servers "$list"
    is 0 '^one: generation 1, clock 0, saved in [0-9.]+ s$'
    whole "$dir/ck/one"
    [[ $(clocks "$dir/ck/one") =~ ^[1-9][0-9]+\ [1-9][0-9]+$ ]] || fail "clocks $(clocks "$dir/ck/one")"
    ckpt save two --servers "$list" --json
    is 0 '"name": "two",.*"generation": 2,.*"clock": 0,.*"seconds": '
    ckpt save one --servers "$list"
    is 0 '^one: generation 3, '
    whole "$dir/ck/one"
    [ "$(names "$dir/ck")" = 'one two' ] || fail "in the folder: $(names "$dir/ck")"
    finish
}

test_a_bsp_job_is_saved_at_one_clock_of_all() {
    local clock
    mkdir "$dir/ck"
    servers 2 --checkpoint-dir "$dir/ck"
    trainers 2 bsp
    ckpt save one --servers "$list"
    is 0 '^one: generation 1, clock [1-9][0-9]+, saved in '
    clock=${said#*clock } clock=${clock%%,*}
    [ "$(clocks "$dir/ck/one")" = "$clock $clock" ] || fail "$said; workers $(clocks "$dir/ck/one")"
    whole "$dir/ck/one"
    finish
}

test_what_cannot_be_saved_says_why_and_trains_on() {
    local before
    servers 1
    trainers 2 async
    ckpt save
    is 2 'which checkpoint'
    ckpt save a b --servers "$list"
    is 2 'one checkpoint at a time'
    ckpt save .one --servers "$list"
    is 2 'begins with a dot'
    ckpt save a/b --servers "$list"
    is 2 'a/b'
    ckpt save one
    is 2 'which job'
    ckpt save one --servers tcp://127.0.0.1:1 --timeout 1
    is 3 'nobody answered'
    ckpt save one --servers "$list"
    is 1 '--checkpoint-dir'
    before=$(clock_of_0)
    await 10 is_beyond "$before"
    finish
}

is_beyond() { [ "$(clock_of_0)" -gt "$1" ]; }
clock_of_0() { "$rowhouse" status --servers "$list" | sed -n 's/^  worker 0: .* clock \([0-9]*\),.*/\1/p' | head -n 1; }

test_a_worker_that_stands_still_is_named_and_nothing_is_left() {
    mkdir "$dir/ck"
    servers 2 --checkpoint-dir "$dir/ck"
    trainers 2 async
    kill -STOP "$(pid_of '.*-output [^ ]*/v1 ')"
    ckpt save one --servers "$list" --timeout 2
    is 3 'worker 1 '
    kill -CONT "$(pid_of '.*-output [^ ]*/v1 ')"
    ckpt save two --servers "$list"
    is 0 '^two: '
    whole "$dir/ck/two"
    [ "$(names "$dir/ck")" = two ] || fail "in the folder: $(names "$dir/ck")"
    finish
}

# ---- rowhouse ckpt restore ----

test_a_checkpoint_is_put_back_under_a_live_job() {
    mkdir "$dir/ck"
    servers 2 --checkpoint-dir "$dir/ck"
    trainers 2 async
    ckpt save one --servers "$list"
    is 0 '^one: generation 1, '
    ckpt restore two --servers "$list"
    is 1 'there is no checkpoint "two"'
    await 10 is_beyond "$(clock_of_0)"
    ckpt restore one --servers "$list"
    is 0 '^one: generation 1, clock 0, restored in [0-9.]+ s$'
    # The trainers are rolled back, and go on by themselves from where they stood in it.
    await 20 grep -q 'the servers went back: goes on from checkpoint "one"' "$dir/trainer.0"
    await 20 trains 2
    [ "$(pids_of "$bin/rowhouse-word2vec" | wc -l)" = 2 ] || fail "$(cat "$dir/trainer.0" "$dir/trainer.1")"
    await 10 is_beyond "$(clock_of_0)"
    finish
}

# ---- rowhouse run, told to stop ----

# stopped STATUS: the job has ended so; then $lines are what it said, without the trainers' progress.
stopped() {
    wait "$job"
    status=$?
    said=$(<"$dir/err")
    mapfile -t lines < <(grep '^rowhouse run: ' "$dir/err")
    [ "$status" = "$1" ] || fail "status $status, not $1"
}

test_without_a_folder_a_stop_is_a_stop() {
    run_job
    kill -TERM "$job"
    stopped 143
    [ "${lines[*]}" = 'rowhouse run: stopped by signal 15 (Terminated)' ] || fail "it said: ${lines[*]}"
    finish
}

test_a_job_that_is_stopped_is_saved_and_goes_on() {
    local line saved now i
    mkdir "$dir/ck"
    run_job --checkpoint-dir "$dir/ck"
    kill -TERM "$job"
    stopped 143
    [ "${lines[0]}" = 'rowhouse run: saving "stopped" before the job is stopped; another signal stops it at once' ] || fail 'what is going on'
    [ "${lines[1]}" = 'rowhouse run: stopped by signal 15 (Terminated)' ] || fail 'why it ended'
    line="rowhouse run: saved \"stopped\" (generation 1) in $dir/ck; to go on (the program may want a flag for it): "
    [[ "$(tail -n 1 "$dir/err")" == "$line"* ]] || fail 'the last line'
    whole "$dir/ck/stopped"
    read -ra saved <<<"$(clocks "$dir/ck/stopped")"
    nobody_is_left

    # Its line, as a shell takes it, and what this program wants.
    line=${lines[2]#"$line"}
    [[ $line == "$rowhouse run -s 2 -w 2 "*" --checkpoint-dir $dir/ck --restore stopped -- $bin/rowhouse-word2vec "* ]] || fail "$line"
    eval "start_job $line -resume"
    await 10 grep -q '^goes on from checkpoint "stopped": ' "$dir/err"
    for i in 0 1; do
        now=$("$rowhouse" status | sed -n "s/^  worker $i: .* clock \([0-9]*\),.*/\1/p" | sort -n | head -n 1)
        [ "$now" -ge "${saved[i]}" ] || fail "worker $i goes on at clock $now, saved at ${saved[i]}"
    done
    ckpt save meanwhile
    is 0 '^meanwhile: generation 2, '
    kill -INT "$job"
    stopped 130
    [[ ${lines[2]} == 'rowhouse run: saved "stopped" (generation 3) in '*' --restore stopped -- '* ]] || fail 'saved again'
    [[ ${lines[2]} != *--restore*--restore* ]] || fail 'two of --restore'
    finish
}

test_a_second_signal_stops_at_once() {
    local began_ms
    mkdir "$dir/ck"
    run_job --checkpoint-dir "$dir/ck"
    pids_of "$bin/rowhouse-word2vec" | xargs kill -STOP
    kill -TERM "$job"
    await 10 grep -q '^rowhouse run: saving ' "$dir/err"
    began_ms=$(now_ms)
    kill -TERM "$job"
    stopped 143
    [ $(($(now_ms) - began_ms)) -le "$soon" ] || fail "it took $(($(now_ms) - began_ms)) ms"
    [ "${lines[2]}" = 'rowhouse run: not saved: another signal came before that was done' ] || fail 'the last line'
    [ ! -e "$dir/ck/stopped" ] || fail 'a checkpoint'
    finish
}

test_a_job_that_stands_still_is_stopped_all_the_same() {
    mkdir "$dir/ck"
    run_job --checkpoint-dir "$dir/ck"
    kill -STOP "$(pid_of "$bin/rowhouse-word2vec")"
    kill -TERM "$job"
    stopped 143
    [[ ${lines[2]} =~ ^'rowhouse run: not saved: '.*'worker '[01]' '(cannot be saved|has not come) ]] || fail 'the last line'
    [ ! -e "$dir/ck/stopped" ] || fail 'a checkpoint'
    finish
}

test_a_job_that_ends_or_fails_by_itself_is_not_saved() {
    mkdir "$dir/ck"
    "$rowhouse" run --checkpoint-dir "$dir/ck" -- true 2>"$dir/err" || fail 'it failed'
    [ ! -s "$dir/err" ] || fail 'something on stderr'
    "$rowhouse" run --checkpoint-dir "$dir/ck" -- bash -c 'exit 3' 2>"$dir/err"
    [ $? = 3 ] || fail 'not status 3'
    [ -z "$(names "$dir/ck")" ] || fail "in the folder: $(names "$dir/ck")"
    finish
}

# ---- scripts/checkpoint.sh ----

test_checkpoints_come_periodically_and_the_newest_stay() {
    mkdir "$dir/ck"
    servers 2 --checkpoint-dir "$dir/ck"
    trainers 2 async
    ckpt save mine --servers "$list"
    "$scripts/checkpoint.sh" --every 1 --keep 2 --dir "$dir/ck" --name p --servers "$list" >"$dir/saves" 2>"$dir/err" &
    job=$!
    await 30 test -e "$dir/ck/p-000004"
    kill -TERM "$job"
    stopped 0
    [[ $(names "$dir/ck") =~ ^mine\ p-00000[34]\ p-00000[45]$ ]] || fail "left: $(names "$dir/ck")"
    for name in $(names "$dir/ck"); do whole "$dir/ck/$name"; done
    [[ $(head -n 1 "$dir/saves") =~ ^'p-000001: generation 2, ' ]] || fail "$(head -n 1 "$dir/saves")"
    [ ! -s "$dir/err" ] || fail 'something on stderr'

    # It goes on behind those that are there.
    "$scripts/checkpoint.sh" --keep 1 --dir "$dir/ck" --name p --servers "$list" --once >"$dir/saves" 2>"$dir/err" || fail "--once: $?"
    [[ $(names "$dir/ck") =~ ^mine\ p-00000[56]$ ]] || fail "left: $(names "$dir/ck")"
    finish
}

test_a_save_that_fails_is_told_and_tried_again() {
    mkdir "$dir/ck"
    servers 1 --checkpoint-dir "$dir/ck"
    kill -STOP "$(pid_of "$bin/rowhouse-server")"
    "$scripts/checkpoint.sh" --every 1 --keep 2 --dir "$dir/ck" --servers "$list" >"$dir/saves" 2>"$dir/err" &
    job=$!
    await 30 test -s "$dir/err"
    [[ $(<"$dir/err") =~ ^'checkpoint: periodic-000001 was not saved: '.*'nobody answered' ]] || fail 'what it said'
    kill -CONT "$(pid_of "$bin/rowhouse-server")"
    await 30 test -e "$dir/ck/periodic-000001"
    kill -TERM "$job"
    stopped 0
    kill -STOP "$(pid_of "$bin/rowhouse-server")"
    "$scripts/checkpoint.sh" --once --keep 2 --dir "$dir/ck" --servers "$list" >"$dir/saves" 2>"$dir/err"
    [ $? = 3 ] || fail 'the last attempt has failed, and it does not say so'
    finish
}

test_no_older_one_goes_before_a_newer_one_is_good() {
    mkdir "$dir/ck" "$dir/other"
    cp -r "$golden/bsp-3" "$dir/other/periodic-000001"
    cp -r "$golden/bsp-3" "$dir/other/periodic-000002"
    servers 1 --checkpoint-dir "$dir/ck"
    "$scripts/checkpoint.sh" --once --keep 1 --dir "$dir/other" --servers "$list" >"$dir/out" 2>"$dir/err"
    [ $? = 1 ] || fail 'what is not there was verified'
    [[ $(<"$dir/err") == 'checkpoint: periodic-000003 was saved, but is no good, and nothing is removed: '* ]] || fail 'what it said'
    [ "$(names "$dir/other")" = 'periodic-000001 periodic-000002' ] || fail "left: $(names "$dir/other")"
    finish
}

# ---- scripts/restore.sh ----

test_a_job_starts_from_the_newest_checkpoint_that_is_whole() {
    local name tables
    mkdir "$dir/ck"
    servers 2 --checkpoint-dir "$dir/ck"
    trainers 1 async
    for name in first second third; do
        ckpt save $name --servers "$list"
        is 0 "^$name: "
    done
    finish
    tables=$("$rowhouse" ckpt inspect "$dir/ck/first" | awk '/^word2vec/ { print $1, $6, $7 }')
    damage "$dir/ck/third/shard-00001-of-00002.rhs"
    damage "$dir/ck/second/MANIFEST.json"
    "$scripts/restore.sh" --dir "$dir/ck" -s 3 -w 1 -- "$rowhouse" tables >"$dir/out" 2>"$dir/err" || fail "status $?"
    grep -q "^restore: third is passed over: $dir/ck/third/shard-00001-of-00002.rhs is damaged" "$dir/err" || fail 'the newest'
    grep -q '^restore: from checkpoint first in ' "$dir/err" || fail 'which one'
    # Name, T, and how many rows were touched.
    [ "$(awk '/^word2vec/ { print $1, $6, $5 }' "$dir/out")" = "$tables" ] || fail "the tables, and not $tables"

    "$scripts/restore.sh" --dir "$dir/ck" --name third -- true >"$dir/out" 2>"$dir/err"
    [ $? = 1 ] || fail 'a damaged one that was asked for'
    damage "$dir/ck/first/shard-00000-of-00002.rhs"
    "$scripts/restore.sh" --dir "$dir/ck" -- true >"$dir/out" 2>"$dir/err"
    [ $? = 1 ] || fail 'all are damaged'
    grep -q '^restore: no checkpoint in .* is whole$' "$dir/err" || fail 'what it said'
    nobody_is_left
}

test_scripts_have_help_and_refuse_nonsense() {
    local line words
    for line in checkpoint restore; do
        [[ $("$scripts/$line.sh" --help) == "usage: scripts/$line.sh "* ]] || fail "$line --help"
    done
    for line in 'checkpoint' 'checkpoint --keep 1 --every 1' 'checkpoint --keep 0 --every 1 --dir /' 'checkpoint --keep 1 --dir /' \
        'checkpoint --once --keep 1 --dir / --name .x' 'checkpoint --once --keep 1 --dir /' 'checkpoint --whatever' 'checkpoint --dir' \
        'restore' 'restore --dir /' 'restore --dir / --' 'restore --dir / --restore x -- true' 'restore --dir'; do
        read -ra words <<<"$line"
        "$scripts/${words[0]}.sh" "${words[@]:1}" >"$dir/out" 2>"$dir/err"
        [ $? = 2 ] || fail "$line: not 2"
        [ "$(wc -l <"$dir/err")" = 1 ] || fail "$line: not one line"
    done
}

run_tests
