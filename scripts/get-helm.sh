#!/bin/sh
# Makes sure that there is Helm for the tests of the chart: helm from the PATH, else the pinned one,
# built once with go into .cache/helm (about two minutes of two free cores).
#
# Exit 3: Go is missing or too old, with the repair; nothing was done.
set -eu
cd "$(dirname "$0")/.."
. scripts/go-module.sh
version=v3.22.0
# The sum of Go's checksum database.
sum=h1:n1if5iQgHYsujPAcO5oonH/KiSNUmqmUF0iGVjSF3AU=
folder=$PWD/.cache/helm

if command -v helm >/dev/null || [ -x "$folder/helm" ]; then
    exit 0
fi
require_go Helm 'install Helm: https://helm.sh/docs/intro/install/, or '

# Everything stays below the cache, and what only the build needs goes when it is done.
keep_go_below "$folder"
export GOBIN="$folder/bin"
echo "building Helm $version into .cache/helm (once)"
started=$(date +%s)
download_module "helm.sh/helm/v3@$version" "$sum"
nice go install -trimpath -ldflags '-s -w' "helm.sh/helm/v3/cmd/helm@$version"
mv "$GOBIN/helm" "$folder/helm"
rm -rf "$folder/go" "$GOBIN"
echo "built Helm $version in $(($(date +%s) - started)) s"
