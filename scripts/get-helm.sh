#!/bin/sh
# Makes sure that there is Helm for the tests of the chart: helm from the PATH, else the pinned one,
# built once with go into .cache/helm (about two minutes of two free cores).
#
# Exit 3: Go is missing or too old, with the repair; nothing was done.
set -eu
cd "$(dirname "$0")/.."
version=v3.22.0
# The sum of Go's checksum database.
sum=h1:n1if5iQgHYsujPAcO5oonH/KiSNUmqmUF0iGVjSF3AU=
folder=$PWD/.cache/helm

if command -v helm >/dev/null || [ -x "$folder/helm" ]; then
    exit 0
fi
repair='install Helm: https://helm.sh/docs/intro/install/, or Go 1.26 or later: https://go.dev/dl/'
if ! command -v go >/dev/null; then
    echo "Helm cannot be built: go is missing; $repair" >&2
    exit 3
fi
# An older Go fetches a newer toolchain by itself unless it was told not to.
release=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
if [ "${release:-0}" -lt 21 ] || { [ "${release:-0}" -lt 26 ] && [ "$(go env GOTOOLCHAIN)" = local ]; }; then
    echo "Helm cannot be built with $(go env GOVERSION); $repair" >&2
    exit 3
fi

# Everything stays below the cache, and what only the build needs goes when it is done.
export GOPATH="$folder/go" GOCACHE="$folder/go/build-cache" GOBIN="$folder/bin"
export GOFLAGS='-modcacherw -p=2 -buildvcs=false -trimpath'
echo "building Helm $version into .cache/helm (once)"
started=$(date +%s)
mkdir -p "$folder/go"
# In an empty folder: a go.mod further up would change what is built.
cd "$folder/go"
description=$(go mod download -json "helm.sh/helm/v3@$version")
case $description in
*"\"Sum\": \"$sum\""*) ;;
*)
    printf '%s\nhelm.sh/helm/v3@%s: not the sum that is pinned here (%s)\n' "$description" "$version" "$sum" >&2
    exit 1
    ;;
esac
nice go install -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@$version"
mv "$GOBIN/helm" "$folder/helm"
rm -rf "$folder/go" "$GOBIN"
echo "built Helm $version in $(($(date +%s) - started)) s"
