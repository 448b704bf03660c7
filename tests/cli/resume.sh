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
# What predicts, which rows, and the exit code of a run to the end.
predictor='--model model.json'
rows=rows.csv
end=3
# shellcheck disable=SC2086 # an option and its value
predict() { "$calm" predict "$@" $predictor --truth label; }

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
            rm -f "$output" "$output.errors.jsonl" # it was at its end
        fi
        # What a shell starts in the background does not hear SIGINT.
        # shellcheck disable=SC2086
        env --default-signal=INT "$calm" predict "$rows" $predictor --truth label \
            -o "$output" "$@" 2>killed.err &
        pid=$!
        next_moment
        sleep "$moment"
        kill -s "$signal" $pid 2>/dev/null
        wait $pid
        code=$?
        case $code in
        137 | 143 | 130) killed=$((killed + 1)) ;;
        "$end") ;;
        *) echo "exit $code"; cat killed.err; return 1 ;;
        esac
        [ ! -e "$output" ] || [ -s "$output" ] || return 1
    done
    [ -e "$output" ] && [ ! -e "$output.calm-journal" ] ||
        exits "$end" predict "$rows" -o "$output" "$@"
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
    for try in $(seq 50); do
        [ -e sum.csv.calm-journal ] || rm -f sum.csv sum.csv.errors.jsonl
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
    done
    [ "$(number_of resumed sum.json)" -gt 0 ] || return 1
    for name in rows ok failed accuracy compared; do
        [ "$(number_of $name sum.json)" = \
            "$(number_of $name whole.json)" ] || return 1
    done
}
check "the summary and the accuracy are those of all runs" \
    summary_counts_all_runs

killed_unordered() {
    predict rows.csv -o any.csv -q --unordered
    killed_run KILL $((kills / 2)) "$1" --batch-size 2 --unordered \
        --threads 4 &&
        sort "$1" >sorted && sort any.csv | cmp - sorted &&
        sort "$1.errors.jsonl" >sorted &&
        sort whole.csv.errors.jsonl | cmp - sorted && only_final_names "$1"
}
check "unordered, no row is lost and none is twice" \
    killed_unordered killed_any.csv

check "SIGTERM: resumed" killed_in_order TERM $few term.csv whole.csv
check "SIGINT: resumed" killed_in_order INT $few int.csv whole.csv

# ---- an API ----

# Rows of numbers only, and few: each is a request.
{ head -1 rows.csv; grep -v ,bad, rows.csv | sed -n 2,3001p; } >api.csv
"$calm" serve model.json --port 0 --port-file port 2>serve.err &
server=$!
trap 'kill $server; wait $server 2>/dev/null; rm -rf "$scratch"' EXIT

killed_asking() { # OUTPUT ARGUMENT...
    output=$1
    shift
    for try in $(seq 1200); do
        [ -s port ] && break
        sleep 0.05
    done
    predictor="--url http://127.0.0.1:$(cat port)/predict" rows=api.csv end=0
    predict api.csv -o "whole_$output" -q --batch-size 1 "$@" &&
        killed_run KILL "$few" "$output" --batch-size 1 "$@" &&
        [ "$(echo "$output"*)" = "$output" ] &&
        sort "whole_$output" >sorted && sort "$output" | cmp - sorted &&
        { [ $# -gt 0 ] || cmp "$output" "whole_$output"; }
    code=$?
    predictor='--model model.json' rows=rows.csv end=3
    return $code
}
check "killed while it asks an API, the output is the same" \
    killed_asking asked.csv
check "unordered it has the same rows" killed_asking any.csv --unordered

# ---- what cannot be resumed ----

# A run that ends at its last line, which is none, and can be had again.
{ cat rows.csv; printf '9,"1,2\n3\n'; } >open.csv
touch -d '2026-01-01' open.csv
unfinished() { # ARGUMENT...
    rm -f un.csv*
    exits 1 predict open.csv -o un.csv "$@"
}
resumes() { # ARGUMENT...
    exits 1 predict open.csv -o un.csv "$@" &&
        grep -q 'resuming: 20000 rows are done' err && grep -q 'never cl' err
}
says() { # CODE PATTERN ARGUMENT...
    code=$1 pattern=$2
    shift 2
    exits "$code" predict "$@" -o un.csv && grep -q "$pattern" err
}

rows_before_are_kept() {
    unfinished && grep -q '20000 rows: 19793 ok, 207 failed, 0 left' err &&
        cmp un.csv.calm-part whole.csv && [ ! -e un.csv ] &&
        [ "$(stat -c %a un.csv.calm-journal)" = 600 ] && resumes
}
check "the rows before a place that cannot be cut are kept" \
    rows_before_are_kept

compressed_input() {
    gzip -c open.csv >open.csv.gz && rm -f un.csv* &&
        exits 1 predict open.csv.gz -o un.csv &&
        cmp un.csv.calm-part whole.csv &&
        says 1 'resuming: 20000' open.csv.gz &&
        CALM_BACKEND=epoll exits 1 predict open.csv.gz -o un.csv &&
        grep -q 'resuming: 20000' err
}
check "so they are of compressed input, and with epoll" compressed_input

what_differs_is_named() {
    unfinished && cp un.csv.calm-part part && cp un.csv.calm-journal jnl &&
        says 2 'another --missing' open.csv --missing none &&
        says 2 'another --limit' open.csv --limit 7 &&
        says 2 'other columns' open.csv --keep mean_area &&
        says 2 'other columns' open.csv --unordered --force-resume &&
        says 2 'cannot be read twice' - <open.csv &&
        says 2 'is not finished' open.csv --retry-failed &&
        cp open.csv longer.csv && echo >>longer.csv &&
        says 2 'another input.*size' longer.csv &&
        touch open.csv && says 2 'another input.*time of change' open.csv &&
        resumes --force-resume && touch -d '2026-01-01' open.csv &&
        { cat model.json; echo; } >other.json &&
        exits 2 "$calm" predict open.csv --model other.json --truth label \
            -o un.csv && grep -q 'another model' err &&
        cmp part un.csv.calm-part && cmp jnl un.csv.calm-journal && resumes
}
check "what differs is named, and nothing is touched" what_differs_is_named

order_counts() {
    columns=$(head -1 rows.csv | cut -d, -f3-31) # all but the first
    first=$(head -1 rows.csv | cut -d, -f2)
    unfinished --keep mean_area,mean_radius &&
        says 2 'other columns' open.csv --keep mean_radius,mean_area &&
        says 2 'another --features' open.csv --keep mean_area,mean_radius \
            --features "$columns,$first" &&
        resumes --keep mean_area,mean_radius &&
        resumes --keep mean_area,mean_radius --features "$first,$columns"
}
check "the order of names is a part of the run" order_counts

overwriting_begins_anew() {
    unfinished && exits 1 predict open.csv -o un.csv --overwrite &&
        ! grep -q resuming err && resumes --overwrite && resumes
}
check "--overwrite begins anew, and is resumed by itself" \
    overwriting_begins_anew

damage_is_told() {
    unfinished && cp un.csv.calm-part part && cp un.csv.calm-journal jnl &&
        printf torn >>un.csv.calm-journal && resumes --summary un.json &&
        grep -q '"torn_bytes":4' un.json && cmp jnl un.csv.calm-journal &&
        printf X | dd of=un.csv.calm-journal bs=1 seek=40 conv=notrunc &&
        says 1 'damaged at byte' open.csv && cp jnl un.csv.calm-journal &&
        printf X | dd of=un.csv.calm-part bs=1 seek=4000 conv=notrunc &&
        says 1 'is not what its journal says' open.csv &&
        head -c 5000 part >un.csv.calm-part &&
        says 1 'has lost what its journal' open.csv &&
        { cat part; echo more; } >un.csv.calm-part && resumes &&
        cmp part un.csv.calm-part
}
check "damage is told, a torn end is cut" damage_is_told

part_without_a_journal() {
    unfinished && rm un.csv.calm-journal &&
        says 1 "part' has no journal, and is begun anew" open.csv && resumes
}
check "a part that has lost its journal is begun anew, and that is said" \
    part_without_a_journal

one_run_at_a_time() {
    unfinished && exits 2 flock un.csv.calm-journal "$calm" predict open.csv \
        --model model.json --truth label -o un.csv &&
        grep -q 'by another run' err && mv un.csv.calm-journal there &&
        ln -s there un.csv.calm-journal && says 2 'is a link' open.csv &&
        rm un.csv.calm-journal && mkfifo un.csv.calm-journal &&
        says 2 'is not what an earlier run' open.csv
}
check "a journal is one run's, and no link" one_run_at_a_time

final_names_are_finished() {
    unfinished && rm -f un.csv* && predict rows.csv -o un.csv -q
    cp un.csv done.csv && says 2 exists rows.csv && cmp un.csv done.csv &&
        [ "$(echo un.csv*)" = "un.csv un.csv.errors.jsonl" ]
}
check "a finished output is refused and left" final_names_are_finished

# ---- rows that failed, again ----

# Every row that failed has a number now, so all of them can be predicted.
mend() { # CODE OUTPUT ARGUMENT...
    code=$1 output=$2
    shift 2
    exits "$code" predict bad.csv -o "$output" --retry-failed "$@"
}
sed 's/,bad,/,1e,/' rows.csv >bad.csv # as long as what it becomes
predict bad.csv -o broken.csv -q
predict bad.csv -o broken.jsonl -q
predict bad.csv -o broken_any.csv -q --unordered
sed 's/,1e,/,14,/' bad.csv >good.csv
predict good.csv -o good_whole.csv -q
predict good.csv -o good_whole.jsonl -q
predict good.csv -o good_any.csv -q --unordered
copy() { # FROM TO
    cp "$1" "$2" && cp "$1.errors.jsonl" "$2.errors.jsonl"
}

# What could not be read has no id in the errors, and gets it by its mending.
unreadable() { # NAME SED-EXPRESSION ARGUMENT...: mended by them
    name=$1 broken=$2
    shift 2
    head -n 12 held.csv >"read_$name.csv"
    "$calm" predict "read_$name.csv" --model model.json --truth label \
        -o "whole_$name.csv" -q || return 1
    cp "read_$name.csv" "good_$name.csv"
    sed "$broken" "good_$name.csv" >"read_$name.csv"
    exits 3 "$calm" predict "read_$name.csv" --model model.json --truth label \
        -o "out_$name.csv" && grep -q '"id":null' "out_$name.csv.errors.jsonl" &&
        { [ $# -gt 0 ] || cp "good_$name.csv" "read_$name.csv"; } &&
        exits 0 "$calm" predict "read_$name.csv" --model model.json \
            --truth label -o "out_$name.csv" --retry-failed "$@" || return 1
    [ $# -gt 0 ] || cmp "out_$name.csv" "whole_$name.csv"
}
check "a row of too few fields is mended" unreadable short '5s/,[^,]*$//'
check "or by --ragged" unreadable pad '5s/,[^,]*$//' --ragged pad
check "so is one that was no UTF-8" \
    unreadable utf8 "5s/\$/$(printf '\377')/"
check "or by --invalid-utf8" \
    unreadable replace "5s/^/$(printf '\377')/" --invalid-utf8 replace

still_failing() {
    copy broken.csv still.csv && mend 3 still.csv &&
        cmp still.csv broken.csv && grep -q '207 rows: 0 ok, 207 failed' err &&
        cmp still.csv.errors.jsonl broken.csv.errors.jsonl &&
        only_final_names still.csv
}
check "rows that fail again stay in the errors" still_failing
cp bad.csv before.csv
cp good.csv bad.csv # the same input, but for what failed

mended() { # OUTPUT FROM WHOLE ARGUMENT...
    output=$1 from=$2 whole=$3
    shift 3
    copy "$from" "$output" && mend 0 "$output" "$@" &&
        grep -q '207 rows: 207 ok' err && [ "$(echo "$output"*)" = "$output" ]
    if [ "$output" = mended_any.csv ]; then
        sort "$output" >sorted && sort "$whole" | cmp - sorted
    else
        cmp "$output" "$whole"
    fi
}
check "rows that failed come to their places" \
    mended mended.csv broken.csv good_whole.csv
check "so they do in JSON Lines" \
    mended mended.jsonl broken.jsonl good_whole.jsonl --batch-size 5
check "unordered they come behind" \
    mended mended_any.csv broken_any.csv good_any.csv --unordered

nothing_has_failed() {
    mend 0 mended.csv && grep -q 'no row of' err &&
        cmp mended.csv good_whole.csv
}
check "nothing is left to do then" nothing_has_failed

# One row in two fails at first.
awk -F, -v OFS=, 'NR > 1 && NR % 2 == 0 { $2 = "x" } 1' good.csv >bad.csv
predict bad.csv -o half.csv -q
cp good.csv bad.csv

mended_and_killed() {
    copy half.csv slow.csv
    killed=0
    while [ "$killed" -lt "$few" ]; do
        "$calm" predict bad.csv --model model.json --truth label \
            -o slow.csv --retry-failed --batch-size 1 2>killed.err &
        pid=$!
        next_moment
        sleep "$moment"
        kill -KILL $pid 2>/dev/null
        wait $pid
        case $? in
        0) copy half.csv slow.csv; continue ;;
        137) killed=$((killed + 1)) ;;
        *) cat killed.err; return 1 ;;
        esac
        lines=$(wc -l <slow.csv)
        [ -e slow.csv.calm-journal ] || { copy half.csv slow.csv; continue; }
        [ "$lines" = 10001 ] || [ "$lines" = 20001 ] || return 1
    done
    mend 0 slow.csv && cmp slow.csv good_whole.csv &&
        [ "$(echo slow.csv*)" = slow.csv ]
}
check "killed while they are added, nothing is lost" mended_and_killed

refused() { # PATTERN COMMAND...
    pattern=$1
    shift
    exits 2 predict "$@" && grep -q "$pattern" err
}
other_runs_are_refused() {
    copy broken.csv other.csv && head -15 good.csv >short.csv &&
        { head -1 good.csv; tail -n +2 good.csv | tac; } >turned.csv &&
        refused 'another input' short.csv -o other.csv --retry-failed &&
        refused 'another input' turned.csv -o other.csv --retry-failed &&
        head -19000 broken.csv >other.csv &&
        refused 'of another run' good.csv -o other.csv --retry-failed &&
        refused 'other columns' good.csv -o other.csv --retry-failed \
            --keep mean_area &&
        refused 'cannot add to' good.csv -o none.csv --retry-failed &&
        refused 'exclude' good.csv -o other.csv --retry-failed --overwrite &&
        refused 'needs an input' - -o other.csv --retry-failed <good.csv &&
        echo '{"row":"x"}' >other.csv.errors.jsonl &&
        refused 'line 1' good.csv -o other.csv --retry-failed &&
        [ ! -e other.csv.calm-part ] && [ ! -e other.csv.calm-journal ]
}
check "what is not of that run is refused" other_runs_are_refused
finish
