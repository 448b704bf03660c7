#!/bin/sh
# run.sh [SECONDS [NAME...]] - runs the fuzzers, a minute each by default
#
# Each fuzz_NAME.c is a program of clang's libFuzzer. What it has found so far
# stays in build-fuzz/NAME; an input that fails is written beside it, and given
# again by build-fuzz/fuzz_NAME FILE.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || for file in fuzz/fuzz_*.c; do
    name=${file#fuzz/fuzz_}
    set -- "$@" "${name%.c}"
done

[ -f build-fuzz/build.ninja ] || CC=clang CXX=clang++ meson setup build-fuzz \
    -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined \
    -Db_lundef=false --buildtype=debugoptimized
ninja --quiet -C build-fuzz fuzzers

failed=0
cd build-fuzz
for name; do
    mkdir -p "$name"
    printf '\n== %s, %s s\n' "$name" "$seconds"
    # Fewer bytes than the bounds, or it would only ever reach those.
    if fuzz/fuzz_"$name" -max_total_time="$seconds" -max_len=5000 \
        -artifact_prefix="$name-" -print_final_stats=1 "$name" \
        >"$name.log" 2>&1; then
        echo "ok - $name: $(sed -n \
            's/^stat::number_of_executed_units: *//p' "$name.log") inputs"
    else
        tail -n 40 "$name.log"
        echo "not ok - $name"
        failed=1
    fi
done
exit $failed
