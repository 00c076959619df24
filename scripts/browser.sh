#!/bin/sh
# Makes sure there is a browser to test the shop's pages in; without one that test is skipped.
set -eu
[ "$(uname -s)" = Linux ] || exit 0
command -v chromium >/dev/null 2>&1 && command -v chromedriver >/dev/null 2>&1 && exit 0
sh "$(dirname "$0")/debian.sh" "the test of the shop in a browser" chromium chromium-driver ||
    echo "no browser could be installed; that test will be skipped"
