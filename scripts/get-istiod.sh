#!/bin/sh
# Builds Istio's control plane (pilot-discovery) and its agent (pilot-agent) for the live tests,
# into .cache/istio/VERSION. It takes about ten minutes on two free cores, and 4 GB of disk while it
# runs; what is there is not built again.
#
#   scripts/get-istiod.sh            all pinned versions
#   scripts/get-istiod.sh 1.31       one of them
#
# A further version is a line in `pin`.
# Exit 3: Go is missing or too old, with the repair; nothing was done.
set -eu
cd "$(dirname "$0")/.."
. scripts/go-module.sh
cache=$PWD/.cache/istio
module=istio.io/istio

# Istio's tags have no leading v, so that Go names its releases by commit. The sums are those of
# Go's checksum database.
pin() {
    case $1 in
    1.31) commit=v0.0.0-20260827124520-eed52ebb66ad sum=h1:ui9TJjRMAV/hb5ehQaZDq7IUGxuQP6dra9lapT/VjHI= ;;
    *)
        echo "$0: no pinned Istio $1; there is 1.31" >&2
        exit 2
        ;;
    esac
}

complete() {
    [ -x "$cache/$1/pilot-discovery" ] && [ -x "$cache/$1/pilot-agent" ] &&
        [ -f "$cache/$1/envoy_bootstrap.json" ]
}

[ $# -gt 0 ] || set -- 1.31
missing=
for version; do
    pin "$version"
    complete "$version" || missing="$missing $version"
done
[ -n "$missing" ] || exit 0

require_go "Istio's control plane"

# Everything stays below the cache, and what only the build needs goes when it is done.
keep_go_below "$cache"
for version in $missing; do
    pin "$version"
    echo "building Istio $version ($commit) into .cache/istio/$version (once, about ten minutes)"
    started=$(date +%s)
    work=$(mktemp -d "$cache/go/work.XXXXXX")
    download_module "$module@$commit" "$sum"
    # A copy, for one constant: the agent keeps modules below its own folder instead of in
    # /var/lib/istio/data, which only root may write.
    cp -r "$GOPATH/pkg/mod/$module@$commit" "$work/source"
    (
        cd "$work/source"
        sed -i 's|IstioDataDir = "/var/lib|IstioDataDir = "./var/lib|' pkg/config/constants/constants.go
        grep -q 'IstioDataDir = "./var/lib/istio/data"' pkg/config/constants/constants.go
        # The tags with which Istio builds its releases.
        GOBIN="$work/bin" nice go install -trimpath -tags=vtprotobuf,disable_pgv \
            -ldflags "-s -w -X istio.io/istio/pkg/version.buildVersion=$version" \
            ./pilot/cmd/pilot-discovery ./pilot/cmd/pilot-agent
    )
    mkdir -p "$cache/$version"
    cp "$work/source/tools/packaging/common/envoy_bootstrap.json" "$cache/$version/"
    mv "$work/bin/pilot-discovery" "$work/bin/pilot-agent" "$cache/$version/"
    rm -rf "$work"
    echo "built Istio $version in $(($(date +%s) - started)) s"
done
rm -rf "$cache/go"
