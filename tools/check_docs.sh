#!/bin/sh
# check_docs.sh BUILD - the documents say what is so
#
# Whole programs in them (blocks of C with a main) compile and run; links lead
# to files; the output in the README is what the demo prints, but for numbers,
# as they differ from machine to machine; each option that the command offers
# is in its man page and its completion, and the other way round.
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

check() { # SENTENCE COMMAND...
    sentence=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok - $sentence"
    else
        echo "not ok - $sentence"
        sed 's/^/    /' "$work/log"
        failed=1
    fi
}

documents='README.md CONTRIBUTING.md CHANGELOG.md docs/*.md man/*.scd'

# shellcheck disable=SC2086 # patterns of files
awk -v work="$work" '
    FNR == 1 { name = FILENAME; gsub("/", "-", name); count = 0 }
    /^```$/ && inside { inside = 0; close(out); next }
    /^```/ { inside = 1; out = work "/" name "-" ++count ".c"; next }
    inside { gsub(/\\\\/, "\\"); print > out }' $documents
programs=0
for program in "$work"/*.c; do
    grep -q '^int main' "$program" || continue
    programs=$((programs + 1))
    # shellcheck disable=SC2046 # flags are words
    compiles() {
        ${CC:-cc} -std=c17 -Wall -Wextra -Wno-unused-parameter -Werror \
            -Iinclude -o "$work/program" "$program" -L"$build" -lcalm &&
            LD_LIBRARY_PATH=$build CALM_CLOCK=virtual "$work/program"
    }
    check "the program $(basename "$program" .c) compiles and runs" compiles
done
check 'there are programs in the documents' [ "$programs" -ge 2 ]

# shellcheck disable=SC2086 # patterns of files
for document in README.md CONTRIBUTING.md docs/*.md; do
    leads() {
        folder=$(dirname "$document")
        grep -oE '\]\([^)#]+' "$document" | cut -c 3- | grep -v '^http' |
            while read -r target; do
                [ -e "$folder/$target" ] || echo "$target"
            done >"$work/dead"
        cat "$work/dead"
        [ ! -s "$work/dead" ]
    }
    check "the links of $document lead somewhere" leads
done

shape() { # a text with its numbers as N
    sed -E 's/[0-9]+(\.[0-9]+)?(e-?[0-9]+)?/N/g' "$1"
}
demo() {
    mkdir "$work/demo"
    "$build/tools/train" examples/data/breast_cancer.csv label sample_id \
        "$work/demo/model.json" "$work/demo/held.csv" >/dev/null &&
        (
            cd "$work/demo"
            "$build/cli/calm" predict held.csv --model model.json \
                --truth label -o predictions.csv 2>&1
            head -n 6 predictions.csv
        ) >"$work/printed"
    awk '/^```console/ { inside = 1; next } /^```/ { inside = 0 }
        inside && !/^\$/ && NF' README.md >"$work/promised"
    shape "$work/printed" >"$work/printed.shape"
    shape "$work/promised" | diff - "$work/printed.shape"
}
if [ -x "$build/tools/train" ]; then
    check 'the README shows what the demo prints' demo
fi

options() { # the long options of a text, one a line
    grep -oE -- '--[a-z][a-z0-9-]+' "$1" | sort -u
}
"$build/cli/calm" predict --help >"$work/help"
options "$work/help" >"$work/offered"
same_as_offered() { # FILE: all of them, and no other
    options "$1" | diff "$work/offered" - | grep '^[<>]' |
        grep -vE -- '^> --(help|version)$' >"$work/differ"
    cat "$work/differ"
    [ ! -s "$work/differ" ]
}
check 'calm-predict(1) has the options of the command' \
    same_as_offered man/calm-predict.1.scd
check 'the completion has the options of the command' \
    same_as_offered man/calm.bash
exit $failed
