#!/bin/bash
# word2vec-resume.sh - the trainer is killed with all its servers, and goes on from its checkpoint on more or fewer of them:
# every batch is trained once, and where a job has one result, to the bit, it is the one of a job that was never killed.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"
w2v=$bin/rowhouse-word2vec
python=${RH_PYTHON:-/usr/bin/python3}

# Two topics that never meet, and words of both.
awk 'BEGIN {
    srand(7)
    split("dog cat horse cow goat sheep pig hen", animals)
    split("violin cello piano flute oboe harp drum horn", music)
    split("the a of and is to", common)
    for (line = 0; line < 4000; line++) {
        text = ""
        for (i = 0; i < 9; i++) {
            pick = 1 + int(rand() * 8)
            text = text (i % 3 == 2 ? common[1 + int(rand() * 6)] : line % 2 ? animals[pick] : music[pick]) " "
        }
        print text
    }
}' >"$root/text"

# 360 steps for each of two workers, 720 for one.
train=("$w2v" -input "$root/text" -dim 16 -minCount 1 -batch 1000 -epoch 20 -t 1e-2)

# ---- jobs ----

# servers N CHECKPOINTS FLAG...: N processes; $list is where they are. They end when all workers have said goodbye, unless
# $stay is 1.
servers() {
    local n=$1 folder=$2 world=(--world "$workers") i
    [ "${stay-}" = 1 ] && world=()
    list=''
    for ((i = 0; i < n; i++)); do
        rm -f "$dir/at.$i"
        "$bin/rowhouse-server" --listen 'tcp://127.0.0.1:*' --shard "$i/$n" --report-fd 3 "${world[@]}" \
            --checkpoint-dir "$folder" "${@:3}" 3>"$dir/at.$i" 2>>"$dir/servers" &
        await 30 test -s "$dir/at.$i"
        list=$list${list:+,}$(cut -d" " -f1 "$dir/at.$i")
    done
}

# trainers NAME FLAG...: $workers of them, which write $dir/NAME.vec; in the background.
trainers() {
    local i
    for ((i = 0; i < workers; i++)); do
        RH_RANK=$i RH_WORLD=$workers RH_MODE=$mode "${train[@]}" -output "$dir/$1" --servers "$list" "${@:2}" \
            >"$dir/$1.out.$i" 2>"$dir/$1.err.$i" &
        trainer[i]=$!
    done
}

# job NAME SERVERS CHECKPOINTS SERVER-FLAG... -- TRAINER-FLAG...: from the beginning to the end.
job() {
    local name=$1 n=$2 folder=$3 to_servers=()
    shift 3
    while [ "$1" != -- ]; do
        to_servers+=("$1")
        shift
    done
    shift
    servers "$n" "$folder" "${to_servers[@]}"
    trainers "$name" "$@"
    finished "$name"
    wait
}

# finished NAME: all trainers have ended, and well.
finished() {
    local i status
    for ((i = 0; i < workers; i++)); do
        wait "${trainer[i]}"
        status=$?
        [ $status = 0 ] || fail "$1: worker $i ended with status $status: $(tail -n 3 "$dir/$1.err.$i")"
    done
}

# SIGTERM for all that is left.
stop_all() {
    local left
    mapfile -t left < <(pids_of '(/.*/)?rowhouse-(word2vec|server)')
    { kill -TERM "${left[@]}" && wait; } 2>/dev/null
}

await() {
    local until_ms=$(($(now_ms) + $1 * 1000 * (soon / 5000)))
    while ! "${@:2}"; do
        if [ "$(now_ms)" -gt "$until_ms" ]; then
            fail "waited for: ${*:2}"
            return
        fi
        sleep 0.02
    done
}

# saved FOLDER N: at least N checkpoints have been.
saved() {
    local generation
    generation=$(grep -oE '"generation": "[0-9]+"' "$1/word2vec/MANIFEST.json" 2>/dev/null | grep -oE '[0-9]+')
    [ "${generation:-0}" -ge "$2" ]
}

# SIGKILL for everybody, at once; none of them may have finished.
kill_all() {
    local victims
    mapfile -t victims < <(pids_of '(/.*/)?rowhouse-(word2vec|server)')
    [ ${#victims[@]} -gt "$workers" ] || fail "only ${#victims[@]} processes were left to kill"
    { kill -KILL "${victims[@]}" && wait; } 2>/dev/null
}

# workers_of CHECKPOINT: of each its rank; its cursor's step and words, or "left"; how many pushes of it are in the tables.
workers_of() {
    "$python" - "$1/MANIFEST.json" <<'END_OF_PYTHON'
import base64, json, struct, sys
m = json.load(open(sys.argv[1]))
for w in m["workers"]:
    where = "left"
    if not w["left"]:
        blob = base64.b64decode(w["cursor"])
        assert blob[:8] == b"RHW2VEC\n" and len(blob) == 176, blob
        step, clock, words = struct.unpack_from("<3Q", blob, 16)
        assert str(clock) == w["clock"], (clock, w["clock"])
        where = f"step {step} words {words}"
    print("worker", w["rank"], where, "pushes", *(pushes for _, pushes, _ in w["pushes"]))
END_OF_PYTHON
}

same() { cmp "$dir/$1.vec" "$dir/$2.vec" >/dev/null || fail "$1 and $2 are not the same vectors"; }

# expect_workers CHECKPOINT LINE...
expect_workers() {
    local found
    found=$(workers_of "$1")
    [ "$found" = "$(printf '%s\n' "${@:2}")" ] || fail "$1: $found"
}

# ---- killed in the middle ----

test_bsp_is_the_same_to_the_bit() {
    local n end=('worker 0 step 360 words 360000 pushes 360 360' 'worker 1 step 360 words 360000 pushes 360 360')
    mode=bsp workers=2
    job whole 2 "$dir/whole" -- -checkpoint-every 30
    expect_workers "$dir/whole/word2vec" "${end[@]}"
    servers 2 "$dir/killed"
    trainers killed -checkpoint-every 30
    await 60 saved "$dir/killed" 4
    kill_all
    [ ! -e "$dir/killed.vec" ] || fail 'it was killed too late'
    for n in 1 3 5; do
        cp -r "$dir/killed" "$dir/on$n"
        job "on$n" "$n" "$dir/on$n" --restore latest -- -checkpoint-every 30 -resume
        grep -qE '^goes on from checkpoint "word2vec": (120|1[5-9]0|[23][0-9]0) of 360 batches are done$' "$dir/on$n.err.0" ||
            fail "it does not say from where: $(cat "$dir/on$n.err.0")"
        same whole "on$n"
        expect_workers "$dir/on$n/word2vec" "${end[@]}"
    done
}

test_a_lone_async_worker_is_the_same_to_the_bit() {
    mode=async workers=1
    job whole 2 "$dir/none" --
    servers 2 "$dir/killed"
    trainers killed -checkpoint-every 30
    await 60 saved "$dir/killed" 4
    kill_all
    [ ! -e "$dir/killed.vec" ] || fail 'it was killed too late'
    job on 3 "$dir/killed" --restore word2vec -- -checkpoint-every 30 -resume
    same whole on
    expect_workers "$dir/killed/word2vec" 'worker 0 step 720 words 720000 pushes 720 720'
}

# The second is done when the first has hardly begun, because that one saves after each of its batches: so one is killed in
# the middle, and the other at its end.
test_async_workers_train_every_batch_once() {
    mode=async workers=2
    servers 2 "$dir/ck"
    trainers killed -checkpoint-every 1
    await 60 second_is_done
    kill_all
    stay=1
    servers 3 "$dir/ck" --restore latest
    trainers on -checkpoint-every 180 -resume
    finished on
    grep -q '^epoch 20/20 100 %' "$dir/on.err.0" || fail "the first had nothing to do: $(cat "$dir/on.err.0")"
    all_of_it_once 360
}

second_is_done() { [[ $(workers_of "$dir/ck/word2vec" 2>/dev/null) == *'worker 1 step 360 '* ]]; }

# all_of_it_once STEPS: of a job of two workers, whose servers are still there.
all_of_it_once() {
    "$bin/rowhouse" ckpt save --servers "$list" end >"$dir/out" 2>&1 || fail 'the end was not saved'
    expect_workers "$dir/ck/end" "worker 0 left pushes $1 $1" "worker 1 left pushes $1 $1"
    stop_all
}

# No worker of these saves by itself. They have 1800 steps each.
checkpoint_from_outside() {
    mode=$1 workers=2
    servers 2 "$dir/ck"
    trainers killed -epoch 100
    await 60 in_the_middle
    "$bin/rowhouse" ckpt save --servers "$list" outside >"$dir/out" 2>&1 || fail 'it was not saved'
    kill_all
    [[ $(workers_of "$dir/ck/outside") != *' step 1800 '* ]] || fail "too late: $(workers_of "$dir/ck/outside")"
    stay=1
    servers 1 "$dir/ck" --restore latest
    trainers on -epoch 100 -resume
    finished on
    all_of_it_once 1800
}

# The servers have heard of both workers, far behind the beginning.
in_the_middle() {
    local far
    far=$("$bin/rowhouse" status --servers "$list" 2>/dev/null | grep -oE '^  worker [0-9]+: .* clock [1-9][0-9]+,' | cut -d: -f1 | sort -u)
    [ "$(grep -c . <<<"$far")" = 2 ]
}

test_bsp_goes_on_from_a_checkpoint_from_outside() { checkpoint_from_outside bsp; }
test_async_goes_on_from_a_checkpoint_from_outside() { checkpoint_from_outside async; }

test_who_had_finished_goes_straight_to_the_end() {
    mode=bsp workers=2
    job whole 1 "$dir/ck" -- -checkpoint-every 360
    job on 2 "$dir/ck" --restore latest -- -resume
    same whole on
    grep -q '360 of 360 batches are done' "$dir/on.err.0" || fail "where it began: $(cat "$dir/on.err.0")"
    grep -q '^epoch' "$dir/on.err.0" && fail 'it trained something'
}

# Without servers: in the trainer's own process.
test_alone_it_goes_on_too() {
    mode=async workers=1 list=local:2
    trainers whole
    finished whole
    export RH_CHECKPOINT_DIR=$dir/ck
    mkdir "$dir/ck"
    trainers killed -checkpoint-every 30
    await 60 saved "$dir/ck" 4
    { kill -KILL "${trainer[0]}" && wait; } 2>/dev/null
    [ ! -e "$dir/killed.vec" ] || fail 'it was killed too late'
    list=local:3
    refused '-resume: .*no checkpoint.*none' -resume -checkpoint-name none
    trainers on -resume
    finished on
    same whole on
}

# ---- what is refused ----

# refused PATTERN TRAINER-FLAG...: every worker ends with status 1, one line behind the description of the text says why.
refused() {
    local i pattern=$1 status
    shift
    trainers refused "$@"
    for ((i = 0; i < workers; i++)); do
        status=0
        wait "${trainer[i]}" || status=$?
        [ $status = 1 ] || fail "status $status, not 1: $*"
        grep -v '^/.* words, .* different ones$' "$dir/refused.err.$i" >"$dir/said"
        [ "$(wc -l <"$dir/said")" = 1 ] || fail "not one line: $*: $(cat "$dir/said")"
        grep -qE -- "$pattern" "$dir/said" || fail "'$(cat "$dir/said")' does not say /$pattern/"
    done
    [ ! -e "$dir/refused.vec" ] || fail "$*: wrote vectors"
}

test_what_is_not_the_same_job_is_refused_by_what_differs() {
    local way_out='start the servers with --restore'
    mode=async workers=1
    job whole 1 "$dir/ck" -- -checkpoint-every 700
    for flags in '-seed:1:0' '-lr:0.01:0.05' '-epoch:21:20' '-dim:8:16' '-t:0.1:0.01'; do
        IFS=: read -r flag is was <<<"$flags"
        servers 1 "$dir/ck" --restore word2vec
        refused "-resume: checkpoint \"word2vec\": $flag is $is here, and was $was: $way_out" "$flag" "$is" -resume
        wait
    done
    servers 1 "$dir/ck" --restore word2vec
    refused 'the number of batches in a part .* is 18 here, and was 36' -batch 2000 -resume
    wait
    sed '1s/[a-z]*/newword/' "$root/text" >"$dir/text"
    servers 1 "$dir/ck" --restore word2vec
    refused 'the size of the text, in bytes, is ' -input "$dir/text" -resume
    wait
    workers=2
    servers 1 "$dir/ck" --restore word2vec
    refused 'the number of workers is 2 here, and was 1' -resume
    wait
}

test_without_a_checkpoint_nothing_begins() {
    mode=async workers=1
    servers 1 "$dir/ck"
    refused '-resume: there is no checkpoint to go on from: start the servers with --restore NAME' -resume
    wait
}

# Else what came behind the checkpoint would be trained twice.
test_servers_that_have_gone_on_are_refused() {
    mode=async workers=1 stay=1
    servers 1 "$dir/ck"
    trainers whole -checkpoint-every 700
    finished whole
    refused 'worker 0 is at clock 722, and was at 701: these servers have gone on since' -resume
    trainers again -epoch 1
    finished again
    grep -q '^worker 0 was at these servers before, and begins at the beginning' "$dir/again.err.0" ||
        fail "nothing was said of it: $(cat "$dir/again.err.0")"
    grep -q 'servers before' "$dir/whole.err.0" && fail 'the first said so too'
    stop_all
}

test_several_threads_have_no_checkpoints() {
    mode=async workers=1 list=local:
    for flag in -resume '-checkpoint-every 1'; do
        # shellcheck disable=SC2086 # words
        "${train[@]}" -output "$dir/v" -thread 2 $flag 2>"$dir/err" && fail "$flag: it trained"
        grep -q "${flag% *} is for workers of one thread.* start as many workers" "$dir/err" || fail "$flag"
    done
    "${train[@]}" -output "$dir/v" -checkpoint-name a/b 2>"$dir/err" && fail 'a/b: it trained'
    grep -q -- '-checkpoint-name: checkpoint name "a/b"' "$dir/err" || fail 'a/b'
    "${train[@]}" -output "$dir/v" -checkpoint-name .b 2>"$dir/err" && fail '.b: it trained'
    grep -q -- '-checkpoint-name: checkpoint name ".b" begins with a dot' "$dir/err" || fail '.b'
}

# ---- what cannot be saved ----

test_training_goes_on_where_a_checkpoint_cannot_be_saved() {
    mode=async workers=1 list=local:
    trainers v -checkpoint-every 300
    wait "${trainer[0]}" || fail "$(cat "$dir/v.err.0")"
    [ -s "$dir/v.vec" ] || fail 'no vectors'
    [ "$(grep -c 'checkpoint "word2vec" was not saved, training goes on: .*--checkpoint-dir' "$dir/v.err.0")" = 2 ] ||
        fail "$(cat "$dir/v.err.0")"
    grep -q '^2 of 2 checkpoints were not saved$' "$dir/v.err.0" || fail "$(cat "$dir/v.err.0")"
}

run_tests
