"""A program in a terminal, and what its screen shows as SVG.

The terminal knows what `serin-demo` needs: colours, bold, dim, and moving up over lines to clear them.
"""

import fcntl
import html
import os
import pty
import re
import struct
import subprocess
import termios

COLUMNS, ROWS = 100, 50
# A piece of output: an escape sequence, a control character, or text.
PIECE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")

WIDTH, HEIGHT, MARGIN = 8.4, 19, 16
COLOURS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 36: "#76e3ea"}
STYLE = f"""
    .screen {{ fill: #0d1117 }}
    text {{ fill: #e6edf3; font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }}
    .bold {{ font-weight: 700 }}
    .dim {{ fill: #8b949e }}
    {" ".join(f".c{code} {{ fill: {colour} }}" for code, colour in COLOURS.items())}
"""


class Screen:
    """Lines of cells; a cell is a character and the set of its styles."""

    def __init__(self):
        self.lines, self.row, self.column, self.styles = [[]], 0, 0, frozenset()

    def write(self, output):
        for values, command, control, text in PIECE.findall(output):
            if text:
                self._put(text)
            elif control == "\n":
                self.row += 1
                while len(self.lines) <= self.row:
                    self.lines.append([])
            elif control == "\r":
                self.column = 0
            elif command == "m":
                self._style(values)
            elif command == "A":
                self.row = max(0, self.row - int(values or 1))
            elif command == "B":
                self.row = min(len(self.lines) - 1, self.row + int(values or 1))
            elif command == "K":
                self.lines[self.row] = []

    def _put(self, text):
        line = self.lines[self.row]
        line.extend([(" ", frozenset())] * (self.column - len(line)))
        line[self.column:self.column + len(text)] = [(letter, self.styles) for letter in text]
        self.column += len(text)

    def _style(self, values):
        for value in map(int, (values or "0").split(";")):
            if value == 0:
                self.styles = frozenset()
            elif value in (1, 2) or value in COLOURS:
                self.styles |= {{1: "bold", 2: "dim"}.get(value, f"c{value}")}

    def text(self):
        return "\n".join("".join(letter for letter, _ in line) for line in self.lines)


def play(command, seen):
    """Runs a command in a terminal and gives `seen` its output, piece by piece."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    environment |= {"TERM": "xterm-256color", "CLICOLOR_FORCE": "1"}
    program = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    rest = b""
    while True:
        try:
            read = os.read(master, 65536)
        except OSError:  # The program has closed its side.
            read = b""
        if not read:
            break
        # A letter or an escape sequence may be cut: it waits for its end.
        whole, newline, rest = (rest + read).rpartition(b"\n")
        seen((whole + newline).decode())
    seen(rest.decode())
    os.close(master)
    if program.wait() != 0:
        raise SystemExit(f"{command[0]} ended with {program.returncode}")


def runs(line):
    """The line's pieces of one style: their column, text and styles."""
    start = 0
    for column in range(1, len(line) + 1):
        if column == len(line) or line[column][1] != line[start][1]:
            text = "".join(letter for letter, _ in line[start:column])
            if text.strip():
                yield start, text, line[start][1]
            start = column


def svg(lines, title):
    """Lines of a screen as a picture."""
    width = COLUMNS * WIDTH + 2 * MARGIN
    height = len(lines) * HEIGHT + 2 * MARGIN
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" '
        f'aria-label="{html.escape(title)}">',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="screen" width="{width:.0f}" height="{height}" rx="10"/>',
    ]
    for row, line in enumerate(lines):
        for column, text, styles in runs(line):
            indent = len(text) - len(text.lstrip())
            column, text = column + indent, text.strip()
            names = f' class="{" ".join(sorted(styles))}"' if styles else ""
            # The length keeps columns below each other in whatever font the reader has.
            drawn.append(
                f'  <text x="{MARGIN + column * WIDTH:.1f}" y="{MARGIN + row * HEIGHT + 14}" '
                f'textLength="{len(text) * WIDTH:.1f}"{names}>{html.escape(text)}</text>')
    return "\n".join([*drawn, "</svg>", ""])
