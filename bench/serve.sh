#!/bin/sh
# serve.sh BUILD - calm serve under wrk, with and without dynamic batching, and
# calm predict against it
#
# Prints lines as bench.h has them. The floor is --max-batch 1: each row is
# predicted alone. wrk runs on the same processors, and takes its share.
set -eu
build=$1
source_root=$(cd "$(dirname "$0")/.." && pwd)
seconds=3

"$build/tools/train" "$source_root/examples/data/breast_cancer.csv" label \
    sample_id model.json held.csv >/dev/null

# A request of the first ROWS rows: sample_id and label are left out.
request() { # ROWS
    awk -F, -v rows="$1" 'NR > 1 && NR <= rows + 1 {
        row = ""
        for (i = 2; i <= 31; i++)
            row = row (i > 2 ? "," : "") $i
        all = all (all ? "," : "") "[" row "]"
    } END {
        print "wrk.method = \"POST\""
        print "wrk.body = [==[{\"samples\":[" all "]}]==]"
        print "wrk.headers[\"Content-Type\"] = \"application/json\""
    }' held.csv
}
request 1 >one.lua
request 32 >many.lua

serve() { # OPTION...
    "$build/cli/calm" serve model.json --port 0 --port-file port --quiet "$@" &
    server=$!
    until [ -s port ]; do sleep 0.05; done
    url=http://127.0.0.1:$(cat port)/predict
}

serve_end() {
    kill "$server"
    wait "$server" 2>/dev/null || true
}

ask() { # AWK WRK-OPTION...
    program=$1
    shift
    wrk -t 1 -d "$seconds" --latency "$@" "$url" | awk "$program"
}

median() {
    sort -n "$@" | sed -n 2p
}

# The median of three of what awk prints for wrk's words.
measure() { # AWK BATCH WRK-OPTION...
    program=$1
    batch=$2
    shift 2
    serve --max-batch "$batch"
    for _ in 1 2 3; do
        ask "$program" "$@"
    done | median
    serve_end
}

# shellcheck disable=SC2016 # awk's
{
    per_second='/^Requests\/sec/ { print $2 }'
    milliseconds='$1 == "99%" {
        unit = $2; sub(/[0-9.]*/, "", unit)
        print $2 * (unit == "us" ? 0.001 : unit == "s" ? 1000 : 1) }'
    rows_per_second='/^Requests\/sec/ { print $2 * 32 }'
}

alone=$(measure "$rows_per_second" 1 -c 64 -s many.lua)
batched=$(measure "$rows_per_second" 256 -c 64 -s many.lua)
printf 'serve_rows\t%s\t%s\n' "$alone" "$batched"
alone=$(measure "$per_second" 1 -c 64 -s one.lua)
batched=$(measure "$per_second" 256 -c 64 -s one.lua)
printf 'serve_single\t%s\t%s\n' "$alone" "$batched"
printf 'serve_requests\t-\t%s\n' "$batched"
printf 'serve_idle\t-\t%s\n' "$(measure "$milliseconds" 256 -c 1 -s one.lua)"

# calm predict --url beside wrk, in turn: the same rows as the same bodies.
awk -F, -v rows=200000 'NR == 1 { print; next } { line[NR] = $0 } END {
    for (i = 0; i < rows; i++)
        print line[2 + i % (NR - 1)]
}' held.csv >served.csv
awk -F, 'NR == 1 { for (i = 1; i <= 31; i++) name[i] = $i; next }
NR <= 33 {
    row = ""
    for (i = 1; i <= 31; i++)
        row = row (i > 1 ? "," : "") "\"" name[i] "\":" $i
    all = all (all ? "," : "") "{" row "}"
} END {
    print "wrk.method = \"POST\""
    print "wrk.body = [==[{\"samples\":[" all "]}]==]"
    print "wrk.headers[\"Content-Type\"] = \"application/json\""
}' held.csv >same.lua
serve
for _ in 1 2 3; do
    ask "$rows_per_second" -c 64 -s same.lua >>wrk.txt
    began=$(date +%s.%N)
    "$build/cli/calm" predict served.csv --url "$url" --truth label --quiet \
        --batch-size 32 --concurrency 32 --overwrite -o answers.csv
    date +%s.%N | awk -v began="$began" '{ print 200000 / ($1 - began) }' \
        >>calm.txt
done
serve_end
printf 'predict_url\t%s\t%s\n' "$(median wrk.txt)" "$(median calm.txt)"
