#!/bin/sh
# Install the Debian packages that the tests need and that are missing; nothing else is touched.
#   tools/apt.sh           what `make test` needs
#     chromium and fonts   the page is tested in a real browser
#     tzdata               New York's clock decides which event is open
#     postgresql-15        the oldest PostgreSQL that the migrations support
#     pgbouncer            transactions go through a pooler in a cluster
#     ShellCheck           the scripts of images/ and k8s/ are tested with it
#   tools/apt.sh cluster   what the test cluster from source packages is made of
set -eu

case ${1:-} in
"") wanted="chromium fonts-dejavu-core fonts-liberation tzdata postgresql-15 pgbouncer shellcheck" ;;
cluster)
    wanted="containerd runc containernetworking-plugins buildah mmdebstrap nftables iptables
        conntrack iproute2 socat gcc libc6-dev"
    ;;
*) echo "tools/apt.sh: expected nothing or cluster, received '$1'" >&2; exit 2 ;;
esac

is_there() {
    case $1 in
    chromium) command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ;;
    *) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' ;;
    esac
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "No apt-get here: install by hand what these packages hold: $wanted" >&2
    exit 0
fi

missing=""
for package in $wanted; do
    is_there "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "All Debian packages are there."
    exit 0
fi

as_root=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Missing:$missing. Run as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

echo "==> apt-get update"
$as_root apt-get update -q
available=""
for package in $missing; do
    if LC_ALL=C apt-cache policy "$package" | grep -q 'Candidate: [^(]'; then
        available="$available $package"
    else
        echo "This system has no package $package: what needs it is left out or fails." >&2
    fi
done
if [ -z "$available" ]; then exit 0; fi

echo "==> apt-get install$available"
# Some packages start a server of their own; the tests start theirs themselves, where they want them.
$as_root mkdir -p /etc/postgresql-common/createcluster.d
echo "create_main_cluster = false" |
    $as_root tee /etc/postgresql-common/createcluster.d/recio.conf >/dev/null
# shellcheck disable=SC2086  # one word for each package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $available
for service in pgbouncer containerd; do
    case " $available " in
    *" $service "*)
        if [ -d /run/systemd/system ]; then $as_root systemctl disable --now "$service"; fi ;;
    esac
done
