#!/bin/sh
# image.sh build|push IMAGE: puts target/serin.wasm into an image with podman or docker; push also
# says which digest it has and writes it into the manifests.
set -eu
cd "$(dirname "$0")/.."
action=$1
image=${2:-}

case $image in
    '' | -*) echo "which image? make $action-image IMAGE=registry.example.org/serin:0.1.0" >&2; exit 1 ;;
    *@*) echo "$image: give a tag; the digest comes from pushing it" >&2; exit 1 ;;
esac
engine=
for candidate in ${CONTAINER_ENGINE:-podman docker}; do
    if command -v "$candidate" >/dev/null; then
        engine=$candidate
        break
    fi
done
if [ -z "$engine" ]; then
    echo 'missing: podman or docker' >&2
    echo '  Debian, Ubuntu: sudo apt-get install podman' >&2
    echo '  without an image: serve target/serin.wasm over https, see envoyfilter-manifests/README.md' >&2
    exit 1
fi

version=$(sed -n 's/^version *= *"\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
case $action in
    build)
        "$engine" build --file envoyfilter-manifests/image/Containerfile \
            --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "$image" .
        echo "built $image; next: make push-image IMAGE=$image"
        ;;
    push)
        if [ "$engine" = podman ]; then
            file=$(mktemp)
            trap 'rm -f "$file"' EXIT
            podman push --digestfile "$file" "$image"
            digest=$(cat "$file")
        else
            "$engine" push "$image"
            pushed=$("$engine" image inspect --format '{{index .RepoDigests 0}}' "$image")
            digest=${pushed##*@}
        fi
        # The last colon is a tag's where no slash follows it: registry:5000/serin has none.
        last=${image##*/}
        scripts/manifest-settings.py image "${image%"$last"}${last%%:*}@$digest"
        ;;
    *) echo "$action: build or push" >&2; exit 2 ;;
esac
