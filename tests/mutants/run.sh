#!/bin/bash
# run.sh [--check] [MISTAKE...] - known mistakes, one a patch, each put into a copy of the tree and built: a test must catch it.
# Prints for each which one did, and how long it took. Exits 1 if one survives, does not apply or does not build, and
# where a test fails without any mistake. --check: only that every patch applies and says what it should; in a second.
#
# A patch begins with what the mistake is, and names the test that catches it: "Caught by: unit SUITE", or the name of a
# program or script of tests/integration. If that one does not, others are asked, so that the line can be put right.
# Nothing here touches the tree or its build: a copy of both is made once, and a copy of that for each mistake.
set -u
cd "$(dirname "$0")/../.." || exit 1
export LC_ALL=C

build=${BUILD:-build}
# Asked in this order when the named test lets a mistake pass.
others=('unit session' 'unit shard' 'unit link' 'unit cuts' 'unit ckpt_crash' 'unit restores' unit test_lossy test_client
    test_workers test_kill_save test_failures)
faults=0

fault() {
    printf 'mutants: %s\n' "$*"
    faults=$((faults + 1))
}

# caught_by PATCH: the test that its opening names.
caught_by() { sed -n '/^--- /q; s/^Caught by: //p' "$1"; }

# source_of TEST: the file that the test is.
source_of() {
    case $1 in
    'unit '*) echo "tests/unit/test_${1#unit }.c" ;;
    test_*) echo "tests/integration/$1.c" ;;
    *) echo "tests/integration/$1.sh" ;;
    esac
}

# put_in PATCH DIRECTORY [OPTION...]: no line beside those that change may be another one.
put_in() { patch -p1 -F0 -s -f --no-backup-if-mismatch -d "$2" "${@:3}" <"$1"; }

# check PATCH: false if it is of no use as it is.
check() {
    local name test said
    name=$(basename "$1" .patch)
    test=$(caught_by "$1")
    if ! said=$(put_in "$1" . --dry-run -r - 2>&1); then
        fault "$name does not apply: the code that it changes is another now. Renew it: $said"
    elif [ -z "$test" ] || ! [ -e "$(source_of "$test")" ]; then
        fault "$name: \"Caught by: $test\" names no test"
    elif head -n 1 "$1" | grep -qE '^(---|diff|Caught|$)'; then
        fault "$name does not begin with what the mistake is"
    else
        return 0
    fi
    return 1
}

# ---- trees ----

# What git knows, and what is new and not ignored; with it the objects and programs, for make to go on from.
copy_tree() {
    mkdir -p "$1/build" || return
    git ls-files -z -co --exclude-standard --deduplicate | tar -c --null -T - --ignore-failed-read 2>/dev/null |
        tar -x -C "$1" || return
    mkdir "$1/build/tests"
    find "$build/tests" -maxdepth 1 -type f -exec cp -a -t "$1/build/tests" {} + &&
        cp -a "$build"/{obj,bin,lib} "$1/build"
}

# make_in TREE TARGET...
make_in() { env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -C "$1" --no-print-directory -s -j"$(nproc)" "${@:2}"; }

# make_for TREE TEST: what the test runs, and nothing else.
make_for() {
    case $2 in
    unit*) make_in "$1" build/tests/unit ;;
    test_*) make_in "$1" all "build/tests/$2" ;;
    *) make_in "$1" all test-programs ;;
    esac
}

# passes TREE TEST: what it said is in TREE/said.
passes() {
    local what=$2 suite=
    case $2 in
    unit*)
        what=build/tests/unit suite=${2#unit}
        ;;
    test_*) what=build/tests/$2 ;;
    *) what=$(source_of "$2") ;;
    esac
    (
        cd "$1" || exit
        [ -z "$suite" ] || export CK_RUN_SUITE=${suite# }
        BUILD=build SAN='' tests/integration/run.sh "$what" >said 2>&1
    ) || return
    # A suite that is not there passes, with no checks.
    [[ $what == *.sh ]] || grep -q ' checks$' "$1/said"
}

# first_failure TREE TEST: the test case that has failed first.
first_failure() {
    local file=unit case
    [[ $2 == unit* ]] || file=$2
    case=$(sed -nE 's/^[^:]+:[0-9]+:[FE]:[^:]*:([^:]+):.*/\1/p; s/^FAILED: ([^:]+):.*/\1/p' \
        "$1/build/tests/log/$file.txt" | head -n 1)
    echo "$2${case:+: $case}"
}

# ---- one mistake ----

# try TREE TEST: sets caught if the test fails.
try() {
    make_for "$1" "$2" >"$1/made" 2>&1 || return
    passes "$1" "$2" || caught=$(first_failure "$1" "$2")
}

# put_to_test PATCH: prints a line of the table.
put_to_test() {
    local name tree=$scratch/tree test named caught='' began=${EPOCHREALTIME/./}
    name=$(basename "$1" .patch)
    named=$(caught_by "$1")
    rm -rf "$tree"
    cp -a "$scratch/base" "$tree"
    put_in "$1" "$tree" || return
    if ! try "$tree" "$named"; then
        fault "$name does not build: renew it"
        tail -n 5 "$tree/made"
        return
    fi
    for test in "${others[@]}"; do
        [ -z "$caught" ] || break
        [ "$test" = "$named" ] || try "$tree" "$test"
    done
    local took=$((${EPOCHREALTIME/./} - began))
    printf '| %s | %s | %d.%d |\n' "$name" "${caught:-SURVIVES}" $((took / 1000000)) $((took / 100000 % 10))
    [ -n "$caught" ] || fault "$name survives: no test sees it"
    [ -z "$caught" ] || [[ $caught == "$named"* ]] || fault "$name: $named does not catch it, ${caught%%:*} does: say so"
}

# ---- all of them ----

only_check=
if [ "${1-}" = --check ]; then
    only_check=1
    shift
fi
patches=() names=("$@")
[ $# -gt 0 ] || mapfile -t names < <(basename -s .patch tests/mutants/*.patch)
for name in "${names[@]}"; do
    if ! [ -e "tests/mutants/$name.patch" ]; then
        fault "there is no tests/mutants/$name.patch"
    elif check "tests/mutants/$name.patch"; then
        patches+=("tests/mutants/$name.patch")
    fi
done
if [ -n "$only_check" ]; then
    printf '%d mistakes apply, %d faults\n' ${#patches[@]} $faults
    [ $faults -eq 0 ]
    exit
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/rowhouse-mutants.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
began=$EPOCHSECONDS
if ! copy_tree "$scratch/base" || ! make_in "$scratch/base" all test-programs; then
    echo 'mutants: the tree does not build as it is' >&2
    exit 1
fi

# Without a mistake all of these pass, or it would mean nothing that they fail.
while read -r test; do
    passes "$scratch/base" "$test" && continue
    fault "$(first_failure "$scratch/base" "$test") fails without any mistake"
    cat "$scratch/base/said"
done < <(for patch in "${patches[@]}"; do caught_by "$patch"; done | sort -u)

printf '| mistake | caught by | s |\n|---|---|---|\n'
for patch in "${patches[@]}"; do
    put_to_test "$patch"
done
printf '%d mistakes, %d faults, %d s\n' ${#patches[@]} $faults $((EPOCHSECONDS - began))
[ $faults -eq 0 ]
