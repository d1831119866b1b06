#!/bin/sh
# Make .venv from a lock file with hashes, or do nothing if it is already there.
#   tools/install.sh run    what `recio up` needs (requirements.lock)
#   tools/install.sh dev    that and what the tests need (requirements-dev.lock)
# RECIO_PYTHON chooses the interpreter; otherwise the first python3 of 3.11 or newer is taken.
set -eu
cd "$(dirname "$0")/.."

kind=${1:?run or dev}
case $kind in
run) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
*) echo "tools/install.sh: expected run or dev, received '$kind'" >&2; exit 2 ;;
esac

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${RECIO_PYTHON:-}" ]; then
        is_new_enough "$RECIO_PYTHON" && { echo "$RECIO_PYTHON"; return 0; }
        echo "RECIO_PYTHON=$RECIO_PYTHON is no Python 3.11 or newer." >&2
        return 1
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$candidate"; then echo "$candidate"; return 0; fi
    done
    echo "Python 3.11 or newer is needed and was not found." >&2
    echo "  Debian, Ubuntu: sudo apt-get install python3 python3-venv" >&2
    echo "  or name one: make run RECIO_PYTHON=/path/to/python3.12" >&2
    return 1
}

# What the environment was made from; any change makes it anew.
fingerprint() {
    "$python" - "$1" <<'END'
import hashlib, os, pathlib, sys, tomllib
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
parts = (sys.version, sys.base_prefix, os.getcwd(), repr(project))
lock = pathlib.Path(sys.argv[1]).read_bytes()
print(hashlib.sha256("\n".join(parts).encode() + lock).hexdigest())
END
}

is_installed() {
    [ "$(cat ".venv/.recio-$1" 2>/dev/null)" = "$(fingerprint "$2")" ] &&
        .venv/bin/python -c 'import recio' 2>/dev/null
}

make_environment() {
    if .venv/bin/python -m pip --version >/dev/null 2>&1 && is_same_python; then return 0; fi
    rm -rf .venv
    if ! "$python" -m venv .venv >.venv-errors 2>&1; then
        cat .venv-errors >&2
        rm -rf .venv .venv-errors
        echo "" >&2
        echo "$python cannot make a virtual environment." >&2
        echo "  Debian, Ubuntu: sudo apt-get install python3-venv" >&2
        return 1
    fi
    rm -f .venv-errors
}

is_same_python() {
    here=$("$python" -c 'import sys; print(sys.version, sys.base_prefix)')
    there=$(.venv/bin/python -c 'import sys; print(sys.version, sys.base_prefix)')
    [ "$here" = "$there" ]
}

python=$(find_python)
if is_installed "$kind" "$lock"; then exit 0; fi
# The tests' environment holds everything that a run needs.
if [ "$kind" = run ] && is_installed dev requirements-dev.lock; then exit 0; fi

echo "==> Python environment in .venv, from $lock ($("$python" --version))"
make_environment
rm -f .venv/.recio-run .venv/.recio-dev
.venv/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes \
    --progress-bar off -r "$lock"
.venv/bin/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation \
    --quiet --editable .
fingerprint "$lock" >".venv/.recio-$kind"
