#!/usr/bin/env bash
# Builds static release binaries for ARM gateways: cross/build.sh [TARGET...]
#
# With rustup the targets' own standard library is used; without it (or where rustup has none) the
# distribution's compiler builds the standard library from its sources. Linking is done by zig, so
# no cross toolchain is needed either way. See cross/README.md.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

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
sources=lib/rustlib/src/rust/library

for target in "${targets[@]}"; do
    if command -v rustup >/dev/null && rustup target add "$target" >/dev/null 2>&1; then
        cargo zigbuild --release --locked --package ferrybox --target "$target"
    elif [ -x "$distribution" ] && [ -e "$("$distribution" --print sysroot)/$sources" ]; then
        RUSTC=$distribution RUSTC_BOOTSTRAP=1 RUSTFLAGS='-C link-self-contained=no' \
            cargo zigbuild --release --locked --package ferrybox --target "$target" \
            -Zbuild-std=std,panic_abort
    else
        echo "no standard library for $target: install rustup, or Debian's rustc-web and" \
            'rust-web-src' >&2
        exit 1
    fi
    binary=${CARGO_TARGET_DIR:-target}/$target/release/ferrybox
    printf '%s: %s bytes\n' "$binary" "$(stat -c %s "$binary")"
done
