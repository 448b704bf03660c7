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

finish() {
    exit "$bad"
}
