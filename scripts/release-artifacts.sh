#!/bin/sh
# release-artifacts.sh WHAT FOLDER: makes what a release has, into FOLDER.
#
#   module     the module, its OCI layout, the Helm chart, and a list of all components of module and
#              command in CycloneDX (SBOM)
#   command    the command for this machine: serin, kubectl-serin, completions and manual pages
#   checksums  SHA256SUMS of all that is in FOLDER
#   check      reads all of it back; what is wrong fails
set -eu
cd "$(dirname "$0")/.."
what=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
version=$(scripts/release-version.py check)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# Times in archives are the commit's, so that the same sources make the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
cyclonedx=0.5.9
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# One list a crate, of what it has on its own target. cargo-cyclonedx writes beside every manifest of the
# workspace, so it gets a copy. It names our crates by the folder of that copy; the list names them by the
# repository and the commit, so that the same sources make the same bytes.
sbom() {
    scripts/cargo-tool.sh cargo-cyclonedx "$cyclonedx"
    mkdir "$work/sources"
    tar -c --exclude=./target --exclude=./.cache --exclude=./.git . | tar -x -C "$work/sources"
    tool=$PWD/.cache/tools/bin/cargo-cyclonedx
    (
        cd "$work/sources"
        host=$(rustc -vV | sed -n 's/^host: //p')
        for target in "$host" wasm32-unknown-unknown; do
            "$tool" cyclonedx --quiet --format json --spec-version 1.5 --target "$target" \
                --override-filename "components-$target"
        done
        mv "scorer-sdk/cli/components-$host.json" "$work/command.json"
        mv filter/components-wasm32-unknown-unknown.json "$work/module.json"
    )
    ours="pkg:cargo/\1?vcs_url=git%2Bhttps://github.com/serin-mesh/serin%40$revision"
    for list in command module; do
        sed -e "s|path+file://$work/sources|path+file:///serin|g" \
            -e "s|pkg:cargo/\([^?\"]*\)?download_url=file://[^#\"]*|$ours|g" \
            "$work/$list.json" >"$work/$list.cdx.json"
    done
    cp "$work/command.cdx.json" "$folder/serin-$version.cdx.json"
    cp "$work/module.cdx.json" "$folder/serin-$version.wasm.cdx.json"
}

chart() {
    helm=$(command -v helm || echo .cache/helm/helm)
    if [ ! -x "$helm" ]; then
        echo 'the chart is left out: no helm; make helm builds it' >&2
        # A release without it would be incomplete.
        [ -z "${CI:-}" ]
        return
    fi
    "$helm" package envoyfilter-manifests/chart --destination "$work/chart" >"$work/helm" 2>&1 ||
        { cat "$work/helm" >&2; exit 1; }
    mkdir "$work/unpacked"
    tar -xzf "$work/chart/serin-$version.tgz" -C "$work/unpacked"
    pack "$work/unpacked" "$folder/serin-chart-$version.tgz"
}

# An archive without this machine's times and owners.
pack() { # FOLDER ARCHIVE
    python3 - "$1" "$2" "$SOURCE_DATE_EPOCH" <<'END'
import gzip, pathlib, sys, tarfile
source, target, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def plain(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = seconds
    return entry
with open(target, "wb") as file, gzip.GzipFile("", "wb", 9, file, seconds) as packed:
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(source.rglob("*")):
            archive.add(path, path.relative_to(source), recursive=False, filter=plain)
END
}

case $what in
    module)
        cp target/serin.wasm "$folder/serin-$version.wasm"
        scripts/oci-layout.py write target/serin.wasm "$work/oci" \
            --version "$version" --revision "$revision" >"$folder/serin-$version.digest"
        pack "$work/oci" "$folder/serin-$version.oci.tar.gz"
        chart
        sbom
        ;;
    command)
        host=$(rustc -vV | sed -n 's/^host: //p')
        name=serin-$version-$host
        scripts/install.sh "${CARGO_TARGET_DIR:-target}/release/serin" "$work/$name"
        cp LICENSE README.md CHANGELOG.md "$work/$name/"
        mkdir "$work/packed"
        mv "$work/$name" "$work/packed/"
        pack "$work/packed" "$folder/$name.tar.gz"
        ;;
    checksums)
        cd "$folder"
        rm -f SHA256SUMS
        sha256sum -- * >"$work/sums"
        mv "$work/sums" SHA256SUMS
        ;;
    check)
        (cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS)
        mkdir "$work/oci" "$work/command"
        tar -xzf "$folder/serin-$version.oci.tar.gz" -C "$work/oci"
        digest=$(scripts/oci-layout.py read "$work/oci" "$folder/serin-$version.wasm")
        [ "$digest" = "$(cat "$folder/serin-$version.digest")" ]
        tar -xzf "$folder/serin-$version-$(rustc -vV | sed -n 's/^host: //p').tar.gz" -C "$work/command"
        said=$("$work"/command/*/bin/serin --version)
        [ "$said" = "serin $version" ] || { echo "the command says $said" >&2; exit 1; }
        "$work"/command/*/bin/kubectl-serin --help >/dev/null
        for list in "$folder"/*.cdx.json; do
            python3 - "$list" "$version" <<'END'
import json, re, sys
path, version = sys.argv[1:]
list_ = json.load(open(path, encoding="utf-8"))
own = list_["metadata"]["component"]
if list_["bomFormat"] != "CycloneDX" or own["version"] != version:
    sys.exit(f"{path}: not of version {version}")
nameless = [part["name"] for part in list_["components"] if not part.get("purl")]
if re.search("file:///(?!serin)|url=file:", json.dumps(list_)):
    sys.exit(f"{path}: names a folder of the machine that made it")
if not list_["components"] or nameless:
    sys.exit(f"{path}: components without an address: {nameless}")
print(f"{own['name']} {version}: {len(list_['components'])} components")
END
        done
        helm=$(command -v helm || echo .cache/helm/helm)
        if [ -x "$helm" ]; then
            said=$("$helm" show chart "$folder/serin-chart-$version.tgz" | sed -n 's/^version: //p')
            [ "$said" = "$version" ] || { echo "the chart says $said" >&2; exit 1; }
        fi
        echo "module $(wc -c <"$folder/serin-$version.wasm") bytes, image $digest"
        ;;
    *) echo "$what: module, command, checksums or check" >&2; exit 2 ;;
esac
