#!/bin/sh
# memory.sh BUILD - the memory of calm predict does not grow with the input
#
# Ten million rows of four columns, made while they are read, must pass in
# 150 MiB beside the model's library.
set -eu
build=$(cd "$1" && pwd)
[ -x "$build/tools/train" ] || {
    echo 'built without XGBoost'
    exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

rows() { # COUNT
    awk -v count="$1" 'BEGIN {
        print "sample_id,a,b,c,label"
        for (i = 0; i < count; i++) {
            a = i * 7919 % 1000 / 1000; b = i * 104729 % 997 / 997
            printf "%d,%.3f,%.3f,%.3f,%d\n", i, a, b, a - b, (a > b)
        } }'
}
peak() { # COUNT: kilobytes
    rows "$1" | "$build/cli/calm" predict - --model model.json --truth label \
        -o - -q --summary summary.json 2>err >/dev/null &
    process=$!
    highest=0
    while [ -r /proc/$process/status ]; do
        now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' \
            /proc/$process/status 2>/dev/null) || :
        [ -n "$now" ] && highest=$now
        sleep 0.2
    done
    wait $process || {
        cat err >&2
        exit 1
    }
    grep -q "\"ok\": *$1\b" summary.json || {
        echo "not all rows were predicted" >&2
        cat summary.json >&2
        exit 1
    }
    rm summary.json
    echo "$highest"
}

rows 20000 >train.csv
"$build/tools/train" train.csv label sample_id model.json held.csv >/dev/null
few=$(peak 1000000)
many=$(peak 10000000)
echo "a million rows: $few kB; ten million: $many kB"
if [ "$many" -le 153600 ] && [ "$many" -le $((few + few / 4)) ]; then
    echo 'ok - the memory is flat, and under 150 MiB'
else
    echo 'not ok - the memory is flat, and under 150 MiB'
    exit 1
fi
