#!/bin/bash
# serve.sh - a rowhouse-server on a plain host, for whatever starts it again when it dies. Its usage stands below; it needs
# `rowhouse-server`: of this tree's build, or on PATH.
set -euo pipefail

usage='usage: scripts/serve.sh STATE_DIR [flags of rowhouse-server]

Becomes rowhouse-server with these flags, and remembers in STATE_DIR, which is of this server alone, that its job has begun.
Started again, by systemd (scripts/rowhouse-server@.service) or by a loop, it takes the place of the one that died
(--rejoin): its workers, which have waited, fill it from the last checkpoint and go on. So give a port, not *.

Another job needs another STATE_DIR, or an empty one. It exits as rowhouse-server does, and with 2 for wrong usage.'

case ${1-} in
--help | -h)
    echo "$usage"
    exit 0
    ;;
'' | -*)
    echo 'serve: which folder is to remember that the job has begun? --help tells more' >&2
    exit 2
    ;;
esac
state=$1
shift

server=$(dirname "$(realpath "$0")")/../build/bin/rowhouse-server
[ -x "$server" ] || server=rowhouse-server

mkdir -p "$state"
# "ADDRESSES GENERATION": the first server's own line, which ends when it listens.
if [ -e "$state/begun" ] && read -r _ generation <"$state/begun"; then
    exec "$server" "$@" --rejoin "$generation"
fi
exec "$server" "$@" --report-fd 3 3>"$state/begun"
