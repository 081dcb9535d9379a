# test_layers.sh - the folders include each other as agreed, and the check sees it when not.
set -u
tools=$KILN_HOME/tools
"$tools/check-layers" || exit 1

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
breach() # FILE LINE: a tree with this one line must not pass
{
    rm -rf "$folder/src"
    mkdir -p "$folder/src/$(dirname "$1")"
    printf '%s\n' "$2" >"$folder/src/$1"
    if "$tools/check-layers" "$folder/src" >"$folder/out"; then
        echo "not noticed in $1: $2"
        exit 1
    fi
}
breach train/a.c '#include "store/rundir.h"'
breach base/a.c '#include "kernels/kernels.h"'
breach report/a.c '#include "train/config.h"'
breach cli/a.c '#include <sqlite3.h>'
breach data/a.c '#include <mpi.h>'
breach nn/a.c '#ifdef HAVE_CUDA'
breach nn/a.c '#if 0'
breach nn/a.c '#include "graph.h"'
breach elsewhere/a.c 'int a;'
