#!/bin/sh
# A township's station to try the county with: film a recorder's day, enrol once, then dock it.
# usage: station.sh URL CODE-FILE CA-FILE RECORDER-FOLDER
set -eu
[ -e "$4/DCIM" ] || python "$(dirname "$0")/film.py" "$4"
[ -e "$LIUHEN_HOME/enrolment.json" ] || liuhen station enrol "$1" "$(cat "$2")" --ca "$3"
exec liuhen station
