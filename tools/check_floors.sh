#!/bin/sh
# check_floors.sh - fails when an include breaks the order of the floors
#
# src/ is a house of floors; a file may include from its own floor and those
# below it. Some headers of the system belong to one floor only, so that what
# lies behind them can be exchanged there. The command and the examples stand
# on the public headers alone. docs/design.md has the reasons.
set -eu
cd "$(dirname "$0")/.."

# Every include of the tree as "FILE:LINE KIND TARGET", KIND being the opening
# delimiter: a quote or a "<".
includes() {
    grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' \
        --include='*.[chS]' --include='*.cpp' src cli examples include |
        sed -E 's/^([^:]*:[0-9]*):[^"<]*(["<])([^">]*).*/\1 \2 \3/'
}

includes | awk '
    BEGIN {
        for (i = split("base core host io ml monitor", names); i > 0; i--)
            height[names[i]] = i

        # Headers of the system with a floor of their own.
        home["liburing.h"] = home["sys/epoll.h"] = "host"
        home["sys/eventfd.h"] = home["sys/timerfd.h"] = "host"
        home["sys/signalfd.h"] = home["semaphore.h"] = "host"
        home["pthread.h"] = "host"
        home["curl/curl.h"] = home["microhttpd.h"] = "io"
        home["simdjson.h"] = home["zlib.h"] = home["zstd.h"] = "io"
        home["netdb.h"] = "io"
        home["xgboost/c_api.h"] = home["xxhash.h"] = "ml"
        home["ucontext.h"] = "core"
    }

    function wrong(why) {
        printf "%s: %s%s: %s\n", place, kind, target, why
        failed = 1
    }

    {
        place = $1; kind = $2; target = $3
        split(place, folder, "/")
        split(target, part, "/")
        top = folder[1]; floor = folder[2]
    }

    # An example compares with plain threads, and may start them.
    kind == "<" && target in home && top != "src" {
        if (!(top == "examples" && target == "pthread.h"))
            wrong("belongs to src/" home[target] " only")
    }
    kind == "<" && target in home && top == "src" && floor != home[target] {
        wrong("belongs to src/" home[target] " only")
    }

    kind == "\"" && top == "src" {
        if (!(part[1] in height) || part[2] == "")
            wrong("write it from src/, with its floor")
        else if (height[part[1]] > height[floor])
            wrong("floor " floor " is below " part[1])
    }

    # The command may be several files; an example is one.
    kind == "\"" && top == "cli" && (part[2] != "" || part[1] in height) {
        wrong("not a public header")
    }
    kind == "\"" && top == "examples" { wrong("not a public header") }
    kind == "\"" && top == "include" { wrong("write <calm/...>") }

    END {
        if (failed)
            exit 1
        print "ok - " NR " includes keep the order of the floors"
    }'
