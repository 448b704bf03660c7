#!/bin/sh
# run.sh - the long checks, one after the other; ./dev nightly
#
# Each is a script beside this one, or a line below. It prints "ok" and "not
# ok" lines; 77 is its way to say that this machine cannot.
set -u
cd "$(dirname "$0")/../.." || exit
failed=0

step() { # COMMAND...
    printf '\n== %s\n' "$*"
    "$@"
    case $? in
    0) ;;
    77) echo "skipped: $1" ;;
    *)
        echo "failed: $*"
        failed=1
        ;;
    esac
}

command -v clang >/dev/null && step fuzz/run.sh 120
for script in tests/nightly/*.sh; do
    [ "$script" = tests/nightly/run.sh ] || step "$script" build
done
exit $failed
