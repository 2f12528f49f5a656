#!/usr/bin/env bash
# Installs, upgrades, removes and purges the package of this machine's own architecture in a chroot
# made for it, and looks at what is left each time. Needs root, mmdebstrap and the package
# (cross/package.sh amd64).
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'package: %s\n' "$*" >&2
    exit 1
}

target_dir=${CARGO_TARGET_DIR:-target}
package=$(find "$target_dir/packages" -name "ferrybox_*_$(dpkg --print-architecture).deb" |
    sort --version-sort | tail -1)
[ -n "$package" ] || fail 'there is none: cross/package.sh amd64'

scratch=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$scratch"' EXIT
root=$scratch/root
mmdebstrap --quiet --variant=essential --include=adduser bookworm "$root"
cp "$package" "$root/ferrybox.deb"
# The same again as a later version.
dpkg-deb --raw-extract "$package" "$scratch/later"
sed -i 's/^Version: .*/&+later/' "$scratch/later/DEBIAN/control"
dpkg-deb --root-owner-group --build "$scratch/later" "$root/later.deb" >/dev/null

inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        DEBIAN_FRONTEND=noninteractive "$@"
}

# Mode and owner of a path: is 0640 root:ferrybox /etc/ferrybox/config.toml
is() {
    local found
    found=$(inside stat --format='%04a %U:%G' "$3") || fail "$3 is missing"
    [ "$found" = "$1 $2" ] || fail "$3 is $found, not $1 $2"
}

gone() {
    [ ! -e "$root$1" ] || fail "$1 is left"
}

as_ferrybox() {
    inside su --shell /bin/sh ferrybox --command "$1"
}

config=/etc/ferrybox/config.toml
state=/var/lib/ferrybox

dpkg-deb --contents "$package" >"$scratch/contents"
inside dpkg --install /ferrybox.deb
is 0755 root:root /usr/bin/ferrybox
is 0755 root:root /etc/ferrybox
is 0640 root:ferrybox "$config"
is 0700 ferrybox:ferrybox "$state"
for file in man/man1/ferrybox.1.gz doc/ferrybox/copyright \
    bash-completion/completions/ferrybox zsh/vendor-completions/_ferrybox \
    fish/vendor_completions.d/ferrybox.fish doc/ferrybox/examples/content-dir.conf; do
    # The chroot may be made without documentation; the package has it.
    grep -q " \./usr/share/$file$" "$scratch/contents" || fail "no $file"
done
[[ $(inside getent passwd ferrybox) = *":$state:/usr/sbin/nologin" ]] || fail 'no such user'
[ -z "$(find "$root/etc/systemd" -name '*ferrybox*')" ] || fail 'something was enabled'

# What a person does as its user meets the state of the units.
as_ferrybox 'ferrybox startAuthentication' >"$scratch/said"
grep -q 'code_challenge=' "$scratch/said" || fail 'no link'
[ -n "$(ls -A "$root$state")" ] || fail "nothing was kept in $state"

# What the administrator does stays: over a reinstallation, an upgrade, a removal and a return.
inside sed -i 's/^app_key = .*/app_key = "changed"/' "$config"
kept() {
    grep -q '^app_key = "changed"$' "$root$config" || fail "$1: $config has changed"
    is 0640 root:ferrybox "$config"
    is 0700 ferrybox:ferrybox "$state"
    [ -n "$(ls -A "$root$state")" ] || fail "$1: $state is empty"
}
inside dpkg --install /ferrybox.deb
kept reinstalled
inside dpkg --install /later.deb
kept upgraded
inside dpkg --remove ferrybox
gone /usr/bin/ferrybox
gone /lib/systemd/system/ferrybox.service
kept removed
inside dpkg --install /ferrybox.deb
kept returned
# Another user's since a drop-in said so.
inside chown daemon "$state"
inside rm "$config"
inside dpkg --install /later.deb
is 0700 daemon:ferrybox "$state"
gone "$config"

# Purged: nothing but what is not ours.
mkdir "$root$state-kitchen" "$root$state-attic" "$root/var/lib/ferrybox-of-others"
touch "$root$state-attic/index.db" "$root/etc/ferrybox/kitchen.toml"
mkdir -p "$root/etc/systemd/system/timers.target.wants"
ln -s /lib/systemd/system/ferrybox@.timer \
    "$root/etc/systemd/system/timers.target.wants/ferrybox@kitchen.timer"
inside dpkg --purge ferrybox
left=$(find "$root" -xdev -iname '*ferrybox*' ! -path "$root/ferrybox.deb" \
    ! -path "$root/var/lib/ferrybox-of-others")
[ -z "$left" ] || fail "left: $left"
! inside getent passwd ferrybox || fail 'the user is left'
! inside getent group ferrybox || fail 'the group is left'

# And once more from the beginning.
inside dpkg --install /ferrybox.deb
is 0640 root:ferrybox "$config"
inside dpkg --purge ferrybox

printf '%s: installed, upgraded, removed and purged\n' "${package##*/}"
