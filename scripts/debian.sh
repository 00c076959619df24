#!/bin/sh
# debian.sh PURPOSE PACKAGE...: installs Debian packages where that is possible without asking, and
# says what to type where it is not.
set -eu
purpose=$1
shift
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
else
    echo "$purpose: missing $*. Type: sudo apt-get install -y $*"
fi
