#!/bin/bash
# mpirun.sh - the plain line, `mpirun -np 2 rowhouse-server : -np 2 PROGRAM`: programs find their servers with "mpi:", who
# waits sleeps, and a death ends the job.
# shellcheck source=tests/integration/lib.sh
. "${0%/*}/lib.sh"

# What `rowhouse run` would see to.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

# mpirun cuts the name of a program at a blank.
ln -s "$bin" "$root/bin"
bin=$root/bin

yes 'the dog and the cat saw the small bird in the old tree by the river' | head -n 500 >"$root/text"
train() { echo "$bin/rowhouse-word2vec -input $root/text -output $dir/v -dim 8 -minCount 1 -epoch $1"; }

# job ARGUMENT...: mpirun; then $status.
job() {
    mpirun "$@" >"$dir/out" 2>"$dir/err"
    status=$?
}

# learned: the job was well, has made vectors, and only the program has said something.
learned() {
    [ "$status" = 0 ] || fail "status $status"
    [ -s "$dir/v.vec" ] || fail 'no vectors'
    grep -qvE ' words, | words/s ' "$dir/err" && fail 'something on stderr that is not of the program'
    rm -f "$dir/v.vec"
    nobody_is_left
}

# shellcheck disable=SC2046 # the words of train
{
    test_words_are_learned() {
        local s w
        for ranks in '1 1' '2 2' '3 2'; do
            read -r s w <<<"$ranks"
            job -np "$s" "$bin/rowhouse-server" : -np "$w" $(train 1)
            learned
        done
    }

    test_a_server_may_have_several_shards() {
        job -np 1 "$bin/rowhouse-server" --shards 3 : -np 1 $(train 1)
        learned
    }

    # sleeps PATTERN: whoever matches waits now, and in two seconds uses no more than a breath.
    sleeps() {
        local pid used
        sleep 1.5
        pid=$(pid_of "$1")
        [ -n "$pid" ] || { fail "no $1 waits"; return; }
        used=$(ticks "$pid")
        sleep 2
        used=$(($(ticks "$pid") - used))
        [ "$used" -le 6 ] || fail "$1 used $used hundredths of a second of two, waiting"
    }

    test_a_trainer_that_waits_for_servers_sleeps() {
        job -np 1 bash -c "sleep 5; exec '$bin/rowhouse-server'" : -np 1 $(train 1) &
        sleeps "$bin/rowhouse-word2vec"
        wait $!
        status=0
        learned
    }

    test_a_server_that_waits_for_workers_sleeps() {
        job -np 1 "$bin/rowhouse-server" : -np 1 bash -c "sleep 5; exec $(train 1)" &
        sleeps "$bin/rowhouse-server"
        wait $!
        status=0
        learned
    }

    # killed PATTERN: the first that matches is killed in the middle of a job, which ends soon, and not well.
    killed() {
        local i began_ms pid
        mpirun -np 2 "$bin/rowhouse-server" : -np 2 $(train 1000000) >"$dir/out" 2>"$dir/err" &
        for ((i = 0; i < 300; i++)); do
            [ -s "$dir/err" ] && break
            sleep 0.1
        done
        pid=$(pid_of "$1")
        [ -n "$pid" ] || fail "no $1 to kill"
        kill -KILL "$pid"
        began_ms=$(now_ms)
        wait $! && fail 'status 0'
        [ $(($(now_ms) - began_ms)) -le "$soon" ] || fail 'it lived on'
        nobody_is_left
    }

    test_a_killed_worker_ends_the_job() { killed "$bin/rowhouse-word2vec"; }
    test_a_killed_server_ends_the_job() { killed "$bin/rowhouse-server"; }

    test_a_status_is_passed_on() {
        job -np 1 "$bin/rowhouse-server" : -np 1 bash -c 'exit 3'
        [ "$status" = 3 ] || fail "status $status"
        nobody_is_left
    }

    # said TEXT: the job has failed, and said this.
    said() {
        [ "$status" != 0 ] || fail 'status 0'
        grep -q "$1" "$dir/err" || fail "'$1' was not said"
        nobody_is_left
    }

    test_half_a_job_says_what_is_missing() {
        job -np 2 "$bin/rowhouse-server"
        said 'no worker rank'
        job -np 2 $(train 1)
        said 'no server rank'
    }

    test_without_the_plug_in_the_package_is_named() {
        RH_MPI_PLUGIN=/no/such.so job -np 1 "$bin/rowhouse-server" : -np 1 $(train 1)
        said 'MPI cannot be used: /no/such.so: .*openmpi-bin'
    }
}

run_tests
