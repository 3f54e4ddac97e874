#!/bin/bash
# install.sh - a program of twenty lines, built against an installed copy as its user would, with the shared and with
# the static library, runs; and uninstall leaves no file.
set -eu
[ -z "$RH_SAN" ] || { echo "the plain build is what gets installed"; exit 77; }
build=${RH_BUILD#"$PWD"/}
root=$TMPDIR/root
libdir=/usr/lib/of-this-machine
to=(DESTDIR="$root" PREFIX=/usr LIBDIR="$libdir")

make BUILD="$build" install "${to[@]}"

cat >"$TMPDIR/hello.c" <<'END'
#include <rowhouse.h>
#include <stdio.h>

int main(void) {
    uint64_t ids[] = {7, 999, 7};
    float rows[3][8], grads[3][8] = {{1}, {2}, {3}};
    rh_config cfg;
    rh_client *c;
    rh_table_spec spec;
    rh_table *t;

    rh_config_init(&cfg);
    rh_table_spec_init(&spec, 1000, 8);
    spec.init = rh_zeros();
    spec.optimizer = rh_sgd(0.5);
    if (rh_connect(&cfg, &c) || rh_table_open(c, "hello", &spec, &t) || rh_push(t, ids, 3, grads[0]) ||
        rh_pull(t, ids, 3, rows[0]))
        return fprintf(stderr, "%s\n", rh_errmsg()), 1;
    printf("rowhouse %s: %g %g %g\n", rh_version(), rows[0][0], rows[1][0], rows[2][0]);
    rh_close(c);
    return 0;
}
END

# Row 7 was pushed 1 and 3, row 999 was pushed 2, with a learning rate of a half.
expected='rowhouse 0.1.0: -2 -1 -2'
export PKG_CONFIG_PATH=$root$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
cc=(cc -Wall -Wextra -Werror -o "$TMPDIR/hello" "$TMPDIR/hello.c")

# shellcheck disable=SC2046 # flags are words
"${cc[@]}" $(pkg-config --cflags --libs rowhouse)
said=$(LD_LIBRARY_PATH=$root$libdir "$TMPDIR/hello")
[ "$said" = "$expected" ] || { echo "shared: said '$said', expected '$expected'"; exit 1; }

# Under mpirun the program and the server find each other through the plug-in: the library's copy and the programs'.
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
said=$(LD_LIBRARY_PATH=$root$libdir OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none \
    mpirun -np 1 "$root/usr/bin/rowhouse-server" : -np 1 "$TMPDIR/hello")
[ "$said" = "$expected" ] || { echo "mpirun: said '$said', expected '$expected'"; exit 1; }

# Without the shared library the linker takes the other; Libs.private brings what stands beneath it.
rm "$root$libdir"/librowhouse.so*
# shellcheck disable=SC2046
"${cc[@]}" $(pkg-config --static --cflags --libs rowhouse)
said=$("$TMPDIR/hello")
[ "$said" = "$expected" ] || { echo "static: said '$said', expected '$expected'"; exit 1; }

# The installed programs stand on their own.
[ "$(env -C / "$root/usr/bin/rowhouse" --version)" = 'rowhouse 0.1.0' ]

make BUILD="$build" uninstall "${to[@]}"
left=$(find "$root" ! -type d)
[ -z "$left" ] || { echo "uninstall left: $left"; exit 1; }
