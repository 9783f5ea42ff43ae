#!/bin/sh
# Makes sure that there is something to render the manifests with: kustomize or kubectl from the
# PATH, else the pinned kustomize, built with go into .cache/kustomize. Where neither can be had the
# exit code is 0 and what to install is said: the tests that render then say that they were left out.
set -u
cd "$(dirname "$0")/.." || exit 1
version=v5.7.1
folder=$PWD/.cache/kustomize

if command -v kustomize >/dev/null || command -v kubectl >/dev/null || [ -x "$folder/kustomize" ]; then
    exit 0
fi
if command -v go >/dev/null; then
    echo "building kustomize $version into .cache/kustomize (once, a minute or two)"
    GOBIN=$folder GOFLAGS=-trimpath nice go install "sigs.k8s.io/kustomize/kustomize/v5@$version" && exit 0
fi
cat >&2 <<END
missing: kustomize or kubectl; the manifests are not rendered here, and the tests of them left out
  everywhere: https://kubernetes.io/docs/tasks/tools/install-kubectl-linux
  with Go:    go install sigs.k8s.io/kustomize/kustomize/v5@$version
END
