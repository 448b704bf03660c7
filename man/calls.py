#!/usr/bin/env python3
"""calls.py - writes calm(3): the calls of each public header, by their own text

    calls.py CALM.H >calm.3.scd

The order is that of <calm.h>; of each header the page has the first line of
its comment and its prototypes, so that it cannot differ from what compiles.
"""

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
What a call does, whose memory it returns, what a cancel does to it and its
errors stand in the header at the call. CALM_SUSPENDS marks calls that may
suspend the task. *calm*(7) explains the concepts.
"""

OUTRO = """
# SEE ALSO

*calm*(1), *calm*(7)
"""


def prototypes(text):
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#.*(\\\n.*)*$", "", text, flags=re.MULTILINE)
    text = text.replace('extern "C" {', "")
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", "", text)
    for statement in text.split(";"):
        statement = " ".join(statement.split())
        statement = re.sub(r" ?__attribute__\(\(.*\)\)$", "", statement)
        if "(" in statement and "typedef" not in statement:
            yield statement.lstrip("} ") + ";"


def folded(prototype):
    """At most 72 columns, broken behind commas."""
    lines = [""]
    for part in re.findall(r"[^,]+,?", prototype):
        if len(lines[-1] + part) > 72:
            lines.append("    " + part.strip())
        else:
            lines[-1] += part
    return "\n".join(lines)


def main(path):
    everything = pathlib.Path(path)
    print(INTRO)
    for name in re.findall(r"#include <(calm/\w+\.h)>", everything.read_text()):
        text = (everything.parent / name).read_text()
        idea = re.match(r"/\* \S+ - (.*?)(?: \*/)?\n", text).group(1)
        print(f"# <{name.upper()}>\n\n{idea[0].upper() + idea[1:]}.\n\n```")
        for prototype in prototypes(text):
            print(folded(prototype))
        print("```\n")
    print(OUTRO)


main(sys.argv[1])
