#!/bin/sh
# resume.sh - calm predict, killed at random moments and run again: the output
# is that of a run that nobody has killed, byte for byte
#
# RESUME_SEED=N repeats the moments of an earlier run as far as time can be
# repeated; RESUME_KILLS=N changes how often each run is killed.
# shellcheck disable=SC2317 # the functions are called by check
. "$(dirname "$0")/lib.sh"
[ -x "$build/tools/train" ] || skip "built without XGBoost"

seed=${RESUME_SEED:-$(date +%s)}
kills=${RESUME_KILLS:-25}
few=$((kills / 5 + 1))
echo "# RESUME_SEED=$seed"

data=$source_root/examples/data/breast_cancer.csv
"$build/tools/train" "$data" label sample_id model.json held.csv >/dev/null ||
    exit 1
# 20,000 rows, their places as ids; one in 97 is no row of numbers.
awk -F, -v OFS=, 'NR == 1 { print; next } { row[NR - 2] = $0; count++ }
    END { for (i = 0; i < 20000; i++) {
        $0 = row[i % count]; $1 = i; if (i % 97 == 13) $2 = "bad"; print } }' \
    held.csv >rows.csv
predict() { "$calm" predict "$@" --model model.json --truth label; }

number_of() { # NAME FILE: a number of a summary
    sed "s/.*\"$1\":\([^,}]*\).*/\1/" "$2"
}

# The runs to compare with, and how long one takes.
predict rows.csv -o whole.csv -q --batch-size 2 --summary whole.json
predict rows.csv -o whole.jsonl -q
seconds=$(number_of seconds whole.json)

# The next moment to kill: within the time of a run.
next_moment() {
    draws=$((${draws:-0} + 1))
    moment=$(awk -v seed="$seed" -v draws=$draws -v most="$seconds" 'BEGIN {
        srand(seed + 7919 * draws); printf "%.3f", 0.01 + rand() * most }')
}

# Runs a command until it has been killed that often, from the begin again
# when it gets to its end before, and then to its end.
killed_run() { # SIGNAL TIMES OUTPUT ARGUMENT...
    signal=$1 times=$2 output=$3 killed=0
    shift 3
    while [ "$killed" -lt "$times" ]; do
        if [ -e "$output" ] && [ ! -e "$output.calm-journal" ]; then
            rm "$output" "$output.errors.jsonl" # it was at its end
        fi
        # What a shell starts in the background does not hear SIGINT.
        env --default-signal=INT "$calm" predict rows.csv --model model.json \
            --truth label -o "$output" "$@" 2>killed.err &
        pid=$!
        next_moment
        sleep "$moment"
        kill -s "$signal" $pid 2>/dev/null
        wait $pid
        code=$?
        grep resuming: killed.err >>resumed
        case $code in
        137 | 143 | 130) killed=$((killed + 1)) ;;
        3) ;;
        *) echo "exit $code"; cat killed.err; return 1 ;;
        esac
        [ ! -e "$output" ] || [ -s "$output" ] || return 1
    done
    [ -e "$output" ] && [ ! -e "$output.calm-journal" ] ||
        exits 3 predict rows.csv -o "$output" "$@"
}

only_final_names() {
    [ "$(echo "$1"*)" = "$1 $1.errors.jsonl" ]
}

killed_in_order() { # SIGNAL TIMES OUTPUT WHOLE ARGUMENT...
    signal=$1 times=$2 output=$3 whole=$4
    shift 4
    killed_run "$signal" "$times" "$output" --batch-size 2 "$@" &&
        cmp "$output" "$whole" &&
        cmp "$output.errors.jsonl" "$whole.errors.jsonl" &&
        only_final_names "$output"
}
check "killed at $kills random moments, the output is the same" \
    killed_in_order KILL "$kills" killed.csv whole.csv
check "so it is as JSON Lines" \
    killed_in_order KILL $few killed.jsonl whole.jsonl --threads 3
summary_counts_all_runs() {
    [ -s resumed ] || return 1 # some of them, above
    while :; do
        "$calm" predict rows.csv --model model.json --truth label \
            -o sum.csv --batch-size 1 &
        pid=$!
        next_moment
        sleep "$moment"
        kill -KILL $pid
        wait $pid
        [ -s sum.csv.calm-journal ] || continue
        exits 3 predict rows.csv -o sum.csv --summary sum.json || return 1
        [ "$(number_of resumed sum.json)" = 0 ] || break
        rm sum.csv
    done
    for name in rows ok failed accuracy compared; do
        [ "$(number_of $name sum.json)" = \
            "$(number_of $name whole.json)" ] || return 1
    done
}
check "the summary and the accuracy are those of all runs" \
    summary_counts_all_runs

killed_unordered() {
    predict rows.csv -o any.csv -q --unordered
    killed_run KILL "$((kills / 2))" "$1" --batch-size 2 --unordered --threads 4 &&
        sort "$1" >sorted && sort any.csv | cmp - sorted &&
        sort "$1.errors.jsonl" >sorted &&
        sort whole.csv.errors.jsonl | cmp - sorted && only_final_names "$1"
}
check "unordered, no row is lost and none is twice" \
    killed_unordered killed_any.csv

check "SIGTERM: resumed" killed_in_order TERM $few term.csv whole.csv
check "SIGINT: resumed" killed_in_order INT $few int.csv whole.csv
finish
