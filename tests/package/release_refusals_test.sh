#!/usr/bin/env bash
# What tools/release.sh refuses, by one line each and before it builds anything. tests/package/release_test.sh has what
# it makes.
#
# usage: release_refusals_test.sh REPOSITORY
set -euo pipefail
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "release_refusals_test: $1" >&2; [ ! -e "$work/out" ] || sed 's/^/  | /' "$work/out" >&2; exit 1; }

mkdir "$work/tree" "$work/full"
list=(git -c safe.directory='*' ls-files -z --cached --others --exclude-standard)
if ! "${list[@]}" >"$work/names" 2>/dev/null; then find . -path ./build -prune -o -type f -print0 >"$work/names"; fi
xargs -0 cp --parents -t "$work/tree" <"$work/names"
touch "$work/full/file"
cd "$work/tree"
commit() { git add -A && git -c user.name=test -c user.email=test@localhost commit -qm "$1"; }

# refuses STATUS TEXT ARGUMENT...
refuses() {
  local status=0
  tools/release.sh "${@:3}" >"$work/out" 2>&1 || status=$?
  [ "$status" -eq "$1" ] || fail "exits $status, not $1, where it should say: $2"
  grep -q "^release: .*$2" "$work/out" || fail "does not say: $2"
  [ "$(wc -l <"$work/out")" -eq 1 ] || fail "says more than one line"
}

tools/release.sh --help >"$work/out" && grep -q '^usage: tools/release.sh \[FOLDER\]$' "$work/out" || fail "no --help"
refuses 2 'unknown flag --folder; try --help' --folder
refuses 2 'one folder, not 2' a b
export GIT_CEILING_DIRECTORIES=$work
refuses 1 'git says fatal: not a git repository'

git init -q && commit "as it is"
version=$(sed -n 's/^project(shmetrics VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
sed -i "0,/^## /s/^## .*/## $version/" CHANGELOG.md
refuses 1 'changes that are not committed'
git stash -q
touch not_added
refuses 1 'changes that are not committed'
rm not_added
sed -i "0,/^## /s/^## .*/## 0.0.1/" CHANGELOG.md && commit "the section of another version"
refuses 1 "CHANGELOG.md says nothing below '## $version'"
printf '## %s\n\n## 0.0.1\n\n* All.\n' "$version" >CHANGELOG.md && commit "an empty section"
refuses 1 "CHANGELOG.md says nothing below '## $version'"
printf '## %s\n\n* All.\n' "$version" >CHANGELOG.md && commit "a section"
refuses 1 'full is not empty' "$work/full"
sed -i "s/gem.version = .*/gem.version = '0.0.1'/" client/ruby/shmetrics.gemspec
commit "another version in one place"
refuses 1 'the versions differ'
