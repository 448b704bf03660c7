"""mkdocs_sources.py - the sources that the documents link to, in the site

A document links to ../include/calm/task.h, which is right on a forge and in a
checkout, but lies outside of what mkdocs makes a site of. This hook gives each
such file a page of its own, and leaves the text alone of links to folders.
"""

import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
LANGUAGES = {".c": "c", ".h": "c", ".cpp": "cpp", ".S": "asm", ".sh": "sh",
             ".py": "python", ".md": "markdown"}


def outside(page, target):
    """What a link leads to, from the root, if that lies outside of docs/."""
    if re.match(r"\w+:", target):
        return None
    path = ((DOCS / page).parent / target).resolve()
    if not path.is_relative_to(ROOT) or path.is_relative_to(DOCS):
        return None
    return path.relative_to(ROOT)


def on_files(files, config):
    found = set()
    for page in files.documentation_pages():
        text = (DOCS / page.src_path).read_text()
        for _, target, _ in LINK.findall(text):
            source = outside(page.src_path, target)
            if source and (ROOT / source).is_file():
                found.add(source)
    for source in sorted(found):
        files.append(File(f"source/{source}.md", str(ROOT),
                          config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_read_source(page, config):
    if not page.file.src_path.startswith("source/"):
        return None
    source = page.file.src_path[len("source/"):-len(".md")]
    language = LANGUAGES.get(pathlib.Path(source).suffix, "")
    text = (ROOT / source).read_text()
    return f"# {source}\n\n~~~~~{language}\n{text}\n~~~~~\n"


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_path

    def led(match):
        text, target, anchor = match.group(1), match.group(2), match.group(3)
        source = outside(here, target)
        if not source:
            return match.group(0)
        if not (ROOT / source).is_file():
            return text
        up = "../" * here.count("/")
        return f"[{text}]({up}source/{source}.md{anchor or ''})"

    return markdown if here.startswith("source/") else LINK.sub(led, markdown)
