#!/bin/bash
# sim.sh - the simulator (tests/sim): 20,000 seeds, or as many as there is time for; and a few of them twice, for a
# seed that does not come again is no report.
set -eu
[ "${RH_SAN-}" != thread ] || { echo 'it has one thread, which plays all others'; exit 77; }
"$RH_BUILD"/tests/sim -n 300 -2
"$RH_BUILD"/tests/sim -n 20000 -t 60
