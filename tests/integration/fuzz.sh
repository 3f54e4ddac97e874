#!/bin/bash
# fuzz.sh - ten seconds of libFuzzer on every decoder of foreign bytes. `make test` builds them where clang is.
set -u
shopt -s nullglob
if [ -n "$RH_SAN" ]; then
    echo 'the fuzzers have sanitizers of their own'
    exit 77
fi
fuzzers=("$RH_BUILD"/fuzz/tests/fuzz_*)
if [ ${#fuzzers[@]} = 0 ]; then
    echo 'no fuzzers were built: clang or its libFuzzer is missing (scripts/setup.sh lint)'
    exit 77
fi
exec tests/fuzz/run.sh "${RH_TEST_FUZZ_SECONDS:-10}" "${fuzzers[@]}"
