#!/bin/sh
# Installs what tests need from Debian and Ubuntu: libraries for the Slicer scene, and dciodvfy; without them those tests are skipped.
# Importing slicer and vtk needs none of them: EGL, GL and Mesa are for rendering without a screen, the next four for Qt widgets.
# dicom3tools has dciodvfy, which checks the DICOM objects that are written.

packages="libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libxkbcommon0 libdbus-1-3 libfontconfig1 dicom3tools"

missing=""
for package in $packages; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends $missing && exit 0
fi
echo "Tests that open the Slicer scene or check DICOM need these Debian packages and may be skipped without them:$missing" >&2
exit 0
