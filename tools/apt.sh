#!/bin/sh
# Install the Debian packages that the tests need and that are missing; nothing else is touched.
#   chromium and fonts   the page is tested in a real browser
#   tzdata               New York's clock decides which event is open
#   postgresql-15        the oldest PostgreSQL that the migrations support
#   pgbouncer            transactions go through a pooler in a cluster
#   shellcheck           the scripts of images/ and k8s/ are tested with it
set -eu

is_there() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "No apt-get here: install chromium, its fonts, tzdata and PostgreSQL 15 by hand." >&2
    exit 0
fi

missing=""
for package in fonts-dejavu-core fonts-liberation tzdata pgbouncer shellcheck; do
    is_there "$package" || missing="$missing $package"
done
if ! command -v chromium >/dev/null 2>&1 && ! command -v chromium-browser >/dev/null 2>&1; then
    missing="$missing chromium"
fi
[ -x /usr/lib/postgresql/15/bin/postgres ] || missing="$missing postgresql-15"
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
# PostgreSQL's package would start a server of its own on port 5432; the tests start theirs themselves.
$as_root mkdir -p /etc/postgresql-common/createcluster.d
echo "create_main_cluster = false" |
    $as_root tee /etc/postgresql-common/createcluster.d/recio.conf >/dev/null
# shellcheck disable=SC2086  # one word for each package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $available
