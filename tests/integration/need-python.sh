# shellcheck shell=bash
# need-python.sh MODULE... - sets $python, which has these modules, and RH_LIBRARY; skips the test without them.
python=${RH_PYTHON:-/usr/bin/python3}
if [ -n "${RH_SAN-}" ]; then
    echo 'a plain Python cannot load a library that was built with a sanitizer'
    exit 77
fi
for module in "$@"; do
    if ! "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec(\"$module\") is None)" 2>/dev/null; then
        echo "$python has no $module (Debian: python3-$module)"
        exit 77
    fi
done
export RH_LIBRARY=$RH_BUILD/lib/librowhouse.so
