#!/usr/bin/env python3
"""docs.py MDBOOK: builds the site of the documents into target/docs.

On GitHub the documents link to each other and to the sources by relative paths. The site has the pages
of docs/SUMMARY.md alone, all in one folder: links to other pages lead there, links to anything else
lead to the repository. A link to a page, a heading or a file that does not exist is an error.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BOOK = ROOT / "target" / "book"
LINK = re.compile(r"(\]\()([^()\s]+)(\))")
HEADING = re.compile(r"^#+ (.*?)\s*$")


def page_name(path):
    """A page's name in the site, where all are in one folder. The README of the root opens the site."""
    if path == ROOT / "README.md":
        return "README.md"
    if path.name == "README.md":
        return f"{path.parent.name}.md"
    # SECURITY.md says how to report, docs/security.md what is stored.
    return path.name if path.parent == DOCS else f"project-{path.name.lower()}"


def pages():
    """All pages as file → name in the site, in the order of the summary."""
    links = LINK.findall((DOCS / "SUMMARY.md").read_text(encoding="utf-8"))
    found = [(DOCS / target).resolve() for _, target, _ in links]
    return {path: page_name(path) for path in found}


def lines(text):
    """Each line of a text, with whether it belongs to a block of code."""
    fenced = False
    for line in text.splitlines(keepends=True):
        fence = line.lstrip().startswith("```")
        yield line, fenced or fence
        fenced ^= fence


def anchors(path):
    """The anchors of a page's headings, as GitHub and mdBook make them."""
    found = set()
    for line, code in lines(path.read_text(encoding="utf-8")):
        heading = None if code else HEADING.match(line)
        if heading:
            words = re.sub(r"[^\w\- ]", "", LINK.sub("]", heading[1]).lower())
            found.add(words.replace(" ", "-"))
    return found


class Site:
    def __init__(self):
        self.pages = pages()
        self.repository = tomllib.loads((DOCS / "book.toml").read_text())["output"]["html"][
            "git-repository-url"]
        self.wrong = []
        self.copied = set()

    def target(self, page, link):
        """Where a link of a page leads in the site."""
        if "://" in link or link.startswith("mailto:"):
            return link
        path, _, anchor = link.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            self.wrong.append(f"{page.relative_to(ROOT)}: {link} leads nowhere")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            self.wrong.append(f"{page.relative_to(ROOT)}: {link} leads to no heading")
        suffix = f"#{anchor}" if anchor else ""
        if file in self.pages:
            return (self.pages[file] if path else "") + suffix
        inside = file.relative_to(ROOT)
        if file.suffix in (".svg", ".png"):
            self.copied.add(file)
            return inside.relative_to("docs").as_posix()
        kind = "tree" if file.is_dir() else "blob"
        return f"{self.repository}/{kind}/main/{inside.as_posix()}{suffix}"

    def rewritten(self, page):
        """A page's text with its links rewritten. Code is left as it is."""
        def change(match):
            return match[1] + self.target(page, match[2]) + match[3]

        for line, code in lines(page.read_text(encoding="utf-8")):
            # A link's text may be code, its address never is: `](` stands outside of both.
            yield line if code else LINK.sub(change, line)

    def write(self, folder):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "src").mkdir(parents=True)
        shutil.copy(DOCS / "book.toml", folder)
        for file, name in [(DOCS / "SUMMARY.md", "SUMMARY.md"), *self.pages.items()]:
            text = "".join(self.rewritten(file))
            (folder / "src" / name).write_text(text, encoding="utf-8")
        for file in self.copied:
            copy = folder / "src" / file.relative_to(DOCS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    site = Site()
    site.write(BOOK)
    if site.wrong:
        sys.exit("\n".join(site.wrong))
    subprocess.run([sys.argv[1], "build", str(BOOK)], check=True)
    print(f"target/docs/index.html: {len(site.pages)} pages")


main()
