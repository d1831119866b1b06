#!/usr/bin/env bash
# Prove that a commit gives one image: build it twice without a cache and compare all layers.
#   images/prove.sh [options of images/build.sh]
# Layers must be equal. Builds are of what is committed, in a copy. Not with docker, which saves no
# OCI archive in a form that two builds share.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --help ]; then sed -n '2,5s/^# *//p' "$0"; exit 0; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
mkdir "$work/tree"
git archive HEAD | tar -x -C "$work/tree"

for turn in first second; do
    "$work/tree/images/build.sh" "$@" --no-cache --tag "localhost/recio-prove:$turn" \
        --archive "$work/$turn.tar" --sbom "$work/$turn.json"
done
echo "==> Two builds of $(git rev-parse --short HEAD)"
python3 images/compare.py "$work/first.tar" "$work/second.tar"
