#!/bin/bash
# setup.sh SET... - install the Debian packages that a set of goals needs and that are not here: build, test, demo,
# lint. Says what each is for; leaves alone what is installed; prints nothing when nothing is missing.
set -u

# package, the sets that need it, what it is for
packages='
build-essential   build,test,demo,lint  the C compiler and make
pkg-config        build,test,demo,lint  finds the libraries below
libzmq3-dev       build,test,demo,lint  ZeroMQ: carries frames between processes and hosts
liblz4-dev        build,test,demo,lint  LZ4: packs blocks of rows in files
libxxhash-dev     build,test,demo,lint  XXH3: checksums of frames and files
libjansson-dev    build,test,demo,lint  JSON: what the commands print with --json, and headers of safetensors
libinih-dev       build,test,demo,lint  INI: settings files
libopenmpi-dev    build,test,demo,lint  Open MPI: how the processes of a job find each other
openmpi-bin       test,demo             mpirun: starts the processes of a job
check             test,lint             the unit test framework
python3           test                  helpers of the tests
python3-numpy     test                  writes and reads the files of vectors that the tests exchange with it
python3-torch     test                  PyTorch: the judge of optimizers, arguments and initializers
wordnet-base      demo                  WordNet: the English text that the demo learns from
clang             lint                  the second compiler; fuzzing
libclang-rt-dev   lint                  its sanitizers and libFuzzer
clang-format      lint                  the format of the C files
shellcheck        lint                  faults in the scripts
'

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

[ $# -gt 0 ] || die 'usage: scripts/setup.sh build|test|demo|lint ...'
declare -A purpose=()
wanted=()
for set in "$@"; do
    case $set in
    build | test | demo | lint) ;;
    *) die "no set is called $set; there are build, test, demo and lint" ;;
    esac
    while read -r package sets text; do
        if [[ ,$sets, == *,$set,* && -z ${purpose[$package]-} ]]; then
            purpose[$package]=$text
            wanted+=("$package")
        fi
    done <<<"$packages"
done

if ! { command -v dpkg-query && command -v apt-get; } >/dev/null; then
    die "this is no Debian or Ubuntu (no apt-get here), so nothing was installed. What is needed, by Debian's names:" \
        "    ${wanted[*]}" \
        "When the like of these is here: make $1 SETUP=true"
fi

# One query for all. A package that was removed but not purged is known, and not installed.
declare -A installed=()
while read -r package status; do
    [ "$status" = installed ] && installed[$package]=1
done < <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null)
missing=()
for package in "${wanted[@]}"; do
    [ -n "${installed[$package]-}" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        die "these packages are missing, and there is no sudo to install them with. As root, type:" \
            "    ${install[*]}"
    as_root=(sudo)
    if ! sudo -n true 2>/dev/null; then
        # sudo asks at the terminal; without one it could only fail.
        [ -t 0 ] || die "these packages are missing, and sudo wants a password that nobody can type here. Type:" \
            "    sudo ${install[*]}"
    fi
fi

for package in "${missing[@]}"; do
    say "installing $(printf '%-16s' "$package") ${purpose[$package]}"
done

log=$(mktemp) || die 'cannot make a temporary file'
trap 'rm -f "$log"' EXIT
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1
}
# The lists of a fresh machine are empty or old: read them only if the packages cannot be had without.
if ! apt "${install[@]:1}"; then
    : >"$log"
    if ! apt update || ! apt "${install[@]:1}"; then
        tail -n 12 "$log" | sed 's/^/    /' >&2
        die 'apt-get failed (above). Is there a network? When it can be mended, type:' \
            "    ${as_root[*]:+sudo }apt-get update && ${as_root[*]:+sudo }${install[*]}"
    fi
fi
