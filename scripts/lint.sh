#!/bin/bash
# lint.sh [format|build|shell|floors|types|symbols]... - the rules of the house, all of them when none is named. Prints each
# breach, and exits 1 if there was one. floors needs nothing built and no tool beyond a shell's.
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C

floors=(common proto ps worker)
breaches=0

breach() {
    printf 'lint: %s\n' "$*"
    breaches=$((breaches + 1))
}

need() {
    command -v "$1" >/dev/null && return 0
    breach "$1 is missing; scripts/setup.sh lint installs it"
    return 1
}

# rule WHY PATTERN GREP_ARGUMENT...: no line of these files matches.
rule() {
    local why=$1 pattern=$2 line
    shift 2
    while IFS= read -r line; do
        breach "$why: $line"
    done < <(grep -rnHP "$@" -e "$pattern" | sort -V)
}

sources() { find "$@" -type f -name '*.[ch]' | sort; }

lint_format() {
    need clang-format || return
    sources "${floors[@]}" tests | xargs clang-format --dry-run -Werror ||
        breach 'clang-format would write some files otherwise; make format'
}

lint_build() {
    local cc
    for cc in gcc clang; do
        need "$cc" || continue
        env -u MAKEFLAGS make --no-print-directory -s -k -j"$(nproc)" BUILD="build/lint-$cc" CC="$cc" WERROR=-Werror \
            objects >/dev/null || breach "$cc does not compile it without a warning"
    done
}

lint_shell() {
    need shellcheck || return
    local scripts
    mapfile -t scripts < <(find scripts tests .ci -type f \( -name '*.sh' -o -path '.ci/*' \) | sort)
    shellcheck "${scripts[@]}" || breach 'shellcheck found faults in scripts'
}

# Who may include whom. The floor shows in the line, because includes are written from the root.
lint_includes() {
    local inc='^\s*#\s*include\s*' c=(--include='*.[ch]')
    rule 'an include is not written from the root' "$inc"'"([^/"]*"|\.)' "${c[@]}" "${floors[@]}" tests
    rule 'the product sees the tests' "$inc"'"tests/' "${c[@]}" "${floors[@]}"
    rule 'common looks up' "$inc"'"(proto|ps|worker)/' "${c[@]}" common
    rule 'proto looks up' "$inc"'"(ps|worker)/' "${c[@]}" proto
    rule 'ps looks sideways' "$inc"'"worker/' "${c[@]}" ps
    rule 'worker looks sideways' "$inc"'"ps/' "${c[@]}" --exclude=local.c worker
    rule 'an example uses more than rowhouse.h and common' "$inc"'"(?!common/|worker/(rowhouse\.h"|examples/))' \
        "${c[@]}" worker/examples
}

# door FILE HEADER: among the floors, FILE alone includes HEADER.
door() {
    local users
    users=$(sources "${floors[@]}" | xargs grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]$2[>\"]" | xargs)
    [ "$users" = "$1" ] || breach "the one door of ${2//\\/} is $1; it is included by: ${users:-no file}"
}

lint_top() {
    local name known=' common proto ps worker tests scripts Makefile README.md LICENSE CHANGELOG.md build '
    # What git knows, if this is a clone: a user's own file in it is not our affair.
    while IFS= read -r name; do
        [[ $name == .* || $known == *" $name "* ]] || breach "$name is no name for the top level"
    done < <(git ls-files 2>/dev/null | cut -d/ -f1 | sort -u | grep . || ls)
}

lint_floors() {
    lint_includes
    door common/block.c 'lz4[a-z]*\.h'
    door proto/net_zmq.c 'zmq\.h'
    door proto/roster_mpi.c 'mpi\.h'
    rule 'left for later' '\b(T[O]DO|F[I]XME|X[X]X)\b' "${floors[@]}" tests scripts Makefile
    lint_top
}

# Only rh_* leaves the libraries, all that the header declares is there, and the plug-in has its one entry.
lint_symbols() {
    local lib=${BUILD:-build}/lib file name declared exported
    local shared=$lib/librowhouse.so static=$lib/librowhouse.a plugin=$lib/rowhouse/rowhouse-mpi.so
    for file in "$shared" "$static" "$plugin"; do
        if ! [ -e "$file" ]; then
            breach "$file is not built; make"
            return
        fi
    done
    declared=$(tr '\n' ' ' <worker/rowhouse.h | grep -oE 'RH_(API|CHECKED) [^;{(]*\(' | grep -oE 'rh_[a-z0-9_]+\($' |
        tr -d '(' | sort -u)
    for file in "$shared" "$static"; do
        exported=$(nm "$([ "$file" = "$shared" ] && echo -D || echo -g)" --defined-only "$file" |
            awk 'NF == 3 { print $3 }' | sort -u)
        for name in $(comm -13 <(echo "$declared") <(echo "$exported")); do
            breach "$file exports $name, which is not in rowhouse.h"
        done
        for name in $(comm -23 <(echo "$declared") <(echo "$exported")); do
            breach "$file lacks $name, which is in rowhouse.h"
        done
    done
    exported=$(nm -D --defined-only "$plugin" | awk 'NF == 3 { print $3 }' | xargs)
    [ "$exported" = rh_mpi_exchange ] || breach "$plugin exports $exported; it should export rh_mpi_exchange"
}

# Not everybody has it, and PyTorch, whose types it reads.
lint_types() {
    local python=${RH_PYTHON:-/usr/bin/python3} folders=(worker/python/examples tests/{python,support,bench})
    if ! "$python" -c 'import mypy, numpy, torch' 2>/dev/null; then
        echo "lint: types are not checked: $python has no mypy, numpy or torch (Debian: python3-...)"
        return
    fi
    MYPYPATH=$(printf '%s:' worker/python "${folders[@]}") "$python" -m mypy --no-error-summary \
        --cache-dir "${BUILD:-build}/mypy" worker/python/rowhouse "${folders[@]}" ||
        breach 'mypy found faults in worker/python or tests'
}

[ $# -gt 0 ] || set -- format shell floors types build symbols
for part in "$@"; do
    case $part in
    format | build | shell | floors | types | symbols) "lint_$part" ;;
    *)
        echo 'usage: scripts/lint.sh [format|build|shell|floors|types|symbols]...' >&2
        exit 2
        ;;
    esac
done
[ "$breaches" -eq 0 ]
