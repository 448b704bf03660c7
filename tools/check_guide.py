#!/usr/bin/env python3
"""check_guide.py - what the documents quote, show, name and link to is so

    check_guide.py BUILD

A block of C stands word for word in an example or a public header, or is a
whole program, which check_docs.sh compiles and runs, or compiles as it is.

A block of console with a command that begins with build/ is run, and what it
shows must be what comes out but for the numbers, which are the machine's; equal
lines that follow each other count once, and a line of three dots stands for any
lines. ./dev run NAME.c is the program that stands before it; calm serve with &
serves the commands behind it. What calm compare prints is another thing on
every machine, and is left alone.

Names of calls exist, links lead to files and to their headings.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))

# Programs that draw random numbers print one thing or another: a block must
# show what one run of so many prints.
RUNS = 60

# These are about real time; the others sleep in no time.
REAL = ("concurrency_comparison", "async_api_calls", "calm serve")

PRELUDE = """#include <calm.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
"""

failed = 0


def check(sentence, problem):
    """Prints a line for ./dev test; PROBLEM is None when all is well."""
    global failed
    print(("ok - " if problem is None else "not ok - ") + sentence)
    if problem is not None:
        print("\n".join("    " + line for line in problem.splitlines()))
        failed += 1


def blocks(text):
    """The fenced blocks of a document: language, line and content."""
    inside, first, content = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"```(\w*)", line)
        if not fence:
            content.append(line)
        elif inside is None:
            inside, first, content = fence.group(1), number, []
        else:
            yield inside, first, content
            inside = None


# ---- C ----

def is_quoted(content, sources):
    wanted = "\n" + "\n".join(content).rstrip() + "\n"
    return any(wanted in source for source in sources)


def compiles(content):
    source = PRELUDE + "\n".join(content) + "\n"
    done = subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu17", "-fsyntax-only", "-Wall",
         "-Wno-unused-function", "-Werror", f"-I{ROOT}/include", "-xc", "-"],
        input=source, capture_output=True, text=True)
    return done.stderr if done.returncode else None


def is_whole(content):
    text = "\n".join(content)
    return "#include" in text and "int main" in text


def check_c(where, content, sources):
    if is_whole(content):
        return  # check_docs.sh sees to it
    if is_quoted(content, sources):
        check(f"{where} is quoted", None)
        return
    problem = compiles(content)
    check(f"{where} compiles", problem and
          f"it is in no example or header, nor does it compile:\n{problem}")


# ---- console ----

def shape(lines):
    """The lines with their numbers as N, each once of those in a row."""
    result = []
    for line in lines:
        line = re.sub(r"\d+(\.\d+)?(e-?\d+)?", "N", line.rstrip())
        line = re.sub(r" +", " ", line)
        if line and line != (result[-1] if result else None):
            result.append(line)
    return result


def matches(shown, printed):
    """Whether PRINTED is what is SHOWN; "..." is any number of lines."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(matches(shown[1:], printed[i:])
                   for i in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and \
        matches(shown[1:], printed[1:])


class Server:
    """calm serve ... --port N &, on a port that the kernel chooses."""

    def __init__(self, command, folder, environment):
        port, file = f"{folder}/port", f"{folder}/serving"
        self.wanted = re.search(r"--port (\d+)", command).group(1)
        command = command.rstrip(" &").replace(
            f"--port {self.wanted}", "--port 0 --port-file port")
        with open(file, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                ["sh", "-c", "exec " + command], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        for _ in range(300):
            if os.path.exists(port) and os.path.getsize(port):
                break
            time.sleep(0.1)
        self.said = pathlib.Path(file).read_text().splitlines()
        self.port = pathlib.Path(port).read_text().strip() \
            if os.path.exists(port) else self.wanted

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run_once(commands, build, folder):
    """What the commands print, in a folder that looks like the tree."""
    environment = dict(os.environ)
    if not is_real(commands):
        environment["CALM_CLOCK"] = "virtual"
    printed, server = [], None
    for command in commands:
        printed.append("$ " + command)
        if command.endswith("&"):
            server = Server(command, folder, environment)
            printed += server.said
            continue
        command = command.replace("./dev run ", "./")
        if server:
            command = command.replace(":" + server.wanted, ":" + server.port)
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120)
        printed += done.stdout.splitlines()
    if server:
        server.stop()
    return printed


def is_real(commands):
    return any(name in command for name in REAL for command in commands)


def compile_for(commands, program, build, folder):
    """Makes NAME.c of ./dev run NAME.c, a program under that very name."""
    for name in re.findall(r"\./dev run (\S+)", "\n".join(commands)):
        done = subprocess.run(
            [os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-xc", "-",
             "-o", f"{folder}/{name}", f"-I{ROOT}/include", f"-L{build}",
             "-lcalm", "-lm", f"-Wl,-rpath,{build}"],
            input=program, capture_output=True, text=True)
        if done.returncode:
            return done.stderr
    return None


def furnish(folder, build):
    """Makes it look like the tree after ./dev demo."""
    os.symlink(ROOT / "examples", folder + "/examples")
    os.makedirs(folder + "/build/demo")
    for name in ("cli", "examples", "tools"):
        os.symlink(build / name, f"{folder}/build/{name}")
    if (build / "tools" / "train").exists():
        subprocess.run(
            [build / "tools" / "train",
             ROOT / "examples" / "data" / "breast_cancer.csv", "label",
             "sample_id", "model.json", "held.csv"],
            cwd=folder + "/build/demo", check=True, stdout=subprocess.DEVNULL)


def check_console(where, content, program, build):
    commands = [line[2:] for line in content if line.startswith("$ ")]
    programs = [re.sub(r"^(\w+=\S+ )+", "", command) for command in commands]
    programs = [p.split()[0] for p in programs
                if p.startswith(("build/", "./dev run "))]
    if not programs or any("calm compare" in c for c in commands):
        return
    sentence = f"{where} is what comes out"
    needed = [p[len("build/"):] for p in programs if p.startswith("build/")]
    if any("build/demo" in command for command in commands):
        needed.append("tools/train")
    if not all((build / name).exists() for name in needed):
        check(f"{sentence} # SKIP not built", None)
        return
    with tempfile.TemporaryDirectory() as folder:
        furnish(folder, build)
        problem = compile_for(commands, program, build, folder)
        for _ in range(0 if problem else 1 if is_real(commands) else RUNS):
            printed = run_once(commands, build, folder)
            problem = "\n".join(printed)
            if matches(shape(content), shape(printed)):
                problem = None
                break
    check(sentence, problem)


# ---- names and links ----

def known_names():
    names = set()
    for path in [*(ROOT / "include").rglob("*.h"), *(ROOT / "src").rglob("*.c")]:
        names |= set(re.findall(r"\b(?:calm|CALM)_\w+", path.read_text()))
    return names


def check_names(document, text, names):
    used = set(re.findall(r"\b(?:calm|CALM)_\w*[A-Za-z0-9]\b(?!\*|_\*)", text))
    used -= {"calm_thing_verb", "calm__thing_verb"}  # the pattern of names
    unknown = sorted(used - names)
    check(f"the calls that {document} names exist",
          "\n".join(unknown) if unknown else None)


def slug(heading):
    """A heading's anchor, as forges and mkdocs both make it."""
    heading = re.sub(r"[^\w\s-]", "", heading.strip().lower())
    return re.sub(r"\s+", "-", heading)


def anchors(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    return {slug(h) for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def check_links(document, path, text):
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        leads = (path.parent / name).resolve() if name else path
        if not leads.exists():
            dead.append(target)
        elif anchor and anchor not in anchors(leads):
            dead.append(f"{target} (no such heading)")
    check(f"the links of {document} lead somewhere",
          "\n".join(dead) if dead else None)


# ---- the site ----

def check_site():
    if not shutil.which("mkdocs"):
        print("ok - mkdocs makes a site of it # SKIP not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["mkdocs", "build", "--strict", "--site-dir", folder], cwd=ROOT,
            capture_output=True, text=True)
    check("mkdocs makes a site of it",
          done.stdout + done.stderr if done.returncode else None)


def main(build):
    sources = ["\n" + path.read_text() for path in
               [*(ROOT / "examples").glob("*.c"),
                *(ROOT / "include").rglob("*.h")]]
    names = known_names()
    for path in DOCUMENTS:
        document = str(path.relative_to(ROOT))
        text = path.read_text()
        check_links(document, path, text)
        check_names(document, text, names)
        program = ""
        for language, line, content in blocks(text):
            where = f"{document}:{line}"
            if language == "c":
                check_c(where, content, sources)
                if is_whole(content):
                    program = "\n".join(content) + "\n"
            elif language == "console":
                check_console(where, content, program, build)
    check_site()
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
