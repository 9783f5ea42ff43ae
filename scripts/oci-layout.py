#!/usr/bin/env python3
"""The module's image as an OCI layout, without a container engine.

  oci-layout.py write MODULE FOLDER --version VERSION --revision COMMIT
      makes the layout; prints the digest of the image
  oci-layout.py read FOLDER MODULE
      checks every digest and size in the layout, and that its one layer has the module

The image is the one of envoyfilter-manifests/image/Containerfile: its labels, and one layer with
/plugin.wasm. The same module, version and commit make the same bytes. Push it with
`skopeo copy oci:FOLDER docker://REGISTRY/serin:VERSION`.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import re
import sys
import tarfile

CONTAINERFILE = pathlib.Path(__file__).parent.parent / "envoyfilter-manifests/image/Containerfile"
IMAGE = "application/vnd.oci.image"
PLUGIN = "plugin.wasm"
# A module of more bytes is none of ours; the largest that is read back into memory.
MAX_BYTES = 64 << 20


def labels(version, revision):
    """The Containerfile's labels with its arguments filled in."""
    text = CONTAINERFILE.read_text(encoding="utf-8")
    found = dict(re.findall(r'(org\.opencontainers\.image\.\w+)="([^"]*)"', text))
    if not found:
        sys.exit(f"{CONTAINERFILE} has no labels")
    filled = {"${VERSION}": version, "${REVISION}": revision}
    return {name: filled.get(value, value) for name, value in found.items()}


def layer(module):
    """The layer, packed and not: neither has a time or an owner of this machine."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(PLUGIN)
        entry.size = len(module)
        entry.mode = 0o644
        archive.addfile(entry, io.BytesIO(module))
    return gzip.compress(plain.getvalue(), compresslevel=9, mtime=0), plain.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def compact(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write(module, folder, version, revision):
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(kind, data):
        name = digest(data)
        (blobs / name.partition(":")[2]).write_bytes(data)
        return {"mediaType": f"{IMAGE}.{kind}", "digest": name, "size": len(data)}

    packed, plain = layer(module)
    said = labels(version, revision)
    config = {
        # What runs the module is the proxy: Istio's agent does not look at these two.
        "architecture": "wasm",
        "os": "wasip1",
        "config": {"Labels": said},
        "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        "history": [{"created_by": f"COPY target/serin.wasm /{PLUGIN}"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{IMAGE}.manifest.v1+json",
        "config": blob("config.v1+json", compact(config)),
        "layers": [blob("layer.v1.tar+gzip", packed)],
        "annotations": said,
    }
    entry = blob("manifest.v1+json", compact(manifest))
    entry["annotations"] = {"org.opencontainers.image.ref.name": version}
    index = {"schemaVersion": 2, "mediaType": f"{IMAGE}.index.v1+json", "manifests": [entry]}
    (folder / "index.json").write_bytes(compact(index))
    (folder / "oci-layout").write_bytes(compact({"imageLayoutVersion": "1.0.0"}))
    return entry["digest"]


def read(folder, module):
    def blob(entry):
        name = entry["digest"]
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", name):
            sys.exit(f"{name} is no digest")
        data = (folder / "blobs/sha256" / name.partition(":")[2]).read_bytes()
        if len(data) != entry["size"] or digest(data) != name:
            sys.exit(f"{name}: the file has other bytes than its name and size say")
        return data

    layout = json.loads((folder / "oci-layout").read_text(encoding="utf-8"))
    if layout != {"imageLayoutVersion": "1.0.0"}:
        sys.exit(f"{folder} is no OCI layout: {layout}")
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    [entry] = index["manifests"]
    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    [packed] = manifest["layers"]
    with gzip.GzipFile(fileobj=io.BytesIO(blob(packed))) as stream:
        plain = stream.read(MAX_BYTES + 1)
    if len(plain) > MAX_BYTES:
        sys.exit(f"the layer has more than {MAX_BYTES} bytes")
    if config["rootfs"]["diff_ids"] != [digest(plain)]:
        sys.exit("the config has another digest of the layer")
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
        if names != [PLUGIN]:
            sys.exit(f"the layer has {names} and not {PLUGIN} alone")
        if archive.extractfile(PLUGIN).read() != module:
            sys.exit(f"{PLUGIN} is not the module")
    return entry["digest"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    writing = actions.add_parser("write")
    writing.add_argument("module", type=pathlib.Path)
    writing.add_argument("folder", type=pathlib.Path)
    writing.add_argument("--version", required=True)
    writing.add_argument("--revision", required=True)
    reading = actions.add_parser("read")
    reading.add_argument("folder", type=pathlib.Path)
    reading.add_argument("module", type=pathlib.Path)
    arguments = parser.parse_args()
    module = arguments.module.read_bytes()
    if arguments.action == "write":
        print(write(module, arguments.folder, arguments.version, arguments.revision))
    else:
        print(read(arguments.folder, module))


try:
    main()
except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
