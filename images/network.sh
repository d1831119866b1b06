#!/bin/sh
# Sourced by the build's commands: use the mirror and the certificates that were handed in, if any.
# They are mounted in /run/recio while a command runs and are in no layer.

if [ -s /run/recio/pip.conf ]; then export PIP_CONFIG_FILE=/run/recio/pip.conf; fi
if [ -s /run/recio/npmrc ]; then export NPM_CONFIG_USERCONFIG=/run/recio/npmrc; fi
if [ -s /run/recio/ca.crt ]; then
    export PIP_CERT=/run/recio/ca.crt NODE_EXTRA_CA_CERTS=/run/recio/ca.crt
    export NPM_CONFIG_CAFILE=/run/recio/ca.crt
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
export PIP_PROGRESS_BAR=off
