#!/bin/sh
# predict.sh - calm predict as its users run it: what is written, what is
# refused, and what is left behind when it ends early
# shellcheck disable=SC2317 # the functions are called by check
. "$(dirname "$0")/lib.sh"
[ -x "$build/tools/train" ] || skip "built without XGBoost"

data=$source_root/examples/data/breast_cancer.csv
"$build/tools/train" "$data" label sample_id model.json held.csv >/dev/null ||
    exit 1
cut -d, -f1,11- held.csv >narrow.csv # ten columns less
predict() { "$calm" predict "$@" --model model.json; }

rows_in_are_rows_out() {
    exits 0 predict held.csv -o out.csv --truth label --summary sum.json &&
        [ "$(wc -l <out.csv)" = "$(wc -l <held.csv)" ] &&
        [ "$(head -1 out.csv)" = "sample_id,prediction,label" ] &&
        cut -d, -f1 out.csv | cmp - ids && grep -q accuracy err &&
        grep -q '"complete":true' sum.json && [ ! -e out.csv.calm-part ]
}
cut -d, -f1 held.csv >ids
check "rows in are rows out, in order, with a summary" rows_in_are_rows_out
check "an output that exists is refused" exits 2 predict held.csv -o out.csv
check "an output that exists is replaced when asked" \
    exits 0 predict held.csv -o out.csv --overwrite

the_label_is_not_a_feature() {
    exits 0 predict held.csv -o a.csv &&
        cut -d, -f1-31 held.csv >unlabelled.csv &&
        exits 0 predict unlabelled.csv -o b.csv && cmp a.csv b.csv
}
check "the label changes no prediction" the_label_is_not_a_feature

batches_change_nothing() {
    for size in 1 7 1000; do
        exits 0 predict held.csv -o "size$size.csv" --batch-size "$size" \
            --threads 3 || return 1
        cmp "size$size.csv" a.csv || return 1
    done
}
check "the size of the batches changes nothing" batches_change_nothing

pipes_work() {
    predict - -o - <held.csv 2>/dev/null | cmp - a.csv
}
check "standard input to standard output" pipes_work

unordered_has_row_numbers() {
    exits 0 predict held.csv -o u.csv --unordered --batch-size 5 &&
        sort -t, -k1,1n u.csv | cut -d, -f2- | grep -v prediction >u1 &&
        tail -n +2 a.csv | cmp - u1
}
check "unordered output carries the row's number" unordered_has_row_numbers

kept_columns_are_copied() {
    exits 0 predict held.csv -o k.csv --keep mean_area,label_x && return 1
    exits 2 predict held.csv -o k.csv --keep mean_area,label_x &&
        grep -q label_x err &&
        exits 0 predict held.csv -o k.csv --keep mean_area &&
        [ "$(sed -n 2p k.csv | cut -d, -f4)" = \
            "$(sed -n 2p held.csv | cut -d, -f5)" ]
}
check "kept columns are copied, unknown ones refused" kept_columns_are_copied

bad_rows_go_to_the_errors() {
    awk 'NR == 3 { sub(/,[^,]*/, ",abc") } NR == 5 { $0 = "20,1,2" } 1' \
        held.csv >bad.csv
    exits 3 predict bad.csv -o bad_out.csv &&
        [ "$(wc -l <bad_out.csv)" = $(($(wc -l <held.csv) - 2)) ] &&
        [ "$(wc -l <bad_out.csv.errors.jsonl)" = 2 ] &&
        grep -q '"row":1,"line":3,"id":5.*abc' bad_out.csv.errors.jsonl &&
        grep -q '"row":3,"line":5' bad_out.csv.errors.jsonl
}
check "rows that fail go to the errors, the others on" \
    bad_rows_go_to_the_errors

limit_stops_early() {
    exits 0 predict held.csv -o l.csv --limit 10 && head -11 a.csv | cmp - l.csv
}
check "the limit counts rows" limit_stops_early

gzip_is_read() {
    gzip -c held.csv >held.csv.gz && exits 0 predict held.csv.gz -o g.csv &&
        cmp g.csv a.csv &&
        head -c 2000 held.csv.gz >cut.csv.gz &&
        exits 1 predict cut.csv.gz -o c.csv && grep -q 'cut off' err
}
check "gzip is read, a cut one is an error" gzip_is_read

json_lines_are_read_and_written() {
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; next } {
        printf "{"
        for (i = 1; i <= NF; i++)
            printf("%s\"%s\":%s", (i > 1 ? "," : ""), name[i], $i)
        print "}" }' held.csv >held.jsonl
    exits 0 predict held.jsonl -o j.csv && cmp j.csv a.csv &&
        exits 0 predict held.jsonl -o j.jsonl &&
        head -1 j.jsonl | grep -q '^{"sample_id":0,"prediction":0.[0-9]*,"label":1}$' &&
        [ "$(wc -l <j.jsonl)" = "$(wc -l <held.jsonl)" ] &&
        echo 'no json' >>held.jsonl && exits 3 predict held.jsonl -o k.jsonl &&
        grep -q '"row":114,"line":115' k.jsonl.errors.jsonl
}
check "JSON Lines are read and written" json_lines_are_read_and_written

# Ids of CSV come back as they stood there.
ids_stay_what_they_are() {
    awk -F, -v OFS=, 'BEGIN { split("007 1e5 1.10 12 -0 12345678901234567 x", id, " ") }
        NR > 1 && NR < 9 { $1 = id[NR - 1]; if (NR > 6) $2 = "bad" }
        NR < 9 { print }' held.csv >ids.csv
    exits 3 predict ids.csv -o ids.jsonl &&
        [ "$(sed 's/,.*//' ids.jsonl | tr -d '\n')" = '{"sample_id":"007"'\
'{"sample_id":"1e5"{"sample_id":"1.10"{"sample_id":12{"sample_id":"-0"' ] &&
        grep -q '"id":"12345678901234567"' ids.jsonl.errors.jsonl &&
        grep -q '"id":"x"' ids.jsonl.errors.jsonl &&
        sed 's/,bad,/,12.5,/' ids.csv >mended.csv && touch -r ids.csv mended.csv &&
        exits 0 predict mended.csv -o ids.jsonl --retry-failed &&
        [ "$(wc -l <ids.jsonl)" = 7 ] && [ ! -e ids.jsonl.errors.jsonl ]
}
check "ids of CSV stay what they are in JSON" ids_stay_what_they_are

nothing_in_is_nothing_out() {
    : >empty.jsonl
    head -1 held.csv >head.csv
    exits 0 predict empty.jsonl -o empty_out.csv &&
        exits 0 predict - -o stdin_out.csv </dev/null &&
        exits 0 predict head.csv -o head_out.csv &&
        [ "$(cat head_out.csv)" = sample_id,prediction,label ] &&
        cmp head_out.csv empty_out.csv && cmp head_out.csv stdin_out.csv
}
check "no rows in are no rows out" nothing_in_is_nothing_out

no_header_is_refused() {
    : >empty.csv
    printf '\357\273\277\n\n' >blank.csv
    exits 2 predict empty.csv -o none.csv &&
        grep -qF "calm: 'empty.csv' is empty: its first row" err &&
        exits 2 predict blank.csv -o none.csv &&
        grep -qF "calm: 'blank.csv' is empty" err &&
        [ -z "$(ls none.csv* 2>/dev/null)" ]
}
check "a CSV file without a header is refused" no_header_is_refused

check "a missing input is refused" exits 2 predict none.csv -o x.csv
check "a missing model is refused" \
    exits 2 "$calm" predict held.csv --model none.json -o x.csv
check "too few columns are refused" exits 2 predict narrow.csv -o x.csv
check "an output that is the input is refused" \
    exits 2 predict held.csv -o ./held.csv --overwrite
check "a summary over the input is refused" \
    exits 2 predict held.csv -o x.csv --summary held.csv
summary_over_the_output() {
    : >x.pem
    for end in '' .calm-part .calm-journal .errors.jsonl \
        .errors.jsonl.calm-part; do
        exits 2 predict held.csv -o x.csv --summary "./x.csv$end" &&
            grep -q 'used otherwise' err || return 1
    done
    exits 2 "$calm" predict held.csv --url http://127.0.0.1:1/ -o x.csv \
        --ca-file x.pem --summary "$PWD/x.pem" &&
        grep -q 'used otherwise' err
}
check "a summary over the output or its parts is refused" \
    summary_over_the_output
check "a summary into no folder is refused at once" \
    exits 2 predict held.csv -o x.csv --summary none/sum.json
check "an output that is neither CSV nor JSON Lines is refused" \
    exits 2 predict held.csv -o x.parquet
check "-h is --help" sh -c "
    '$calm' -h | grep -q Usage && '$calm' predict -h | grep -q Usage &&
    '$calm' serve -h | grep -q Usage && '$calm' compare -h | grep -q Usage &&
    '$calm' doctor -h | grep -q Usage"
check "an unknown option is refused" exits 2 predict held.csv -o x.csv --what
check "no output is refused" exits 2 predict held.csv
check "a number that is none is refused" \
    exits 2 predict held.csv -o x.csv --batch-size ten
refused_leaves_nothing() { [ ! -e x.csv ] && [ ! -e x.csv.calm-part ]; }
check "what is refused leaves nothing behind" refused_leaves_nothing

broken_models_are_refused() {
    : >empty.json
    head -c 3000 model.json >cut.json
    printf '{"learner": 7}' >odd.json
    for model in empty cut odd; do
        exits 2 "$calm" predict held.csv --model $model.json -o x.csv ||
            return 1
    done
}
check "broken models are refused with a sentence" broken_models_are_refused

pinned_model_is_checked() {
    hash=$(sha256sum model.json | cut -c1-64)
    exits 0 predict held.csv -o p.csv --model-sha256 "$hash" &&
        exits 2 predict held.csv -o q.csv --model-sha256 "${hash%?}x"
}
check "a model is pinned by its hash" pinned_model_is_checked

unclosed_quote_names_its_line() {
    { cat held.csv; printf '9,"1,2\n3\n'; } >open.csv
    exits 1 predict open.csv -o o.csv && grep -q 'line 116' err &&
        [ -e o.csv.calm-part ] && [ ! -e o.csv ]
}
check "an unclosed quote is named by its line" unclosed_quote_names_its_line

cells_are_json() { # ID TEXT: the id in the input, and as JSON
    sed -n "1p;2s/^[^,]*/$1/p" held.csv >cell.csv
    exits 0 predict cell.csv -o cell.jsonl --overwrite &&
        grep -q "^{\"sample_id\":$2," cell.jsonl
}
check "what JSON knows no number for is a text" cells_are_json nan '"nan"'
check "an id that readers would change is a text" \
    cells_are_json -0.50e3 '"-0.50e3"'
check "a whole number is none of these" cells_are_json 123456789012345 123456789012345
a_number_stays() {
    sed -n '1p;2s/,[^,]*/,1.10e1/p' held.csv >cell.csv
    exits 0 predict cell.csv --keep mean_radius -o cell.jsonl --overwrite &&
        grep -q '"mean_radius":1.10e1' cell.jsonl
}
check "a number stays as it was written" a_number_stays
check "what has a zero in front is a text" cells_are_json 007 '"007"'
check "a quoted number is a text" cells_are_json '"7"' '"7"'

quotes_change_no_truth() {
    exits 0 predict held.csv -o - --truth label && mv err plain &&
        sed '2,$s/[^,]*$/"&"/' held.csv >quoted.csv &&
        exits 0 predict quoted.csv -o - --truth label &&
        [ "$(grep -o 'accuracy.*' err)" = "$(grep -o 'accuracy.*' plain)" ] &&
        grep -q 'of 114' err
}
check "a quoted truth is compared too" quotes_change_no_truth

missing_is_missing_in_json() {
    sed -n '1p;2s/,[^,]*/,9999/gp' held.csv >gap.csv
    awk -F, 'NR == 1 { split($0, name); next } {
        for (i = 1; i <= NF; i++)
            printf("%s\"%s\":%s", (i > 1 ? "," : "{"), name[i], $i)
        print "}" }' gap.csv >gap.jsonl
    exits 0 predict gap.csv -o - --missing 9999 && mv out gap &&
        exits 0 predict gap.jsonl -o - --missing 9999 && cmp out gap &&
        exits 0 predict gap.jsonl -o - && mv out high &&
        sed 's/:9999/:-9999/g' gap.jsonl >low.jsonl &&
        exits 0 predict low.jsonl -o - || return 1
    # A model sends what is missing to one side, large or small.
    ! cmp -s high gap || ! cmp -s out gap
}
texts_of_the_manual_mean_no_value() {
    texts=$(tr '\n\t' '  ' <"$source_root/man/calm-predict.1.scd" |
        sed 's/.*Default for CSV: //; s/;.*//; s/,//g; s/ and / /')
    [ "$(echo "$texts" | wc -w)" -ge 8 ] || return 1
    head -1 held.csv >texts.csv
    for text in $texts nan ''; do # in place of the first feature
        sed -n 2p held.csv | sed "s|^\([^,]*\),[^,]*|\1,$text|" >>texts.csv
    done
    exits 0 predict texts.csv -o - && [ "$(wc -l <out)" = 11 ] &&
        [ "$(sed 1d out | sort -u | wc -l)" = 1 ] &&
        exits 3 predict texts.csv -o some.csv --missing NA &&
        [ "$(wc -l <some.csv)" = 4 ]
}
check "the texts that the manual lists mean no value, unless others are given" \
    texts_of_the_manual_mean_no_value
check "a number of JSON can mean a missing value" missing_is_missing_in_json

the_limit_counts_what_is_read() {
    { head -1 held.csv
      for i in $(seq 100); do echo 1,2; sed -n 2,3p held.csv; done; } >gaps.csv
    for size in 3 7 1000; do
        exits 0 predict gaps.csv -o - --limit 30 --ragged skip \
            --batch-size $size && [ "$(wc -l <out)" = 21 ] || return 1
    done
}
check "the limit counts rows that are skipped, too" \
    the_limit_counts_what_is_read

check "the truth as a feature is refused" \
    exits 2 predict held.csv -o x.csv --truth mean_area

what_is_read_is_not_written() {
    cp held.csv w.csv.calm-part && cp held.csv w.csv.errors.jsonl &&
        exits 2 predict w.csv.calm-part -o w.csv &&
        exits 2 predict w.csv.errors.jsonl -o w.csv &&
        exits 2 predict - -o w.csv <w.csv.calm-part &&
        cmp held.csv w.csv.calm-part && cmp held.csv w.csv.errors.jsonl &&
        cp held.csv w.csv && "$calm" predict w.csv --model model.json -o - \
            >>w.csv 2>err
    [ $? = 2 ] && cmp held.csv w.csv
}
check "nothing is written to what is read" what_is_read_is_not_written

names_that_cannot_be() {
    exits 2 predict held.csv -o "" && exits 2 predict held.csv -o ./ &&
        [ ! -e .calm-part ] &&
        exits 2 predict held.csv -o "$(printf '%0233d' 0)" &&
        grep -q '232 at most' err
}
check "names that cannot be are refused at once" names_that_cannot_be

only_files_are_replaced() {
    mkfifo pipe.csv && ln -s held.csv link.csv && : >mine &&
        ln mine hard.csv.calm-part && mkfifo odd.csv.calm-part &&
        exits 2 predict held.csv -o pipe.csv --overwrite && [ -p pipe.csv ] &&
        exits 2 predict held.csv -o link.csv --overwrite && [ -L link.csv ] &&
        exits 2 predict held.csv -o hard.csv &&
        exits 2 predict held.csv -o odd.csv && [ -p odd.csv.calm-part ]
}
check "what is no file of ours is not replaced" only_files_are_replaced

closed_descriptors() {
    exits 2 sh -c "exec '$calm' predict - --model model.json -o cl.csv <&-" ||
        return 1
    exits 1 sh -c "'$calm' predict held.csv --model model.json -o - >&-" ||
        return 1
    "$calm" predict bad.csv --model model.json -o cl.csv <&- >&- 2>&-
    [ $? = 3 ] && cmp cl.csv bad_out.csv
}
check "closed descriptors are errors, not the next file" closed_descriptors

messages_are_no_commands() {
    printf '%s\n' "$(head -1 held.csv)" "$(printf '1,\033[31mred')" >red.csv
    exits 3 predict red.csv -o red_out.csv --ragged pad &&
        grep -q red err && ! grep -q "$(printf '\033')" err
}
check "data in a message cannot command the terminal" messages_are_no_commands

fifo_without_a_writer() {
    mkfifo late
    for backend in epoll io_uring; do
        exits 143 env CALM_BACKEND=$backend timeout --preserve-status \
            -k 5 0.3 "$calm" predict late --model model.json -o early.csv &&
            { sleep 0.2 && cat held.csv >late & } &&
            exits 0 env CALM_BACKEND=$backend "$calm" predict late \
                --model model.json -o late.csv --overwrite &&
            cmp late.csv a.csv || return 1
    done
}
check "a FIFO waits for its writer, and can be interrupted" \
    fifo_without_a_writer

nonblocking_input() {
    command -v python3 >/dev/null || return 0
    { head -c 3000 held.csv && sleep 0.2 && tail -c +3001 held.csv; } |
        python3 -c 'import os, sys
os.set_blocking(0, False)
os.execv(sys.argv[1], sys.argv[1:])' "$calm" predict - --model model.json \
            -o - 2>/dev/null | cmp - a.csv
}
check "a pipe that does not block is waited for" nonblocking_input

summary_into_what_is_there() {
    ln -s target.json sum_link && : >target.json &&
        exits 0 predict held.csv -o s1.csv --summary sum_link &&
        [ -L sum_link ] && grep -q '"ok":114' target.json &&
        exits 0 predict held.csv -o s2.csv --summary /dev/stdout &&
        [ "$(readlink /dev/stdout)" = /proc/self/fd/1 ] &&
        ln -s /dev/null void && exits 0 predict held.csv -o s3.csv \
            --summary void && [ -c void ]
}
check "the summary replaces no link and no device" summary_into_what_is_there

unknown_letters_are_named() {
    exits 2 predict held.csv -o x.csv -vx && grep -q "'-x'" err &&
        exits 2 predict held.csv -o x.csv --what=1 && grep -q "'--what=1'" err
}
check "an unknown letter is named" unknown_letters_are_named

nothing_old_is_left() {
    : >old.csv.calm-part && : >old.csv.errors.jsonl.calm-part &&
        : >old.csv.errors.jsonl && exits 0 predict held.csv -o old.csv &&
        [ "$(echo old.csv*)" = old.csv ]
}
check "what a dead run has left goes with the next" nothing_old_is_left

# A larger file, to be interrupted.
{ cat held.csv; for i in $(seq 400); do tail -n +2 held.csv; done; } >large.csv

reader_that_leaves() {
    predict large.csv -o - 2>/dev/null | head -1 >first
    [ "$(cat first)" = "sample_id,prediction,label" ]
}
check "a reader that leaves ends the run" reader_that_leaves

sigpipe_is_the_end() {
    # The write end of a fifo whose reader goes away at once.
    mkfifo fifo && { head -1 fifo >/dev/null & } &&
        exits 141 sh -c "exec '$calm' predict large.csv --model model.json \
            -o - >fifo"
}
check "it dies by SIGPIPE then" sigpipe_is_the_end

interrupted_then_again() {
    "$calm" predict - --model model.json -o int.csv <fifo2 2>err &
    pid=$!
    exec 9>fifo2
    cat large.csv >&9 # and no end
    for try in $(seq 100); do
        [ -s int.csv.calm-part ] && break
        sleep 0.05
    done
    kill -s "$1" "$pid"
    wait "$pid"
    code=$?
    exec 9>&-
    [ "$code" = "$2" ] && [ ! -e int.csv ] && [ -e int.csv.calm-part ] &&
        grep -q ' rows: ' err && grep -q 'stopping, up to 10 s' err &&
        exits 0 predict large.csv -o int.csv &&
        [ "$(wc -l <int.csv)" = "$(wc -l <large.csv)" ] && rm int.csv
}
mkfifo fifo2
check "SIGTERM: a summary, the partial output kept, then again" \
    interrupted_then_again TERM 143

killed_then_again() {
    "$calm" predict large.csv --model model.json -o kill.csv --threads 1 \
        --batch-size 50 2>/dev/null &
    pid=$!
    sleep 0.2
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    if [ -e kill.csv ]; then
        [ "$(wc -l <kill.csv)" = "$(wc -l <large.csv)" ]
        return
    fi
    exits 0 predict large.csv -o kill.csv &&
        [ "$(wc -l <kill.csv)" = "$(wc -l <large.csv)" ]
}
check "killed at any moment, the second run is whole" killed_then_again

full_disk() {
    mkdir full && mount -t tmpfs -o size=64k tmpfs full 2>/dev/null ||
        { echo "no tmpfs here"; return 0; }
    exits 1 predict large.csv -o full/o.csv && grep -q 'No space' err &&
        [ ! -e full/o.csv ]
    code=$?
    umount full
    return $code
}
check "a full disk stops it and keeps the final name free" full_disk

two_runs() {
    "$calm" predict - --model model.json -o two.csv <fifo2 2>/dev/null &
    pid=$!
    exec 9>fifo2
    cat held.csv >&9
    for try in $(seq 100); do
        [ -e two.csv.calm-part ] && break
        sleep 0.05
    done
    exits 2 predict held.csv -o two.csv
    code=$?
    exec 9>&-
    wait "$pid" && return $code
}
check "two runs cannot write one output" two_runs

check "the doctor finds nothing" exits 0 "$calm" doctor
check "both backends predict the same" sh -c "
    CALM_BACKEND=epoll '$calm' predict held.csv --model model.json -o e.csv -q &&
    cmp e.csv a.csv"
finish
