#!/bin/bash
# setup.sh - scripts/setup.sh on machines that have all, some, or none of what it needs: played by stand-ins for
# dpkg-query, apt-get, sudo and id, so that nothing is installed here.
# shellcheck disable=SC2016 # the stand-ins expand these, not we
set -u

fakes=$TMPDIR/bin
mkdir "$fakes"
for tool in bash sh env cat printf mktemp rm tail sed; do ln -s "$(command -v $tool)" "$fakes/$tool"; done

fake() {
    printf '#!/bin/sh\n%s\n' "$2" >"$fakes/$1"
    chmod +x "$fakes/$1"
}
# setup SETS...: its exit status; what it said is in $said, what apt-get was asked for in $asked.
setup() {
    : >"$TMPDIR/asked"
    said=$(PATH=$fakes ASKED=$TMPDIR/asked scripts/setup.sh "$@" 2>&1 </dev/null)
    local status=$?
    asked=$(<"$TMPDIR/asked")
    return $status
}
fail() {
    printf '%s\n' "setup: $*" "said: $said" "apt-get was asked: $asked" >&2
    exit 1
}

all='shift 3; for p; do echo "$p installed"; done'
some='shift 3; for p; do case $p in check) echo "$p config-files";; libzmq3-dev) ;; *) echo "$p installed";; esac; done'
fake apt-get 'echo "apt-get $*" >>"$ASKED"'
fake sudo '[ "$1" = -n ] && exit 0; echo "sudo" >>"$ASKED"; exec "$@"'

fake id 'echo 0'
fake dpkg-query "$all"
setup build test demo lint || fail 'failed though all is there'
[ -z "$said$asked" ] || fail 'was not silent though all is there'

# What is missing is named with its purpose, and nothing else is asked for. A removed package is a missing one.
fake dpkg-query "$some"
setup test || fail 'could not install'
[[ $said == *'libzmq3-dev'*ZeroMQ*check*'unit test'* ]] || fail 'did not say what for'
[[ $asked == *'install -y --no-install-recommends libzmq3-dev check' ]] || fail 'asked for something else'
[[ $asked != *sudo* ]] || fail 'root needs no sudo'

fake id 'echo 1000'
setup test || fail 'could not install with sudo'
[[ $asked == sudo*apt-get* ]] || fail 'did not use sudo'

# The lists are read only when the packages cannot be had without.
fake apt-get 'echo "$*" >>"$ASKED"; case "$*" in *update) : >"$ASKED.updated" ;; *) [ -e "$ASKED.updated" ] ;; esac'
setup test || fail 'gave up on a fresh machine'
[[ $asked == *install*update*install* ]] || fail 'did not update and try again'

fake apt-get 'echo "E: Could not resolve deb.debian.org"; exit 100'
setup test && fail 'succeeded without a network'
[[ $said == *'Could not resolve'*network*'sudo apt-get update && sudo apt-get install'*libzmq3-dev* ]] ||
    fail 'unclear without a network'

fake sudo 'exit 1'
setup test && fail 'succeeded without a password'
[[ $said == *password*'sudo apt-get install'*libzmq3-dev* ]] || fail 'unclear without a password'

rm "$fakes/sudo"
setup test && fail 'succeeded without sudo'
[[ $said == *'no sudo'*'As root, type'*'apt-get install'*libzmq3-dev* ]] || fail 'unclear without sudo'

rm "$fakes/apt-get"
setup demo && fail 'succeeded without apt'
[[ $said == *'no apt-get'*wordnet-base* ]] || fail 'unclear without apt'

setup everything && fail 'knows a set that there is not'
[[ $said == *everything*'build, test, demo and lint'* ]] || fail 'unclear about sets'
