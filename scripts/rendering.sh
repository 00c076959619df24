#!/bin/sh
# Makes sure the libraries MuJoCo renders with are there.
set -eu
packages="libosmesa6 libegl1 libgl1"

[ "$(uname -s)" = Linux ] || exit 0
missing=""
for package in $packages; do
    library=$(echo "$package" | sed -e 's/libosmesa6/libOSMesa/' -e 's/libegl1/libEGL/' -e 's/libgl1/libGL/')
    ldconfig -p 2>/dev/null | grep -q "$library\.so" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086
sh "$(dirname "$0")/debian.sh" "pictures and films" $missing
