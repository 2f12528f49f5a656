#!/usr/bin/env bash
# Switches the guards off, one at a time, and says which scenario notices.
#
# usage: tests/guards.sh [GUARD...]
#
# Works on a copy of the last commit: all guards get a switch, so that one build serves them all.
# A guard is named with its file, the tests that may notice, the code that it is, and the code
# that it is when OFF is true; if those tests do not notice, all that run in process are tried.
# Ends with 1 if a guard can be switched off and nobody notices.
set -eu

copy=$(mktemp -d)
here=$(git rev-parse --show-toplevel)
trap 'git -C "$here" worktree remove --force "$copy"' EXIT
git -C "$here" worktree add --quiet --detach "$copy"
cd "$copy"

guards=()
declare -A tests
guard() {
    guards+=("$1")
    tests[$1]=$3
    OFF="crate::off(\"$1\")" FROM=$4 TO=$5 perl -0777 -pi -e '
        my ($from, $to) = @ENV{"FROM", "TO"};
        $to =~ s/\bOFF\b/$ENV{OFF}/g;
        my $found = () = /\Q$from\E/g;
        die "guards.sh: found $found times in $ARGV, not once: $from\n" if $found != 1;
        s/\Q$from\E/$to/;
    ' "$2"
}
cat >> src/lib.rs <<'END'

/// Whether a guard is switched off.
pub fn off(guard: &str) -> bool {
    std::env::var_os("GUARD_OFF").is_some_and(|off| off == guard)
}
END

. "$here/tests/guards.list"

export CARGO_TERM_COLOR=never
# Forcing files to a medium is what takes time.
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm
run() {
    GUARD_OFF=$1 timeout 900 cargo test --quiet --test it -- "${@:2}" > said.txt 2>&1
}
everything="answers:: conflicts:: decisions:: deletes:: halts:: dry_run:: filters:: folders:: idle:: instants::
    names:: belonging:: stable:: unknown:: state:: transfers:: sim_some"
run none $everything || { cat said.txt; exit 2; }
missed=0
for guard in "${@:-${guards[@]}}"; do
    killers=
    for filter in "${tests[$guard]}" "$everything"; do
        [ -z "$killers" ] || break
        run "$guard" $filter || true
        killers=$(sed -n 's/^    \([a-z_]*::[a-z_:0-9]*\)$/\1/p' said.txt | sort -u)
    done
    echo "$guard -> ${killers:-NOBODY NOTICES}" | paste -sd ' '
    [ -n "$killers" ] || missed=1
done
exit $missed
