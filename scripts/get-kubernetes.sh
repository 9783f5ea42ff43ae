#!/bin/sh
# Builds a Kubernetes control plane without nodes, and the two controllers that shift traffic by
# Serin's verdict, for the live tests: etcd, kube-apiserver, Flagger, Argo Rollouts,
# kube-controller-manager and kubectl, into .cache/kubernetes. It took 47 minutes on two
# busy cores, and wants 10 GB of disk while it runs; what is there is not built again.
#
#   scripts/get-kubernetes.sh               all of them
#   scripts/get-kubernetes.sh etcd flagger  some of them
#
# Exit 3: Go is missing or too old, or the disk too full, with the repair; nothing was done.
set -eu
cd "$(dirname "$0")/.."
. scripts/go-module.sh
mkdir -p .cache/kubernetes
cache=$(cd .cache/kubernetes && pwd -P)

# The sums are those of Go's checksum database. `definitions` are the module's custom resource
# definitions, which are kept beside the program.
pin() {
    definitions= stamp=
    case $1 in
    etcd)
        module=go.etcd.io/etcd/server/v3 version=v3.7.3 package=.
        sum=h1:KcTZ/aEZrOiQe0/kdr7iYYcvyfbEoOwDOacHkz8xwZc=
        ;;
    kube-apiserver | kube-controller-manager | kubectl)
        module=k8s.io/kubernetes version=v1.34.4 package=./cmd/$1
        sum=h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk=
        # Controllers ask the server for its version.
        stamp="-X k8s.io/component-base/version.gitVersion=$version
            -X k8s.io/component-base/version.gitMajor=1
            -X k8s.io/component-base/version.gitMinor=34"
        ;;
    flagger)
        module=github.com/fluxcd/flagger version=v1.36.1 package=./cmd/flagger
        sum=h1:X2PumtNwZz9YSGaOtZLFm2zAKLgHhFkbNv8beg7ifyc=
        definitions=artifacts/flagger/crd.yaml
        ;;
    # The newest whose Go is not newer than the pinned ones of the others.
    argo-rollouts)
        module=github.com/argoproj/argo-rollouts version=v1.8.5 package=./cmd/rollouts-controller
        sum=h1:x+WjkwgjV89sc/QJ0c0cBrz5HAcriWCoQn6ptOxoElU=
        definitions='manifests/crds/analysis-run-crd.yaml manifests/crds/analysis-template-crd.yaml
            manifests/crds/cluster-analysis-template-crd.yaml manifests/crds/experiment-crd.yaml
            manifests/crds/rollout-crd.yaml'
        ;;
    *)
        echo "$0: unknown $1; there are etcd, kube-apiserver, flagger, argo-rollouts, kube-controller-manager, kubectl" >&2
        exit 2
        ;;
    esac
    folder=$cache/$1
}

complete() {
    [ -x "$folder/$1" ] && [ "$(cat "$folder/version" 2>/dev/null)" = "$version" ]
}

[ $# -gt 0 ] || set -- etcd kube-apiserver flagger argo-rollouts kube-controller-manager kubectl
missing=
for name; do
    pin "$name"
    complete "$name" || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

require_go Kubernetes
needed_kib=$((10 << 20))
free_kib=$(df -Pk "$cache" | awk 'NR == 2 { print $4 }')
if [ "$free_kib" -lt "$needed_kib" ]; then
    echo "Kubernetes cannot be built: $cache has $((free_kib >> 10)) MiB free, and the build needs $((needed_kib >> 10)); free some, or make .cache a link to another disk" >&2
    exit 3
fi

# Everything stays below the cache, and what only the build needs goes when all is done.
keep_go_below "$cache"
export GOWORK=off
for name in $missing; do
    pin "$name"
    echo "building $name $version into .cache/kubernetes/$name (once)"
    started=$(date +%s)
    work=$(mktemp -d "$cache/go/work.XXXXXX")
    download_module "$module@$version" "$sum"
    # A copy in which the modules of the same repository, which are folders there, are those that
    # were published with it. Kubernetes publishes its own as v0.
    cp -r "$GOPATH/pkg/mod/$module@$version" "$work/source"
    published=$version
    [ "$module" != k8s.io/kubernetes ] || published=v0${version#v1}
    sed -i -E "s#^([[:space:]]*(replace )?([^ ]+)) => \.[^ ]*\$#\1 => \3 $published#" "$work/source/go.mod"
    (
        cd "$work/source"
        # The published modules are not in its go.sum: -mod=mod adds them, each checked by Go.
        CGO_ENABLED=0 nice -n "${NICE:-10}" go build -mod=mod -trimpath -ldflags "-s -w $stamp" \
            -o "$work/$name" "$package"
    )
    rm -rf "$folder"
    mkdir -p "$folder"
    for definition in $definitions; do
        cp "$work/source/$definition" "$folder/"
    done
    mv "$work/$name" "$folder/"
    # Last: it says that all of it is there.
    echo "$version" >"$folder/version"
    rm -rf "$work"
    echo "built $name $version in $(($(date +%s) - started)) s"
done
rm -rf "$cache/go"
