#!/bin/sh
# Runs a command in a network of its own, in which this machine has all addresses of 10.88.0.0/16:
# each pod of the tests on Kubernetes gets one. Loopback addresses would not do, because Kubernetes
# refuses them for pods. Nothing else can be reached from there.
#
#   scripts/own-network.sh cargo test -p serin-integration --test main kubernetes:: -- --ignored
#
# Exit 3: this machine does not allow it, with the repair; nothing was done.
set -eu
own() {
    unshare --user --map-root-user --net -- "$@"
}
set_up='ip link set lo up && ip address add 10.88.0.1/16 dev lo'
if ! said=$(own sh -c "$set_up" 2>&1); then
    echo "no network of its own for pods: $said; it needs unshare (util-linux), ip (iproute2) and user namespaces: sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0, or root" >&2
    exit 3
fi
own sh -c "$set_up"' && exec "$@"' own-network "$@"
