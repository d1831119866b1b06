#!/usr/bin/env bash
# Run an image as Kubernetes would, as far as one machine can: its own user, root read-only, /tmp in
# memory, no network, no capabilities; then let images/smoke.py look around from inside.
#   images/smoke.sh [IMAGE]      ENGINE=docker|podman|buildah chooses
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --help ]; then sed -n '2,4s/^# *//p' "$0"; exit 0; fi

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
image=${1:-localhost/recio:$version}
engine=${ENGINE:-}
if [ -z "$engine" ]; then
    for engine in docker podman buildah; do
        if [ "$engine" = docker ] && ! docker info >/dev/null 2>&1; then continue; fi
        if command -v "$engine" >/dev/null; then break; fi
    done
fi

in_container() {
    "$engine" run --rm --interactive --read-only --tmpfs /tmp:mode=1777 --network none \
        --cap-drop ALL --security-opt no-new-privileges --entrypoint python "$image" - <images/smoke.py
}

# buildah cannot run with a read-only root: the same by hand, in namespaces of our own.
in_namespaces() {
    local container root
    [ "$(id -u)" = 0 ] || { echo "images/smoke.sh: with buildah it needs root" >&2; exit 2; }
    container=$(buildah from --pull-never "$image")
    # shellcheck disable=SC2064  # the container of now
    trap "buildah rm '$container' >/dev/null" EXIT
    root=$(buildah mount "$container")
    # shellcheck disable=SC2016  # expanded inside
    unshare --mount --net --ipc --pid --fork bash -euc '
        mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"
        mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
        mount -t proc proc "$1/proc"
        mount -t tmpfs -o mode=755 tmpfs "$1/dev"
        for device in null zero random urandom; do
            touch "$1/dev/$device" && mount --bind "/dev/$device" "$1/dev/$device"
        done
        exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$1" \
            env --ignore-environment --chdir=/tmp PATH=/opt/recio/bin:/usr/local/bin:/usr/bin:/bin \
            HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 python -
    ' smoke "$root" <images/smoke.py
}

echo "==> $image with $engine"
if [ "$engine" = buildah ]; then in_namespaces; else in_container; fi
