#compdef shmetrics
# Subcommands and flags are those of its own --help.
local -a commands flags
if (( CURRENT == 2 )); then
  commands=(${(f)"$(shmetrics --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\)  *\(.*\)/\1:\2/p')"})
  _describe command commands
elif [[ $words[CURRENT-1] == --format ]]; then
  compadd table json text openmetrics protobuf
elif [[ $words[CURRENT] == -* ]]; then
  flags=(${(f)"$(shmetrics $words[2] --help | sed -n '/^Options:/,/^$/p' | grep -o -e '--[a-z-]*')"})
  compadd -a flags
else
  _files
fi
