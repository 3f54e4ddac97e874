#!/bin/bash
# wordnet-text.sh OUT - English text to train on, from Debian's wordnet-base: one line per synset, its headwords and
# then its gloss, lower case, letters and single spaces only. 117,659 lines, 1.77 M words, 11 MB.
set -euo pipefail
export LC_ALL=C

wordnet=${WORDNET_DIR:-/usr/share/wordnet}
[ $# = 1 ] || { echo 'usage: scripts/wordnet-text.sh OUT' >&2; exit 2; }
out=$1

files=()
for part in noun verb adj adv; do
    file=$wordnet/data.$part
    [ -r "$file" ] || {
        echo "wordnet-text: $file is not here; scripts/setup.sh demo installs it (package wordnet-base)" >&2
        exit 1
    }
    files+=("$file")
done

mkdir -p "$(dirname "$out")"
trap 'rm -f "$out.tmp"' EXIT

# A line of data: offset, lexicographer file, type, number of words in hex, then (word, id) pairs, pointers, "| gloss".
# The licence at the head of each file begins with blanks. An adjective may carry its position: "able(p)".
awk '
    /^ / { next }
    {
        words = 16 * (index("0123456789abcdef", substr($4, 1, 1)) - 1) + index("0123456789abcdef", substr($4, 2)) - 1
        line = ""
        for (i = 0; i < words; i++) {
            word = $(5 + 2 * i)
            sub(/\((a|p|ip)\)$/, "", word)
            line = line word " "
        }
        print line substr($0, index($0, "| ") + 2)
    }
' "${files[@]}" | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z\n' ' ' | sed 's/^ //; s/ $//' >"$out.tmp"
mv "$out.tmp" "$out"
