#!/bin/sh
# run.sh - measures calm beside plain C and asyncio, and prints one table
#
#     bench/run.sh BUILD [TOPIC...]
#
# Topics: switch spawn sync sleep process file csv predict http serve; all
# without one. What targets.tsv asks for and what was missed stands below the
# table. Files are made in BUILD/bench/work and removed again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
topics=${*:-switch spawn sync sleep process file csv predict http serve}
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

# Beside pandas, for which calm's own figure stands once more.
measure_predict() {
    "$build/bench/bench_predict" "$build/cli/calm" >>calm.tsv
    if have_python 'pandas, xgboost'; then
        $python "$here/pandas_predict.py" >>asyncio.tsv
        awk -F '\t' '$1 == "predict_rows" {
            print "predict_pandas\t-\t" $3 }' calm.tsv >rows.tsv
        cat rows.tsv >>calm.tsv
    fi
}

# Beside aiohttp, which talks to the same server, so it is started by it.
measure_http() {
    if have_python aiohttp; then
        BENCH_BESIDE="$python $here/aiohttp_http.py >>$work/asyncio.tsv" \
            "$build/bench/bench_http" >>calm.tsv
    else
        "$build/bench/bench_http" >>calm.tsv
    fi
}

for topic in $topics; do
    echo "bench: $topic" >&2
    case $topic in
    csv) measure_csv ;;
    http) measure_http ;;
    predict)
        if [ -x "$build/bench/bench_predict" ]; then
            measure_predict
        else
            echo "bench: without XGBoost there is nothing to predict" >&2
        fi ;;
    serve)
        if command -v wrk >/dev/null && [ -x "$build/tools/train" ]; then
            "$here/serve.sh" "$build" >>calm.tsv
        else
            echo "bench: calm serve is measured by wrk, on XGBoost" >&2
        fi ;;
    switch | spawn | sync | sleep | process | file)
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
