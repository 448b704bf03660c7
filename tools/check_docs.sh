#!/bin/sh
# check_docs.sh BUILD - the documents say what is so
#
# Whole programs in them (blocks of C with an include and a main) compile and
# run; the output in the README is what the demo prints, but for numbers,
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

documents='README.md CONTRIBUTING.md CHANGELOG.md docs/*.md
    docs/guide/*.md man/*.scd'

# shellcheck disable=SC2086 # patterns of files
awk -v work="$work" '
    FNR == 1 { name = FILENAME; gsub("/", "-", name); count = 0 }
    /^```$/ && inside { inside = 0; close(out); next }
    /^```/ { inside = 1; out = work "/" name "-" ++count ".c"; next }
    inside { gsub(/\\\\/, "\\"); print > out }' $documents
programs=0
for program in "$work"/*.c; do
    grep -q '^int main' "$program" && grep -q '^#include' "$program" ||
        continue
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

shape() { # a text with its numbers as N
    sed -E 's/[0-9]+(\.[0-9]+)?(e-?[0-9]+)?/N/g' "$1"
}
demo_api() { # the same rows through a server
    "$build/cli/calm" serve model.json --port 0 --port-file port 2>said &
    server=$!
    for _ in $(seq 300); do
        [ ! -s port ] || break
        sleep 0.1
    done
    cat said
    "$build/cli/calm" predict held.csv --truth label -o answers.csv \
        --url "http://127.0.0.1:$(cat port)/v2/models/model" 2>&1
    kill "$server"
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
            demo_api
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
    grep -oE -- '--[a-z][a-z0-9-]+' "$1" | grep -vxE -- '--(help|version)' |
        sort -u
}
completed() { # WORD...: what bash offers behind these, one a line
    bash -c 'compopt() { :; }; . man/calm.bash
        COMP_WORDS=(calm "$@") COMP_CWORD=$#
        _calm; printf "%s\n" "${COMPREPLY[@]}"' completed "$@"
}
same() { diff "$work/offered" "$1"; }
has_its_page() { [ -e "man/calm-$command.1.scd" ] &&
    grep -q "calm-$command\*(1)" man/calm.1.scd; }
commands=$("$build/cli/calm" --help |
    sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
check 'the command lists its commands' [ "$(echo "$commands" | wc -l)" -ge 2 ]
for command in $commands; do
    check "calm-$command(1) exists, and calm(1) points there" has_its_page
    "$build/cli/calm" "$command" --help >"$work/help"
    options "$work/help" >"$work/offered"
    options "man/calm-$command.1.scd" >"$work/told"
    check "calm-$command(1) has the options of the command" same "$work/told"
    completed "$command" -- >"$work/completed"
    options "$work/completed" >"$work/told"
    check "bash completes the options of calm $command" same "$work/told"
done
completed '' | grep -v '^-' | sort >"$work/told"
echo "$commands" | sort >"$work/offered"
check 'bash completes the commands' same "$work/told"

all_calls() {
    nm -D --defined-only "$build/libcalm.so" | awk '{ print $3 }' |
        grep '^calm_' | sort -u >"$work/exported"
    grep -oE 'calm_[a-z0-9_]+' "$build/man/calm.3" | sort -u |
        comm -23 "$work/exported" - >"$work/missing"
    cat "$work/missing"
    [ -s "$work/exported" ] && [ ! -s "$work/missing" ]
}
if [ -e "$build/man/calm.3" ]; then
    check 'calm(3) has every call that the library exports' all_calls
fi

# What scdoc always does, an empty paragraph, is no fault of the page.
lints() {
    mandoc -Tlint -W warning "$build"/man/calm*.[1-9] |
        grep -v 'skipping paragraph macro' >"$work/faults"
    cat "$work/faults"
    [ ! -s "$work/faults" ]
}
if ! [ -e "$build/man/calm.1" ] || ! command -v mandoc >/dev/null; then
    echo 'ok - mandoc finds no fault in the man pages # SKIP not installed'
else
    check 'mandoc finds no fault in the man pages' lints
fi
exit $failed
