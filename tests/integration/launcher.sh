#!/bin/bash
# launcher.sh - `rowhouse run`: what the program finds, what is said and what not, exit statuses, and that after any
# death everything ends soon, says why in one line, and leaves nobody behind.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"

# ---- running a job ----

# run ARGUMENT...: rowhouse run; then $out, $err and $status.
run() {
    "$bin/rowhouse" run "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    out=$(<"$dir/out")
    err=$(<"$dir/err")
}

# expect STATUS: that exit status; nothing on stderr if it is 0, one line of ours if it is not.
expect() {
    # mpirun's own, when a rank ends while it is still being wired up: it changes nothing.
    sed -i '/^\[warn\] Epoll /d' "$dir/err"
    err=$(<"$dir/err")
    [ "$status" = "$1" ] || fail "status $status, expected $1"
    if [ "$1" = 0 ]; then
        [ -z "$err" ] || fail 'something on stderr'
    elif [ "$(grep -c '' "$dir/err")" != 1 ] || [[ $err != 'rowhouse run: '* ]]; then
        fail 'not one line of rowhouse run on stderr'
    fi
}

# begin SERVERS WORKERS FLAG... -- PROGRAM...: a job in the background, $job, once each of its programs has made the file
# up.RANK in $dir.
begin() {
    local i up
    "$bin/rowhouse" run -s "$1" -w "$2" "${@:3}" >"$dir/out" 2>"$dir/err" &
    job=$!
    for ((i = 0; i < 300; i++)); do
        up=("$dir"/up.*)
        [ ${#up[@]} = "$2" ] && return
        sleep 0.1
    done
    fail 'the job did not come up'
}

# finish STATUS [MS]: waits for the job; it must end soon, as expected, and leave nobody.
finish() {
    local began_ms took_ms
    began_ms=$(now_ms)
    wait "$job" 2>/dev/null
    status=$?
    took_ms=$(($(now_ms) - began_ms))
    out=$(<"$dir/out")
    err=$(<"$dir/err")
    [ "$took_ms" -le $((soon + ${2-0})) ] || fail "it took $took_ms ms to end"
    expect "$1"
    nobody_is_left
}

# What programs do; $0 is $dir.
# shellcheck disable=SC2016
{
    show='echo "$RH_RANK/$RH_WORLD ${RH_SERVERS//[^,]/} ${#RH_JOB} $RH_TTY $RH_COLUMNS"
          env | grep -E "^(OMPI|PMIX|PMI|ORTE)_|^RH_NOTES"; true'
    show_job='echo "$RH_JOB $RH_RANK $RH_WORLD ${RH_SERVERS%:*}"'
    sleep='touch "$0/up.$RH_RANK"; exec sleep 1000'
    sleep_with_child='sleep 1000 & touch "$0/up.$RH_RANK"; wait'
    save='trap '\''sleep 3; "$1" status >"$0/saved.$RH_RANK"; exit 0'\'' TERM
          touch "$0/up.$RH_RANK"; sleep 1000 & wait'
}

# ---- what a program finds ----

test_every_program_reaches_every_server() {
    local s w
    for ranks in '1 1' '2 2' '3 2'; do
        read -r s w <<<"$ranks"
        run -s "$s" -w "$w" -- "$bin/rowhouse" status
        expect 0
        [ "$(grep -c "^shard $((s - 1)) of $s " "$dir/out")" = "$w" ] || fail "$s+$w: who saw the last shard?"
        nobody_is_left
    done
}

test_words_are_learned_in_a_job() {
    yes 'the dog and the cat saw the small bird in the old tree by the river' | head -n 500 >"$dir/text"
    run -s 2 -w 2 -- "$bin/rowhouse-word2vec" -input "$dir/text" -output "$dir/v" -dim 8 -epoch 1 -minCount 1
    [ "$status" = 0 ] || fail "status $status"
    [ -s "$dir/v.vec" ] || fail 'no vectors'
    grep -q '^rowhouse run:' "$dir/err" && fail 'something of ours on stderr'
    nobody_is_left
}

test_the_environment_tells_all_and_nothing_of_mpi() {
    run -s 3 -w 2 -- bash -c "$show"
    expect 0
    [ "$(sort "$dir/out")" = $'0/2 ,, 32 0 80\n1/2 ,, 32 0 80' ] || fail 'two workers'
    run -s 1 -w 1 --shards 3 -- bash -c "$show"
    expect 0
    [ "$out" = '0/1 ,, 32 0 80' ] || fail 'three shards in one server'
}

test_a_job_within_a_job_has_its_own() {
    RH_JOB=mine RH_RANK=9 RH_WORLD=9 RH_SERVERS=tcp://x:1 run -- bash -c "$show_job"
    expect 0
    [ "$out" = 'mine 0 1 tcp://127.0.0.1' ] || fail 'what it found'
}

test_the_first_worker_reads_our_stdin() {
    run -s 2 -w 1 -- cat <<<'to the first worker'
    expect 0
    [ "$out" = 'to the first worker' ] || fail 'what it read'
}

test_it_runs_as_nobody_too() {
    local as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ TMPDIR=/tmp)
    if [ "$(id -u)" != 0 ] || ! "${as_nobody[@]}" test -r "$bin/../lib/rowhouse/rowhouse-mpi.so"; then
        return # we are somebody already, or nobody cannot read the build
    fi
    "${as_nobody[@]}" "$bin/rowhouse" run -s 2 -w 2 -- "$bin/rowhouse" status >"$dir/out" 2>"$dir/err"
    status=$? err=$(<"$dir/err")
    expect 0
    nobody_is_left
}

test_a_path_may_have_a_blank() {
    mkdir -p "$dir/a b"
    cp -R "$bin" "$bin/../lib" "$dir/a b"
    "$dir/a b/bin/rowhouse" run -s 2 -w 2 -- "$dir/a b/bin/rowhouse" status >"$dir/out" 2>"$dir/err"
    status=$? out=$(<"$dir/out") err=$(<"$dir/err")
    expect 0
    nobody_is_left
}

test_a_shell_finds_the_job_by_its_env_file() {
    # So many that their addresses do not fit into one note.
    begin 2 2 --shards 32 --env-file "$dir/env" -- bash -c "$sleep" "$dir"
    # It comes when the launcher has heard of all servers, which the trainers may be ahead of.
    for _ in {1..200}; do [ -s "$dir/env" ] || sleep 0.1; done
    [ "$(stat -c %a "$dir/env")" = 600 ] || fail 'others can read the token'
    # shellcheck source=/dev/null
    (. "$dir/env" && "$bin/rowhouse" status) >"$dir/status" 2>&1 || fail "$(cat "$dir/status")"
    [ "$(grep -c '^shard [0-9]* of 64 ' "$dir/status")" = 64 ] || fail "whom it found: $(cat "$dir/status")"
    kill -TERM "$job"
    finish 143
    [ ! -e "$dir/env" ] || fail 'the file is still there'
}

# ---- what is not run ----

test_a_dry_run_prints_a_line_for_a_shell() {
    run -s 2 -w 3 --dry-run --credit 1000000 -- ./train 'a b' "it's"
    expect 0
    [[ $out == *" mpirun "*" -np 5 "*"rowhouse-server --supervise 2 --restarts 5 --credit 1000000 -- ./train 'a b' 'it'\\''s'" ]] ||
        fail 'the line'
    [[ $out != *RH_JOB* ]] || fail 'the token shows'
    # As it is printed it runs, and failures are said without us.
    run -s 1 -w 1 --restarts 0 --dry-run -- bash -c 'echo here; exit 3'
    eval "$out" >"$dir/out" 2>"$dir/err"
    status=$?
    [ "$status" = 3 ] || fail "the line: status $status"
    grep -q '^rowhouse run: worker 0 .* ended with status 3' "$dir/err" || fail 'the line: nothing was said'
}

test_mistakes_are_said_in_one_line() {
    local wrong
    for wrong in '-s 1 -w 1' '-s 0 -- x' '-w nought -- x' '-s 1 --' '-- x : y' '--hostfile /no/such -- x'; do
        # shellcheck disable=SC2086 # words
        run $wrong
        expect 2
    done
    PATH=/nowhere run -- true
    expect 127
    [[ $err == *openmpi-bin* ]] || fail 'the package of mpirun is not named'
}

test_what_a_server_cannot_do_is_said_in_one_line() {
    run -s 2 -w 2 --credti 5 -- true
    expect 2
    [[ $err == *credti*credit* ]] || fail 'no "did you mean"'
    run -s 2 -w 1 --listen 'tcp://0.0.0.0:*' -- true
    expect 2
    [[ $err == *--insecure* ]] || fail 'the way out is not named'
}

test_a_hostfile_without_room_is_said_in_one_line() {
    echo 'localhost slots=4' >"$dir/four"
    echo 'localhost slots=3' >"$dir/three"
    run -s 2 -w 2 --hostfile "$dir/four" -- true
    expect 0
    run -s 2 -w 2 --hostfile "$dir/three" -- true
    expect 1
    [[ $err == *"Has $dir/three slots for 2 servers and 2 workers"* ]] || fail 'the question'
    nobody_is_left
}

# ---- how a program ends ----

test_a_program_that_is_not_there_is_127() {
    run -s 2 -w 2 -- /no/such/program
    expect 127
    [[ $err == *'cannot start /no/such/program: No such file or directory' ]] || fail 'what it said'
    nobody_is_left
}

test_a_program_that_cannot_be_run_is_126() {
    run -- "$dir"
    expect 126
}

test_a_status_is_passed_on() {
    run -s 2 -w 2 --restarts 0 -- bash -c 'exit 3'
    expect 3
    [[ $err == 'rowhouse run: worker '[01]' (process '*') ended with status 3; the job is stopped' ]] || fail 'what it said'
    nobody_is_left
}

# ---- deaths ----

# death PATTERN TEXT: kills the first process that matches, and expects TEXT in the line. Nothing is restarted: that is
# what launcher-restart.sh looks at.
death() {
    local victim
    begin 2 2 --restarts 0 -- bash -c "$sleep" "$dir"
    victim=$(pid_of "$1")
    [ -n "$victim" ] || fail "no process matches $1"
    kill -KILL "$victim"
    finish 137
    [[ $err =~ $2 ]] || fail "the line is not '$2'"
}

test_a_worker_is_killed() {
    death 'sleep 1000' 'worker [01] \(process [0-9]+\) was killed by signal 9 \(Killed\); the job is stopped'
}

test_a_server_is_killed() {
    death '(/.*/)?rowhouse-server --child' 'server [01] \(process [0-9]+\) was killed by signal 9'
}

test_a_supervisor_is_killed() {
    death '(/.*/)?rowhouse-server --supervise' "one of mpirun's processes was killed by signal 9"
}

test_mpirun_is_killed() {
    death 'mpirun ' 'mpirun was killed by signal 9'
}

# As Open MPI 4.1 has been seen to, when ranks end while it still starts others.
test_an_mpirun_that_hangs_behind_a_failure_is_ended() {
    local began_ms
    began_ms=$(now_ms)
    mkdir "$dir/path"
    printf '#!/bin/bash\nprintf "\\x1eF 7 server 0 cannot start: so it is\\n" >&2\nexec sleep 1000\n' >"$dir/path/mpirun"
    chmod +x "$dir/path/mpirun"
    PATH=$dir/path:$PATH run -- true
    expect 7
    [ "$err" = 'rowhouse run: server 0 cannot start: so it is' ] || fail 'the line'
    [ $(($(now_ms) - began_ms)) -le $((10000 + soon)) ] || fail 'it hung'
    nobody_is_left
}

test_the_launcher_is_killed() {
    local i
    begin 2 2 -- bash -c "$sleep" "$dir"
    { kill -KILL "$job" && wait "$job"; } 2>/dev/null
    for ((i = 0; i < soon / 100; i++)); do
        [ -z "$(marked)" ] && break
        sleep 0.1
    done
    nobody_is_left
}

test_what_a_program_has_started_goes_when_mpirun_is_killed() {
    begin 1 1 -- bash -c "$sleep_with_child" "$dir"
    kill -KILL "$(pid_of mpirun)"
    finish 137
}

test_what_a_program_has_started_goes_when_it_is_killed() {
    begin 1 1 --restarts 0 -- bash -c "$sleep_with_child" "$dir"
    kill -KILL "$(pid_of 'bash -c')"
    finish 137
}

# ---- being stopped, and waiting ----

test_interrupted_it_ends_in_peace() {
    begin 2 2 -- bash -c "$sleep" "$dir"
    kill -INT "$job"
    finish 130
    [[ $err == *'stopped by signal 2 (Interrupt)' ]] || fail 'what it said'
}

# Longer than mpirun would give; and the servers stay for that.
test_programs_have_time_to_save() {
    begin 2 2 -- bash -c "$save" "$dir" "$bin/rowhouse"
    kill -TERM "$job"
    finish 143 4000
    [ -s "$dir/saved.0" ] || fail 'worker 0 did not reach its servers'
    [ -s "$dir/saved.1" ] || fail 'worker 1 did not reach its servers'
}

test_a_job_that_waits_sleeps() {
    local all before after
    begin 2 2 -- bash -c "$sleep" "$dir"
    mapfile -t all < <(pids_of '')
    before=$(ticks "${all[@]}")
    sleep 2
    after=$(ticks "${all[@]}")
    [ $((after - before)) -le 10 ] || fail "it used $((after - before)) hundredths of a second of two"
    kill -TERM "$job"
    finish 143
}

run_tests
