#!/bin/bash
# corpus.sh - the demo's text is what it says: headwords, then the gloss; lower case, letters, single spaces.
set -eu

mkdir "$TMPDIR/wordnet"
cd "$TMPDIR/wordnet"
cat >data.noun <<'END'
  1 The licence, which is no text | to learn from  
00001740 03 n 02 Eiffel_Tower 0 o'clock 0 001 ~ 00001930 n 0000 | a Tower in Paris; "it's 300-odd metres"  
END
cat >data.verb <<'END'
00002325 29 v 0a a1 0 bb 0 cc 1 dd 0 ee 0 ff 0 gg 0 hh 0 ii 0 jj 0 001 * 00002724 v 0000 01 + 02 00 | draw air | in  
END
echo '00001740 00 a 01 able(p) 0 001 = 05200169 n 0000 | (usually followed by "to")  ' >data.adj
echo '00001740 02 r 01 À_la_carte 0 000 | by ordering  ' >data.adv
cat >expected <<'END'
eiffel tower o clock a tower in paris it s odd metres
a bb cc dd ee ff gg hh ii jj draw air in
able usually followed by to
la carte by ordering
END
cd "$OLDPWD"

WORDNET_DIR=$TMPDIR/wordnet scripts/wordnet-text.sh "$TMPDIR/out/text"
diff "$TMPDIR/wordnet/expected" "$TMPDIR/out/text"

rm "$TMPDIR/wordnet/data.adv"
if said=$(WORDNET_DIR=$TMPDIR/wordnet scripts/wordnet-text.sh "$TMPDIR/none" 2>&1); then
    echo 'made a text without the adverbs'
    exit 1
fi
[[ $said == *data.adv*wordnet-base* ]] || { echo "unclear: $said"; exit 1; }
[ ! -e "$TMPDIR/none" ]
