#!/usr/bin/env bash
# Packs what cross/build.sh built: cross/package.sh [ARCHITECTURE...]
#
#   armhf   .deb with the ARMv6 binary, which runs on every Raspberry Pi with a 32-bit system
#   arm64   .deb for 64-bit systems
#   armv7   tarball, for systems without dpkg
#   amd64   .deb with this machine's own release binary (cargo build --release): for trying it
#
# Without a name the first three. They end up in target/packages. Needs dpkg-deb, and cargo for the
# manual and the completions; amd64 needs dpkg-shlibdeps (dpkg-dev) as well. The same binary packs
# to the same bytes.
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root"

target_dir=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
out=$target_dir/packages
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
fi
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC0
umask 022

scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
mkdir -p -- "$out"

# The binary for a gateway does not run here; the manual and the completions are the same in all.
cargo build --quiet --locked
mkdir "$scratch/manual"
"$target_dir/debug/ferrybox" man >"$scratch/manual/ferrybox.1"
for shell in bash zsh fish; do
    "$target_dir/debug/ferrybox" completions "$shell" >"$scratch/manual/$shell"
done

# The binary for an architecture.
binary() {
    case $1 in
    armhf) echo "$target_dir/arm-unknown-linux-musleabihf/release/ferrybox" ;;
    armv7) echo "$target_dir/armv7-unknown-linux-musleabihf/release/ferrybox" ;;
    arm64) echo "$target_dir/aarch64-unknown-linux-musl/release/ferrybox" ;;
    amd64) echo "$target_dir/release/ferrybox" ;;
    *)
        echo "$1: not one of armhf, arm64, armv7, amd64" >&2
        return 1
        ;;
    esac
}

# Lays out everything below $1 for the architecture $2.
lay_out() {
    local tree=$1 architecture=$2 page
    local share=$tree/usr/share
    local doc=$share/doc/ferrybox
    install -D -m 755 "$(binary "$architecture")" "$tree/usr/bin/ferrybox"

    install -D -m 644 "$scratch/manual/ferrybox.1" "$share/man/man1/ferrybox.1"
    gzip -9n "$share/man/man1/ferrybox.1"
    install -D -m 644 "$scratch/manual/bash" "$share/bash-completion/completions/ferrybox"
    install -D -m 644 "$scratch/manual/zsh" "$share/zsh/vendor-completions/_ferrybox"
    install -D -m 644 "$scratch/manual/fish" \
        "$share/fish/vendor_completions.d/ferrybox.fish"

    for page in config/*.service config/*.timer; do
        install -D -m 644 "$page" "$tree/lib/systemd/system/${page##*/}"
    done
    for page in content-dir.conf crontab openrc; do
        install -D -m 644 "config/$page" "$doc/examples/$page"
    done
    # One state directory, whether systemd starts it or a person does.
    install -m 644 config/ferrybox.toml "$doc/examples/config.toml"
    sed -i 's|^# \(dir = "/var/lib/ferrybox"\)$|\1|' "$doc/examples/config.toml"
    grep -q '^dir = "/var/lib/ferrybox"$' "$doc/examples/config.toml"

    install -m 644 README.md "$doc/README.md"
    gzip -9n "$doc/README.md"
    {
        cat cross/debian/copyright
        # The text of the licence, as the format wants it.
        sed 's/^$/./; s/^/ /' LICENSE
    } >"$doc/copyright"
}

# Everything has one time, and no owner but root.
settle() {
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

deb() {
    local architecture=$1
    local tree=$scratch/$architecture depends='adduser' script
    lay_out "$tree" "$architecture"
    # The C library, where it is not built in.
    if [ "$architecture" = amd64 ]; then
        mkdir -p "$scratch/stub/debian"
        printf 'Source: ferrybox\n\nPackage: ferrybox\nArchitecture: any\n' \
            >"$scratch/stub/debian/control"
        depends+=", $(cd "$scratch/stub" && dpkg-shlibdeps -O "$tree/usr/bin/ferrybox" |
            sed 's/^shlibs:Depends=//')"
    fi

    {
        printf 'ferrybox (%s-1) unstable; urgency=medium\n\n' "$version"
        printf '  * Packed from version %s.\n\n' "$version"
        printf ' -- Ferrybox founders <founders@ferrybox.invalid>  %s\n' \
            "$(date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')"
    } | gzip -9n >"$tree/usr/share/doc/ferrybox/changelog.Debian.gz"
    install -D -m 644 cross/debian/lintian-overrides "$tree/usr/share/lintian/overrides/ferrybox"
    # What does not apply to this architecture would be unused, and that is said.
    if [ "$architecture" = amd64 ]; then
        sed -i '/statically-linked-binary/d' "$tree/usr/share/lintian/overrides/ferrybox"
    fi

    mkdir "$tree/DEBIAN"
    sed -e "s/@VERSION@/$version-1/; s/@ARCHITECTURE@/$architecture/; s/@DEPENDS@/$depends/" \
        -e "s/@SIZE@/$(du -k --apparent-size -s "$tree" | cut -f1)/" \
        cross/debian/control >"$tree/DEBIAN/control"
    for script in postinst prerm postrm; do
        install -m 755 "cross/debian/$script" "$tree/DEBIAN/$script"
    done
    (cd "$tree" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum) \
        >"$tree/DEBIAN/md5sums"
    chmod 644 "$tree/DEBIAN/control" "$tree/DEBIAN/md5sums"
    settle "$tree"
    # xz, which every dpkg knows; Debian's and Raspberry Pi OS's before 12 know no zstd.
    dpkg-deb --root-owner-group -Zxz --build "$tree" \
        "$out/ferrybox_$version-1_$architecture.deb" >/dev/null
    say "$out/ferrybox_$version-1_$architecture.deb"
}

tarball() {
    local architecture=$1
    local name=ferrybox-$version-$architecture
    lay_out "$scratch/$name" "$architecture"
    install -m 644 LICENSE README.md "$scratch/$name"
    settle "$scratch/$name"
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --format=gnu \
        --directory "$scratch" "$name" | xz -9 >"$out/$name.tar.xz"
    say "$out/$name.tar.xz"
}

say() {
    printf '%s: %s bytes\n' "$1" "$(stat -c %s "$1")"
}

if [ $# -eq 0 ]; then
    set -- armhf arm64 armv7
fi
for architecture in "$@"; do
    [ -e "$(binary "$architecture")" ] || {
        echo "$(binary "$architecture") is missing: see cross/build.sh" >&2
        exit 1
    }
    case $architecture in
    armv7) tarball "$architecture" ;;
    *) deb "$architecture" ;;
    esac
done
