#!/bin/sh
# predict_url_nginx.sh - calm predict --url and calm serve, nginx between them
#
# nginx is what stands before servers in practice: it speaks TLS and HTTP/2,
# and defers whoever asks for too much at once.
# shellcheck disable=SC2317 # the functions are called by check
. "$(dirname "$0")/lib.sh"
[ -x "$build/tools/train" ] || skip "built without XGBoost"
"$calm" serve --help >/dev/null || skip "built without a server"
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null || skip "no nginx (Debian's package is nginx-light)"
command -v openssl >/dev/null || skip "no openssl to make a certificate"

two_thousand_rows || exit 1
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.pem -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    2>/dev/null || exit 1

model='' proxy=''
stop() { # PROCESS...
    for process; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
    done
}
trap 'stop $proxy $model; rm -rf "$scratch"' EXIT

await() { # PROCESS COMMAND...
    process=$1 tries=0
    shift
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 600 ] && kill -0 "$process" || return 1
        sleep 0.05
    done
}

serve() { # [OPTION...]
    stop $model
    rm -f port
    "$calm" serve model.json --port 0 --port-file port "$@" 2>serve.err &
    model=$!
    await $model [ -s port ]
}

# On a port that was free a moment ago: nginx cannot tell which it has taken.
front() { # DIRECTIVES-OF-LOCATION
    stop $proxy
    free=$(python3 -c 'import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))' 2>/dev/null) ||
        free='18443 18080'
    secure=${free% *} plain=${free#* }
    cat >nginx.conf <<CONF
daemon off;
user $(id -un);
pid nginx.pid;
error_log nginx.err;
worker_processes 1;
events { worker_connections 512; }
http {
    log_format short '\$server_protocol \$status \$connection';
    access_log access.log short;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    limit_conn_zone \$server_name zone=all:1m;
    limit_conn_status 429;
    upstream model { server 127.0.0.1:$(cat port); keepalive 16; }
    server {
        listen 127.0.0.1:$plain;
        listen 127.0.0.1:$secure ssl http2;
        server_name localhost;
        ssl_certificate ca.pem;
        ssl_certificate_key key.pem;
        location / {
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://model;
            $1
        }
    }
}
CONF
    rm -f access.log
    nginx -e nginx.err -p "$scratch" -c nginx.conf &
    proxy=$!
    await $proxy accepts "$plain"
}

# The shell has no sockets; a request that fails for another reason was accepted.
accepts() { # PORT
    printf 'id\n1\n' >one.csv
    "$calm" predict one.csv --url "http://127.0.0.1:$1/v2/health/live" \
        --api samples --retries 0 --overwrite -o one.out 2>one.err
    ! grep -q 'refused' one.err
}

predict() { # URL [OPTION...]
    rm -rf out.csv*
    url=$1
    shift
    "$calm" predict rows.csv --url "$url" -o out.csv --batch-size 20 "$@"
}
all_right() { # URL [OPTION...]: every row is answered, as by the model itself
    exits 0 predict "$@" && cmp out.csv expected.csv
}
connections() {
    sort -u access.log | awk '{ print $3 }' | sort -u | wc -l
}

serve || exit 1
if ! front ''; then
    cat nginx.err
    exit 1
fi

# ---- what it speaks ----

check 'rows go through a proxy' all_right "http://127.0.0.1:$plain/predict"
check 'on kept connections' [ "$(connections)" -le 20 ]

export SSL_CERT_FILE="$scratch/ca.pem"
: >access.log
check 'they go by TLS' all_right "https://localhost:$secure/predict"
check 'which is HTTP/2' grep -q '^HTTP/2.0 200' access.log
check 'and nothing else' [ "$(grep -cv '^HTTP/2.0 ' access.log)" = 0 ]
check 'all on one or two connections' [ "$(connections)" -le 2 ]
: >access.log
check 'the Open Inference Protocol goes that way, too' \
    all_right "https://127.0.0.1:$secure/v2/models/model" --truth label
SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
unknown() {
    exits 4 predict "https://localhost:$secure/predict" &&
        grep -q certificate err && [ ! -e out.csv ]
}
check 'a certificate that nobody vouches for stops the run' unknown
SSL_CERT_FILE=$scratch/ca.pem

# ---- what it refuses ----

serve --drill delay=20ms && front 'limit_conn all 5;' || exit 1
deferred() {
    exits 0 predict "http://127.0.0.1:$plain/predict" -v --batch-size 4 &&
        cmp out.csv expected.csv && grep -q ' 429 ' access.log
}
check 'no row is lost by a proxy that defers beyond five at once' deferred
# Each needless request was refused; a client that knows no limit would see
# far more of these than good answers.
check 'and few requests are refused' \
    [ "$(grep -c ' 429 ' access.log)" -lt 125 ]

# ---- what breaks behind it ----

serve --drill delay=5ms && front '' || exit 1
broken() {
    rm -rf out.csv*
    "$calm" predict rows.csv --url "http://127.0.0.1:$plain/predict" \
        -o out.csv --batch-size 4 --concurrency 4 2>err &
    run=$!
    await $run [ -s out.csv.calm-part ]
    port=$(cat port)
    kill -KILL $model
    wait $model 2>/dev/null
    sleep 0.3
    "$calm" serve model.json --port "$port" 2>serve.err &
    model=$!
    wait $run || { cat err; return 1; }
    cmp out.csv expected.csv && grep -q ' 502 ' access.log
}
check 'a model that is killed and started anew loses no row' broken
finish
