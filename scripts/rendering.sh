#!/bin/sh
# Makes sure the libraries MuJoCo renders with are there: installs them where that is possible
# without asking, and says what to type where it is not.
set -eu
packages="libosmesa6 libegl1 libgl1"

[ "$(uname -s)" = Linux ] || exit 0
missing=""
for package in $packages; do
    library=$(echo "$package" | sed -e 's/libosmesa6/libOSMesa/' -e 's/libegl1/libEGL/' -e 's/libgl1/libGL/')
    # shellcheck disable=SC2086
    ldconfig -p 2>/dev/null | grep -q "$library\.so" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null
else
    echo "pictures and films need$missing. Type: sudo apt-get install -y$missing"
fi
