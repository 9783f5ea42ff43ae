#!/usr/bin/env python3
"""pictures/main.py: makes the pictures of docs/pictures that show Serin at work.

Everything in them is real. `serin-demo` runs in a terminal. It runs once more under a Prometheus, which
answers the dashboard's queries, and `serin report` makes a page of that run's recording. Times and counts
vary from run to run. The drawings (overview, request, tick) are written by hand and stay as they are.
"""

import pathlib
import subprocess
import tempfile

import browser
import dashboard
import terminal

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PICTURES = ROOT / "docs" / "pictures"
BUILT = ROOT / "target" / "debug"
# Larger files make the repository slow to clone.
MOST_BYTES = 200_000


def write(name, content):
    content = content.encode() if isinstance(content, str) else content
    if len(content) > MOST_BYTES:
        raise SystemExit(f"{name} has {len(content)} bytes, and {MOST_BYTES} are the most")
    (PICTURES / name).write_bytes(content)
    print(f"docs/pictures/{name}: {len(content)} bytes")


def demo():
    """The demo's terminal: in the middle of the story, and at its end."""
    screen, middle = terminal.Screen(), []

    def seen(output):
        nonlocal middle
        screen.write(output)
        # The last table before the verdict.
        if "the evidence grows" in screen.text():
            middle = [list(line) for line in screen.lines]

    terminal.play([BUILT / "serin-demo"], seen)
    lines = screen.lines
    # The last line is JSON for programs, and wider than a terminal.
    while lines and not any(letter.strip() for letter, _ in lines[-1]) or lines[-1][0][0] == "{":
        lines.pop()
    write("demo.svg", terminal.svg(lines, "The end of make demo in a terminal"))
    if middle:
        write("demo-table.svg", terminal.svg(middle, "The table of make demo before the verdict"))


def report(recording, folder):
    program = browser.find()
    if not program:
        print("the report is left out: no chromium (Debian: apt-get install chromium)")
        return
    # Without folders: the page says by which command it was made.
    subprocess.run(
        [BUILT / "serin", "report", "--config", recording.with_suffix(".config.json").name, recording.name,
         "-o", "report.html"], cwd=folder, check=True)
    page = folder / "report.html"
    window = browser.Browser(program)
    write("report.png", window.picture(page, 1200, 1000))
    write("report-phone.png", window.picture(page, 390, 844))
    window.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        recording = folder / "exchanges.jsonl"
        demo()
        write("dashboard.svg", dashboard.draw(ROOT, [BUILT / "serin-demo", "--record", recording], folder))
        report(recording, folder)


if __name__ == "__main__":
    main()
