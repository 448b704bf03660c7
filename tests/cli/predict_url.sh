#!/bin/sh
# predict_url.sh - calm predict --url against calm serve, on good days and bad
# shellcheck disable=SC2317 # the functions are called by check
. "$(dirname "$0")/lib.sh"
[ -x "$build/tools/train" ] || skip "built without XGBoost"
"$calm" serve --help >/dev/null || skip "built without a server"

two_thousand_rows || exit 1

servers=''
stop_servers() {
    for server in $servers; do
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    done
    servers=''
}
trap 'stop_servers; rm -rf "$scratch"' EXIT

# Starts one, whose URL is then in $url; it waits for the port.
serve() { # [OPTION...]
    stop_servers
    rm -f port
    "$calm" serve model.json --port 0 --port-file port "$@" 2>serve.err &
    servers=$!
    tries=0
    while [ ! -s port ]; do
        tries=$((tries + 1))
        [ "$tries" -le 1200 ] && kill -0 "$servers" || return 1
        sleep 0.05
    done
    url=http://127.0.0.1:$(cat port)
}

predict() { # [OPTION...]
    rm -rf out.csv*
    "$calm" predict rows.csv --url "$url/predict" -o out.csv \
        --batch-size 20 "$@"
}
all_right() { # [OPTION...]: every row is answered, as by the model itself
    exits 0 predict "$@" && cmp out.csv expected.csv
}

# ---- what is spoken ----

serve || exit 1
features=$(head -n 1 held.csv | cut -d, -f2- | sed 's/,label$//')
check 'samples give what the model gives' all_right
check 'as arrays of numbers, too' all_right --features "$features"
# As an embedded model fails it, and its neighbours go on.
member_twice_fails() {
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) name[i] = $i; next }
        NR < 4 {
            printf "{"
            for (i = 1; i <= NF; i++)
                printf("%s\"%s\":%s", (i > 1 ? "," : ""), name[i], $i)
            print (NR == 3 ? ",\"mean_radius\":1}" : "}") }' held.csv >twice.jsonl
    exits 3 "$calm" predict twice.jsonl --url "$url/predict" --truth label \
        -o twice.csv --overwrite && [ "$(wc -l <twice.csv)" = 2 ] &&
        grep -q "'mean_radius' is there twice" twice.csv.errors.jsonl
}
check 'a line with a member twice fails alone' member_twice_fails
truths_of_any_kind() { # TRUTH SUMMARY
    awk -F, -v OFS=, -v truth="$1" 'NR > 1 { $NF = truth } NR < 5' held.csv \
        >truths.csv
    exits 0 "$calm" predict truths.csv --url "$url/predict" --truth label \
        -o truths.out.csv --overwrite && grep -q "$2" err
}
check 'truths of the first batch tell that there are no classes' \
    truths_of_any_kind 0.5 'RMSE 0'
check 'or that there are' truths_of_any_kind 1 'accuracy [01]'
texts_of_nothing() {
    awk -F, -v OFS=, 'BEGIN { split("NA,nan,NULL,-999,,N/A", text, ",") }
        NR > 1 { $2 = text[1 + NR % 6] } { print }' held.csv >nothing.csv
    set -- --missing NA --missing -999 --missing NULL --missing N/A
    "$calm" predict nothing.csv --model model.json -o given.csv "$@" &&
        cut -d, -f1,2 given.csv >wanted.csv &&
        "$calm" predict nothing.csv --url "$url/predict" -o got.csv "$@" &&
        cmp got.csv wanted.csv || return 1
    sed 's/,-999,/,NA,/' nothing.csv >usual.csv
    "$calm" predict usual.csv --url "$url/predict" -o got.csv --overwrite &&
        cmp got.csv wanted.csv
}
check 'texts that mean no value mean it in objects, too' texts_of_nothing
for backend in io_uring epoll; do
    check "on the backend $backend, too" \
        env CALM_BACKEND=$backend "$calm" predict rows.csv \
        --url "$url/predict" -o "$backend.csv"
    check 'with the same rows' cmp "$backend.csv" expected.csv
done
protocol() { # PATH OPTION...
    path=$1
    shift
    rm -rf protocol.csv*
    "$calm" predict rows.csv --url "$url/$path" -o protocol.csv \
        --truth label "$@" && cmp protocol.csv expected.csv
}
check 'the Open Inference Protocol gives the same' protocol v2/models/model
check 'and by its full path' protocol v2/models/model/infer
check 'KServe v1 gives the same' protocol v1/models/model:predict
check 'compressed input, too' sh -c "gzip -k rows.csv &&
    '$calm' predict rows.csv.gz --url '$url/predict' -o gz.csv &&
    cmp gz.csv expected.csv"
check 'standard input to standard output, too' sh -c "
    '$calm' predict - --url '$url/predict' -o - <rows.csv >piped.csv &&
    cmp piped.csv expected.csv"
unordered() {
    exits 0 predict --unordered && cut -d, -f2- out.csv | sort >sorted &&
        sort expected.csv | cmp - sorted
}
check 'rows in any order are the same rows' unordered
check 'the truth is compared' sh -c "
    '$calm' predict held.csv --url '$url/predict' -o held_out.csv \
        --truth label 2>&1 | grep -q 'accuracy 0.9'"
refused_columns() {
    exits 2 "$calm" predict held.csv --url "$url/v2/models/model" -o v2.csv &&
        grep -q 'expects 30 features' err && [ ! -e v2.csv.calm-part ]
}
check 'columns that do not fit are refused before anything is made' \
    refused_columns
unknown_model() {
    exits 3 "$calm" predict held.csv --url "$url/v2/models/none" -o none.csv \
        --truth label && grep -q '404.*none' err
}
check 'a model that is not there is told by its name' unknown_model

no_model() {
    exits 2 "$calm" predict held.csv --url "$url" -o bare.csv &&
        grep -q "hint: --url $url/v2/models/NAME" err
}
check 'a URL that is only a server is asked what it speaks' no_model

# ---- bad days: none of them loses a row ----

bad_day() { # SENTENCE DRILL [OPTION...]
    sentence=$1
    drill=$2
    shift 2
    serve --seed 5 --drill "$drill" || exit 1
    check "$sentence" all_right "$@"
}
quick='--retries 20 --max-failures none'
# shellcheck disable=SC2086 # lists of options
{
    bad_day 'errors that pass lose no row' fail=503:0.1 $quick
    bad_day 'reset connections lose no row' reset=0.05 $quick
    bad_day 'bodies that are cut short lose no row' cut=0.05 $quick
    bad_day 'answers without an end lose no row' malformed=0.02 $quick
    bad_day 'answers with too few results lose no row' fewer=0.02 $quick
    bad_day 'silence loses no row' silent=0.02,times=3 --timeout 300ms $quick
    bad_day 'a server that asks to wait is waited for' \
        throttle=0.1:1s,times=2 $quick
    bad_day 'slow answers keep the order' delay=2ms,slow=20:0.01
    bad_day 'a limit of requests in a time is found in the headers' \
        ratelimit=30:1s $quick
}
concurrency_found() {
    all_right --retries 20 --progress always &&
        tr '\r' '\n' <err | grep 'at once' | tail -n 1 |
        awk '{ exit !($(NF - 2) >= 2 && $(NF - 2) <= 7) }'
}
serve --drill concurrent=5:429,delay=5ms || exit 1
check 'a server that takes five at once gets about five' concurrency_found

# ---- what fails for good ----

# 11.8 is the first number of a row of its own, or none is.
number=$(cut -d, -f2 held.csv | sed -n 5p)
serve --drill "poison=$number" || exit 1
poisoned() {
    bad_rows=$(awk -F, -v n="$number" 'NR > 1 { for (i = 2; i < NF; i++)
        if ($i + 0 == n + 0) { bad++; break } } END { print bad + 0 }' rows.csv)
    exits 3 predict || return 1
    [ "$(wc -l <out.csv.errors.jsonl)" = "$bad_rows" ] &&
        [ "$(wc -l <out.csv)" = $((2001 - bad_rows)) ] &&
        grep -q '"status":400,' out.csv.errors.jsonl &&
        grep -vxFf out.csv expected.csv | wc -l | grep -qx "$bad_rows"
}
check 'only the bad rows of a batch fail' poisoned

stops() { # DRILL TEXT: exit 4, with what is done kept
    serve --drill "$1" || return 1
    exits 4 predict || return 1
    grep -q "$2" err && [ -e out.csv.calm-part ] && [ ! -e out.csv ]
}
check 'an exhausted quota stops the run' stops quota=20 insufficient_quota
check 'a closed door stops the run' stops fail=401 'status 401'
check 'a server that is broken stops the run' stops fail=404 'of the last 100'
check 'a wait that is too long stops the run' stops throttle=1:1h '3600 s'
resumed() {
    rm -rf out.csv*
    serve --drill quota=20 || return 1
    exits 4 predict || return 1
    serve || return 1
    exits 0 "$calm" predict rows.csv --url "$url/predict" -o out.csv \
        --batch-size 20 --force-resume && cmp out.csv expected.csv
}
check 'what it stopped goes on where it was' resumed
stop_servers
check 'a server that is not there stops the run' exits 4 predict
check 'and no row has failed' [ ! -e out.csv.errors.jsonl.calm-part ]

# Begins, and returns when rows are under way and the first are written.
begin() { # OPTION...
    rm -rf out.csv*
    "$calm" predict rows.csv --url "$url/predict" -o out.csv "$@" 2>err &
    run=$!
    while [ ! -s out.csv.calm-part ] && kill -0 $run; do sleep 0.02; done
}

# Killed meanwhile, and started anew on its port.
outage() { # SECONDS
    serve --drill delay=5ms || return 1
    begin --batch-size 4 --concurrency 4
    port=$(cat port)
    kill -KILL "$servers"
    wait "$servers" 2>/dev/null
    sleep "$1"
    "$calm" serve model.json --port "$port" 2>serve.err &
    servers=$!
    wait $run || { cat err; return 1; }
    cmp out.csv expected.csv && grep -q ' 0 failed' err &&
        ! grep -q ' 0 retries' err
}
check 'a server that is away for four seconds fails no row' outage 4

# A row's own failure is tried again when it was not the row's.
retried() {
    serve --drill "poison=$number" || return 1
    exits 3 predict || return 1
    serve || return 1
    exits 0 "$calm" predict rows.csv --url "$url/predict" -o out.csv \
        --batch-size 20 --retry-failed && cmp out.csv expected.csv &&
        [ ! -e out.csv.errors.jsonl ]
}
check 'the rows that failed are tried again' retried

# ---- signals ----

interrupted() { # SIGNAL CODE
    serve --drill delay=20ms || return 1
    begin --batch-size 20 --concurrency 2
    kill -s "$1" $run
    wait $run
    [ $? = "$2" ] && grep -q 'left and what was not read' err &&
        [ ! -e out.csv ] || return 1
    exits 0 "$calm" predict rows.csv --url "$url/predict" -o out.csv \
        --batch-size 20 --concurrency 2 && cmp out.csv expected.csv
}
check 'SIGTERM ends it with a summary, and it goes on' interrupted TERM 143

# ---- secrets ----

planted=s3cr3t-t0ken
echo $planted >key
secret_is_sent() {
    serve --token-file key --host 0.0.0.0 --expose || return 1
    url=http://127.0.0.1:$(cat port)
    exits 4 predict && grep -q 'status 401' err || return 1
    exits 0 predict --api-key-file key || return 1
    CALM_API_KEY=$planted exits 0 predict && cmp out.csv expected.csv || return 1
    exits 0 predict --header "Authorization: @bearer" || return 1
}
echo "Bearer $planted" >bearer
check 'a key opens the door' secret_is_sent
secret_is_kept() {
    stop_servers
    for options in '-v' '-v --progress always --summary summary.json'; do
        # shellcheck disable=SC2086 # a list of options
        exits 4 predict --api-key-file key --retries 0 $options
        cat out err out.csv* summary.json 2>/dev/null | grep -q $planted &&
            return 1
    done
    url=http://user:$planted@127.0.0.1:1
    exits 2 predict --retries 0 && ! cat out err | grep -q $planted || return 1
    url="http://127.0.0.1:1/v1/embeddings?key=$planted"
    exits 2 predict --retries 0 && ! cat out err | grep -q $planted
}
check 'and is shown nowhere' secret_is_kept
check 'a secret as an argument is refused' exits 2 "$calm" predict rows.csv \
    --url http://127.0.0.1:1/ -o x.csv --header "Authorization: Bearer x"

# ---- what is refused ----

check 'options of a URL are none of a model' exits 2 "$calm" predict held.csv \
    --model model.json -o x.csv --retries 3
url=http://127.0.0.1:1
for options in '--api v3' '--concurrency 0' '--rate 5' '--rate x/s' \
    '--timeout 0' '--patience 0' '--timeout 5x' '--retries -1' '--max-failures 0%' \
    '--max-failures 5' '--header x' '--api-key-file none' '--template none' \
    '--model model.json' '--result-path a..b'; do
    # shellcheck disable=SC2086 # a list of options
    check "'$options' is refused" exits 2 predict $options
done
exists_at_once() { # a request would be tried for long
    echo kept >there.csv
    exits 2 timeout 20 "$calm" predict rows.csv -o there.csv \
        --url "$url/v2/models/model" && grep -q 'there.csv. exists' err &&
        [ "$(cat there.csv)" = kept ]
}
check 'an output that exists is refused before anything is sent' exists_at_once
check 'a URL of another scheme is refused' exits 2 "$calm" predict rows.csv \
    --url ftp://127.0.0.1/ -o out.csv
check 'a URL without a host is refused' exits 2 "$calm" predict rows.csv \
    --url http:///predict -o out.csv
finish
