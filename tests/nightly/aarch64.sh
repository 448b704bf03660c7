#!/bin/sh
# aarch64.sh - the runtime and its tests on aarch64, under qemu
#
# The floors up to the files, with the epoll backend, and all tests that run
# on the harness, built by the cross compiler. cmocka is not packaged for
# crossing: aarch64/cmocka.h beside this script has the few calls that the
# harness makes.
set -u
cd "$(dirname "$0")/../.." || exit
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v $tool >/dev/null || {
        echo "no $tool"
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compile() { # OUTPUT FLAGS AND FILES...
    output=$1
    shift
    aarch64-linux-gnu-gcc -std=gnu17 -O2 -g -D_GNU_SOURCE \
        -fno-strict-aliasing -Iinclude -Isrc -Itests/unit \
        -Itests/nightly/aarch64 "$@" -o "$output"
}

library() { # NAME SWITCH
    mkdir "$work/$1"
    for source in src/base/*.c src/core/*.[cS] src/host/*.c src/io/file.c \
        src/io/whole.c src/ml/retry.c src/ml/pipeline.c tests/unit/test.c; do
        case $source in
        src/core/switch_*) [ "$source" = "src/core/$2" ] || continue ;;
        src/host/uring.c) continue ;;
        esac
        compile "$work/$1/$(basename "$source").o" -c "$source" || exit 1
    done
    aarch64-linux-gnu-ar cr "$work/$1.a" "$work/$1"/*.o
}

failed=0
run_all() { # NAME
    for name in details error fault gather group heap loop op pipeline post \
        programs queue random report retry scope stack sync task wait; do
        if compile "$work/test_$name" -static "tests/unit/test_$name.c" \
            "$work/$1.a" -lpthread -lm &&
            TEST_BACKEND=epoll TEST_PROGRAMS=300 timeout 300 \
                qemu-aarch64 "$work/test_$name" >"$work/log" 2>&1; then
            echo "ok - $name on aarch64, $1"
        else
            grep -E -B4 'FAILED' "$work/log" | head -n 40
            tail -n 3 "$work/log"
            echo "not ok - $name on aarch64, $1"
            failed=1
        fi
    done
}

library assembly switch_aarch64.S
run_all assembly
library ucontext switch_ucontext.c
run_all ucontext
exit $failed
