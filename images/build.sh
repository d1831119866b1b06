#!/usr/bin/env bash
# Build the image, with docker, podman or buildah, whichever is there (ENGINE=… chooses).
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: images/build.sh [options]

Builds the one image of services and operator from this checkout, prints its size and digest, and
writes its bill of materials (CycloneDX 1.6).

  --base IMAGE        stand on IMAGE (default: see images/Containerfile); NAME@sha256:… pins it
  --build-base IMAGE  build in IMAGE: the same Python with its venv module (default: the base)
  --tag TAG           name the image (default: localhost/recio:VERSION)
  --archive FILE      also write it to FILE, as an archive that `ctr images import` reads
  --sbom FILE         write the bill of materials there (default: dist/recio-sbom.cdx.json)
  --push              push it to the registry of its name
  --no-cache          do every step anew

Variables
  ENGINE              docker, podman or buildah
  SOURCE_DATE_EPOCH   time of every file in the image (default: the commit's)
  PIP_INDEX_URL, PIP_CONFIG_FILE, PIP_CERT   your mirror; used while building, in no layer
  BUILDAH_ISOLATION=chroot                   where buildah may not make namespaces

examples
  images/build.sh
  images/build.sh --tag registry.example.com/me/recio:1 --push
  images/build.sh --archive recio.tar && sudo k3s ctr images import recio.tar
END
}

refuse() {
    echo "images/build.sh: $1" >&2
    exit 2
}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
base="" build_base="" archive="" push=no cache=() sbom=dist/recio-sbom.cdx.json tag=localhost/recio:$version
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage; exit 0 ;;
    --no-cache) cache=(--no-cache); shift; continue ;;
    --push) push=yes; shift; continue ;;
    --base | --build-base | --tag | --archive | --sbom) ;;
    *) refuse "expected an option of --help, received '$1'" ;;
    esac
    [ $# -ge 2 ] || refuse "$1 expects a value, received nothing"
    case $1 in
    --base) base=$2 ;;
    --build-base) build_base=$2 ;;
    --tag) tag=$2 ;;
    --archive) archive=$2 ;;
    --sbom) sbom=$2 ;;
    esac
    shift 2
done

find_engine() {
    # A docker command without a daemon behind it is of no use.
    if command -v docker >/dev/null && docker info >/dev/null 2>&1; then echo docker
    elif command -v podman >/dev/null; then echo podman
    elif command -v buildah >/dev/null; then echo buildah
    else refuse "expected docker, podman or buildah, found none (Debian, Ubuntu: apt install buildah)"
    fi
}

# The machine's own mirror and certificates, for the build's commands only.
secrets() {
    if [ -n "${PIP_INDEX_URL:-}" ]; then
        printf '[global]\nindex-url = %s\n' "$PIP_INDEX_URL" >"$work/pip.conf"
        secret pip.conf "$work/pip.conf"
    else
        secret pip.conf "${PIP_CONFIG_FILE:-}" ~/.config/pip/pip.conf ~/.pip/pip.conf /etc/pip.conf
    fi
    secret npmrc "${NPM_CONFIG_USERCONFIG:-}" ~/.npmrc
    secret ca.crt "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" "${NODE_EXTRA_CA_CERTS:-}"
}

secret() {
    local name=$1 file
    shift
    for file in "$@"; do
        if [ -s "$file" ] && [ "$file" != /dev/null ]; then
            arguments+=(--secret "id=$name,src=$file")
            return
        fi
    done
}

build() {
    case $engine in
    docker) DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build "${arguments[@]}" . ;;
    podman | buildah) "$engine" build --layers --format oci --timestamp "$epoch" "${arguments[@]}" . ;;
    esac
}

save() {
    rm -f "$1"
    case $engine in
    docker) docker save -o "$1" "$tag" ;;
    podman) podman save --quiet --format oci-archive -o "$1" "$tag" ;;
    buildah) buildah push --quiet "$tag" "oci-archive:$1:$tag" ;;
    esac
}

# Docker's archives are not compressed; the others' are.
compressed_bytes() {
    if [ "$engine" = docker ]; then gzip -c "$1" | wc -c; else wc -c <"$1"; fi
}

image_digest() {
    case $engine in
    docker | podman) "$engine" image inspect --format '{{.Id}}' "$tag" ;;
    buildah) buildah inspect --type image --format '{{.FromImageID}}' "$tag" ;;
    esac
}

unpacked_bytes() {
    case $engine in
    docker | podman) "$engine" image inspect --format '{{.Size}}' "$tag" ;;
    buildah) buildah images --json "$tag" | sed -n 's/.*"size": "\(.*\)".*/\1/p' | head -n 1 ;;
    esac
}

copy_sbom() {
    mkdir -p "$(dirname "$sbom")"
    local path=/opt/recio/share/sbom.cdx.json
    case $engine in
    docker | podman) "$engine" run --rm --entrypoint cat "$tag" "$path" >"$sbom" ;;
    buildah)
        local container
        container=$(buildah from --pull-never "$tag")
        buildah run "$container" -- cat "$path" >"$sbom"
        buildah rm "$container" >/dev/null
        ;;
    esac
}

# GNU's date, else BSD's.
created() {
    local format=+%Y-%m-%dT%H:%M:%SZ
    date -u -d "@$epoch" "$format" 2>/dev/null || date -u -r "$epoch" "$format"
}

engine=${ENGINE:-$(find_engine)}
case $engine in docker | podman | buildah) ;; *) refuse "ENGINE is '$engine'" ;; esac
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH=$epoch
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || revision=$revision-dirty
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

arguments=(--file images/Containerfile --tag "$tag" "${cache[@]}"
    --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "VERSION=$version"
    --build-arg "REVISION=$revision"
    --build-arg "CREATED=$(created)")
if [ -n "$base" ]; then arguments+=(--build-arg "BASE=$base"); fi
if [ -n "${build_base:-$base}" ]; then arguments+=(--build-arg "BUILD_BASE=${build_base:-$base}"); fi
secrets

echo "==> Building $tag with $engine"
build
copy_sbom
save "${archive:-$work/image.tar}"
echo "==> $tag"
echo "    digest      $(image_digest)"
echo "    compressed  $(compressed_bytes "${archive:-$work/image.tar}") bytes"
echo "    unpacked    $(unpacked_bytes)"
echo "    bill        $sbom"
if [ -n "$archive" ]; then echo "    archive     $archive"; fi
if [ "$push" = yes ]; then
    echo "==> Pushing $tag"
    "$engine" push "$tag"
fi
