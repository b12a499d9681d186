#!/bin/sh
# Leave a one-time enrolment code for a station, unless one was left before.
# usage: introduce.sh FILE STATION TOWNSHIP
set -eu
[ ! -s "$1" ] || exit 0
umask 077
liuhen stations code "$2" --township "$3" --json >"$1.new"
python -c 'import json, sys; print(json.load(sys.stdin)["code"])' <"$1.new" >"$1.code"
rm "$1.new"
mv "$1.code" "$1"
