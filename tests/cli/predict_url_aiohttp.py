"""predict_url_aiohttp.py - calm predict --url against aiohttp

usage: predict_url_aiohttp.py BUILD

One process serves all four formats with faults, chosen by the first part of
the path: /reset/predict resets some connections. The prediction of a row is
a + 2 b, so that every answer can be checked to the last digit, and what the
server has seen is counted.
"""
import asyncio
import collections
import csv
import json
import logging
import os
import struct
import subprocess
import sys
import tempfile
import threading

from aiohttp import web

CALM = os.path.join(os.path.abspath(sys.argv[1]), "cli", "calm")
ROWS = 300
failed = False


def verdict(good, sentence, detail=""):
    global failed
    print(("ok " if good else "not ok ") + sentence, flush=True)
    if not good:
        failed = True
        print("    " + str(detail).replace("\n", "\n    "), flush=True)


# ---- the server ----

class Server:
    """What happened, and what shall happen; reset before each test."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.requests = collections.Counter()
        self.seen = collections.Counter()
        self.bodies = []
        self.most = self.now = 0


server = Server()


def number(value):
    return float("nan") if value is None else float(value)


def predict(sample):
    if isinstance(sample, dict):
        server.seen[str(sample.get("id"))] += 1
        return number(sample["a"]) + 2 * number(sample["b"])
    return number(sample[0]) + 2 * number(sample[1])


def is_poisoned(text):
    return b"777777" in text


async def raw(request, data, close=True):
    """Bytes that aiohttp would not send, and the end of the connection."""
    transport = request.transport
    transport.write(data)
    if close:
        await asyncio.sleep(0.01)
        transport.close()
    return web.Response()


async def fault(name, request, body):
    """An answer in place of the right one, or None."""
    server.requests[name] += 1
    nth = server.requests[name]
    third = nth % 3 == 0
    if name == "busy" and third:
        return web.json_response({"error": "full"}, status=503)
    if name == "paced" and nth <= 4:
        return web.json_response(
            {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
            status=429, headers={"retry-after-ms": "20"})
    if name == "html" and third:
        return web.Response(text="<html><title>Bad</title>", status=502,
                            content_type="text/html")
    if name == "reset" and third:
        request.transport.abort()
        return web.Response()
    if name == "cut" and third:
        return await raw(request, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n"
                         b"Content-Type: application/json\r\n\r\n{\"pred")
    if name == "silent" and nth == 1:
        await asyncio.sleep(30)  # until nobody waits any more
        return web.Response()
    if name == "notjson" and third:
        return web.Response(text='{"predictions": [1,', status=200,
                            content_type="application/json")
    if name == "notjson-first" and nth == 1:
        return web.Response(text="", status=200)
    if name == "poison" and is_poisoned(body):
        return web.json_response({"error": "777777 is not a number I like"},
                                 status=400)
    if name == "poison422" and is_poisoned(body):
        return web.json_response({"detail": [{"msg": "too large"}]}, status=422)
    if name == "forbidden" and nth > 3:
        return web.json_response({"error": "no"}, status=403)
    if name == "quota" and nth > 3:
        return web.json_response(
            {"error": {"message": "You exceeded your quota",
                       "type": "insufficient_quota", "code": None}}, status=429)
    if name == "moved":
        return web.Response(status=307, headers={"Location": "/plain/predict"})
    if name == "dead":
        return web.json_response({"error": "dead"}, status=500)
    if name == "limited" and server.now > 5:
        return web.json_response({"error": "too many"}, status=429,
                                 headers={"Retry-After": "0.05"})
    return None


def samples_answer(name, samples):
    results = [predict(sample) for sample in samples]
    poisoned = [i for i, sample in enumerate(samples)
                if "777777" in json.dumps(sample)]
    if name == "short" and poisoned:
        return {"predictions": results[:-1]}
    if name == "twice":
        return web.Response(text='{"predictions":[],"predictions":%s}' %
                            json.dumps(results),
                            content_type="application/json")
    if name == "nested":
        return {"a": [{"b": {"label": r, "other": [1]}} for r in results]}
    return {"predictions": results}


def text_response(value, **kwargs):
    return web.Response(text=json.dumps(value),
                        content_type="application/json", **kwargs)


class Counted:
    async def __aenter__(self):
        server.now += 1
        server.most = max(server.most, server.now)

    async def __aexit__(self, *_):
        server.now -= 1


async def handle_samples(request):
    body = await request.read()
    name = request.match_info["fault"]
    async with Counted():
        if name in ("limited", "slow"):
            await asyncio.sleep(0.02)
        answer = await fault(name, request, body)
        if answer is not None:
            return answer
        answer = samples_answer(name, json.loads(body)["samples"])
        if isinstance(answer, web.Response):
            return answer
        response = text_response(answer)
        if name == "gzip":
            response.enable_compression(web.ContentCoding.gzip)
        if name == "chunked":
            response.enable_chunked_encoding()
        if name == "close":
            response.force_close()
        if name == "stale":  # says that it stays, and goes
            asyncio.get_running_loop().call_later(
                0.002, request.transport.close)
        return response


async def handle_v1(request):
    body = await request.read()
    name = request.match_info["fault"]
    answer = await fault(name, request, body)
    if answer is not None:
        return answer
    results = [predict(row) for row in json.loads(body)["instances"]]
    if name == "nan":
        results[0] = float("nan")
        results[-1] = float("-inf")
    return text_response({"predictions": results})


# ---- version 2 ----

SHAPES = {
    "matrix": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "columns": [{"name": "b", "datatype": "FP64", "shape": [-1]},
                {"name": "a", "datatype": "INT64", "shape": [-1, 1]},
                {"name": "id", "datatype": "BYTES", "shape": [-1]}],
    "one": [{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
    "wide": [{"name": "x", "datatype": "FP32", "shape": [-1, 7]}],
}
CODES = {"FP32": "f", "FP64": "d", "INT64": "q"}


async def v2_server(request):
    binary = request.match_info["fault"].startswith("binary")
    return text_response({"name": "aiohttp", "version": "1", "extensions":
                          ["binary_tensor_data"] if binary else []})


async def v2_model(request):
    return text_response({
        "name": request.match_info["model"], "platform": "python",
        "versions": ["1"], "inputs": SHAPES[request.match_info["model"]],
        "outputs": [{"name": "other", "datatype": "INT64", "shape": [-1]},
                    {"name": "y", "datatype": "FP64", "shape": [-1, 1]}]})


def v2_inputs(request, body):
    """The inputs by name, from JSON or bytes, flat."""
    size = request.headers.get("Inference-Header-Content-Length")
    head = json.loads(body[:int(size)] if size else body)
    rest = body[int(size):] if size else b""
    inputs = {}
    for tensor in head["inputs"]:
        count = 1
        for n in tensor["shape"]:
            count *= n
        data = tensor.get("data")
        if data is None:
            taken = rest[:tensor["parameters"]["binary_data_size"]]
            rest = rest[len(taken):]
            if tensor["datatype"] == "BYTES":
                data = []
                while taken:
                    n = struct.unpack("<I", taken[:4])[0]
                    data.append(taken[4:4 + n].decode())
                    taken = taken[4 + n:]
            else:
                data = struct.unpack("<%d%s" % (count,
                                     CODES[tensor["datatype"]]), taken)
        assert len(data) == count, (len(data), tensor["shape"])
        inputs[tensor["name"]] = data
    assert not rest
    return head, inputs


async def v2_infer(request):
    body = await request.read()
    name = request.match_info["fault"]
    answer = await fault(name, request, body)
    if answer is not None:
        return answer
    head, inputs = v2_inputs(request, body)
    if "x" in inputs:
        x = inputs["x"]
        results = [x[i] + 2 * x[i + 1] for i in range(0, len(x), 2)]
    else:
        results = [a + 2 * b for a, b in zip(inputs["a"], inputs["b"])]
        server.seen.update(inputs["id"])
    rows = len(results)
    wanted = [each["name"] for each in head.get("outputs", [])]
    other = {"name": "other", "datatype": "INT64", "shape": [rows],
             "data": [2 ** 63 - 1 - i for i in range(rows)]}
    y = {"name": "y", "datatype": "FP64", "shape": [rows, 1]}
    reply = {"model_name": "m", "id": head["id"],
             "outputs": [t for t in (other, y)
                         if not wanted or t["name"] in wanted]}
    if name == "otherid":
        reply["id"] = "x"
    if name == "toomany":
        y["shape"] = [rows + 1, 1]
    if name.startswith("binary") and y in reply["outputs"]:
        data = struct.pack("<%dd" % rows, *results)
        if name == "binary-cut":
            data = data[:-1]
        y["parameters"] = {"binary_data_size": 8 * rows}
        text = json.dumps(reply).encode()
        return web.Response(
            body=text + data, content_type="application/octet-stream",
            headers={"Inference-Header-Content-Length": str(len(text))})
    y["data"] = [[r] for r in results] if name == "nested" else results
    return text_response(reply)


# ---- OpenAI ----

async def openai(request):
    body = await request.read()
    name = request.match_info["fault"]
    answer = await fault(name, request, body)
    if answer is not None:
        return answer
    data = json.loads(body)
    server.bodies.append(body)
    headers = {"x-request-id": "q-%d" % len(server.bodies)}
    if request.headers.get("Authorization"):
        headers["x-seen-auth"] = "yes"
    if request.path.endswith("/embeddings"):
        texts = data["input"]
        texts = [texts] if isinstance(texts, str) else texts
        items = [{"object": "embedding", "index": i, "embedding": [len(t), i]}
                 for i, t in enumerate(texts)]
        items.reverse()
        if name == "gap":
            items[0]["index"] += 1
        value = {"object": "list", "data": items, "model": "m",
                 "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    else:
        text = data["messages"][-1]["content"]
        value = {"object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant",
                                     "content": text.upper() + "\n\u00e9"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2,
                      "total_tokens": 5}}
    return web.Response(text=json.dumps(value, indent=1), headers=headers,
                        content_type="application/json")


def serve(ready):
    async def start():
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/{fault}/predict", handle_samples)
        app.router.add_post("/{fault}/v1/models/m:predict", handle_v1)
        app.router.add_get("/{fault}/v2", v2_server)
        app.router.add_get("/{fault}/v2/models/{model}", v2_model)
        app.router.add_post("/{fault}/v2/models/{model}/infer", v2_infer)
        app.router.add_post("/{fault}/v1/embeddings", openai)
        app.router.add_post("/{fault}/v1/chat/completions", openai)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ready.append(site._server.sockets[0].getsockname()[1])
        event.set()
        await asyncio.Event().wait()

    asyncio.run(start())


# ---- the runs ----

def rows_of(count=ROWS, poisoned=None):
    rows = [(str(i), i * 3 - 100, i / 8) for i in range(count)]
    if poisoned is not None:
        rows[poisoned] = (rows[poisoned][0], 777777, 0)
    return rows


def write_csv(name, rows):
    with open(name, "w", newline="") as file:
        file.write("id,a,b,label\n")
        for row in rows:
            file.write("%s,%s,%s,x\n" % row)


def clean(name):
    for end in ("", ".errors.jsonl", ".calm-part", ".calm-journal",
                ".errors.jsonl.calm-part"):
        if os.path.exists(name + end):
            os.remove(name + end)


def calm(path, *more, given="in.csv", output="out.csv", timeout=120,
         text=None, anew=True):
    server.reset()
    if anew:
        clean(output)
    command = [CALM, "predict", given, "--url",
               "http://127.0.0.1:%d/%s" % (port, path), "-o", output,
               *more]
    return subprocess.run(command, capture_output=True, text=True, input=text,
                          timeout=timeout)


def output_rows(name="out.csv"):
    with open(name, newline="") as file:
        return list(csv.DictReader(file))


def errors(name="out.csv"):
    if not os.path.exists(name + ".errors.jsonl"):
        return []
    with open(name + ".errors.jsonl") as file:
        return [json.loads(line) for line in file]


def is_right(rows, without=()):
    """Each row once, in its order, with its own prediction."""
    got = output_rows()
    wanted = [row for row in rows if row[0] not in without]
    if [row["id"] for row in got] != [row[0] for row in wanted]:
        return False
    return all(abs(float(row["prediction"]) - (a + 2 * b)) < 1e-3
               for row, (_, a, b) in zip(got, wanted))


def expect(sentence, run, code, *conditions):
    good = run.returncode == code and all(conditions)
    verdict(good, sentence, "exit %d, %s\n%s%s" % (
        run.returncode, list(conditions), run.stdout, run.stderr))


def try_samples():
    rows = rows_of()
    write_csv("in.csv", rows)
    for name in ("plain", "gzip", "chunked", "close", "stale"):
        run = calm(name + "/predict", "--truth", "label")
        expect("aiohttp answers samples, %s" % name, run, 0, is_right(rows))
    run = calm("plain/predict", "--features", "a,b")
    expect("features are sent as arrays", run, 0, is_right(rows))
    run = calm("nested/predict", "--truth", "label",
               "--result-path", "a[].b.label")
    expect("a result path leads into each element", run, 0, is_right(rows))
    for name in ("busy", "paced", "html", "reset", "cut", "notjson-first",
                 "limited"):
        run = calm(name + "/predict", "--truth", "label",
                   "--batch-size", "10", "--concurrency", "8")
        expect("every row arrives in spite of faults: %s" % name, run, 0,
               is_right(rows))
    run = calm("silent/predict", "--truth", "label", "--timeout", "500ms")
    expect("a request without an answer is sent again", run, 0, is_right(rows))


def try_bad_rows():
    bad = 137
    rows = rows_of(poisoned=bad)
    write_csv("in.csv", rows)
    for name, status in (("poison", 400), ("poison422", 422)):
        run = calm(name + "/predict", "--truth", "label",
                   "--batch-size", "50")
        found = errors()
        expect("only the row that the server refuses fails: %d" % status, run,
               3, is_right(rows, without=(str(bad),)), len(found) == 1,
               found and found[0]["row"] == bad,
               found and found[0]["status"] == status,
               found and ("like" in found[0]["cause"] or
                          "too large" in found[0]["cause"]))
    run = calm("short/predict", "--truth", "label", "--batch-size", "50")
    found = errors()
    expect("only the row whose answer is too short fails", run, 3,
           is_right(rows, without=(str(bad),)), len(found) == 1,
           found and found[0]["row"] == bad)


def try_ends():
    rows = rows_of()
    write_csv("in.csv", rows)
    for name in ("forbidden", "quota"):
        run = calm(name + "/predict", "--truth", "label",
                   "--batch-size", "10", "--concurrency", "1")
        expect("the run stops with 4: %s" % name, run, 4,
               not os.path.exists("out.csv"),
               server.requests[name] < 10)
    run = calm("dead/predict", "--truth", "label", "--batch-size", "1",
               "--retries", "0")
    expect("a server that only fails ends the run with 4", run, 4,
           not os.path.exists("out.csv"), server.requests["dead"] < 300)
    run = calm("moved/predict", "--truth", "label", "--max-failures", "none")
    expect("a redirect is not followed", run, 3, server.requests["plain"] == 0,
           len(errors()) == ROWS)
    run = calm("twice/predict", "--truth", "label", "--limit", "4",
               "--max-failures", "none")
    expect("predictions that are there twice are no guess", run, 3,
           len(errors()) == 4)


def try_v1():
    rows = rows_of()
    write_csv("in.csv", rows)
    run = calm("plain/v1/models/m:predict", "--truth", "label")
    expect("version 1 answers instances", run, 0, is_right(rows))
    run = calm("plain/v1/models/m", "--features", "a,b")
    expect("version 1 answers arrays, its URL completed", run, 0,
           is_right(rows))
    run = calm("nan/v1/models/m:predict", "--truth", "label", "--limit", "5")
    got = [row["prediction"] for row in output_rows()]
    expect("NaN and Infinity come through", run, 0, got[0] == "NaN",
           got[4] == "-Infinity", float(got[1]) == -97 + 2 / 8)
    run = calm("nan/v1/models/m:predict", "--truth", "label", "--limit", "5",
               output="out.jsonl")
    with open("out.jsonl") as file:
        lines = [json.loads(line, parse_constant=lambda c: 1 / 0)
                 for line in file]
    expect("and are texts in JSON Lines", run, 0,
           lines[0]["prediction"] == "NaN", len(lines) == 5)


def try_v2():
    rows = rows_of()
    write_csv("in.csv", rows)
    for name in ("plain", "nested", "binary"):
        for model in ("matrix", "columns", "one"):
            run = calm("%s/v2/models/%s/infer" % (name, model), "--truth",
                       "label", "--result-path", "y")
            expect("version 2 answers: %s, %s" % (name, model), run, 0,
                   is_right(rows))
    run = calm("plain/v2/models/matrix", "--truth", "label",
               "--batch-size", "300")
    got = [row["prediction"] for row in output_rows()]
    expect("64-bit integers keep their digits", run, 0,
           got == [str(2 ** 63 - 1 - i) for i in range(ROWS)])
    run = calm("plain/v2/models/wide", "--truth", "label")
    expect("a model with more features is not asked", run, 2,
           "expects 7 features" in run.stderr)
    run = calm("plain/v2/models/matrix", "--truth", "label",
               "--result-path", "z")
    expect("an output that is not there is named", run, 2, "'z'" in run.stderr)
    for name in ("otherid", "toomany", "binary-cut"):
        run = calm(name + "/v2/models/matrix", "--truth", "label", "--limit",
                   "2", "--max-failures", "none", "--result-path", "y")
        expect("an answer that does not fit fails its rows: %s" % name, run, 3,
               len(errors()) == 2)
    write_csv("in.csv", [("0", 1, ""), ("1", 2, 3), ("2", "x", 4)])
    run = calm("plain/v2/models/matrix", "--truth", "label",
               "--result-path", "y")
    found = errors()
    expect("what JSON cannot say fails its row", run, 3,
           is_right([("1", 2, 3)]), [each["row"] for each in found] == [0, 2],
           found and "column 'b'" in found[0]["cause"],
           found and "column 'a': 'x' is not a number" in found[1]["cause"])
    run = calm("binary/v2/models/matrix", "--truth", "label",
               "--result-path", "y")
    got = [row["prediction"] for row in output_rows()]
    expect("and bytes can say it", run, 3, got[:1] == ["NaN"],
           len(errors()) == 1)


# ---- files of the Batch format ----

def line_of(custom_id, url="/v1/embeddings", **body):
    body.setdefault("input", "text of " + custom_id)
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url,
                       "body": body})


def batch(text, path="plain/v1", *more):
    with open("in.jsonl", "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return calm(path, *more, given="in.jsonl", output="out.jsonl")


def answers():
    with open("out.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def has_all_keys(line):
    if list(line) != ["id", "custom_id", "response", "error"]:
        return False
    return not line["response"] or list(line["response"]) == [
        "status_code", "request_id", "body"]


def try_batch():
    ids = ["r-%d" % i for i in range(40)]
    run = batch("".join(line_of(i) + "\n" for i in ids))
    got = answers()
    expect("Batch lines are answered with Batch lines", run, 0,
           [line["custom_id"] for line in got] == ids,
           all(has_all_keys(line) for line in got),
           len({line["id"] for line in got}) == 40,
           all(line["id"].startswith("batch_req_") for line in got),
           all(line["response"]["status_code"] == 200 and
               line["response"]["request_id"].startswith("q-") and
               line["response"]["body"]["data"][0]["embedding"] ==
               [len("text of " + line["custom_id"]), 0] and
               line["error"] is None for line in got))
    run = batch("\n".join(line_of(i) for i in ["a", "b", "a", "a"]))
    expect("repeated ids and a missing last newline are accepted", run, 0,
           [line["custom_id"] for line in answers()] == list("abaa"),
           "a" in run.stderr and "custom_id" in run.stderr)
    with open("in.jsonl", "w") as file:
        file.write(line_of("a"))
    run = calm("plain/v1", given="in.jsonl", output="out.csv")
    expect("lines do not go into a file of CSV", run, 2,
           ".jsonl" in run.stderr, not server.bodies)
    run = batch("")
    expect("an empty file gives an empty output", run, 0,
           os.path.getsize("out.jsonl") == 0)
    run = batch(("\ufeff" + line_of("a") + "\r\n" + line_of("b") +
                 "\r\n").encode())
    expect("a byte order mark and CRLF are no part of the lines", run, 0,
           [line["custom_id"] for line in answers()] == ["a", "b"])
    text = line_of("a") + "\n\n" + line_of("b") + "\n"
    run = batch(text)
    expect("empty lines are no lines", run, 0, len(answers()) == 2)
    verbatim = ('{"custom_id":"v","method":"POST","url":"/v1/embeddings",'
                '"body":{ "input" : "\\u00e9" ,"n":1.0,"big":'
                '12345678901234567890}}')
    run = batch(verbatim)
    expect("a body is sent as it stands", run, 0, server.bodies ==
           [b'{ "input" : "\\u00e9" ,"n":1.0,"big":12345678901234567890}'])
    for base in ("plain", "plain/v1/", "plain/v1/embeddings"):
        run = batch(line_of("a"), base, "--api", "openai")
        expect("the version is in the URL once: %s" % base, run, 0,
               len(server.bodies) == 1)


def try_batch_faults():
    lines = [line_of("good"), line_of("unknown", url="/nothing"),
             line_of("stream", url="/v1/chat/completions", stream=True),
             line_of("other", url="/v1/rerank"), line_of("last")]
    run = batch("\n".join(lines), "plain/v1", "--max-failures", "none")
    records = {line["custom_id"]: line for line in answers()}
    told = json.dumps(errors("out.jsonl"))
    expect("bad lines are error rows, and the others are answered", run, 3,
           records["good"]["response"]["status_code"] == 200,
           records["last"]["response"]["status_code"] == 200,
           len(server.bodies) == 2,
           len(records) + len(errors("out.jsonl")) >= 5,
           "other" in told + json.dumps(records),
           all(has_all_keys(line) for line in records.values()))
    for broken, what in (('{"custom_id":"x"', "cut"), ("[]", "no object"),
                         ('{"custom_id":"x","url":"/v1/embeddings","body":{}}',
                          "without a method"),
                         ('{"custom_id":"x","method":"POST","url":"/v1/x",'
                          '"body":7}', "with a body that is no object")):
        run = batch(line_of("a") + "\n" + broken + "\n" + line_of("b"))
        expect("a line %s stops the run before anything is sent" % what, run,
               run.returncode, run.returncode in (1, 2), not server.bodies,
               "line 2" in run.stderr)
    run = calm("plain/v1", given="-", output="out.jsonl",
               text=line_of("a") + "\n" + line_of("b"))
    expect("lines come through a pipe", run, 0, len(answers()) == 2)
    run = calm("plain/v1", "--api", "openai", given="-", output="out.jsonl",
               text=line_of("a") + "\n[]\n" + line_of("b"))
    expect("and a bad one ends the run there", run, 1,
           "line 2" in run.stderr, not os.path.exists("out.jsonl"))
    run = batch("\n".join(line_of("r%d" % i) for i in range(5)), "gap/v1",
                "--max-failures", "none")
    expect("embeddings with a gap are no answer", run, 3,
           len(errors("out.jsonl")) == 5 or
           all(line["error"] for line in answers()))
    run = batch("\n".join(line_of("r%d" % i) for i in range(30)), "busy/v1")
    expect("lines are sent again, too", run, 0, len(answers()) == 30)


def try_batch_again():
    """Lines that failed are taken up; two rows have the same custom_id."""
    ids = ["a", "b", "b", "c", "d", "b", "e"]
    poisoned = (0, 2, 6)
    text = "".join(
        line_of(name, input=("777777 " if i in poisoned else "") + str(i)) +
        "\n" for i, name in enumerate(ids))
    run = batch(text, "poison/v1", "--max-failures", "none")
    expect("lines that the server refuses are told apart from the rest", run,
           3, [line["custom_id"] for line in answers()] ==
           ["b", "c", "d", "b"],
           [(line["row"], line["custom_id"]) for line in errors("out.jsonl")]
           == [(i, ids[i]) for i in poisoned])
    with open("out.jsonl", "rb") as file:
        kept = file.read().splitlines()
    run = calm("plain/v1", "--retry-failed", given="in.jsonl",
               output="out.jsonl", anew=False)
    with open("out.jsonl", "rb") as file:
        whole = file.read().splitlines()
    expect("and are answered in their places when they are tried again", run,
           0, [line["custom_id"] for line in answers()] == ids,
           [line for i, line in enumerate(whole) if i not in poisoned] == kept,
           len({line["id"] for line in answers()}) == len(ids),
           [json.loads(body)["input"] for body in server.bodies] ==
           ["777777 0", "777777 2", "777777 6"],
           errors("out.jsonl") == [])
    other = text.replace('{"custom_id"', '{"id": 7, "custom_id"')
    run = batch(other, "poison/v1", "--max-failures", "none")
    run = calm("plain/v1", "--retry-failed", given="in.jsonl",
               output="out.jsonl", anew=False)
    expect("whatever else is in them", run, 0,
           [line["custom_id"] for line in answers()] == ids)
    run = batch(text, "poison/v1", "--max-failures", "none")
    with open("in.jsonl", "w") as file:
        file.write(text.replace('"e"', '"f"'))
    run = calm("plain/v1", "--retry-failed", given="in.jsonl",
               output="out.jsonl", anew=False)
    expect("lines of another file are not", run, 2, not server.bodies,
           "another input" in run.stderr)


def try_template():
    with open("in.csv", "w") as file:
        file.write('id,text\n1,"a ""quoted"" word"\n2,two\n3,\n')
    with open("chat.json", "w") as file:
        file.write('{"model": "m", "messages": [{"role": "user", "content": '
                   '"Is {{text}}?"}], "n": {{id}}}')
    with open("embed.json", "w") as file:
        file.write('{"model": "m", "input": ["{{text[]}}"]}')
    run = calm("plain/v1/chat/completions", "--template", "chat.json")
    got = [row["prediction"] for row in output_rows()]
    expect("a template is filled, and its answer's text taken", run, 0,
           got == ['IS A "QUOTED" WORD?\n\u00e9', "IS TWO?\n\u00e9",
                   "IS ?\n\u00e9"], len(server.bodies) == 3)
    run = calm("plain/v1/embeddings", "--template", "embed.json")
    got = [json.loads(row["prediction"]) for row in output_rows()]
    expect("a template takes many rows, and gives each its own", run, 0,
           got == [[15, 0], [3, 1], [0, 2]], len(server.bodies) == 1)
    run = calm("plain/v1/chat/completions", "--template", "chat.json",
               "--result-path", "usage.total_tokens")
    got = [row["prediction"] for row in output_rows()]
    expect("a result path of a template", run, 0, got == ["5"] * 3)
    with open("bad.json", "w") as file:
        file.write('{"a": "{{nothing}}"}')
    run = calm("plain/v1/chat/completions", "--template", "bad.json")
    expect("an unknown column of a template is named", run, 2,
           "'nothing'" in run.stderr, not server.bodies)


def try_memory_of_duplicates():
    """Rows arrive exactly once where nothing fails."""
    rows = rows_of(5000)
    write_csv("in.csv", rows)
    run = calm("plain/predict", "--truth", "label", "--batch-size", "7",
               "--concurrency", "16")
    expect("each of 5,000 rows is sent once", run, 0, is_right(rows),
           len(server.seen) == 5000, set(server.seen.values()) == {1})
    run = calm("slow/predict", "--truth", "label", "--batch-size", "50",
               "--concurrency", "3")
    expect("no more requests are under way than asked for", run, 0,
           is_right(rows), server.most <= 3)


logging.disable(logging.CRITICAL)
event = threading.Event()
ports = []
threading.Thread(target=serve, args=(ports,), daemon=True).start()
event.wait(20)
port = ports[0]
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for attempt in (try_samples, try_bad_rows, try_ends, try_v1, try_v2,
                    try_batch, try_batch_faults, try_batch_again, try_template,
                    try_memory_of_duplicates):
        try:
            attempt()
        except Exception as error:  # a missing file says which run failed
            verdict(False, attempt.__name__, repr(error))
    os.chdir("/")
os._exit(1 if failed else 0)
