#!/bin/sh
# valgrind.sh BUILD - tests without tasks, under valgrind
#
# Memory that is read before it was written is what the sanitizers do not see.
# Stacks of tasks confuse valgrind, so this is for the parsers and the like.
set -u
build=$1
command -v valgrind >/dev/null || {
    echo 'no valgrind'
    exit 77
}
failed=0
for name in api api_error api_lines api_template api_v2 bytes csv duration \
    failures heap hints journal_format json json_write number random selection \
    serve_drill_words; do
    program=$build/tests/unit/test_$name
    [ -x "$program" ] || continue
    if valgrind --quiet --error-exitcode=9 --leak-check=full \
        --errors-for-leak-kinds=definite "$program" >"$program.log" 2>&1; then
        echo "ok - $name under valgrind"
    else
        grep -E '^==|FAILED' "$program.log" | head -n 40
        echo "not ok - $name under valgrind"
        failed=1
    fi
done
exit $failed
