#!/bin/sh
# Runs `qdrant-backup run` again and again: `run-every SECONDS [OPTION ...]`. For a trial in a container, where there is no
# cron. The pause is between the end of a run and the next one, so it is no schedule to the minute.
# SIGTERM and SIGINT go to a run that is under way, which tidies up; its exit code is then the script's.
set -u

seconds=${1:-}
case $seconds in
    '' | *[!0-9]* | 0) echo "usage: run-every SECONDS [OPTION of qdrant-backup run ...]" >&2; exit 2 ;;
esac
shift

# A signal is only noted, and looked at every second: one that was passed on at once could reach the child before it has
# become the program, and be lost.
signal=
trap 'signal=143' TERM
trap 'signal=130' INT

while [ -z "$signal" ]; do
    qdrant-backup run "$@" &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        [ -z "$signal" ] || kill -TERM "$child" 2>/dev/null
        sleep 1
    done
    wait "$child"
    code=$?
    [ -z "$signal" ] || exit "$code"
    echo "run-every: exit code $code, next run in $seconds s" >&2
    left=$seconds
    while [ "$left" -gt 0 ] && [ -z "$signal" ]; do
        sleep 1
        left=$((left - 1))
    done
done
exit "$signal"
