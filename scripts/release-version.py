#!/usr/bin/env python3
"""The project's version, in every place that has it.

  release-version.py check            prints the version; fails where the places disagree
  release-version.py set VERSION      writes it everywhere, and dates the changelog's section
  release-version.py notes VERSION    prints the changelog's section, for a release's page
"""

import argparse
import datetime
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parent.parent
NUMBER = r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?"
# A tag of one of the project's images, where a text shows a command.
IMAGE = rf"registry\.example\.(?:com|org)/serin(?:-cli)?:({NUMBER})\b"
# Each pattern's group is the version. A file has every pattern at least once.
PLACES = {
    "Cargo.toml": [rf'(?m)^version = "({NUMBER})"$'],
    # The members of the workspace are the packages without a source.
    "Cargo.lock": [rf'(?m)^name = ".*"\nversion = "({NUMBER})"\n(?!source)'],
    "envoyfilter-manifests/image/Containerfile": [rf"(?m)^ARG VERSION=({NUMBER})$"],
    "envoyfilter-manifests/serve-verdict/kustomization.yaml": [rf"(?m)^  newTag: ({NUMBER})$"],
    "envoyfilter-manifests/chart/Chart.yaml": [
        rf"(?m)^version: ({NUMBER})$",
        rf"(?m)^appVersion: ({NUMBER})$",
    ],
    "envoyfilter-manifests/README.md": [IMAGE],
    "README.md": [IMAGE],
    "docs/install.md": [IMAGE],
    "docs/reference-config.md": [IMAGE],
    "docs/delivery-tools.md": [IMAGE],
    "scripts/image.sh": [IMAGE],
}
CHANGELOG = "CHANGELOG.md"
UNRELEASED = "## [Unreleased]\n"


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def found():
    """All places as (file, version)."""
    for name, patterns in PLACES.items():
        text = read(name)
        for pattern in patterns:
            versions = re.findall(pattern, text)
            if not versions:
                sys.exit(f"{name} has no version where one is looked for: {pattern}")
            for version in versions:
                yield name, version


def check():
    """The version that all places have."""
    places = list(found())
    wanted = places[0][1]
    wrong = sorted({f"{name}: {version}" for name, version in places if version != wanted})
    if wrong:
        sys.exit(f"Cargo.toml has {wanted}, and others:\n" + "\n".join(wrong))
    return wanted


def dated(changelog, version, day):
    """The changelog with what is unreleased under the version, and nothing unreleased."""
    if f"\n## [{version}]" in changelog:
        sys.exit(f"{CHANGELOG} has a section {version} already")
    if changelog.count(UNRELEASED) != 1:
        sys.exit(f"{CHANGELOG} has to have one section {UNRELEASED.strip()}")
    return changelog.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {day}\n")


def put(version):
    if not re.fullmatch(NUMBER, version):
        sys.exit(f"{version}: a version is three numbers, such as X.Y.Z or X.Y.Z-rc.1")
    check()
    # The day can be said, for builds that have to come out the same.
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc) if epoch else now
    changelog = dated(read(CHANGELOG), version, day.date())
    for name, patterns in PLACES.items():
        text = read(name)
        for pattern in patterns:
            text = re.sub(pattern, lambda match: within(match, version), text)
        (ROOT / name).write_text(text, encoding="utf-8")
    (ROOT / CHANGELOG).write_text(changelog, encoding="utf-8")
    print(f"version {check()} in {len(PLACES)} files, and in {CHANGELOG}")
    print(f"next: git commit -am 'Release {version}' && git tag -s v{version}, then push both")


def within(match, version):
    """The text of a match with its group replaced."""
    start, end = match.span(1)
    text = match.group(0)
    return text[: start - match.start()] + version + text[end - match.start() :]


def notes(version):
    heading = re.search(rf"(?m)^## \[{re.escape(version)}\].*\n", read(CHANGELOG))
    if not heading:
        sys.exit(f"{CHANGELOG} has no section {version}: make release VERSION={version}")
    rest = read(CHANGELOG)[heading.end() :]
    section = re.split(r"(?m)^## ", rest, maxsplit=1)[0].strip()
    if not section:
        sys.exit(f"{CHANGELOG}: the section {version} is empty")
    return section


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "set", "notes"])
    parser.add_argument("version", nargs="?", default="")
    arguments = parser.parse_args()
    if (arguments.what == "check") == bool(arguments.version):
        parser.error("set and notes want a version, check wants none")
    if arguments.what == "set":
        put(arguments.version)
    else:
        print(check() if arguments.what == "check" else notes(arguments.version))


try:
    main()
except (OSError, ValueError) as error:
    sys.exit(f"{error}")
