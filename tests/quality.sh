#!/bin/bash
# quality.sh CORPUS PAIRS... - how well the vectors of the demo's job (2 servers, 2 workers) agree with people: Spearman's
# correlation for each file of pairs and for each of three seeds, and their means. W2V_FLAGS: the trainer's.
set -euo pipefail

build=${BUILD:-build}
out=$build/quality
read -ra flags <<<"${W2V_FLAGS:-}"
[ $# -ge 2 ] || { echo 'usage: make quality PAIRS="wordsim353.tsv men3000.txt"' >&2; exit 2; }
corpus=$1
shift
for pairs in "$@"; do
    [ -r "$pairs" ] || { echo "quality: $pairs: no such file, or it cannot be read" >&2; exit 1; }
done
mkdir -p "$out"

for seed in 1 2 3; do
    "$build/bin/rowhouse" run -s 2 -w 2 -- "$build/bin/rowhouse-word2vec" -input "$corpus" -output "$out/seed$seed" \
        -seed "$seed" "${flags[@]}" >&2
    for pairs in "$@"; do
        score=$("$build/bin/rowhouse" eval "$out/seed$seed.vec" --pairs "$pairs" --json |
            sed -n 's/.*"spearman": *\([-0-9.e]*\).*/\1/p')
        echo "$(basename "$pairs") $seed $score"
    done
done | awk '
    { printf "%-20s seed %d  %.3f\n", $1, $2, $3; sum[$1] += $3; n[$1]++ }
    END { for (pairs in sum) printf "%-20s mean    %.3f\n", pairs, sum[pairs] / n[pairs] }
'
