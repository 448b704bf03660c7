#!/bin/sh
# check_lines.sh - an example's lines of code, held against a limit
#
# An example must read as its Python form does: at most 1.3 times its lines,
# from which the limits below come. Counted are the lines that hold code:
# no blank lines, no block comments. Examples not written yet are left out.
set -eu
cd "$(dirname "$0")/.."

code_lines() {
    awk '
        { while (1) {
              if (inside) {
                  if (!(end = index($0, "*/"))) { $0 = ""; break }
                  $0 = substr($0, end + 2); inside = 0
              } else {
                  if (!(start = index($0, "/*"))) break
                  rest = substr($0, start + 2)
                  before = substr($0, 1, start - 1)
                  if (!(end = index(rest, "*/"))) { $0 = before; inside = 1; break }
                  $0 = before substr(rest, end + 2)
              }
          } }
        /[^[:space:]]/ { count++ }
        END { print count + 0 }' "$1"
}

failed=0
while read -r name limit; do
    [ -e "examples/$name.c" ] || continue
    lines=$(code_lines "examples/$name.c")
    if [ "$lines" -le "$limit" ]; then
        echo "ok - $name: $lines lines of code, at most $limit"
    else
        echo "not ok - $name: $lines lines of code, more than $limit"
        failed=1
    fi
done <<LIMITS
async_basics 49
async_multiple 50
async_file_io 83
async_api_calls 55
async_ml_pipeline 91
async_error_handling 67
concurrency_comparison 78
validate_async 39
LIMITS
exit $failed
