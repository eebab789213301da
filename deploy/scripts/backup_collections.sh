#!/bin/sh
# Backs up Qdrant collections. For existing setups that call this name; it calls `qdrant-backup run` or `qdrant-backup backup`.
# The exit code is that of qdrant-backup.
set -eu

usage() {
    cat <<'END'
Usage: backup_collections.sh [COLLECTION ...] [OPTION ...]

  backup_collections.sh              back up every collection, verify, delete expired backups
  backup_collections.sh docs wiki    back up only these collections
  backup_collections.sh --quiet      options are passed to qdrant-backup, see `qdrant-backup run --help`

Settings come from the environment (QDRANT_URL, QDRANT_BACKUP_PATH, BACKUP_RETENTION_DAYS, BACKUP_SCHEDULE,
BACKUP_COMPRESSION), from /opt/qdrant/config/.env and from /opt/qdrant/config/backup.yaml. The API key is in
QDRANT_API_KEY or in the file QDRANT_API_KEY_FILE, never on the command line.
Exit codes: 0 success, 1 failed, 2 usage, 3 some collections failed, 4 bad backup found, 75 another run holds the
lock, 78 configuration.
END
}

config_dir=/opt/qdrant/config
command=run
options=no
env_file=no
for argument do
    shift
    case $argument in
        -h | --help) usage; exit 0 ;;
        --env-file | --env-file=*) options=yes; env_file=given ;;
        -c | --collection | --collection=*) options=yes; command=backup ;;
        -*) options=yes ;;
    esac
    if [ "$options" = yes ]; then
        set -- "$@" "$argument"
    else
        command=backup
        set -- "$@" "--collection=$argument"
    fi
done

# If the directory cannot be read, pass the path anyway, so that the program reports the error.
if [ "$env_file" = no ] && { [ -e "$config_dir/.env" ] || { [ -d "$config_dir" ] && [ ! -x "$config_dir" ]; }; }; then
    set -- "--env-file=$config_dir/.env" "$@"
fi

# PATH is short under cron.
PATH="${PATH:-/usr/bin:/bin}:/usr/local/bin"
export PATH
command -v qdrant-backup >/dev/null || { echo "$0: qdrant-backup is not installed; looked in $PATH" >&2; exit 127; }
exec qdrant-backup "$command" "$@"
