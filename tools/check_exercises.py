#!/usr/bin/env python3
"""check_exercises.py - the guide's exercises come out as it says

    check_exercises.py BUILD

Each is a change to an example, as its reader would make it, and what the
changed program must print. Time is virtual, so that the seconds are exact,
but where something blocks. A change whose text is no longer in the example
fails, too.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

USLEEP = ("#include <stdio.h>\n", "#include <stdio.h>\n#include <unistd.h>\n")
ERRNO = ("#include <stdio.h>\n", "#include <errno.h>\n#include <stdio.h>\n")
ALL_FAIL = ("drand48() < 0.3", "drand48() < 1.0")
MAIN_SPEAKS = (
    "    return calm_run(in_turn, NULL) < 0 || calm_run(at_once, NULL) < 0;",
    '    return puts(calm_message(calm_run(at_once, NULL))) < 0;')

# Where it stands, the example, the changes, what is printed (patterns that
# must all be found), and the exit code. "real" needs the real clock.
EXERCISES = [
    ("basics 1", "async_basics", [("1 * CALM_S", "3 * CALM_S")],
     [r"other: 6\.50 s", r"once: 4\.50 s"], 0),
    ("basics 2 (real, debug)", "async_basics",
     [USLEEP, ("return calm_sleep(duration)", "return usleep(duration / 1000)")],
     [r"once: [4-9]\.", r"task 'task 1' held the loop for about \d+ ms"], 0),
    ("basics 3 (real)", "async_basics",
     [USLEEP, ("static int slowly", """static int blocks(void *duration)
{
    return usleep(*(int64_t *)duration / 1000);
}

static int slowly"""),
      ("return calm_sleep(duration)",
       "return calm_blocking(blocks, &duration)")],
     [r"once: (?:3\.[5-9]|4\.[0-3])"], 0),
    ("basics 4", "async_basics",
     [ERRNO, MAIN_SPEAKS, ("    return slowly(\"loading\", data->name, 1 * CALM_S);",
       """    int rc = slowly("loading", data->name, 1 * CALM_S);
    return rc < 0 ? rc : calm_fail(-EIO, "the disk is broken");""")],
     [r"once: 1\.00 s", r"^the disk is broken$"], 0),
    ("many-tasks 1", "async_multiple",
     [("work, samples, 10, sizeof *samples, NULL",
       "work, samples, 10, sizeof *samples, &(calm_map_opts){.limit = 2}")],
     [r"^10 samples at once: (?:0\.[5-9]|1\.|2\.)"], 0),
    ("many-tasks 2", "async_multiple",
     [("samples[10]", "samples[1000]"), ("i < 10;", "i < 1000;"),
      ("work, samples, 10,", "work, samples, 1000,")],
     [r"at once: 0\.50 s, one by one (?:2|3)\d\d\."], 0),
    ("files 1", "async_file_io", [("FILES = 5", "FILES = 1000")],
     [r"read 1000 of 1001 files"], 0),
    ("files 3", "async_file_io",
     [("rc < 0 ? rc : read_those_there_are(files, FILES + 1)",
       "calm_map(read_file, files, FILES + 1, sizeof *files, NULL)")],
     [r"^cannot read 'missing.txt': No such file or directory$"], 1),
    ("files 5", "async_file_io",
     [("calm_csv_put_double(&csv, 0.9)",
       'calm_csv_put_text(&csv, "yes, \\"surely\\"")')],
     [r'the first prediction is yes, "surely"',
      r'^0,"yes, ""surely""",1$'], 0),
    ("files 6", "async_file_io",
     [("    int rc = calm_file_write_all(path, out",
       '    calm_bytes_append_text(&out, "100,0.9\\n");\n'
       "    int rc = calm_file_write_all(path, out")],
     [r"line 102: 2 fields instead of 3"], 1),
    ("pipeline 1", "async_ml_pipeline",
     [(".fn = predict}", ".fn = predict, .concurrency = 2}")],
     [r"^time: 0\.59 s$"], 0),
    ("pipeline 2", "async_ml_pipeline",
     [("    return calm_map(predict_sample",
       '    if (((struct sample *)batch)->id == 64)\n'
       '        return calm_fail(-EIO, "batch 2 is bad");\n'
       "    return calm_map(predict_sample")],
     [r"^samples: 64$", r"^batch 2 is bad$"], 1),
    ("pipeline 3", "async_ml_pipeline",
     [("    return calm_map(predict_sample",
       '    if (((struct sample *)batch)->id == 64)\n'
       '        return calm_fail(-EIO, "batch 2 is bad");\n'
       "    return calm_map(predict_sample"),
      ("    return code;", "    if (code < 0)\n"
       "        puts(calm_message(code));\n    return 0;")],
     [r"^samples: 168$", r"^batch 2 is bad$"], 0),
    ("pipeline 4", "async_ml_pipeline",
     [(".fn = predict}", ".fn = predict, .where = CALM_ON_CPU}")],
     [r"^a call that waits was made outside a task$"], 1),
    ("errors 1", "async_error_handling", [ALL_FAIL],
     [r", 20 failed,", r"again in 0\.5 s", r"again in 1\.0 s",
      r"^operation 20: operation 20 failed$"], 0),
    ("errors 2", "async_error_handling",
     [ALL_FAIL, ("        .no_jitter = true,\n", "")],
     [r"again in 0\.[0-5] s", r"again in (?:0\.\d|1\.0) s"], 0),
    ("errors 3", "async_error_handling",
     [("static int run_all", """static int hasty(void *arg)
{
    return calm_with_timeout(50 * CALM_MS, risky_operation, arg);
}

static int run_all"""), ("calm_map(risky_operation", "calm_map(hasty")],
     [r"0 successful, 0 failed, 20 errors", r"the timeout expired"], 0),
    ("errors 4", "async_error_handling",
     [ALL_FAIL, ("&(calm_map_opts){.results = results});",
                 "NULL);\n    return rc;")],
     [r"^operation \d+ failed$"], 1),
    ("errors 5", "async_error_handling",
     [ALL_FAIL, ("static void say_retry", """static bool not_these(void *arg, int code)
{
    return code != -EINVAL;
}

static void say_retry"""),
      (".on_retry = say_retry", ".retryable = not_these, .on_retry = say_retry")],
     [r"errors\noperation 20: operation 20 failed$"], 0),
    ("when 2 (real)", "concurrency_comparison",
     [(".processes = TASKS", ".processes = 2")],
     [r"^processes +0\.[5-9]"], 0),
    ("validation 1", "validate_async", [("-ECANCELED : 42", "-ECANCELED : 41")],
     [r"^FAIL a task returns", r"^1 of 3"], 1),
    ("validation 2", "validate_async", [("    *number *= 2;\n", "")],
     [r"^FAIL results keep", r"^1 of 3"], 1),
]


def changed(example, changes):
    text = (ROOT / "examples" / f"{example}.c").read_text()
    for old, new in changes:
        if old not in text:
            return None, f"{example}.c no longer has: {old}"
        text = text.replace(old, new)
    return text, None


def try_one(name, example, changes, patterns, code, build, folder):
    text, problem = changed(example, changes)
    if problem:
        return problem
    done = subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu17", "-O1", "-w", "-xc", "-",
         "-o", f"{folder}/mine", f"-I{ROOT}/include", f"-L{build}", "-lcalm",
         "-lm", f"-Wl,-rpath,{build}"],
        input=text, capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    environment = dict(os.environ)
    if "real" not in name:
        environment["CALM_CLOCK"] = "virtual"
    if "debug" in name:
        environment["CALM_DEBUG"] = "1"
    done = subprocess.run(
        f"./mine; code=$?; [ ! -e predictions.csv ] || cat predictions.csv; "
        "exit $code", shell=True, cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60)
    missing = [p for p in patterns
               if not re.search(p, done.stdout, re.MULTILINE)]
    if not missing and done.returncode == code:
        return None
    return f"not found: {missing}, exit {done.returncode}\n{done.stdout}"


def main(build):
    failed = 0
    for name, example, changes, patterns, code in EXERCISES:
        if not (build / "examples" / example).exists():
            print(f"ok - exercise {name} # SKIP not built")
            continue
        with tempfile.TemporaryDirectory() as folder:
            problem = try_one(
                name, example, changes, patterns, code, build, folder)
        print(("not ok" if problem else "ok") + f" - exercise {name}")
        if problem:
            print("\n".join("    " + line for line in problem.splitlines()))
            failed += 1
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
