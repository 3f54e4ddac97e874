#!/bin/bash
# transfer.sh - rowhouse import and rowhouse export: files into the tables of real servers and out of them again, what is
# told of it, and what bad input gets.
set -eu

cd "$TMPDIR"
rowhouse=$RH_BIN/rowhouse
server=$RH_BIN/rowhouse-server
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT

die() {
    printf 'transfer: %s\n' "$*"
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

does() { "$@" >out 2>err || die "exit $?: $* ($(cat err))"; }
says() { grep -qE -- "$1" out || die "'$(cat out)' does not say /$1/"; }

# serve NAME SHARDS FLAGS...: servers of a job, in one process each; sets RH_SERVERS.
serve() {
    local name=$1 shards=$2 i list=
    shift 2
    for ((i = 0; i < shards; i++)); do
        "$server" --listen "ipc://$TMPDIR/$name$i" --shard "$i/$shards" "$@" 2>"$name$i.log" &
        pids+=("$!")
        list=$list,ipc://$TMPDIR/$name$i
    done
    export RH_SERVERS=${list#,}
}

serve job 3 --data-dir "$TMPDIR"
awk 'BEGIN { srand(3); print "2500 7"
             for (i = 0; i < 2500; i++) { printf "w%d", i; for (k = 0; k < 7; k++) printf " %.6f", rand() - 0.5; print "" } }' >words.txt
awk 'NR > 1 { print $1 }' words.txt >vocab

# ---- into a table and out of it, in every format ----

does "$rowhouse" import first words.txt --create --vocab vocab --timeout 30000
says '^first \(new\): words.txt: word2vec text, 2500 x 7, [0-9.]+ s$'
says '^  matched +2,500  w0, w1, w2, w3, w4, \.\.\.$'
says '^  missed +0  $'
does "$rowhouse" export first first.txt --vocab vocab --timeout 30000
says '^first: 2,500 rows of 7 numbers in first.txt \(word2vec text\), [0-9.]+ KiB, [0-9.]+ s$'
# Nine digits: the numbers are those floats, written otherwise.
awk 'NR == FNR { for (i = 1; i <= NF; i++) a[FNR, i] = $i; next }
     { for (i = 2; i <= NF; i++) if (FNR > 1 && (a[FNR, i] - $i > 1e-7 || $i - a[FNR, i] > 1e-7 || $1 != a[FNR, 1])) exit 1 }' \
    words.txt first.txt || die 'other words or numbers come out than went in'
for format in npy safetensors w2v w2v-bin glove fasttext; do
    does "$rowhouse" export first "$format.file" --format "$format" --vocab vocab --timeout 30000
    does "$rowhouse" import "$format" "$format.file" --create --format "$format" --timeout 30000
    says '^  matched +2,500  (0, 1, 2, 3, 4|w0, w1, w2, w3, w4), \.\.\.$'
    does "$rowhouse" export "$format" "$format.txt" --vocab vocab --timeout 30000
    cmp -s first.txt "$format.txt" || die "$format: other bits come out than went in"
done
does "$rowhouse" export first first.bin --vocab vocab
cmp -s first.bin w2v-bin.file || die 'the ending does not choose the format'
does "$rowhouse" export first named.safetensors --tensor 'emb.weight'
grep -aq '"emb.weight"' named.safetensors || die 'the tensor has another name'
refused 1 "has no tensor 'other'" "$rowhouse" import first named.safetensors --tensor other
! compgen -G '*.tmp' >/dev/null || die "left $(echo ./*.tmp)"

# ---- chosen rows ----

does "$rowhouse" export first some.txt --ids 17,3,17 --vocab vocab
[ "$(cut -d' ' -f1 some.txt | tr '\n' ' ')" = '3 w17 w3 w17 ' ] || die "ids: $(cat some.txt)"
printf '5 6\n7\n' >ids
does "$rowhouse" export first some.txt --ids ids
[ "$(cut -d' ' -f1 some.txt | tr '\n' ' ')" = '3 5 6 7 ' ] || die "ids of a file: $(cat some.txt)"
[ "$(sed -n '2s/^5//p' some.txt)" = "$(sed -n '7s/^w5//p' first.txt)" ] || die 'row 5 is another one'
: >none
refused 1 'none has no ids' "$rowhouse" export first some.txt --ids none
printf '1\nx\n' >ids
refused 1 'ids, line 2: "x" is no id' "$rowhouse" export first some.txt --ids ids
refused 1 '2500' "$rowhouse" export first some.txt --ids 2500

# ---- what is told ----

printf 'w1 1 1 1 1 1 1 1\nw1 2 2 2 2 2 2 2\nnobody 3 3 3 3 3 3 3\nw3 0 0 0 0 0 0 0\n' >glove.txt
printf 'w1\nw2\nw3\nw4\n' >four
does "$rowhouse" import first glove.txt --vocab four
says '^  matched +2  w1, w3$'
says '^  missed +2  w2, w4$'
says '^  duplicated +1  w1$'
says '^  unused +1  $'
does "$rowhouse" import first glove.txt --vocab four --json
says '"missed": 2' && says '"first_duplicated": "w1"' && says '"created": false' && says '"format": "glove"'
does "$rowhouse" export first ids.npy --ids 0,2 --json
says '"rows": 2' && says '"format": "npy"' && says '"bytes": 184'
does "$rowhouse" export first two.txt --ids 0,2
[ "$(tail -n +2 two.txt)" = "0 1 1 1 1 1 1 1
2 0 0 0 0 0 0 0" ] || die "not what was imported: $(cat two.txt)"

# ---- a table that is made, and read by the servers themselves ----

does "$rowhouse" import shards words.txt --source shard --create --rows 3000 --dim 7 --optimizer sparse_adam --lr 0.5 --freeze \
    --timeout 30000
says '^shards \(new\) \(frozen\): words.txt' && says '^  missed +500  2500, 2501, 2502, 2503, 2504, \.\.\.$'
does "$rowhouse" tables
grep -E '^shards +3000 +7 SparseAdam +2500 +0 +all ' out >/dev/null || die "not the table asked for: $(cat out)"
refused 1 'shard' "$rowhouse" import shards nowhere.txt --source shard

# ---- bad input: one line, nothing changed, nothing made ----

refused 1 'cannot open nowhere.txt' "$rowhouse" import first nowhere.txt
refused 1 'cannot open nowhere.txt' "$rowhouse" import new nowhere.txt --create
refused 1 'there is no table new; --create makes it' "$rowhouse" import new words.txt
refused 1 '"?new"?' "$rowhouse" export new new.txt
[ ! -e new.txt ] || die 'a file of no table'
printf '2 3\na 1 2 3\nb 1 nan 3\n' >bad.txt
refused 1 'bad.txt line 3: number 2 is NaN' "$rowhouse" import new bad.txt --create
refused 1 'there is no table new' "$rowhouse" import new words.txt
printf '1 3\na 1 2 3\n' >narrow.txt
refused 1 'narrow.txt has rows of 3 .*first of 7' "$rowhouse" import first narrow.txt
refused 1 'bad.txt' "$rowhouse" import first bad.txt --format npy
refused 2 '--format csv: there is npy' "$rowhouse" export first x.csv --format csv
refused 2 '--optimizer sgdd' "$rowhouse" import new words.txt --create --optimizer sgdd
refused 2 'needs --rows and --dim' "$rowhouse" import new words.txt --create --source shard
refused 2 'give --create, too' "$rowhouse" import first words.txt --dim 7
refused 2 'to which file' "$rowhouse" export first
refused 2 'which table, and from|into which table' "$rowhouse" import
refused 2 'only servers with an address' "$rowhouse" export first x.txt --servers local:
does "$rowhouse" export first again.txt --vocab vocab --timeout 30000
does "$rowhouse" import first first.txt --timeout 30000
refused 1 'cannot create' "$rowhouse" export first no/such/folder.txt
refused 1 'no regular file' "$rowhouse" export first /dev/full
(
    trap '' XFSZ
    ulimit -f 16
    refused 1 'cannot write .*: File too large' "$rowhouse" export first again.txt --vocab vocab --timeout 30000
)
[ "$(wc -l <again.txt)" = 2501 ] || die 'a full disk has spoilt the file that was there'
! compgen -G '*.tmp' >/dev/null || die "left $(echo ./*.tmp)"

begin=$EPOCHSECONDS
refused 3 'ipc://.*nobody' "$rowhouse" export first x.txt --servers "ipc://$TMPDIR/nobody" --timeout 300
refused 3 'ipc://.*nobody' "$rowhouse" import first words.txt --servers "ipc://$TMPDIR/nobody" --timeout 300
[ $((EPOCHSECONDS - begin)) -lt 20 ] || die "it took $((EPOCHSECONDS - begin)) s to say that nobody is there"

# ---- workers ----

awk 'BEGIN { for (i = 0; i < 3000; i++) print "a b c d e f g h i j" }' >text
RH_RANK=0 RH_WORLD=1 "$RH_BIN/rowhouse-word2vec" -input text -output trained -dim 8 -epoch 100000 -minCount 1 -t 0 \
    >trainer.log 2>&1 &
trainer=$!
pids+=("$trainer")
for ((i = 0; i < 300; i++)); do
    "$rowhouse" status >out 2>&1 || true
    ! grep -q 'worker 0: here' out || break
    sleep 0.1
done
refused 1 'the job has 1 worker at work: only a worker may change rows' "$rowhouse" import first words.txt
does "$rowhouse" export first while.txt --vocab vocab --timeout 30000
cmp -s first.txt while.txt || die 'an export beside a trainer has other rows'
kill "$trainer"
wait "$trainer" || true

serve launched 1 --world 2
refused 1 'the servers wait for 2 workers of a launcher' "$rowhouse" import first words.txt --create --timeout 20000
