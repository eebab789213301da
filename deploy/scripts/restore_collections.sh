#!/bin/sh
# Restores Qdrant collections. For existing setups that call this name; it calls `qdrant-backup restore`. The exit code is
# that of qdrant-backup.
set -eu

usage() {
    cat <<'END'
Usage: restore_collections.sh [--dry-run] COLLECTION [BACKUP_ID] [OPTION ...]
       restore_collections.sh [--dry-run] --all [OPTION ...]

  restore_collections.sh --dry-run                     check whether everything can be restored; change nothing
  restore_collections.sh docs                          restore the newest good backup of docs
  restore_collections.sh docs 2025-07-15-14-30-00      restore this backup; `qdrant-backup list` shows the ids
  restore_collections.sh docs --as docs_restored       restore as another collection
  restore_collections.sh --all --with-aliases          restore every collection that has backups

Options are passed to qdrant-backup, see `qdrant-backup restore --help`. An existing collection is only overwritten with
--force, and is backed up first.
Settings come from the environment (QDRANT_URL, QDRANT_BACKUP_PATH), from /opt/qdrant/config/.env and from
/opt/qdrant/config/backup.yaml. The API key is in QDRANT_API_KEY or in the file QDRANT_API_KEY_FILE, never on the
command line.
Exit codes: 0 success, 1 failed, 2 usage, 3 some collections failed, 75 another run holds the lock, 78 configuration.
END
}

[ $# -gt 0 ] || { usage >&2; exit 2; }

config_dir=/opt/qdrant/config
words=0
options=no
env_file=no
for argument do
    shift
    case $argument in
        -h | --help) usage; exit 0 ;;
        # Allowed before the collection too.
        --dry-run) set -- "$@" --dry-run; continue ;;
        --env-file | --env-file=*) options=yes; env_file=given ;;
        -*) options=yes ;;
    esac
    if [ "$options" = yes ]; then
        set -- "$@" "$argument"
        continue
    fi
    words=$((words + 1))
    case $words in
        1) set -- "$@" "--collection=$argument" ;;
        2) set -- "$@" "--backup=$argument" ;;
        *) echo "$0: give only one collection and one backup; for every collection use --all" >&2; exit 2 ;;
    esac
done

# If the directory cannot be read, pass the path anyway, so that the program reports the error.
if [ "$env_file" = no ] && { [ -e "$config_dir/.env" ] || { [ -d "$config_dir" ] && [ ! -x "$config_dir" ]; }; }; then
    set -- "--env-file=$config_dir/.env" "$@"
fi

# PATH is short under cron.
PATH="${PATH:-/usr/bin:/bin}:/usr/local/bin"
export PATH
command -v qdrant-backup >/dev/null || { echo "$0: qdrant-backup is not installed; looked in $PATH" >&2; exit 127; }
exec qdrant-backup restore "$@"
