#!/bin/sh
# predict_url_aiohttp.sh - calm predict --url against servers of another make
#
# usage: predict_url_aiohttp.sh BUILD
set -eu
here=$(dirname "$0")
for python in /usr/bin/python3 python3; do
    if "$python" -c 'import aiohttp' 2>/dev/null; then
        exec "$python" "$here/predict_url_aiohttp.py" "$1"
    fi
done
echo "skipped: no python3 with aiohttp (Debian's package is python3-aiohttp)"
exit 77
