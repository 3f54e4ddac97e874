#!/bin/bash
# symbols.sh - the libraries export what rowhouse.h declares, and not one name more.
[ -z "$RH_SAN" ] || { echo "sanitizers add names of their own"; exit 77; }
BUILD=${RH_BUILD#"$PWD"/} exec scripts/lint.sh symbols
