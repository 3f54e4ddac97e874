#!/bin/bash
# word2vec.sh - the trainer as a user meets it: what it writes, alone and on servers, and what bad input gets. Then the
# two commands that look at vectors.
set -eu

cd "$TMPDIR"
w2v=$RH_BIN/rowhouse-word2vec
rowhouse=$RH_BIN/rowhouse
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT

die() {
    printf 'word2vec: %s\n' "$*"
    exit 1
}

# refused STATUS PATTERN COMMAND...: it exits with STATUS, and its one line on stderr matches.
refused() {
    local status=0 want=$1 pattern=$2
    shift 2
    "$@" >out 2>err || status=$?
    [ "$status" = "$want" ] || die "exit $status, not $want: $* ($(cat err))"
    [ "$(wc -l <err)" = 1 ] || die "not one line: $* ($(cat err))"
    grep -qE -- "$pattern" err || die "'$(cat err)' does not say /$pattern/"
}

# Two topics that never meet, and words of both.
awk 'BEGIN {
    srand(7)
    split("dog cat horse cow goat sheep pig hen", animals)
    split("violin cello piano flute oboe harp drum horn", music)
    split("the a of and is to", common)
    for (line = 0; line < 4000; line++) {
        text = ""
        for (i = 0; i < 9; i++) {
            pick = 1 + int(rand() * 8)
            text = text (i % 3 == 2 ? common[1 + int(rand() * 6)] : line % 2 ? animals[pick] : music[pick]) " "
        }
        print text
    }
    print "onlyonce"
}' >text

# ---- alone ----

"$w2v" -input text -output one -dim 16 -epoch 3 -minCount 2 -t 0 --servers local: >out 2>err
grep -q '^one.vec: 22 words, 16 numbers each' out || die "unclear summary: $(cat out)"
grep -q '^epoch 3/3 100 %' err || die "no progress: $(cat err)"
[ "$(head -n 1 one.vec)" = '22 16' ] || die "header: $(head -n 1 one.vec)"
[ "$(wc -l <one.vec)" = 23 ] || die "$(wc -l <one.vec) lines"
awk 'NF != 17 && NR > 1 { exit 1 }' one.vec || die 'a line without a word and 16 numbers'
tail -n +2 one.vec >rows
while read -r word _; do grep -ow "$word" text | wc -l; done <rows >counts
sort -nrc counts || die 'not sorted by frequency'
! ls ./*.tmp* >/dev/null 2>&1 || die 'left a temporary file behind'

"$w2v" --input=text --output=two --dim=16 --epoch=3 --minCount=2 --t=0 --servers=local: 2>err >out
cmp one.vec two.vec || die 'one dash and two dashes differ, or the same seed gives other vectors'
"$w2v" -input text -output two -dim 16 -epoch 3 -minCount 2 -t 0 -seed 1 2>err >out
! cmp -s one.vec two.vec || die 'another seed gives the same vectors'
"$w2v" -input text -output two -dim 16 -epoch 3 -minCount 2 -t 1e-2 -thread 3 -batch 100 2>err >out
[ "$(wc -l <two.vec)" = 23 ] || die 'three threads wrote something else'
"$w2v" -input text -output two -dim 3 -epoch 1 -minCount 1 2>err >out
grep -q '^onlyonce ' two.vec || die '-minCount 1 lost a word'

# A word's neighbours are of its topic.
"$rowhouse" nearest one.vec dog violin -k 7 >near
sed -n 1p near | grep -qE '^dog' || die "$(cat near)"
! sed -n 1p near | grep -qE 'violin|cello|piano|flute|oboe|harp|drum|horn' || die "dog: $(cat near)"
! grep -A 1 '^violin' near | grep -qE 'dog|cat|horse|cow|goat|sheep|pig|hen' || die "violin: $(cat near)"

# ---- servers ----

# job SERVERS WORKERS ARGS...: the first rank's output in out and err.
job() {
    local servers=$1 workers=$2 list='' i
    shift 2
    pids=()
    for ((i = 0; i < servers; i++)); do
        list=$list${list:+,}ipc://$TMPDIR/shard$i
        "$RH_BIN/rowhouse-server" --listen "ipc://$TMPDIR/shard$i" --shard "$i/$servers" --world "$workers" &
        pids+=($!)
    done
    for ((i = 0; i < workers; i++)); do
        RH_RANK=$i RH_WORLD=$workers "$w2v" --servers "$list" -input text -dim 16 -minCount 2 -t 0 -epoch 2 \
            "$@" >"out.$i" 2>"err.$i" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || die "$servers servers, $workers workers, $*: exit $? ($(cat err.*))"
    done
    pids=()
}

job 1 2 -output bsp1 --mode bsp
job 3 2 -output bsp3 --mode bsp
cmp bsp1.vec bsp3.vec || die 'under bsp, one server and three give different vectors'
grep -q '^epoch 2/2 100 %' err.0 || die "rank 0 shows no progress: $(cat err.0)"
[ -z "$(cat err.1 out.1)" ] || die "rank 1 talks: $(cat err.1 out.1)"
job 2 3 -output async --mode async -epoch 4 -batch 100 # 22 words bear little staleness
"$rowhouse" nearest async.vec horse -k 4 >near
! grep -qE 'violin|cello|piano|flute|oboe|harp|drum|horn' near || die "horse: $(cat near)"
job 2 3 -output ssp --mode ssp:1 -epoch 4 -batch 100
"$rowhouse" nearest ssp.vec horse -k 4 >near
! grep -qE 'violin|cello|piano|flute|oboe|harp|drum|horn' near || die "under ssp, horse: $(cat near)"

# ---- bad input ----

train() { refused "$1" "$2" "$w2v" -output bad -dim 4 --servers local: "${@:3}"; }

train 1 'missing: cannot open this text: No such file' -input missing
mkdir folder
train 1 'folder: this is a directory' -input folder
: >empty
train 1 'empty: this text is empty' -input empty
printf 'a b \0 c' >binary
train 1 'binary: this is no text: byte 4 is zero' -input binary
head -c 200000 /dev/zero | tr '\0' x >endless
train 1 'endless: this is no text: no white space' -input endless
train 1 'text: no word comes 1000000 times' -input text -minCount 1000000
printf '\n \n' >blank
train 1 'blank: no word comes' -input blank
train 2 '-input is missing'
refused 2 '-output is missing' "$w2v" -input text
train 2 'unknown flag -epochs; did you mean -epoch' -input text -epochs 3
train 2 '-dim 0: must be from 1 to 4096' -input text -dim 0
train 2 '-dim 4097: must be' -input text -dim 4097
train 2 '-lr abc: must be a number' -input text -lr abc
train 2 '-neg 0: must be' -input text -neg 0
train 2 '-t 2: must be' -input text -t 2
train 2 'mode: a mode is "async", "ssp:N" .* not "ssp"' -input text -mode ssp
train 2 'under bsp .* in one thread' -input text -mode bsp -thread 2
train 2 "what is 'text'" text
[ ! -e bad.vec ] || die 'wrote vectors of bad input'

"$w2v" -input text -output no/such/place -dim 4 >out 2>err && die 'wrote into no folder'
grep -q 'no/such/place.vec: cannot write the vectors there: No such file' err || die "$(cat err)"
! grep -q '^epoch' err || die 'found out after training'
mkdir taken.vec
"$w2v" -input text -output taken -dim 4 >out 2>err && die 'wrote over a folder'
grep -q 'taken.vec: -output has to name a file' err || die "$(cat err)"
"$w2v" -input text -output bad -dim 16 -lr 100 -epoch 20 >out 2>err && die 'trained at a rate of 100'
grep -q 'training has run away' err || die "$(cat err)"

# A full disk: files may not grow beyond a kilobyte.
status=0
(trap '' XFSZ && ulimit -f 1 && exec "$w2v" -input text -output full -dim 64 -epoch 1 >out 2>&1) || status=$?
[ $status = 1 ] || die "full disk: exit $status ($(cat out))"
[ ! -e full.vec ] || die 'a full disk left half a file'
! ls full* >/dev/null 2>&1 || die "a full disk left $(ls full*)"

# Something that would go on for an hour ends at once.
"$w2v" -input text -output long -dim 64 -epoch 1000000 2>err >out &
pids=($!)
for ((i = 0; i < 100 && $(grep -c words err) == 0; i++)); do sleep 0.1; done
kill -TERM "${pids[0]}"
status=0
wait "${pids[0]}" || status=$?
pids=()
[ $status = 143 ] || die "SIGTERM: exit $status"

# A text of one line, for more workers than it has words.
printf 'a a a b' >text
job 1 3 -output tiny
[ "$(wc -l <tiny.vec)" = 2 ] || die "a tiny text: $(cat tiny.vec)"

# ---- nearest and eval ----

printf '5 2\nking 1 0\nqueen 0.9 0.1\nman 0.5 0.5\nzero 0 0\nking 0 1\n' >small.vec
[ "$("$rowhouse" nearest small.vec king -k 2)" = 'king          queen 0.99  man 0.71' ] || die "$("$rowhouse" nearest small.vec king -k 2)"
"$rowhouse" nearest small.vec king -k 1 --json >out
"${RH_PYTHON:-/usr/bin/python3}" - <<'END' || die "JSON: $(cat out)"
import json
found = json.load(open("out"))
assert found["vectors"] == "small.vec", found
[king] = found["words"]
assert king["word"] == "king" and [n["word"] for n in king["nearest"]] == ["queen"], found
END
refused 1 "no vector for 'kin' .*did you mean king" "$rowhouse" nearest small.vec kin
refused 2 'at least one word' "$rowhouse" nearest small.vec
refused 2 '-k 0: must be' "$rowhouse" nearest small.vec king -k 0
refused 1 'cannot open none.vec' "$rowhouse" nearest none.vec king

printf '# comment\nking\tqueen\t9\nKing\tman\t5.5\nman\tzero\t1\nking\tserf\t3\n' >pairs
[ "$("$rowhouse" eval small.vec --pairs pairs)" = 'pairs: Spearman 1.0000 over 3 of 4 pairs' ] ||
    die "$("$rowhouse" eval small.vec --pairs pairs)"
printf 'king queen 1.0\nking man 5.0\nman zero 8\n' >pairs
"$rowhouse" eval small.vec --pairs pairs --json >out
"${RH_PYTHON:-/usr/bin/python3}" - <<'END' || die "JSON: $(cat out)"
import json
found = json.load(open("out"))
assert found == {"vectors": "small.vec", "pairs": "pairs", "spearman": -1.0, "covered": 3, "total": 3}, found
END
printf 'king queen 1.0\nking queen\n' >pairs
refused 1 'pairs line 2: this is not two words and a number' "$rowhouse" eval small.vec --pairs pairs
printf 'x y 1.0\n' >pairs
refused 1 'pairs: 0 of 1 pairs have vectors' "$rowhouse" eval small.vec --pairs pairs
refused 2 '--pairs is missing' "$rowhouse" eval small.vec
refused 2 "no command 'evl'; did you mean eval" "$rowhouse" evl
"$rowhouse" --version | grep -qE '^rowhouse [0-9]+\.[0-9]+\.[0-9]+$' || die 'no version'
for command in nearest eval; do
    "$rowhouse" "$command" --help | grep -q '^usage: rowhouse' || die "$command --help"
done
