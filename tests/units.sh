#!/usr/bin/env bash
# Holds the units in config/ to what they promise: systemd understands them, nothing they need is
# exposed, and the templates are the others but for their names. Needs systemd-analyze.
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../config"

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# As verify wants it: the program is there.
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
cp -- *.service *.timer "$scratch"
sed -i "s|^ExecStart=/usr/bin/ferrybox|ExecStart=$(command -v true)|" "$scratch"/*.service
said=$(cd "$scratch" && systemd-analyze verify --man=no ./*.service ./*.timer 2>&1) || fail "$said"
said=$(printf '%s\n' "$said" | grep ferrybox || true)
[ -z "$said" ] || fail "$said"

# At most 1.5 of 10; the drop-in changes nothing about it. What runs wild is stopped, and not the
# gateway.
for unit in *.service; do
    for limit in MemoryMax=64M TasksMax=8; do
        grep -qx "$limit" "$unit" || fail "$unit has no $limit"
    done
    systemd-analyze security --offline=yes --threshold=15 --no-pager "$unit" >"$scratch/said" ||
        fail "$(cat "$scratch/said")"
    printf '%s: %s\n' "$unit" "$(tail -1 "$scratch/said")"
    mkdir -p "$scratch/with/$unit.d"
    cp content-dir.conf "$scratch/with/$unit.d"
    cat "$unit" >"$scratch/with/$unit"
    sed '/^\[Service\]$/d' content-dir.conf >"$scratch/added"
    sed -i "/^\[Service\]$/r $scratch/added" "$scratch/with/$unit"
    systemd-analyze security --offline=yes --threshold=15 --no-pager "$scratch/with/$unit" \
        >"$scratch/said" || fail "with the drop-in: $(cat "$scratch/said")"
done

for unit in ferrybox.service ferrybox-run.service ferrybox.timer; do
    template=${unit%.*}@.${unit##*.}
    sed -e 's|/etc/ferrybox/config.toml|/etc/ferrybox/%i.toml|' \
        -e 's|Directory=ferrybox$|Directory=ferrybox-%i|' \
        -e 's|^Description=Ferrybox|& %i|' \
        -e 's|systemctl edit [a-z-]*|&@NAME|' "$unit" |
        diff - "$template" || fail "$template differs from $unit by more than its name"
done

# The calendar of the timer, and that of its example.
for calendar in '*:0/5' 02:00; do
    grep -qF "OnCalendar=$calendar" ferrybox.timer || fail "$calendar is not in ferrybox.timer"
    systemd-analyze calendar "$calendar" >/dev/null
done
