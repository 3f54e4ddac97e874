#!/bin/bash
# floors.sh - the floors and doors hold, and the check of them sees a breach of each.
set -u

scripts/lint.sh floors || exit 1

copy=$TMPDIR/copy
mkdir "$copy"
cp -r common proto ps worker tests scripts Makefile "$copy"
"$copy/scripts/lint.sh" floors || { echo 'the copy alone breaks a rule'; exit 1; }

# planted EXPECTED FILE LINE: with this line at the end of this file, the check fails and says so.
planted() {
    local said
    [ -e "$copy/$2" ] && cp "$copy/$2" "$TMPDIR/saved"
    printf '%s\n' "$3" >>"$copy/$2"
    if said=$("$copy/scripts/lint.sh" floors); then
        echo "not seen: $3 in $2"
        exit 1
    elif [[ $said != *"$1"*"$2"* ]]; then
        echo "expected '$1' and $2 in: $said"
        exit 1
    fi
    if [ -e "$TMPDIR/saved" ]; then mv "$TMPDIR/saved" "$copy/$2"; else rm "$copy/$2"; fi
}

planted 'common looks up' common/err.c '#include "proto/wire.h"'
planted 'common looks up' common/err.h '#include "ps/shard.h"'
planted 'proto looks up' proto/wire.h '#  include "worker/rowhouse.h"'
planted 'ps looks sideways' ps/shard.c '#include "worker/client.h"'
planted 'worker looks sideways' worker/rowhouse.h '#include "ps/shard.h"'
planted 'worker looks sideways' worker/cmd/planted.c '#include "ps/shard.h"'
planted 'more than rowhouse.h and common' worker/examples/planted.c '#include "proto/wire.h"'
planted 'more than rowhouse.h and common' worker/examples/planted.c '#include "worker/client.h"'
planted 'not written from the root' ps/shard.c '#include "shard.h"'
planted 'not written from the root' ps/shard.c '#include "../ps/shard.h"'
planted 'the product sees the tests' ps/shard.c '#include "tests/unit/suites.h"'
planted 'the one door of lz4' common/buf.c '#include <lz4hc.h>'
planted 'the one door of zmq' ps/shard.c '#include <zmq.h>'
planted 'the one door of mpi' ps/shard.c '#include "mpi.h"'
planted 'left for later' ps/shard.c "/* TO""DO: mend */"
touch "$copy/planted"
[[ $("$copy/scripts/lint.sh" floors) == *'planted is no name'* ]] || { echo 'not seen: a file at the top level'; exit 1; }
