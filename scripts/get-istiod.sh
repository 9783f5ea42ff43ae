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

repair='install Go 1.26 or later: https://go.dev/dl/, or sudo apt-get install golang-go where that is new enough'
if ! command -v go >/dev/null; then
    echo "Istio's control plane cannot be built: go is missing; $repair" >&2
    exit 3
fi
# An older Go fetches a newer toolchain by itself unless it was told not to.
release=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
if [ "${release:-0}" -lt 21 ] || { [ "${release:-0}" -lt 26 ] && [ "$(go env GOTOOLCHAIN)" = local ]; }; then
    echo "Istio's control plane cannot be built with $(go env GOVERSION); $repair" >&2
    exit 3
fi

# Everything stays below the cache, and what only the build needs goes when it is done.
export GOPATH="$cache/go" GOCACHE="$cache/go/build-cache" GOFLAGS='-modcacherw -p=2 -buildvcs=false'
mkdir -p "$cache/go"
for version in $missing; do
    pin "$version"
    echo "building Istio $version ($commit) into .cache/istio/$version (once, about ten minutes)"
    started=$(date +%s)
    # In an empty folder: a go.mod further up would change what is built.
    work=$(mktemp -d "$cache/go/work.XXXXXX")
    description=$(cd "$work" && go mod download -json "$module@$commit")
    case $description in
    *"\"Sum\": \"$sum\""*) ;;
    *)
        printf '%s\n%s: not the sum that is pinned here (%s)\n' "$description" "$module@$commit" "$sum" >&2
        exit 1
        ;;
    esac
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
