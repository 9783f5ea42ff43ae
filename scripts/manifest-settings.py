#!/usr/bin/env python3
"""Writes what only you can know into the manifests.

  manifest-settings.py image URL [SHA256] [--manifests FOLDER]
      where the proxies get the module: base/image.yaml
        registry.example.org/serin@sha256:…         an image, by its digest
        https://files.example.org/serin.wasm SHA256   a file, with its sum
        file:///etc/serin/serin.wasm                  a file on the proxy's own disk
  manifest-settings.py reference FILE [--manifests FOLDER]
      what the guard compares with, as `serin snapshot` made it: guard/reference.yaml
"""

import argparse
import json
import pathlib
import re
import sys

MANIFESTS = pathlib.Path(__file__).parent.parent / "envoyfilter-manifests"
DIGEST = re.compile(r"[0-9a-f]{64}")
# An object of a cluster takes no more.
MAX_REFERENCE_BYTES = 1 << 20
PLUGIN = """apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: serin
spec:
"""


def image(url, checksum):
    """The patch of url and sha256."""
    name = url[len("oci://"):] if url.startswith("oci://") else url
    if url.startswith("file://"):
        digest = None
    elif url.startswith(("https://", "http://")):
        digest = checksum or ""
        if not DIGEST.fullmatch(digest):
            sys.exit(f"{url} needs the SHA-256 of the file: sha256sum target/serin.wasm")
    elif "://" in name:
        sys.exit(f"{url}: the address begins with oci://, https:// or file://")
    else:
        digest = name.partition("@sha256:")[2]
        if not DIGEST.fullmatch(digest):
            sys.exit(f"{url} has no digest: a tag may become another module while proxies restart.\n"
                     "Write registry/serin@sha256:…; `make push-image` says which.")
        if checksum and checksum != digest:
            sys.exit("of an image the sum is the digest in its address; leave it out")
        url = f"oci://{name}"
    text = "# Where the module comes from; written by scripts/manifest-settings.py.\n" + PLUGIN
    text += f"  url: {url}\n"
    # Without a sum the one of base/wasmplugin.yaml must not stay.
    text += f'  sha256: "{digest}"\n' if digest else "  sha256: null\n"
    return text


def reference(path):
    """The patch of the reference."""
    content = path.read_text(encoding="utf-8")
    if len(content) > MAX_REFERENCE_BYTES:
        sys.exit(f"{path} has more than {MAX_REFERENCE_BYTES} bytes; no cluster takes an object that "
                 "large. Fewer routes: routes.templates, routes.max")
    snapshot = json.loads(content)
    if not isinstance(snapshot, dict) or "serin_snapshot" not in snapshot:
        sys.exit(f"{path} is not what `serin snapshot` writes")
    text = "# What v1 does; written by scripts/manifest-settings.py.\n" + PLUGIN
    # JSON is YAML.
    return text + f"  pluginConfig:\n    reject:\n      reference: {json.dumps(snapshot)}\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["image", "reference"])
    parser.add_argument("value")
    parser.add_argument("checksum", nargs="?")
    parser.add_argument("--manifests", type=pathlib.Path, default=MANIFESTS)
    arguments = parser.parse_args()
    if arguments.what == "image":
        target, text = "base/image.yaml", image(arguments.value, arguments.checksum)
    else:
        target, text = "guard/reference.yaml", reference(pathlib.Path(arguments.value))
    (arguments.manifests / target).write_text(text, encoding="utf-8")
    print(f"written: {arguments.manifests / target}")


try:
    main()
except (OSError, ValueError) as error:
    sys.exit(f"{error}")
