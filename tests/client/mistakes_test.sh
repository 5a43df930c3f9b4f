#!/usr/bin/env bash
# The usual slips do not compile, and the compiler's first error is a sentence.
#
# usage: mistakes_test.sh REPOSITORY COMPILER
set -euo pipefail
cd "$1"
compiler=$2 status=0

check() { # check SENTENCE CODE
  local said
  if said=$("$compiler" -std=c++20 -fsyntax-only -I client/include -I client/c/include -x c++ - 2>&1 <<CODE
#include <shmetrics/shmetrics.hpp>
void f(const shmetrics::Registry& registry) { $2 }
CODE
  ); then
    echo "compiles: $2" && status=1
  elif ! grep -m1 'error: ' <<<"$said" | grep -qF "$1"; then
    printf 'of: %s\n%s\n' "$2" "$said" | head -n 4 && status=1
  fi
}

check 'a counter counts whole numbers' 'registry.counter("a_total", "Help").inc(0.5);'
check 'with() takes label values: strings, integers or bools' \
  'registry.counter("a_total", "Help", {"share"}).with(0.5).inc();'
check 'with() takes one value for each label of the family' \
  'registry.counter("a_total", "Help", {"route", "status"}).with("/").inc();'
check 'label names are a braced list, or std::vector<std::string_view>' \
  'registry.counter("a_total", "Help", std::vector<std::string>{"route"});'
exit $status
