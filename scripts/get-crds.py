#!/usr/bin/env python3
"""Puts the custom resource definitions that the manifests are checked against into a folder.

They are read out of pinned Go modules, file by file, and checked against their pinned sums. What is
there already stays. Without a network the exit code is 0 and the reason is said: the checks that
need the definitions then say that they were left out.
"""

import hashlib
import http.client
import io
import os
import pathlib
import sys
import urllib.error
import urllib.request
import zipfile
import zlib

# Module, version, path in it, SHA-256 of the file.
PINNED = [
    ("istio.io/api", "v1.31.1", "kubernetes/customresourcedefinitions.gen.yaml",
     "c0ad59e008658765412badb836e73a523a355e3d792a32ad3c0711a728be5aff"),
    ("sigs.k8s.io/gateway-api", "v1.7.0", "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
     "b6f98824499cc97c358e2db4417487abbd2d4bc02bd9452443fe1f5bbcacfcf3"),
    ("sigs.k8s.io/gateway-api", "v1.7.0", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
     "ac4c1e0ad475793728a3c599cdac602cc658a633787a2fa568339e98aae93674"),
    ("github.com/fluxcd/flagger", "v1.36.1", "artifacts/flagger/crd.yaml",
     "64a2daef9dc9d248a98347f186c225e521a2dc1d63e83f8d5ff15be424a0e85f"),
    ("github.com/argoproj/argo-rollouts", "v1.10.2", "manifests/crds/analysis-template-crd.yaml",
     "bb41aa62329355c5ffb38031822b4515cc2f60c5a94fcae5df6099ddbf8c5a08"),
    ("github.com/argoproj/argo-rollouts", "v1.10.2", "manifests/crds/rollout-crd.yaml",
     "1562decc7b3720c31cbe382eeb62b6fbfd236f8e81a1f98644a9774d1e7d7933"),
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0",
     "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
     "98fd16c9ab79fba8dcd6ef62c957c98cd6546ab74ce0a4ecf09ddf2fda03020e"),
]
TIMEOUT_SECONDS = 60
# Above the largest of these modules; a proxy that knows no ranges sends the whole.
MAX_ARCHIVE_BYTES = 64 << 20


class RemoteFile(io.RawIOBase):
    """A file behind HTTP, read in ranges: of 30 MB of archives a twentieth is needed."""

    def __init__(self, url):
        self.url, self.position, self.whole = url, 0, None
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            if answer.status == 206:
                self.length = int(answer.headers["Content-Range"].rpartition("/")[2])
            else:
                self.whole = answer.read(MAX_ARCHIVE_BYTES)
                self.length = len(self.whole)

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.position

    def seek(self, offset, whence=io.SEEK_SET):
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.length}[whence]
        self.position = start + offset
        return self.position

    def readinto(self, buffer):
        end = min(self.position + len(buffer), self.length)
        if end <= self.position:
            return 0
        if self.whole is not None:
            part = self.whole[self.position:end]
        else:
            request = urllib.request.Request(
                self.url, headers={"Range": f"bytes={self.position}-{end - 1}"})
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                part = answer.read(end - self.position)
        buffer[:len(part)] = part
        self.position += len(part)
        return len(part)


def module_proxy():
    """The first proxy of GOPROXY, as the go command would take it."""
    for entry in os.environ.get("GOPROXY", "").replace("|", ",").split(","):
        if entry.startswith(("https://", "http://")):
            return entry.rstrip("/")
    return "https://proxy.golang.org"


def escaped(module):
    """Capital letters as the module proxy's protocol wants them."""
    return "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in module)


def read_members(module, version, paths):
    url = f"{module_proxy()}/{escaped(module)}/@v/{version}.zip"
    with zipfile.ZipFile(io.BufferedReader(RemoteFile(url), 1 << 16)) as archive:
        return [archive.read(f"{module}@{version}/{path}") for path in paths]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {}
    kept = set()
    for module, version, path, expected in PINNED:
        target = folder / f"{module.rpartition('/')[2]}-{path.rpartition('/')[2]}"
        kept.add(target.name)
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == expected:
            continue
        wanted.setdefault((module, version), []).append((path, expected, target))
    # A file that is pinned no longer would be validated against all the same.
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    for (module, version), files in wanted.items():
        print(f"fetching the resource definitions of {module} {version} (once)", flush=True)
        members = read_members(module, version, [path for path, _, _ in files])
        for (path, expected, target), content in zip(files, members):
            found = hashlib.sha256(content).hexdigest()
            if found != expected:
                sys.exit(f"{module}@{version}/{path} has the sum {found}, not {expected}")
            # Last, so that an interrupted run leaves no half of a file behind.
            partial = target.with_name(f".{target.name}.part")
            partial.write_bytes(content)
            partial.replace(target)


try:
    main()
except (urllib.error.URLError, http.client.HTTPException, OSError, EOFError, zlib.error, KeyError, zipfile.BadZipFile) as error:
    # A part of them would make the others unknown.
    for path in pathlib.Path(sys.argv[1]).glob("*.yaml"):
        path.unlink()
    print(f"resource definitions cannot be had here, their checks are left out: {error}", file=sys.stderr)
