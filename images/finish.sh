#!/bin/sh
# Make a folder of the image final: bytecode that needs no check of its source, one time for all
# files, the same rights whatever the build's umask was.
#   finish.sh FOLDER PREFIX   PREFIX is the part of FOLDER that will not be there in the image
# Bytecode depends on the order of work and on the seed of hashes: both are fixed here. Kubernetes'
# generated models are left as source: the operator speaks in plain mappings and loads none.
set -eu
folder=${1:?folder}
prefix=${2-}

PYTHONHASHSEED=0 python3 -m compileall -q --invalidation-mode unchecked-hash \
    ${prefix:+-s "$prefix" -p /} \
    -x 'kubernetes/(aio/)?client/(api|models)/|kubernetes/aio/e2e_test/' "$folder"
find "$folder" -type d -exec chmod 755 {} +
find "$folder" -type f -exec chmod go=u-w {} +
find "$folder" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH:-0}" {} +
