#!/bin/sh
# serve.sh - calm serve as its clients see it: the protocols, what is refused,
# and how it ends
# shellcheck disable=SC2317 # the functions are called by check
. "$(dirname "$0")/lib.sh"
[ -x "$build/tools/train" ] || skip "built without XGBoost"
"$calm" serve --help >/dev/null || skip "built without a server"
[ -x /usr/bin/python3 ] || skip "no python3 for the clients"

"$build/tools/train" "$source_root/examples/data/breast_cancer.csv" label \
    sample_id model.json held.csv >/dev/null || exit 1
"$calm" predict held.csv --model model.json -o expected.csv 2>/dev/null ||
    exit 1

/usr/bin/python3 "$source_root/tests/cli/serve_client.py" "$calm" model.json held.csv \
    expected.csv || bad=1

check "a model is needed" exits 2 "$calm" serve
check "an unknown option is refused" exits 2 "$calm" serve model.json --what
check "a missing model is refused" exits 2 "$calm" serve none.json --port 0
check "two models of one name are refused" \
    exits 2 "$calm" serve model.json model.json --port 0
check "a port that is none is refused" \
    exits 2 "$calm" serve model.json --port 65536
check "a duration without a unit is refused" \
    exits 2 "$calm" serve model.json --port 0 --max-delay 5
check "an address that others reach takes a flag" \
    exits 2 "$calm" serve model.json --port 0 --host 0.0.0.0
check "and a token" \
    exits 2 "$calm" serve model.json --port 0 --host 0.0.0.0 --expose
check "a file without a token is refused" \
    exits 2 "$calm" serve model.json --port 0 --token-file /dev/null
check "a drill that is none is refused" \
    exits 2 "$calm" serve model.json --port 0 --drill delay=soon
check "and one that does not exist" \
    exits 2 "$calm" serve model.json --port 0 --drill explode
finish
