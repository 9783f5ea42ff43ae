# Sourced by the scripts that build a program from Go's module proxy.

# Ends the script with 3 where Go is missing or older than 1.26: $1 is what cannot be built, $2 the
# repair where there is another one than Go.
require_go() {
    repair="${2:-}install Go 1.26 or later: https://go.dev/dl/, or sudo apt-get install golang-go where that is new enough"
    if ! command -v go >/dev/null; then
        echo "$1 cannot be built: go is missing; $repair" >&2
        exit 3
    fi
    # An older Go fetches a newer toolchain by itself unless it was told not to.
    release=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    if [ "${release:-0}" -lt 21 ] || { [ "${release:-0}" -lt 26 ] && [ "$(go env GOTOOLCHAIN)" = local ]; }; then
        echo "$1 cannot be built with $(go env GOVERSION); $repair" >&2
        exit 3
    fi
}

# Keeps all that Go needs below $1, a folder whose `go` the script removes when it is done.
keep_go_below() {
    export GOPATH="$1/go" GOCACHE="$1/go/build-cache" GOFLAGS='-modcacherw -p=2 -buildvcs=false'
    mkdir -p "$GOPATH"
}

# Downloads $1, as module@version, and ends the script where its sum is not $2, from Go's checksum
# database.
download_module() {
    # In an empty folder: a go.mod further up would change what is built.
    empty=$(mktemp -d "$GOPATH/empty.XXXXXX")
    description=$(cd "$empty" && go mod download -json "$1")
    rmdir "$empty"
    case $description in
    *"\"Sum\": \"$2\""*) ;;
    *)
        printf '%s\n%s: not the sum that is pinned here (%s)\n' "$description" "$1" "$2" >&2
        exit 1
        ;;
    esac
}
