#!/bin/sh
# model_python.sh - calm's predictions equal those of XGBoost in Python
#
# usage: model_python.sh MODEL_VALUES (the program built from model_values.c)
set -eu
here=$(dirname "$0")
python=
for candidate in /usr/bin/python3 python3; do
    if "$candidate" -c 'import numpy, xgboost' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "skipped: no python3 with numpy and xgboost" \
        "(Debian's package is python3-xgboost)"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" "$here/model_python.py" "$1" "$folder"
