#!/bin/sh
# installed.sh BUILD - installs into an empty folder and builds against that
#
# What is installed must be all that a user needs: the command runs, a program
# from outside compiles through calm.pc, with the shared library and with the
# static one. Then the same program with calm as its meson subproject.
set -eu
build=$(cd "$1" && pwd)
cd "$(dirname "$0")"
source=$(cd ../.. && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

check() { # SENTENCE COMMAND...
    sentence=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok - $sentence"
    else
        echo "not ok - $sentence"
        sed 's/^/    /' "$work/log"
        failed=1
    fi
}

some() { # PATTERN: whether the installed tree has a file of that path
    find "$work/root" -path "$work/root$1" | grep -q .
}

DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet
prefix=$(dirname "$(dirname "$(find "$work/root" -path '*/bin/calm')")")
pc=$(dirname "$(find "$work/root" -name calm.pc)")
libraries=$(dirname "$pc")

check 'the shared library is installed' some '*/libcalm.so.0'
check 'the static library is installed' some '*/libcalm.a'
check 'the header of everything is installed' some '*/include/calm.h'
for header in "$source"/include/calm/*.h; do
    name=$(basename "$header")
    check "<calm/$name> is installed" some "*/include/calm/$name"
done
if command -v scdoc >/dev/null; then
    for page in calm.1 calm-predict.1 calm-doctor.1 calm.3 calm.7; do
        check "$page is installed" some "*/man/man*/$page"
    done
fi
check 'the completion is installed' some '*/bash-completion/completions/calm'
check 'the command runs where it was installed' "$prefix/bin/calm" --version

export PKG_CONFIG_PATH="$pc" PKG_CONFIG_SYSROOT_DIR="$work/root"
shared() {
    # shellcheck disable=SC2046 # flags are words
    ${CC:-cc} -std=c17 -Wall -Werror -o "$work/shared" outside_program.c \
        $(pkg-config --cflags --libs calm) &&
        LD_LIBRARY_PATH=$libraries "$work/shared"
}
static() {
    # shellcheck disable=SC2046 # flags are words
    ${CC:-cc} -std=c17 -Wall -Werror -o "$work/static" outside_program.c \
        $(PKG_CONFIG_SYSROOT_DIR='' pkg-config --cflags calm |
            sed "s|-I|-I$work/root|") "$libraries/libcalm.a" \
        $(PKG_CONFIG_SYSROOT_DIR='' pkg-config --static --libs calm |
            sed 's|-lcalm||; s|-L[^ ]*||') &&
        "$work/static"
}
own_flags() { # what compiles a program is where the headers lie, and no more
    flags=$(pkg-config --cflags calm)
    echo "$flags"
    for flag in $flags; do
        case $flag in
        -I*/include) ;;
        *) return 1 ;;
        esac
    done
}
exported() {
    nm -D --defined-only "$libraries/libcalm.so.0" |
        awk '$3 !~ /^calm_[a-z]/ { print; bad = 1 }
             END { exit bad || NR == 0 }'
}
subproject() {
    mkdir -p "$work/parent/subprojects"
    ln -s "$source" "$work/parent/subprojects/calm"
    cp outside_program.c "$work/parent"
    cat >"$work/parent/meson.build" <<'MESON'
project('parent', 'c')
executable('program', 'outside_program.c', dependencies : dependency('calm'))
MESON
    # A user's own options; calm's tests are not theirs.
    unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
    meson setup "$work/parent/build" "$work/parent" \
        --force-fallback-for=calm --wrap-mode=forcefallback &&
        ninja --quiet -C "$work/parent/build" program &&
        "$work/parent/build/program"
}
check 'a program from outside runs with the shared library' shared
check 'a program from outside runs with the static library' static
check 'calm.pc hands no flags of other libraries on' own_flags
check 'the shared library exports nothing but calm_*' exported
check 'calm works as a subproject of meson' subproject
exit $failed
