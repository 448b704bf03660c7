# lib.sh - what the tests of the command share; sourced with the build folder
# as $1. Each check prints a line "ok SENTENCE" or "not ok SENTENCE", which
# ./dev test counts; finish() gives the exit code.
build=$(cd "${1:?build folder}" && pwd)
source_root=$(cd "$(dirname "$0")/../.." && pwd)
calm=$build/cli/calm
scratch=$(mktemp -d)
bad=0
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

check() { # SENTENCE COMMAND...: the command must succeed
    sentence=$1
    shift
    if "$@" >check.out 2>&1; then
        echo "ok $sentence"
    else
        echo "not ok $sentence"
        sed 's/^/    /' check.out
        bad=1
    fi
}

exits() { # CODE COMMAND...: the command must exit with it
    wanted=$1
    shift
    "$@" >out 2>err
    got=$?
    [ "$got" = "$wanted" ] && return 0
    echo "exit $got instead of $wanted: $*"
    cat err
    return 1
}

skip() { # REASON
    echo "skipped: $1"
    exit 77
}

# A model, 2,000 rows for it, and what it makes of them: model.json, held.csv,
# rows.csv, and expected.csv as an API answers.
two_thousand_rows() {
    "$build/tools/train" "$source_root/examples/data/breast_cancer.csv" label \
        sample_id model.json held.csv >/dev/null || return 1
    awk -F, 'NR == 1 { print; next }
        { rows[NR] = $0 }
        END { for (i = 0; i < 2000; i++) {
            row = rows[2 + i % (NR - 1)]; sub(/^[^,]*/, i, row); print row } }' \
        held.csv >rows.csv
    "$calm" predict rows.csv --model model.json -o embedded.csv 2>/dev/null &&
        cut -d, -f1,2 embedded.csv >expected.csv
}

finish() {
    exit "$bad"
}
