#!/usr/bin/env python3
"""calls.py - writes calm(3) from the public headers, so that it cannot differ

    calls.py CALM.H calm.3.scd DEPFILE

The order is that of <calm.h>. Of each header the page has the comment at its
top and then, for each declaration, the declaration and its comment: what a
call does, whose memory it returns, what a cancel does to it, its errors.
"""

import contextlib
import pathlib
import re
import sys

INTRO = """calm(3)

# NAME

calm - calls of the C Asynchronous Library for ML, by header

# SYNOPSIS

*#include <calm.h>*

*cc* _program.c_ *$(pkg-config --cflags --libs calm)*

# DESCRIPTION

*<calm.h>* includes all of the headers below; each may also be included alone.
CALM_SUSPENDS marks calls that may suspend the task. *calm*(7) explains the
concepts.
"""

OUTRO = """
# SEE ALSO

*calm*(1), *calm*(7)
"""


def literal(lines):
    """A block whose lines stay as they are."""
    print("```")
    print("\n".join(lines).replace("\\", "\\\\"))
    print("```\n")


def plain(text):
    """Text in which nothing is markup to scdoc."""
    text = re.sub(r"([\\*_`~#\[\]|])", r"\\\1", text)
    return re.sub(r"^([-.<>:])", r"\\\1", text)


def prose(comment):
    """A comment as paragraphs; what is set further in stays as it is."""
    text = re.sub(r"^/\*+ ?|\s*\*/$", "", comment.strip())
    lines = [re.sub(r"^ \* ?", "", line) for line in text.splitlines()]
    paragraphs, inside = [], None
    for line in lines:
        kind = None if not line.strip() else \
            "code" if line.startswith("  ") else "text"
        if kind is None and inside == "code":
            paragraphs[-1][1].append("")
        elif kind != inside and kind:
            paragraphs.append((kind, [line]))
        elif kind:
            paragraphs[-1][1].append(line)
        if kind or inside != "code":
            inside = kind
    for kind, content in paragraphs:
        if kind == "code":
            while not content[-1]:
                content.pop()
            literal(content)
        else:
            print("\n".join(plain(line.strip()) for line in content) + "\n")


def is_whole(code):
    """Whether a declaration, or a function with its body, ends here."""
    return code.count("{") == code.count("}") and code[-1] in ";}"


def chunks(body):
    """A header's comments and declarations, one after the other."""
    lines = body.splitlines()
    while lines:
        line = lines.pop(0)
        if line.startswith("/*"):
            chunk = [line]
            while "*/" not in chunk[-1] and lines:
                chunk.append(lines.pop(0))
            yield "comment", "\n".join(chunk)
        elif line.startswith("#"):
            chunk = line
            while chunk.endswith("\\") and lines:
                chunk += "\n" + lines.pop(0)
            if line.startswith("#define"):
                yield "code", chunk
        elif line.strip():
            chunk = line
            while lines and not is_whole(chunk):
                chunk += "\n" + lines.pop(0)
            yield "code", chunk


def declared(code):
    return re.sub(r"\s*__attribute__\(\([^;]*\)\)", "", code)


def header_page(name, text):
    top, rest = re.match(r"/\*(.*?)\*/\n(.*)", text, re.DOTALL).groups()
    idea, _, more = top.partition("\n")
    idea = idea.split(" - ", 1)[1].strip()
    print(f"# <{name}>\n\n{plain(idea[0].upper() + idea[1:])}.\n")
    prose(f"/*\n{more}*/")
    body = rest.split('extern "C" {\n#endif')[-1].rsplit("#ifdef", 1)[0]
    comment, code = None, []

    def flush():
        if code:
            literal("\n".join(declared(part) for part in code).splitlines())
            if comment:
                prose(comment)
            code.clear()

    for kind, chunk in chunks(body):
        section = re.match(r"/\* -+ (.*?) -+ \*/$", chunk)
        if kind == "code":
            code.append(chunk)
            continue
        flush()
        comment = None if section else chunk
        if section:
            title = section.group(1)
            print(f"## {plain(title[0].upper() + title[1:])}\n")
    flush()


def main(path, output, depfile):
    everything = pathlib.Path(path)
    headers = [everything.parent / name for name in
               re.findall(r"#include <(calm/\w+\.h)>", everything.read_text())]
    with open(output, "w", encoding="utf-8") as page:
        with contextlib.redirect_stdout(page):
            print(INTRO)
            for header in headers:
                header_page(f"calm/{header.name}", header.read_text())
            print(OUTRO)
    # So that the page is made anew when one of the headers changes.
    pathlib.Path(depfile).write_text(
        f"{output}: {' '.join(str(header) for header in headers)}\n")


main(*sys.argv[1:])
