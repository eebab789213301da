#!/bin/sh
# Runs `qdrant-backup run` repeatedly: `run-every SECONDS [OPTION ...]`. For a trial in a container, which has no cron.
# The pause begins at the end of each run, so the start times are not exact.
# SIGTERM and SIGINT are passed to a run in progress, which cleans up. The script then exits with the run's exit code.
set -u

seconds=${1:-}
case $seconds in
    '' | *[!0-9]* | 0) echo "usage: run-every SECONDS [OPTION of qdrant-backup run ...]" >&2; exit 2 ;;
esac
shift

# A signal is stored and passed on within a second. If it were passed on at once, it could reach the child before the
# program has started there, and be lost.
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
