#!/usr/bin/env bash
# Switches the guards off, one at a time, and says which scenario notices.
#
# usage: tests/guards.sh [GUARD...]
#
# Works on a copy of the last commit: all guards of tests/guards.list get a switch, so that one
# build serves them all. Where the tests an entry names do not notice, all that run in process are
# tried, unit tests too, but for the crash points. Ends with 1 if a guard can be switched off and nobody notices.

# Filters and names of guards are lists of words.
# shellcheck disable=SC2046,SC2086
set -eu

here=$(git rev-parse --show-toplevel)
copy=$(mktemp -d)
trap 'git -C "$here" worktree remove --force "$copy"' EXIT
git -C "$here" worktree add --quiet --detach "$copy"
cd "$copy"

# A text of the list and one of the source are the same if they are so token by token.
perl -e '
    use strict;
    my ($list, @files) = @ARGV;
    local $/;
    my %source = map { open(my $f, "<", $_) or die "$_: $!\n"; $_ => <$f> } @files;
    open(my $f, "<", $list) or die "$list: $!\n";
    for my $entry (split /\n\s*\n/, <$f>) {
        my (@names, %code);
        for (split /\n/, $entry) {
            push @names, [$1, $2] if /^([a-z0-9-]+): (.+)$/;
            $code{$1} .= "$2\n" if /^([-+&]) (.+)$/;
        }
        next unless @names;
        my $find = join "\\s*", map { quotemeta } $code{"-"} =~ /\w+|[^\w\s]/g;
        $find =~ s/(?<=\w)\\s\*(?=\w)/\\s+/g;
        my @hits = map { ($_) x (() = $source{$_} =~ /$find/g) } @files;
        die "guards.sh: $names[0][0]: found in (@hits), not once\n" if @hits != 1;
        $code{$_} =~ s/\bOFF\b/crate::off("$names[0][0]")/g for "+", "&";
        $source{$hits[0]} =~ s/$find/$code{"+"}/;
        $source{$hits[0]} .= "\n$code{q(&)}" if $code{"&"};
        print "$_->[0]\t$_->[1]\n" for @names;
    }
    for (@files) {
        open(my $f, ">", $_) or die "$_: $!\n";
        print $f $source{$_};
    }
' "$here/tests/guards.list" $(find src -name '*.rs') > guards
cat >> src/lib.rs <<'END'

/// Whether a guard is switched off.
pub fn off(guard: &str) -> bool {
    std::env::var_os("GUARD_OFF").is_some_and(|off| off == guard)
}
END
declare -A tests
while IFS=$'\t' read -r name filters; do
    tests[$name]=$filters
done < guards

CARGO_TERM_COLOR=never cargo test --locked --no-run --lib --test it 2>&1 | tee built.txt
mapfile -t built < <(sed -n 's/^  Executable .*(\(.*\))$/\1/p' built.txt)
[ ${#built[@]} -eq 2 ] || exit 2
run() {
    local ended=0 binary
    for binary in "${built[@]}"; do
        GUARD_OFF=$1 timeout 900 "$binary" --quiet "${@:2}" || ended=$?
    done > said.txt 2>&1
    return $ended
}
everything="--skip crash:: --skip tidy::"
run none $everything || { cat said.txt; exit 2; }
[ $# -gt 0 ] || set -- $(cut -f 1 guards)
missed=0
for guard; do
    killers=
    for filter in "${tests[$guard]}" "$everything"; do
        [ -z "$killers" ] || break
        ended=0
        run "$guard" $filter || ended=$?
        killers=$(sed -n 's/^    \([a-z_]*::[a-z_:0-9]*\)$/\1/p' said.txt | sort -u)
        # Hung, or died of something worse than a panic.
        [ $ended -eq 0 ] || killers=${killers:-"(the tests ended with $ended)"}
    done
    echo "$guard -> ${killers:-NOBODY NOTICES}" | paste -sd ' '
    [ -n "$killers" ] || missed=$((missed + 1))
done
echo "$# guards, $missed not noticed, $SECONDS s"
exit $((missed > 0))
