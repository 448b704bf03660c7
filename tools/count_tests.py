#!/usr/bin/env python3
"""count_tests.py - what meson's test runs came to, in one line

    count_tests.py TESTLOG.json...

A program that reports its cases (cmocka's "[       OK ] name", or lines that
begin with "ok" and "not ok") counts as those; any other as one, and so does a
program that failed, or died, without naming a case. The exit code is 1 when
something failed or nothing ran.
"""

import json
import re
import sys

CMOCKA = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (.+)$", re.MULTILINE)
OF_A_GROUP = re.compile(r"\d+ test\(s\)")
PLAIN = re.compile(r"^(not )?ok\b([^#\n]*)(# *(?:skip|SKIP).*)?", re.MULTILINE)


def cases_of(text):
    """What a program's output tells: passed, failed, the names of skipped."""
    passed = failed = 0
    skipped = []
    groups = re.split(r"^\[=+\] .*Running .*$", text, flags=re.MULTILINE)
    for group in groups:
        # A failure is told twice: when it happens, and in the list at the end.
        names = {"OK": [], "FAILED": set(), "SKIPPED": set()}
        for word, name in CMOCKA.findall(group):
            if OF_A_GROUP.search(name):
                continue
            if word == "OK":
                names[word].append(name)
            else:
                names[word].add(name)
        passed += len(names["OK"])
        failed += len(names["FAILED"])
        skipped += sorted(names["SKIPPED"])
    for bad, sentence, skip in PLAIN.findall(text):
        if skip:
            skipped.append(sentence.strip(" -") + ": " + skip.strip("# "))
        elif bad:
            failed += 1
        else:
            passed += 1
    return passed, failed, skipped


def main(paths):
    passed = failed = skipped = 0
    for path in paths:
        with open(path, encoding="utf-8") as log:
            tests = [json.loads(line) for line in log if line.strip()]
        for test in tests:
            text = test.get("stdout", "") + "\n" + test.get("stderr", "")
            good, bad, left_out = cases_of(text)
            if test["result"] == "SKIP":
                reason = text.strip().splitlines()
                print(f"skipped: {test['name']}: {(reason or ['?'])[-1]}")
                skipped += max(len(left_out), 1)
                continue
            for name in left_out:
                print(f"skipped: {test['name']}: {name}")
            if test["result"] in ("OK", "EXPECTEDFAIL"):
                if good + bad + len(left_out) == 0:
                    good = 1
            else:
                print(f"failed: {test['name']}: {test['result']}")
                bad = max(bad, 1)
            passed += good
            failed += bad
            skipped += len(left_out)
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{passed} passed, {failed} failed{tail}")
    return 1 if failed or passed == 0 else 0


sys.exit(main(sys.argv[1:]))
