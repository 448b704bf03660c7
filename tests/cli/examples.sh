#!/bin/sh
# examples.sh FOLDER - runs the built examples and looks at what they print
#
# Their point is that things wait side by side, so the seconds that they print
# are held against the ideal: late by a tenth at most, and never early. They
# really sleep, which is why all of them run at once, on both backends.
set -eu
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0
check() { # SENTENCE COMMAND...
    sentence=$1
    shift
    if "$@"; then
        echo "ok - $backend: $sentence"
    else
        echo "not ok - $backend: $sentence"
        sed 's/^/    /' "$work/$backend/$name.out"
        failed=1
    fi
}

# The number that the pattern's group catches in the example's output.
number() { # PATTERN
    sed -nE "s/.*$1.*/\\1/p" "$work/$backend/$name.out" | head -n 1
}

between() { # LEAST NUMBER MOST
    awk -v least="$1" -v number="${2:-none}" -v most="$3" 'BEGIN {
        exit !(number ~ /^[0-9.]+$/ && number >= least && number <= most) }'
}

says() { # PATTERN
    grep -qE "$1" "$work/$backend/$name.out"
}

exited_with() { # CODE
    [ "$(cat "$work/$backend/$name.code")" -eq "$1" ]
}

start() { # NAME [ARGUMENT]
    mkdir -p "$work/$backend/$1"
    (
        cd "$work/$backend/$1"
        code=0
        # shellcheck disable=SC2086 # a word, or none
        CALM_BACKEND=$backend "$folder/$1" ${2:-} >../"$1.out" 2>&1 || code=$?
        echo "$code" >../"$1.code"
    ) &
    started="${started:-} $!"
}

add_up_to_20() {
    awk '/^20 operations:/ { sum = $3 + $5 + $7 } END { exit sum != 20 }' \
        "$work/$backend/$name.out"
}

examine() { # NAME
    name=$1
    check "$name ends with 0" exited_with 0
    case $name in
    async_basics)
        check 'three steps in turn take 4.5 s' \
            between 4.50 "$(number 'after the other: ([0-9.]+) s')" 4.60
        check 'two of them at once take 3.5 s' \
            between 3.50 "$(number 'at once: ([0-9.]+) s')" 3.60
        ;;
    async_multiple)
        check 'ten samples at once take as long as the slowest' \
            between 0.10 "$(number '^10 samples at once: ([0-9.]+) s')" 0.60
        check 'one by one they would take more' \
            between 1.00 "$(number 'one by one ([0-9.]+) s')" 5.00
        check 'four models at once take as long as the slowest' \
            between 0.50 "$(number '^4 models at once: ([0-9.]+) s')" 2.10
        check 'the results come in the order of the names' \
            [ "$(awk '/^  /{printf "%s ", $1}' "$work/$backend/$name.out")" = \
            'resnet50 vgg16 mobilenet efficientnet ' ]
        ;;
    async_error_handling)
        check 'each operation is counted once' add_up_to_20
        check 'each failure has its sentence' \
            [ "$(grep -c '^warning: operation [0-9]* failed$' \
                "$work/$backend/$name.out")" = "$(number ', ([0-9]+) failed,')" ]
        check 'one more is tried until it is good, or three times' \
            says '^operation 20: '
        ;;
    async_file_io)
        check 'five files are read and the sixth is skipped' \
            says '^read 5 of 6 files at once'
        check 'the sentence of the one skipped names it' \
            says "skipped: .*'missing.txt'"
        check 'the predictions are read back' says '^100 records'
        check 'the header is as agreed' [ "$(head -n 1 \
            "$work/$backend/$name/predictions.csv" | tr -d '\r')" = \
            'sample_id,prediction,label' ]
        check 'each prediction is a line' [ "$(wc -l \
            <"$work/$backend/$name/predictions.csv")" -eq 101 ]
        ;;
    async_ml_pipeline)
        check 'all samples are predicted' says '^samples: 200$'
        # 0.5 s to load and 7 batches; the stages overlap: 10 + 7 * 20 ms.
        check 'the stages overlap' \
            between 0.65 "$(number '^time: ([0-9.]+) s')" 0.75
        ;;
    concurrency_comparison)
        check 'ten waits in turn take a second' \
            between 1.000 "$(number '^sync +([0-9.]+) s')" 1.600
        check 'as tasks they take as long as one' \
            between 0.100 "$(number '^async +([0-9.]+) s')" 0.250
        check 'in threads and in processes less than in turn' \
            between 0.200 "$(awk '/^(threads|processes) / { sum += $2 }
                END { print sum }' "$work/$backend/$name.out")" 1.800
        check 'all four ways compute' \
            [ "$(grep -cE 's, +[0-9.]+ times +[0-9.]+ s, +[0-9.]+ times' \
                "$work/$backend/$name.out")" -eq 4 ]
        ;;
    async_api_calls)
        check 'two models of ten are there' \
            [ "$(grep -c '^model_[01]: success$' "$work/$backend/$name.out")" \
            -eq 2 ]
        check 'the others are errors of their own' \
            [ "$(grep -c "^model_[2-9]: GET .*/v2/models/model_[2-9]': 404" \
                "$work/$backend/$name.out")" -eq 8 ]
        check 'each batch has an answer for each sample' \
            [ "$(grep -c '^25 predictions$' "$work/$backend/$name.out")" -eq 4 ]
        ;;
    validate_async)
        check 'it prints a line for each check' \
            [ "$(grep -c '^ok ' "$work/$backend/$name.out")" -ge 3 ]
        ;;
    esac
}

examples='async_basics async_multiple async_error_handling async_file_io
    async_ml_pipeline validate_async'
# A server for async_api_calls, where models can be trained and served.
server=
serve() {
    data=$folder/../../examples/data/breast_cancer.csv
    (
        cd "$work"
        "$folder/../tools/train" "$data" label sample_id model.json held.csv
    ) >/dev/null
    "$folder/../cli/calm" serve model_0="$work/model.json" \
        model_1="$work/model.json" --port 0 --port-file "$work/port" \
        2>"$work/serve.err" &
    server=$!
    for _ in $(seq 100); do
        [ -s "$work/port" ] && break
        sleep 0.1
    done
    url=http://127.0.0.1:$(cat "$work/port")
}

if [ -x "$folder/../tools/train" ] && [ -x "$folder/async_api_calls" ]; then
    serve
    examples="$examples async_api_calls"
fi
for backend in auto epoll; do
    for name in $examples; do
        case $name in
        async_api_calls) start "$name" "$url" ;;
        *) start "$name" ;;
        esac
    done
done
wait_for_all() { # but not for the server
    for child in $started; do
        wait "$child"
    done
}
wait_for_all
[ -z "$server" ] || kill "$server"
for backend in auto epoll; do
    for name in $examples; do
        examine "$name"
    done
done

# A program that cannot do its work says so.
mkdir "$work/locked"
cannot_write() { # data_0.txt is in the way
    mkdir "$work/locked/data_0.txt"
    (cd "$work/locked" && ! "$folder/async_file_io" >out 2>err) &&
        grep -q "'data_0.txt'" "$work/locked/err"
}
backend=auto name=async_file_io
check 'what cannot be written is told' cannot_write

# This one computes, which the others would feel.
for backend in auto epoll; do
    name=concurrency_comparison
    start "$name"
    wait
    examine "$name"
done

# What cannot start must not look like success.
backend=nonsense
start validate_async
wait
name=validate_async
check 'a backend that does not exist is an error' exited_with 1
exit $failed
