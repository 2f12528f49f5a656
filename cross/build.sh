#!/usr/bin/env bash
# Builds static release binaries for ARM gateways: cross/build.sh [TARGET...]
#
# For 32-bit targets the distribution's compiler builds the standard library from its sources, for
# the sake of the years after 2038; for others, rustup's is used. Each way makes do for the other.
# Linking is done by zig, so no cross toolchain is needed. See cross/README.md.
#
# The same compiler, zig and sources give the same bytes, wherever the checkout, the target
# directory and cargo's home are: no path of this machine and no time is built in.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root"

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    targets=(
        arm-unknown-linux-musleabihf
        armv7-unknown-linux-musleabihf
        aarch64-unknown-linux-musl
    )
fi

if ! command -v cargo-zigbuild >/dev/null; then
    echo 'cargo-zigbuild is missing: pip install cargo-zigbuild ziglang' >&2
    exit 1
fi

# The distribution's compiler: Debian's packages rustc-web and rust-web-src.
distribution=/usr/bin/rustc
library=lib/rustlib/src/rust/library

target_dir=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
cargo_home=$(realpath -m -- "${CARGO_HOME:-$HOME/.cargo}")
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
fi
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC0

# Compiles with the compiler $RUSTC for some targets at once: build FLAG [CARGO OPTION...]
build() {
    # Nothing unwinds: a panic prints where it was, and ends the process.
    local flags=("$1" -Cforce-unwind-tables=no) paths path sources
    local c_flags=(-fno-unwind-tables -fno-asynchronous-unwind-tables)
    shift
    # Of two that fit, the compiler takes the last.
    paths=("$root=." "$target_dir=target" "$cargo_home=cargo")
    sources=$("$RUSTC" --print sysroot)/$library
    if [ -e "$sources" ]; then
        paths+=("$sources=library" "$(realpath -- "$sources")=library")
    fi
    # What is linked for 32 bits is no PIE: code that could lie anywhere would be larger and slower
    # for nothing.
    case $* in
    *aarch64*) ;; # This one can be, and what is built along with it has the same flags.
    *arm*-linux-*)
        flags+=(-Crelocation-model=static)
        c_flags+=(-fno-pic)
        ;;
    esac
    for path in "${paths[@]}"; do
        flags+=("--remap-path-prefix=$path")
        c_flags+=("-ffile-prefix-map=$path")
    done
    # Separated by a character that no path contains.
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
    export CARGO_ENCODED_RUSTFLAGS RUSTC
    TARGET_CFLAGS="${c_flags[*]}" \
        cargo zigbuild --release --locked --package ferrybox "$@"
}

with_rustup=() from_sources=()
for target in "${targets[@]}"; do
    has_sources=no
    if [ -x "$distribution" ] && [ -e "$("$distribution" --print sysroot)/$library" ]; then
        has_sources=yes
    fi
    case $has_sources,$target in
    yes,arm*)
        from_sources+=(--target "$target")
        continue
        ;;
    no,arm*) echo "$target with rustup's library: works until January 2038" >&2 ;;
    esac
    if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1; then
        with_rustup+=(--target "$target")
    elif [ $has_sources = yes ]; then
        from_sources+=(--target "$target")
    else
        echo "no standard library for $target: install rustup, or Debian's rustc-web and" \
            'rust-web-src' >&2
        exit 1
    fi
done
if [ ${#with_rustup[@]} -gt 0 ]; then
    RUSTC=rustc build -Cstrip=symbols "${with_rustup[@]}"
fi
if [ ${#from_sources[@]} -gt 0 ]; then
    # With seconds of 64 bits also where pointers have 32: the library that rustup has for those
    # targets ends its process at the first look at the clock after January 2038.
    export RUSTC_BOOTSTRAP=1 RUST_LIBC_UNSTABLE_MUSL_V1_2_3=1
    # Without what prints backtraces (67 KiB): a stripped binary has no names to print. And with
    # what is smaller rather than fast where the library has both.
    RUSTC=$distribution build -Clink-self-contained=no "${from_sources[@]}" \
        -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
fi

for target in "${targets[@]}"; do
    binary=$target_dir/$target/release/ferrybox
    printf '%s: %s bytes, sha256 %s\n' "$binary" "$(stat -c %s "$binary")" \
        "$(sha256sum "$binary" | cut -d' ' -f1)"
done
