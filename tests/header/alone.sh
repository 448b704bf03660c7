#!/bin/sh
# alone.sh - each public header compiles alone, as C17 and as C++17
#
# Without _GNU_SOURCE and with every warning an error, as in a program whose
# authors are strict. And <calm.h> includes all of them.
set -eu
cd "$(dirname "$0")/../.."

failed=0
result() { # STATUS SENTENCE
    if [ "$1" -eq 0 ]; then
        echo "ok - $2"
    else
        echo "not ok - $2"
        failed=1
    fi
}

alone() { # LANGUAGE STANDARD COMPILER HEADER
    status=0
    echo "#include <$4>" |
        "$3" -x "$1" "-std=$2" -pedantic -Wall -Wextra -Wshadow -Wundef \
            -Werror -Iinclude -fsyntax-only - || status=1
    result $status "<$4> alone as $2"
}

for file in include/calm.h include/calm/*.h; do
    header=${file#include/}
    alone c c17 "${CC:-cc}" "$header"
    alone c++ c++17 "${CXX:-c++}" "$header"
    [ "$header" = calm.h ] && continue
    status=0
    grep -q "^#include <$header>" include/calm.h || status=1
    result $status "<calm.h> includes <$header>"
done
exit $failed
