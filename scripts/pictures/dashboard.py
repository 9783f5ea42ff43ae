"""The dashboard's panels, drawn from what a real Prometheus answers to the dashboard's own queries.

Grafana is not needed: title, queries and legends come from the dashboard's file, the rest is a plain plot.
"""

import html
import json
import math
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request

PANELS = ["Evidence, and how much a verdict needs", "How often requests meet each category",
          "Share of each version", "What Serin did"]
# A fault that takes some time to find, so that there is something to see.
STORY = ["--regression", "errors", "--share", "20"]
RATE_INTERVAL = "15s"
MOST_LINES = 6

WIDTH, HEIGHT, GAP = 480, 270, 20
LEFT, RIGHT, TOP = 46, 14, 40
PLOT = 120
STYLE = """
    text { fill: #1f2328; font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif }
    .panel { fill: #ffffff; stroke: #d0d7de }
    .title { font-size: 14px; font-weight: 600 }
    .axis { fill: #57606a } .grid { stroke: #d0d7de; stroke-width: 1 }
    .line { fill: none; stroke-width: 2 }
    .s0 { stroke: #0969da } .s1 { stroke: #bc4c00 } .s2 { stroke: #1a7f37 } .s3 { stroke: #8250df } .s4 { stroke: #bf3989 } .s5 { stroke: #57606a }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .panel { fill: #0d1117; stroke: #30363d }
      .axis { fill: #8b949e } .grid { stroke: #30363d }
      .s0 { stroke: #58a6ff } .s1 { stroke: #f0883e } .s2 { stroke: #3fb950 } .s3 { stroke: #bc8cff } .s4 { stroke: #f778ba } .s5 { stroke: #8b949e }
    }
"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Prometheus:
    """A Prometheus that scrapes one Envoy each second and evaluates the shipped recording rules."""

    def __init__(self, root, folder, envoy):
        rules = (root / "envoyfilter-manifests/alerts/recording.yaml").read_text(encoding="utf-8")
        _, _, rules = rules.partition("\nspec:\n")
        (folder / "rules.yaml").write_text(rules.replace("interval: 15s", "interval: 1s"))
        (folder / "prometheus.yaml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "envoy", "metrics_path": "/stats/prometheus",
                                "static_configs": [{"targets": [envoy]}]}]}))
        address = f"127.0.0.1:{free_port()}"
        self._url = f"http://{address}/api/v1/"
        self._log = (folder / "prometheus.log").open("wb")
        self._program = subprocess.Popen(
            [root / ".cache/prometheus/prometheus", f"--config.file={folder / 'prometheus.yaml'}",
             f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"],
            stdout=self._log, stderr=self._log)

    def series(self, query, start, end):
        """Each series as its labels and its points (time, value)."""
        values = {"query": query, "start": start, "end": end, "step": 1}
        url = self._url + "query_range?" + urllib.parse.urlencode(values)
        with urllib.request.urlopen(url, timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        return [(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in result]

    def stop(self):
        self._program.terminate()
        self._program.wait()
        self._log.close()


def watch(root, demo, folder):
    """Plays the story under Prometheus: that, the start and the end."""
    start = time.time()
    program = subprocess.Popen([*demo, *STORY], stdout=subprocess.DEVNULL)
    runs = root / "target" / "integration"
    prometheus = None
    while prometheus is None:
        if program.poll() is not None:
            raise SystemExit(f"the demo ended with {program.returncode} before its Envoy ran")
        for file in runs.glob("demo-errors*/**/admin.address"):
            address = file.read_text().strip()
            if file.stat().st_mtime >= start and address:
                prometheus = Prometheus(root, folder, address)
                break
        else:
            time.sleep(0.2)
    try:
        if program.wait() != 0:
            raise SystemExit(f"the demo ended with {program.returncode}")
    except BaseException:
        prometheus.stop()
        raise
    return prometheus, start, time.time()


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panels(panel) if "panels" in panel else ()


def lines(prometheus, panel, start, end):
    """The panel's series: a name and the points of each."""
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", RATE_INTERVAL)
        query = re.sub(r"\$(destination|version)", ".+", query)
        for labels, points in prometheus.series(query, start, end):
            name = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), target["legendFormat"])
            points = [(at - start, value) for at, value in points if math.isfinite(value)]
            # A line along zero says nothing and hides the others.
            if any(value for _, value in points):
                yield name, points


def ceiling(value):
    """The next round number: 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def number(value, unit):
    return f"{100 * value:.3g}%" if unit == "percentunit" else f"{value:.3g}"


def plot(panel, found, seconds, x, y):
    """One panel as SVG, with its corner at x, y."""
    found = sorted(found, key=lambda line: -max(value for _, value in line[1]))[:MOST_LINES]
    most = ceiling(max((value for _, points in found for _, value in points), default=1))
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
    width = WIDTH - LEFT - RIGHT
    yield f'  <g transform="translate({x} {y})">'
    yield f'    <rect class="panel" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6"/>'
    yield f'    <text class="title" x="14" y="24">{html.escape(panel["title"])}</text>'
    for part in (0, 0.5, 1):
        at = TOP + PLOT * (1 - part)
        yield f'    <path class="grid" d="M{LEFT} {at:g}h{width}"/>'
        yield (f'    <text class="axis" x="{LEFT - 6}" y="{at + 4:g}" text-anchor="end">'
               f'{number(most * part, unit)}</text>')
    step = ceiling(seconds / 5)
    for at in range(0, int(seconds) + 1, max(1, int(step))):
        yield (f'    <text class="axis" x="{LEFT + width * at / seconds:.0f}" y="{TOP + PLOT + 17}" '
               f'text-anchor="middle">{at} s</text>')
    for index, (name, points) in enumerate(found):
        path = "L".join(
            f"{LEFT + width * at / seconds:.1f} {TOP + PLOT * (1 - max(value, 0) / most):.1f}"
            for at, value in points)
        below = TOP + PLOT + 37 + 17 * (index // 2 if len(found) > 3 else index)
        left = 14 + (WIDTH // 2 - 10) * (index % 2 if len(found) > 3 else 0)
        yield f'    <path class="line s{index}" d="M{path}"/>'
        yield f'    <path class="line s{index}" d="M{left} {below - 4}h16"/>'
        yield f'    <text x="{left + 22}" y="{below}">{html.escape(name)}</text>'
    yield "  </g>"


def draw(root, demo, folder):
    """The picture of the panels during a demo."""
    dashboard = json.loads((root / "envoyfilter-manifests/dashboards/serin.json").read_text(encoding="utf-8"))
    by_title = {panel.get("title"): panel for panel in panels(dashboard)}
    prometheus, start, end = watch(root, demo, folder)
    try:
        found = [list(lines(prometheus, by_title[title], start, end)) for title in PANELS]
    finally:
        prometheus.stop()
    rows = math.ceil(len(PANELS) / 2)
    width, height = 2 * WIDTH + GAP, rows * HEIGHT + (rows - 1) * GAP
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
             'aria-label="Panels of the dashboard during a demo">', f"  <style>{STYLE}  </style>"]
    for index, title in enumerate(PANELS):
        x, y = index % 2 * (WIDTH + GAP), index // 2 * (HEIGHT + GAP)
        drawn.extend(plot(by_title[title], found[index], end - start, x, y))
    return "\n".join([*drawn, "</svg>", ""])
