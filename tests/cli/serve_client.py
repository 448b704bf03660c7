"""serve_client.py - talks to calm serve, well and badly

    serve_client.py CALM MODEL HELD.csv EXPECTED.csv

Prints "ok SENTENCE" or "not ok SENTENCE" for each thing that it checks; see
serve.sh. Sockets are used where a library would not send what is meant.
"""
import contextlib
import csv
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

CALM, MODEL, HELD, EXPECTED = sys.argv[1:5]
BINARY = "Inference-Header-Content-Length"
failed = False


def check(sentence, holds, detail=""):
    global failed
    if holds:
        print("ok", sentence)
    else:
        failed = True
        print("not ok", sentence)
        if detail != "":
            print("   ", detail)
    sys.stdout.flush()


class Server:
    def __init__(self, *options, models=(MODEL,), environment=None):
        self.folder = tempfile.mkdtemp(dir=".")
        port_file = os.path.join(self.folder, "port")
        self.process = subprocess.Popen(
            [CALM, "serve", *models, "--port", "0", "--port-file", port_file,
             *options],
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})})
        self.first_line = self.process.stderr.readline()
        with open(port_file) as file:
            self.port = int(file.read())

    def ask(self, method, path, body=None, headers=None):
        """One request on a connection of its own: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def post(self, path, value, headers=None):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        status, headers, text = self.ask(
            "POST", path, body,
            {"Content-Type": "application/json", **(headers or {})})
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def get(self, path, headers=None):
        status, _, text = self.ask("GET", path, None, headers)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def raw(self, data, wait=5.0):
        """Sends bytes, and returns all that comes until the end."""
        with socket.create_connection(("127.0.0.1", self.port), wait) as peer:
            peer.sendall(data)
            return receive_all(peer)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(30)
        return code, self.process.stderr.read()


def receive_all(peer):
    text = b""
    try:
        while True:
            part = peer.recv(65536)
            if not part:
                return text
            text += part
    except socket.timeout:
        return text + b"<still open>"
    except ConnectionError:
        return text + b"<reset>"


@contextlib.contextmanager
def serving(*options, **others):
    server = Server(*options, **others)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def close(got, wanted):
    return len(got) == len(wanted) and all(
        abs(a - b) < 1e-6 for a, b in zip(got, wanted))


def status_of(answer):
    return int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None


with open(HELD) as file:
    table = list(csv.reader(file))
names = [name for name in table[0] if name not in ("sample_id", "label")]
places = [table[0].index(name) for name in names]
objects = [{k: float(v) for k, v in zip(table[0], row)} for row in table[1:]]
rows = [[float(row[i]) for i in places] for row in table[1:]]
with open(EXPECTED) as file:
    expected = list(csv.DictReader(file))
wanted = [float(row["prediction"]) for row in expected]
labels = [int(row["label"]) for row in expected]
FLAT = [number for row in rows[:3] for number in row]
WIDTH = len(names)


def infer(data, shape=None, datatype="FP32", name="input", **more):
    return {"inputs": [{"name": name, "shape": shape or [3, WIDTH],
                        "datatype": datatype, "data": data}], **more}


def protocols(server):
    check("one line says where it serves",
          server.first_line == "calm: serving 2 models on "
          f"http://127.0.0.1:{server.port}\n", server.first_line)
    status, answer = server.post("/predict", {"samples": objects})
    check("samples as objects give what calm predict gives",
          status == 200 and close(answer["predictions"], wanted), answer)
    status, answer = server.post("/models/second/predict", {"samples": rows})
    check("samples as arrays do, too, of a model by its name",
          status == 200 and close(answer["predictions"], wanted), answer)
    status, answer = server.post("/predict", {"samples": []})
    check("no samples are no predictions",
          (status, answer) == (200, {"predictions": []}), answer)
    first = dict(objects[0])
    del first[names[3]]
    second = {**objects[0], names[3]: None}
    status, answer = server.post("/predict", {"samples": [first, second]})
    check("what is absent is missing, as is null",
          status == 200 and
          answer["predictions"][0] == answer["predictions"][1], answer)

    status, answer = server.post("/v1/models/model:predict",
                                 {"instances": rows})
    check("v1 takes instances",
          status == 200 and close(answer["predictions"], wanted), answer)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    status, answer = server.post("/v1/models/model/versions/1:predict",
                                 {"inputs": columns})
    check("and columns", status == 200 and close(answer["outputs"], wanted),
          answer)
    status, answer = server.post("/v1/models/model:predict",
                                 {"inputs": columns, "instances": rows})
    check("but not both", status == 400 and "both" in answer["error"], answer)
    check("v1 lists the models",
          server.get("/v1/models") == (200, {"models": ["model", "second"]}))


def inference(server):
    path = "/v2/models/model/infer"
    check("the server is live and ready",
          server.get("/v2/health/live")[0] == 200 and
          server.get("/v2/health/ready")[0] == 200 and
          server.get("/v2/models/second/versions/1/ready")[0] == 200)
    status, about = server.get("/v2")
    check("the server tells its extensions",
          status == 200 and about["extensions"] == ["binary_tensor_data"])
    status, about = server.get("/v2/models/model")
    check("metadata tells shapes and types",
          about["inputs"] == [{"name": "input", "datatype": "FP32",
                               "shape": [-1, WIDTH]}] and
          about["versions"] == ["1"] and
          [o["name"] for o in about["outputs"]] == ["prediction", "label"],
          about)
    for form, data in (("flat", FLAT), ("nested", rows[:3])):
        status, answer = server.post(path, infer(data, id="b\u00e97"))
        check(f"{form} data is inferred, and the id comes back",
              status == 200 and answer["id"] == "b\u00e97" and
              answer["model_name"] == "model" and
              close(answer["outputs"][0]["data"], wanted[:3]) and
              answer["outputs"][0]["shape"] == [3] and
              answer["outputs"][1]["data"] == labels[:3], answer)
    status, answer = server.post(
        path, infer(FLAT, outputs=[{"name": "label"}]))
    check("only the outputs asked for come",
          [o["name"] for o in answer["outputs"]] == ["label"], answer)
    by_name = [{"name": name, "shape": [3, 1], "datatype": "FP64",
                "data": [row[i] for row in rows[:3]]}
               for i, name in enumerate(names)]
    status, answer = server.post(path, {"inputs": by_name[::-1]})
    check("an input for each feature, in any order",
          status == 200 and close(answer["outputs"][0]["data"], wanted[:3]),
          answer)
    whole = [int(number) for number in FLAT]
    status, answer = server.post(path, infer(whole))
    for datatype in ("INT32", "INT64", "UINT64", "UINT16", "FP64"):
        got = server.post(path, infer(whole, datatype=datatype))
        check(f"{datatype} is converted", got == (200, answer), got)


def malformed(server):
    path = "/v2/models/model/infer"
    cases = {
        "an unknown input": infer(FLAT, name="x"),
        "a shape of other features": infer(FLAT, [3, WIDTH - 1]),
        "a shape of one dimension": infer(FLAT, [3 * WIDTH]),
        "a shape of three dimensions": infer(FLAT, [3, WIDTH, 1]),
        "a negative size": infer(FLAT, [-3, WIDTH]),
        "a size beyond all numbers": infer(FLAT, [2 ** 63, WIDTH]),
        "a product that overflows": infer(FLAT, [2 ** 60, WIDTH]),
        "data shorter than the shape": infer(FLAT[1:]),
        "data longer than the shape": infer(FLAT + [1]),
        "rows of different lengths": infer([rows[0], rows[1], rows[2][1:]]),
        "an unknown datatype": infer(FLAT, datatype="FP8"),
        "texts": infer(["a"] * len(FLAT), datatype="BYTES"),
        "FP16 as JSON": infer(FLAT, datatype="FP16"),
        "a fraction as INT32": infer(FLAT, datatype="INT32"),
        "a number beyond INT8": infer([300] * len(FLAT), datatype="INT8"),
        "a negative UINT8": infer([-1] * len(FLAT), datatype="UINT8"),
        "text among numbers": infer(FLAT[1:] + ["1"]),
        "no inputs": {"inputs": []},
        "inputs that are no array": {"inputs": 7},
        "an id that is no string": infer(FLAT, id=7),
        "an unknown output": infer(FLAT, outputs=[{"name": "x"}]),
        "an array": [],
        "no JSON": b"{",
        "NaN as a word": b'{"inputs": [NaN]}',
        "nothing": b"",
        "invalid UTF-8": b'{"id": "\xff"}',
        "a thousand brackets": b"[" * 1000,
    }
    for sentence, value in cases.items():
        status, answer = server.post(path, value)
        check(f"{sentence}: 400 and a reason",
              status == 400 and isinstance(answer, dict) and
              len(answer["error"]) > 10, (status, answer))
    samples = {
        "a sample with a number too few": [rows[0][1:]],
        "a sample that is a number": [1],
        "a sample with a text": [rows[0][1:] + ["x"]],
        "a sample with none of the features": [{"a": 1}],
    }
    for sentence, value in samples.items():
        status, answer = server.post("/predict", {"samples": value})
        check(f"{sentence}: 400 and a reason",
              status == 400 and "sample 0" in answer["error"], answer)
    for method, path, wanted_status in (
            ("POST", "/v2/models/none/infer", 404),
            ("POST", "/v2/models/model/versions/2/infer", 404),
            ("GET", "/nothing", 404), ("GET", "/v2/models/%zz", 400),
            ("GET", "/predict", 405), ("DELETE", "/v2", 405),
            ("POST", "/metrics", 405)):
        status, _, text = server.ask(method, path, b"{}" if method == "POST"
                                     else None)
        check(f"{method} {path} is {wanted_status}",
              status == wanted_status and b"error" in text, (status, text))
    for headers in ({"Content-Type": "multipart/form-data; boundary=x"},
                    {"Content-Type": "application/json",
                     "Content-Encoding": "gzip"}):
        status, _, _ = server.ask("POST", "/predict", b"{}", headers)
        check(f"{list(headers.values())[-1]} is 415", status == 415, status)


def binary(server):
    path = "/v2/models/model/infer"

    def ask(datatype, raw, shape=(3, WIDTH), size=None, header=None, **more):
        head = json.dumps({"inputs": [{
            "name": "input", "datatype": datatype, "shape": list(shape),
            "parameters": {"binary_data_size":
                           len(raw) if size is None else size}}],
            **more}).encode()
        return server.ask("POST", path, head + raw, {
            "Content-Type": "application/octet-stream",
            BINARY: str(len(head)) if header is None else header})

    def cut(answer):
        status, headers, body = answer
        length = int(headers.get(BINARY, len(body)))
        return status, json.loads(body[:length]), body[length:]

    single = struct.pack(f"<{len(FLAT)}f", *FLAT)
    status, head, raw = cut(ask("FP32", single))
    check("binary input, JSON output",
          status == 200 and raw == b"" and
          close(head["outputs"][0]["data"], wanted[:3]), head)
    status, head, raw = cut(ask("FP64", struct.pack(f"<{len(FLAT)}d", *FLAT),
                                parameters={"binary_data_output": True}))
    check("binary output has its length",
          status == 200 and
          head["outputs"][0]["parameters"]["binary_data_size"] == 12 and
          close(struct.unpack("<3f", raw[:12]), wanted[:3]) and
          list(struct.unpack("<3q", raw[12:])) == labels[:3], head)
    status, head, raw = cut(ask("FP32", single, outputs=[
        {"name": "label", "parameters": {"binary_data": True}},
        {"name": "prediction"}]))
    check("one output may be binary and another not",
          status == 200 and len(raw) == 24 and
          close(head["outputs"][0]["data"], wanted[:3]), head)
    whole = [int(number) % 200 for number in FLAT]
    reference = server.post(path, infer(whole))[1]["outputs"][0]["data"]
    for datatype, letter in (("UINT8", "B"), ("INT16", "h"), ("UINT16", "H"),
                             ("INT32", "i"), ("UINT32", "I"), ("INT64", "q"),
                             ("UINT64", "Q"), ("FP16", "e")):
        status, head, _ = cut(ask(
            datatype, struct.pack(f"<{len(whole)}{letter}", *whole)))
        check(f"binary {datatype} is converted",
              status == 200 and head["outputs"][0]["data"] == reference, head)
    for sentence, answer in {
            "fewer bytes than the shape": ask("FP32", single[4:]),
            "more bytes than are there":
                ask("FP32", single, (4, WIDTH), 4 * 4 * WIDTH),
            "bytes behind the last input":
                ask("FP32", single + b"1234", size=len(single)),
            "a product that overflows": ask("FP32", single, (2 ** 62, 8)),
            "a negative size": ask("FP32", single, size=-1),
            "a header beyond the body": ask("FP32", single, header="99999"),
            "a header that is no number": ask("FP32", single, header="x"),
    }.items():
        status, head, _ = cut(answer)
        check(f"binary, {sentence}: 400", status == 400, (status, head))


def metrics(server):
    _, headers, text = server.ask("GET", "/metrics")
    lines = text.decode().splitlines()
    families, seen, good = {}, set(), True
    for line in lines:
        if line.startswith("# TYPE "):
            name = line.split()[2]
            good &= name not in families
            families[name] = line.split()[3]
            current = name
        elif not line.startswith("#"):
            sample = line.split("{")[0].split(" ")[0]
            good &= sample.startswith(current) and line not in seen
            seen.add(line)
            float(line.rsplit(" ", 1)[1])
    check("metrics are in the format 0.0.4",
          good and headers["Content-Type"].startswith(
              "text/plain; version=0.0.4") and
          all(name.startswith("calm_") for name in families))
    check("counters end with _total",
          all(name.endswith("_total") == (kind == "counter")
              for name, kind in families.items()), families)
    count = [line.split()[-1] for line in lines
             if line.startswith("calm_serve_request_seconds_count") or
             line.startswith('calm_serve_request_seconds_bucket{le="+Inf"}')]
    check("the last bucket is the count", len(set(count)) == 1, count)
    sizes = [int(line.split()[-1]) for line in lines if line.startswith(
        'calm_serve_batch_rows_bucket{model="model"')]
    check("buckets are cumulative", sizes == sorted(sizes), sizes)


def hostile(server):
    host = b"Host: x\r\n"
    body = b'{"samples": []}'
    post = b"POST /predict HTTP/1.1\r\n" + host
    cases = {
        "two lengths": (post + b"Content-Length: 15\r\nContent-Length: 16"
                        b"\r\n\r\n" + body, 400),
        "the same length twice": (post + b"Content-Length: 15\r\n"
                                  b"Content-Length: 15\r\n\r\n" + body, 400),
        "a length and chunks": (post + b"Content-Length: 15\r\n"
                                b"Transfer-Encoding: chunked\r\n\r\n"
                                b"0\r\n\r\n", 400),
        "a coding that is not known": (post + b"Transfer-Encoding: xchunked"
                                       b"\r\n\r\n" + body, (400, 501)),
        "two codings": (post + b"Transfer-Encoding: chunked\r\n"
                        b"Transfer-Encoding: identity\r\n\r\n", 400),
        "a length with a sign": (post + b"Content-Length: +15\r\n\r\n" + body,
                                 (400, 413)),
        "a length that is a list": (post + b"Content-Length: 15, 15\r\n\r\n" +
                                    body, (400, 413)),
        "a huge length": (post + b"Content-Length: 99999999999\r\n\r\n", 413),
        "a length beyond 64 bits": (
            post + b"Content-Length: 18446744073709551631\r\n\r\n" + body,
            (400, 413)),
        "a head of 40 KiB": (b"GET /v2 HTTP/1.1\r\n" + host + b"A: " +
                             b"a" * 40960 + b"\r\n\r\n", 431),
        "ten thousand headers": (b"GET /v2 HTTP/1.1\r\n" + host +
                                 b"A: b\r\n" * 10000 + b"\r\n", 431),
        "a target of 40 KiB": (b"GET /" + b"a" * 40960 + b" HTTP/1.1\r\n" +
                               host + b"\r\n", (414, 431)),
        "no host": (b"GET /v2 HTTP/1.1\r\n\r\n", 400),
        "a name with a space": (b"GET /v2 HTTP/1.1\r\n" + host +
                                b"Content-Length : 5\r\n\r\nabcde", 400),
        "a chunk that is none": (post + b"Transfer-Encoding: chunked\r\n\r\n"
                                 b"zz\r\n", 400),
    }
    for sentence, (request, status) in cases.items():
        answer = server.raw(request + b"GET /v2 HTTP/1.1\r\n" + host + b"\r\n")
        statuses = status if isinstance(status, tuple) else (status,)
        # libmicrohttpd 0.9.75 sends the head of its own errors twice, so what
        # is counted is that nothing was answered as well.
        check(f"{sentence}: refused, and the connection closed",
              status_of(answer) in statuses and b" 200 OK" not in answer and
              not answer.endswith(b"<still open>"), answer[:300])
    head = b"GET /v2 HTTP/1.1\r\n" + host + b"A: " + b"a" * 30000 + b"\r\n"
    answer = server.raw(head + b"Connection: close\r\n\r\n")
    check("a head of 30,000 bytes is read", status_of(answer) == 200,
          answer[:200])
    answer = server.raw(
        post + b"Content-Length: 15\r\n\r\n" + body +
        b"GET /v2/health/live HTTP/1.1\r\n" + host + b"\r\n" + post +
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"5\r\n{\"sam\r\na\r\nples\": []}\r\n0\r\n\r\n")
    check("three requests at once are answered in order",
          answer.count(b"HTTP/1.1 200") == 3 and
          answer.count(b'{"predictions":[]}') == 2, answer)
    with socket.create_connection(("127.0.0.1", server.port), 10) as peer:
        peer.sendall(post + b"Expect: 100-continue\r\nConnection: close\r\n"
                     b"Content-Length: 15\r\n\r\n")
        first = peer.recv(65536)
        peer.sendall(body)
        answer = receive_all(peer)
        check("what is expected is continued",
              first.startswith(b"HTTP/1.1 100") and b" 200 OK" in answer,
              first + answer)


def vanishing(server):
    """Clients that go away in every phase leave nothing behind."""
    whole = (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n"
             b'{"samples": []}')
    for how in ("end", "reset"):
        for length in range(0, len(whole) + 1, 7):
            peer = socket.create_connection(("127.0.0.1", server.port))
            if how == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
            peer.sendall(whole[:length])
            peer.close()
    body = json.dumps({"samples": rows[:1]}).encode()
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        peer.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(body) + body)
        peer.shutdown(socket.SHUT_WR)
        answer = receive_all(peer)
        check("a client that has said all still gets its answer",
              status_of(answer) == 200, answer)
    for _ in range(50):
        _, _, text = server.ask("GET", "/metrics")
        open_now = [line for line in text.decode().splitlines()
                    if line.startswith("calm_serve_connections ")]
        if open_now == ["calm_serve_connections 1"]:
            break
        time.sleep(0.05)
    check("clients that vanish leave no connection", open_now ==
          ["calm_serve_connections 1"], open_now)


def together():
    """Many at once: every one gets its own answer."""
    with serving("--max-batch", "16") as server:
        wrong = []

        def client(number):
            connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                    timeout=30)
            for i in range(40):
                at = (number * 7 + i) % len(rows)
                count = 1 + (number + i) % 40
                part = (rows + rows)[at:at + count]
                connection.request("POST", "/predict",
                                   json.dumps({"samples": part}))
                answer = json.loads(connection.getresponse().read())
                if not close(answer.get("predictions", []),
                             (wanted + wanted)[at:at + count]):
                    wrong.append((number, i, answer))
            connection.close()

        threads = [threading.Thread(target=client, args=(n,))
                   for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check("640 requests from 16 clients each get their own predictions",
              wrong == [], wrong[:2])
        status, answer = server.post("/predict", {"samples": rows * 60})
        check("a large body is predicted in parts",
              status == 200 and close(answer["predictions"], wanted * 60))
        status, answer = server.post(
            "/v2/models/model/infer",
            infer(rows * 60, [len(rows) * 60, WIDTH], id="\u00e9\"7"))
        check("and so it is by infer, whose id comes back",
              status == 200 and answer["id"] == "\u00e9\"7" and
              close(answer["outputs"][0]["data"], wanted * 60) and
              answer["outputs"][1]["data"] == labels * 60)


def limits():
    with serving("--queue", "10", "--max-batch", "4", "--threads", "1",
                 "--max-body", "100000") as server:
        status, answer = server.post("/predict", {"samples": rows * 10})
        check("a body beyond --max-body is 413", status == 413, answer)
        chunks = (b"POST /predict HTTP/1.1\r\nHost: x\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n" +
                  (b"4000\r\n" + b" " * 0x4000 + b"\r\n") * 10)
        answer = server.raw(chunks)
        check("also in chunks", status_of(answer) == 413, answer[:200])
        refused, served = [], []

        def client():
            status, headers, _ = server.ask(
                "POST", "/predict", json.dumps({"samples": rows[:60]}))
            if status == 503:
                refused.append(headers["Retry-After"])
            else:
                served.append(status)

        for _ in range(20):
            threads = [threading.Thread(target=client) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if refused:
                break
        check("beyond the queue it is 503 with Retry-After",
              refused and set(refused) == {"1"} and set(served) == {200},
              (refused, served))


def token():
    secret = "tok-52d1"
    with serving(environment={"CALM_SERVE_TOKEN": secret}) as server:
        check("without a token it is 401", server.get("/v2")[0] == 401 and
              server.get("/metrics")[0] == 401 and
              server.post("/predict", {"samples": []})[0] == 401)
        check("with another one, too",
              all(server.get("/v2", {"Authorization": text})[0] == 401
                  for text in (f"Bearer {secret}x", "Bearer ", "Bearer x",
                               f"Basic {secret}", secret)))
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
        for sentence, length in (("a length", b"Content-Length: 1000000"),
                                 ("chunks", b"Transfer-Encoding: chunked")):
            answer = server.raw(head + length + b"\r\n\r\n")
            check(f"it is told before the body is there, of {sentence}",
                  answer.startswith(b"HTTP/1.1 401 ") and
                  b"WWW-Authenticate: Bearer\r\n" in answer and
                  b"a token is needed" in answer and
                  not answer.endswith(b"<still open>"), answer[:300])
        check("health needs none", server.get("/v2/health/ready")[0] == 200)
        check("with the token it is served",
              server.get("/v2", {"Authorization":
                                 f"bearer {secret}"})[0] == 200)
        _, text = server.stop()
        check("the token is in no message", secret not in
              server.first_line + text)


def ending():
    server = Server()
    server.post("/predict", {"samples": rows[:2]})
    code, text = server.stop(signal.SIGINT)
    check("it dies by the signal, with a summary",
          code == -signal.SIGINT and "1 request: 1 ok, 0 failed; 2 rows" in
          text, (code, text))
    check("the file with the port is gone",
          not os.path.exists(os.path.join(server.folder, "port")))
    body = b'{"samples": []}'
    head = (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n")
    live = b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    server = Server()
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, 5) as slow, \
            socket.create_connection(address, 5) as idle:
        slow.sendall(head + body[:5])
        idle.sendall(live)
        idle.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        try:
            socket.create_connection(address, 1).close()
            accepts = True
        except ConnectionError:
            accepts = False
        check("after the signal it accepts nobody", not accepts)
        idle.sendall(live)
        answer = receive_all(idle)
        check("and is not ready, where a connection is left",
              status_of(answer) == 503 and b"Connection: close" in answer,
              answer)
        slow.sendall(body[5:])
        answer = receive_all(slow)
        check("what had begun is answered, and the connection closed",
              b"Connection: close" in answer and
              status_of(answer) in (200, 503), answer)
    check("then it ends", server.process.wait(5) == -signal.SIGTERM)
    server.process.stderr.close()
    server = Server("--drain", "300ms")
    with socket.create_connection(("127.0.0.1", server.port), 5) as slow:
        slow.sendall(head)
        time.sleep(0.1)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(10)
        took = time.monotonic() - began
        check("the drain has an end", code == -signal.SIGTERM and
              0.2 < took < 3, (code, took))
    server.process.stderr.close()
    server = Server()
    with socket.create_connection(("127.0.0.1", server.port), 5) as slow:
        slow.sendall(head)
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(10)
        check("a second signal ends it at once",
              code == -signal.SIGTERM and time.monotonic() - began < 1, code)
    server.process.stderr.close()


def drills():
    ask = {"samples": rows[:4]}
    with serving("--allow-drill", "--drill", "openai") as server:
        def drilled(what, path="/predict", value=ask):
            try:
                return server.post(path, value, {"X-Calm-Drill": what})
            except (http.client.HTTPException, ConnectionError) as error:
                return type(error).__name__, error

        check("without a drill all is well", server.post("/predict", ask)[0]
              == 200)
        began = time.monotonic()
        status, _ = drilled("delay=300ms")
        check("a delay waits", status == 200 and
              time.monotonic() - began >= 0.3)
        check("a failure has its status", drilled("fail=418")[0] == 418)
        status, headers, _ = server.ask(
            "POST", "/predict", json.dumps(ask),
            {"X-Calm-Drill": "throttle=1:2s"})
        check("a throttle says when to come again",
              (status, headers["Retry-After"]) == (429, "2"))
        check("a cut body is shorter than declared",
              drilled("cut")[0] == "IncompleteRead", drilled("cut"))
        check("a reset is one", drilled("reset")[0] == "ConnectionResetError",
              drilled("reset"))
        check("a count may be wrong",
              len(drilled("fewer")[1]["predictions"]) == 3)
        check("JSON may be malformed",
              isinstance(drilled("malformed")[1], bytes))
        check("a poisoned value fails its request alone",
              drilled(f"poison={rows[2][0]}")[0] == 400 and
              drilled("poison=12345")[0] == 200)
        check("drills may be listed", drilled("delay=1ms, fail=503")[0] == 503)
        for what in ("explode", "fail", "fail=200", "delay=uniform:2s:1s",
                     "cut=2", "slow=0.5", "delay=1s:2s:3s:4s:5s"):
            check(f"'{what}' is no drill", drilled(what)[0] == 400)
        peer = socket.create_connection(("127.0.0.1", server.port), 1)
        peer.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nX-Calm-Drill: "
                     b"silent\r\nContent-Length: 15\r\n\r\n"
                     b'{"samples": []}')
        check("a silent server never answers",
              receive_all(peer) == b"<still open>")
        peer.close()
        status, answer = server.post(
            "/v1/embeddings", {"model": "m", "input": ["a b", "a b", "c"]})
        data = answer["data"]
        check("embeddings are those of the text",
              [item["index"] for item in data] == [0, 1, 2] and
              data[0]["embedding"] == data[1]["embedding"] !=
              data[2]["embedding"] and
              answer["usage"] == {"prompt_tokens": 5, "total_tokens": 5})
        status, answer = drilled("quota=1", "/v1/embeddings", {"input": "a"})
        status, answer = drilled("quota=1", "/v1/embeddings", {"input": "a"})
        check("a quota ends", status == 429 and
              answer["error"]["code"] == "insufficient_quota", answer)
        check("an input that is none is 400",
              server.post("/v1/embeddings", {"input": 7})[0] == 400)
    with serving("--drill", "concurrent=2:503,delay=200ms") as server:
        got = []
        threads = [threading.Thread(target=lambda: got.append(
            server.post("/predict", ask)[0])) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check("only so many at once", sorted(got) == [200] * 2 + [503] * 4, got)
        check("a header without --allow-drill is none",
              server.post("/predict", ask, {"X-Calm-Drill": "fail=500"})[0] ==
              200)
        check("health is never drilled",
              server.get("/v2/health/ready")[0] == 200)
    chance = []
    for _ in range(2):
        with serving("--drill", "fail=500:0.3", "--seed", "7") as server:
            chance.append([server.post("/predict", ask)[0]
                           for _ in range(60)])
    check("the same seed gives the same failures",
          chance[0] == chance[1] and 5 < chance[0].count(500) < 35, chance[0])
    with serving("--drill", "ratelimit=2:500ms,times=100") as server:
        answers = [server.ask("POST", "/predict", json.dumps(ask))
                   for _ in range(3)]
        check("a limit counts down in the headers",
              [(status, headers["x-ratelimit-remaining-requests"])
               for status, headers, _ in answers] ==
              [(200, "1"), (200, "0"), (429, "0")] and
              answers[2][1]["Retry-After"] == "1" and
              answers[0][1]["x-ratelimit-reset-requests"].endswith("ms"))
        time.sleep(0.6)
        check("and begins anew", server.post("/predict", ask)[0] == 200)
    with serving("--drill", "fail=503,times=2") as server:
        check("misdeeds may have an end", [server.post("/predict", ask)[0]
                                           for _ in range(4)] ==
              [503, 503, 200, 200])


with serving(models=(MODEL, f"second={MODEL}")) as shared:
    for part in (protocols, inference, malformed, binary, hostile, vanishing,
                 metrics):
        part(shared)
for part in (together, limits, token, drills, ending):
    part()
sys.exit(failed)
