# bash completion of shmetrics: subcommands and flags are those of its own --help.
_shmetrics() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
  if [ "$previous" = --format ]; then
    words="table json text openmetrics protobuf"
  elif [ "$COMP_CWORD" -eq 1 ]; then
    words=$(shmetrics --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')" --help --version"
  elif [[ $current == -* ]]; then
    words=$(shmetrics "${COMP_WORDS[1]}" --help 2>/dev/null | sed -n '/^Options:/,/^$/p' | grep -o -e '--[a-z-]*')
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _shmetrics shmetrics
