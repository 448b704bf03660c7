#!/bin/sh
# run.sh - measures calm beside plain C and asyncio, and prints one table
#
#     bench/run.sh BUILD [TOPIC...]
#
# Topics: switch spawn sync sleep file csv predict; all without one. What
# targets.tsv asks for and what was missed stands below the table. Files are
# made in BUILD/bench/work and removed again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
topics=${*:-switch spawn sync sleep file csv predict}
python=/usr/bin/python3
work=$build/bench/work

ninja -C "$build" benchmarks cli/calm >/dev/null
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"
: >calm.tsv
: >asyncio.tsv

have_python() {
    [ -x $python ] && $python -c "import $1" 2>/dev/null
}

has_topic() {
    case " $topics " in *" $1 "*) true ;; *) false ;; esac
}

# CSV's program has floors for itself and names of its own; here the floor is
# a plain loop over the bytes.
measure_csv() {
    "$build/bench/bench_csv" | awk '
        { name = $0; sub(/ +[0-9]+ MB\/s$/, "", name); at[name] = $(NF - 1) }
        END {
            print "csv_numeric\t" at["floor: plain loop numeric"] \
                "\t" at["cut and split numeric"]
            print "csv_quoted\t" at["floor: plain loop quoted"] \
                "\t" at["cut and split quoted"]
            print "csv_floats\t-\t" at["cut, split, into floats"]
            print "csv_write\t-\t" at["write floats"]
        }' >>calm.tsv
}

rows=1000000

# Rows a second of a command, its start and the model's loading included.
rate() {
    start=$(date +%s%N)
    "$@" >rate.out
    echo $((rows * 1000000000 / ($(date +%s%N) - start)))
}

median() {
    sort -n | awk '{ at[NR] = $1 } END { print at[int((NR + 1) / 2)] }'
}

# By turns, so that a noisy machine hits all three alike. Pandas counts for
# itself, without its imports; calm's figure beside it stands once more.
measure_predict() {
    "$build/bench/bench_model" >model.tsv
    grep -w model_batch model.tsv >>calm.tsv
    "$build/bench/make_data" $rows rows.csv model.json
    for _ in 1 2 3 4 5; do
        rate "$build/bench/floor_predict" rows.csv model.json floor.csv \
            >>floor.rates
        rate "$build/cli/calm" predict rows.csv --model model.json \
            -o calm.csv --overwrite -q >>calm.rates
        if have_python 'pandas, xgboost'; then
            $python "$here/pandas_predict.py" rows.csv model.json \
                pandas.csv >>pandas.rates
        fi
    done
    calm=$(median <calm.rates)
    printf 'predict_rows\t%s\t%s\n' "$(median <floor.rates)" "$calm" \
        >>calm.tsv
    if [ -s pandas.rates ]; then
        printf 'predict_pandas\t-\t%s\n' "$calm" >>calm.tsv
        printf 'predict_pandas\t%s\n' "$(median <pandas.rates)" >>asyncio.tsv
    fi
}

for topic in $topics; do
    echo "bench: $topic" >&2
    case $topic in
    csv) measure_csv ;;
    predict)
        if [ -x "$build/bench/bench_model" ]; then
            measure_predict
        else
            echo "bench: without XGBoost there is nothing to predict" >&2
        fi ;;
    switch | spawn | sync | sleep | file)
        "$build/bench/bench_$topic" >>calm.tsv ;;
    *)
        echo "bench: no topic '$topic'" >&2
        exit 2 ;;
    esac
done

echo "bench: asyncio" >&2
if have_python asyncio; then
    if has_topic switch || has_topic spawn || has_topic sync; then
        $python "$here/asyncio_core.py" core >>asyncio.tsv
    fi
    if has_topic sleep; then
        $python "$here/asyncio_core.py" sleep >>asyncio.tsv
    fi
fi
if has_topic file && have_python aiofiles; then
    $python "$here/asyncio_file.py" . >>asyncio.tsv
fi

awk -F '\t' -f "$here/table.awk" "$here/targets.tsv" asyncio.tsv calm.tsv
