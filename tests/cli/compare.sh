#!/bin/sh
# compare.sh BUILD - calm compare as users run it: figures that agree with each
# other, and nothing left behind, also by kills
. "$(dirname "$0")/lib.sh"

quick='--tasks 20 --duration 5 --work 20000 --repeat 3'
mkdir tmp files
export TMPDIR="$scratch/tmp"
for i in 1 2 3 4 5; do
    echo "file $i" >"files/$i.txt"
done

# shellcheck disable=SC2086 # a list of words
check "it measures all works and ends with 0" \
    exits 0 "$calm" compare $quick --json a.json --plot a.svg
cp out a.txt

agree() {
    python3 - <<'PYTHON'
import json
data = json.load(open("a.json"))
text = open("a.txt").read()
assert data["processors"] > 0
names = [w["name"] for w in data["workloads"]]
assert names in (["io", "files", "http", "cpu", "mixed"],
                 ["io", "files", "cpu"]), names  # built without a server
for work in data["workloads"]:
    assert work["verdict"] in text, work["verdict"]
    by_name = {a["name"]: a for a in work["approaches"]}
    assert list(by_name) == ["sync", "async", "threads", "processes"]
    sync = by_name["sync"]["wall"]["median"]
    for a in by_name.values():
        assert "error" not in a, a
        wall = a["wall"]
        assert wall["all"] == sorted(wall["all"]) and len(wall["all"]) == 3
        assert wall["low"] <= wall["median"] <= wall["high"]
        assert wall["median"] == wall["all"][1]
        assert abs(a["speed_up"] - sync / wall["median"]) < 1e-9
        rate = work["tasks"] / wall["median"]
        assert abs(a["tasks_per_second"] - rate) < 1e-6 * rate
        assert a["p50"] <= a["p99"] and a["peak_memory"] > 1e5
        assert a["limit"] in text
        assert a["measured_tasks"] == work["tasks"] and not a["estimated"]
PYTHON
}
check "JSON and table say the same, and the figures agree" agree

# Recommended is what no other is faster than, beyond the noise, as the manual
# defines it.
follows() {
    python3 - <<'PYTHON'
import json
for work in json.load(open("a.json"))["workloads"]:
    walls = {a["name"]: a["wall"] for a in work["approaches"]}
    chosen = work["verdict"].split()[1].rstrip(":;")
    for name, wall in walls.items():
        faster = (wall["high"] < walls[chosen]["low"] and
                  walls[chosen]["median"] > 1.02 * wall["median"])
        assert not faster, (work["name"], chosen, name)
PYTHON
}
check "nothing is faster than what the verdict recommends" follows

well_formed() {
    python3 - <<'PYTHON'
import xml.etree.ElementTree as tree
root = tree.parse("a.svg").getroot()
svg = "{http://www.w3.org/2000/svg}"
assert root.tag == svg + "svg"
bars = [r for r in root.iter(svg + "rect")]
assert len(bars) in (12, 20) and all(float(r.get("width")) > 0 for r in bars)
right = float(root.get("width"))
for r in bars:
    assert float(r.get("x")) + float(r.get("width")) < right
assert "prefers-color-scheme: dark" in root.find(svg + "style").text
PYTHON
}
check "the picture is well-formed, with a bar for each approach" well_formed

waits_at_once() {
    "$calm" compare io --tasks 50 --duration 20 --repeat 1 --json - >b.json &&
        python3 - <<'PYTHON'
import json
work = json.load(open("b.json"))["workloads"][0]
by_name = {a["name"]: a for a in work["approaches"]}
assert by_name["sync"]["wall"]["median"] >= 1.0
assert by_name["async"]["wall"]["median"] < 0.5
PYTHON
}
check "fifty waits at once take as long as one, and JSON may go to stdout" \
    waits_at_once
estimated() {
    "$calm" compare io --tasks 100 --duration 60 --repeat 1 --warmup 0 >c.txt &&
        grep -q '^sync  *[0-9.]* s~' c.txt &&
        grep -qE 'sync is estimated from [0-9]+ of 100 tasks' c.txt
}
check "what takes long is estimated, and marked" estimated
check "the files of a folder are read" \
    exits 0 "$calm" compare files --dir files --repeat 1
check "and each of them once" grep -q "^files: 5 tasks, each reads .*'files'" out

full_output() {
    [ -w /dev/full ] || return 0
    "$calm" compare io --tasks 2 --duration 1 --repeat 1 >/dev/full 2>err
    [ $? -eq 1 ] && grep -q 'cannot write to standard output' err
}
check "an output that is full is an error" full_output
completes() { # WORD CANDIDATE
    # shellcheck disable=SC2016 # for the other shell
    bash -c '. "$1"; COMP_WORDS=(calm compare "$2"); COMP_CWORD=2
        _calm 2>/dev/null; echo "${COMPREPLY[*]}"' bash \
        "$source_root/man/calm.bash" "$1" | grep -qw -- "$2"
}
check "its works are completed" completes mi mixed
check "its options, too" completes --pl --plot

check "an unknown work is refused" exits 2 "$calm" compare dance
check "and named" grep -q "'dance' is no work" err
check "an unknown option is refused" exits 2 "$calm" compare --fast
check "a number that is none is refused" exits 2 "$calm" compare --tasks ten
check "a value that is missing is refused" exits 2 "$calm" compare --tasks
check "no tasks are refused" exits 2 "$calm" compare --tasks 0
check "a file that cannot be written is refused before it measures" \
    exits 2 "$calm" compare io --plot no/such/folder.svg
check "so is a picture that is none of SVG" \
    exits 2 "$calm" compare io --plot picture.png
check "a folder that is not there is an error" \
    exits 1 "$calm" compare files --dir nowhere
check "and named" grep -q "'nowhere'" err
mkdir empty
check "so is one without files" exits 1 "$calm" compare files --dir empty
check "nobody at a URL is an error of each approach" \
    exits 1 "$calm" compare http --repeat 1 \
    --url 'http://user:secret@127.0.0.1:1/x?key=secret'
check "and told without what may be secret" \
    sh -c "grep -q '127.0.0.1:1/x' err && ! grep -q secret out err"
refusing_server() {
    python3 - <<'PYTHON' &
import http.server, os

class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)
    def log_message(self, *words):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
with open("port.new", "w") as file:
    file.write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
PYTHON
    refusing=$!
    while [ ! -s port ] && kill -0 "$refusing"; do sleep 0.02; done
    exits 1 "$calm" compare http --repeat 1 --tasks 2 \
        --url "http://127.0.0.1:$(cat port)/"
    refused=$?
    kill "$refusing"
    wait "$refusing" 2>/dev/null
    [ "$refused" -eq 0 ] && grep -q 'the server answered 404' out
}
check "an answer that is no good one is an error, too" refusing_server
check "the help is there" exits 0 "$calm" compare --help

# Asks the server that a comparison has started for what it is, and what it was
# asked for.
own_service() {
    "$calm" compare http --tasks 4 --duration 300 --repeat 1 >out 2>err &
    comparing=$!
    python3 - <<'PYTHON'
import glob, json, os, time, urllib.request

def port():
    for comm in glob.glob("/proc/[0-9]*/comm"):
        home = os.path.dirname(comm)
        try:
            mine = "TMPDIR=" + os.environ["TMPDIR"] + "\0" in open(
                home + "/environ").read()
            if not mine or open(comm).read() != "calm-server\n":
                continue
            held = {os.readlink(name) for name in glob.glob(home + "/fd/*")}
            for line in open(home + "/net/tcp").read().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and f"socket:[{words[9]}]" in held:
                    return int(words[1].split(":")[1], 16)
        except OSError:
            pass

found, until = None, time.time() + 20
while not found and time.time() < until:
    found = port()
    time.sleep(0.01)
time.sleep(0.5)

def ask(path):
    return urllib.request.urlopen(
        f"http://127.0.0.1:{found}{path}").read().decode()

assert json.loads(ask("/v2"))["name"] == "calm"
assert 'endpoint="server",status="200"' in ask("/metrics")
PYTHON
    answered=$?
    wait "$comparing" && [ "$answered" -eq 0 ]
}
if grep -q '"name": *"http"' a.json; then
    check "what it requests by default is a calm serve" own_service
fi

# ---- what is left ----

# The processes of this test: they have its folder as their TMPDIR.
alive() {
    grep -lsz "^TMPDIR=$TMPDIR\$" /proc/[0-9]*/environ |
        while read -r file; do
            id=${file#/proc/}
            id=${id%/environ}
            case $(cat "/proc/$id/comm" 2>/dev/null) in
            calm*) echo "$id" ;;
            esac
        done
}

nothing_left() {
    for try in $(seq 200); do
        [ -z "$(alive)" ] && [ -z "$(ls tmp)" ] && return 0
        sleep 0.02
    done
    echo "processes: $(alive)"
    ls tmp
    return 1
}
check "nothing is left" nothing_left

# Starts a long comparison of files and waits until it works.
begin() {
    env "$calm" compare files --repeat 100 --json k.json >k.out 2>k.err &
    pid=$!
    for try in $(seq 500); do
        [ "$(alive | wc -l)" -ge 8 ] && [ -n "$(ls tmp)" ] && return 0
        sleep 0.02
    done
    echo "it did not begin"
    return 1
}

ended_by() { # SIGNAL CODE
    begin || return 1
    kill -s "$1" "$pid"
    wait "$pid"
    code=$?
    [ "$code" -eq "$2" ] || { echo "exit $code"; return 1; }
    nothing_left && [ ! -e k.json ]
}
# A shell makes what it starts in the background ignore SIGINT.
check "SIGTERM ends it by the signal, with nothing left" ended_by TERM 143
check "SIGHUP too" ended_by HUP 129
check "a kill leaves nothing, either" ended_by KILL 137
interrupted() {
    python3 - "$calm" <<'PYTHON' || return 1
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
run = subprocess.Popen([sys.argv[1], "compare", "io", "--repeat", "50"],
                       stdout=subprocess.DEVNULL)
time.sleep(0.5)
run.send_signal(signal.SIGINT)
assert run.wait(timeout=10) == -signal.SIGINT, run.returncode
PYTHON
    nothing_left
}
check "Ctrl-C ends it by the signal" interrupted

# A worker that is killed is replaced or is its task's error, and the rest goes
# on: whatever happens, it ends by itself, and says so.
worker_killed() {
    "$calm" compare io --tasks 20 --duration 50 --repeat 3 >w.out 2>w.err &
    pid=$!
    for try in $(seq 300); do
        for id in $(alive); do
            [ "$(cat "/proc/$id/comm" 2>/dev/null)" = calm-worker ] || continue
            kill -9 "$id"
            break 2
        done
        sleep 0.01
    done
    wait "$pid"
    code=$?
    nothing_left || return 1
    case $code in
    0) ! grep -q failed w.out ;;
    1) grep -q 'the worker process was ended by SIGKILL' w.err &&
        grep -q '^processes.*failed' w.out ;;
    *) return 1 ;;
    esac
}
check "a worker that is killed is survived or told" worker_killed
finish
