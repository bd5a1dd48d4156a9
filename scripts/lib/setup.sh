# Sourced by the scripts beside this folder: makes .venv when it is missing or out of date, and sets
# $root (the repository) and $python (the .venv's interpreter).

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
python=$root/.venv/bin/python

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    echo "No Python 3.11 or newer found: install one (for example: apt install python3.11-venv)," \
        "or name it: PYTHON=/path/to/python3.11 $0" >&2
    return 1
}

# A .venv holds absolute paths, so it is also out of date when the repository has moved.
stamp() {
    printf '%s\n' "$root"
    cksum <"$root/setup.cfg"
    cksum <"$root/pyproject.toml"
}

make_venv() {
    local base
    base=$(find_python) || return
    echo "Setting up $root/.venv (once; a minute or so) ..." >&2
    if ! "$base" -m venv --clear "$root/.venv"; then
        echo "Python could not make a virtual environment: see the line above" \
            "(on Debian and Ubuntu: apt install python3-venv)." >&2
        return 1
    fi
}

set_up() {
    local made_for='' stamp_file=$root/.venv/made-for
    [[ -x $python && -f $stamp_file ]] && made_for=$(<"$stamp_file")
    [[ $made_for == "$(stamp)" ]] && return
    if [[ ${made_for%%$'\n'*} != "$root" ]]; then
        make_venv || return
    fi
    if ! "$python" -m pip install --quiet --disable-pip-version-check --editable "$root[dev]"; then
        echo "Installing the dependencies failed: see pip's message above, then run this again." >&2
        return 1
    fi
    stamp >"$stamp_file"
}

# Ends with status 1 when there is no usable environment; what went wrong has been said.
set_up || exit 1
