#compdef shmetrics-exporter
# The flags are those of its own --help.
local -a flags
if [[ $words[CURRENT-1] == --log.level ]]; then
  compadd debug info warn error
elif [[ $words[CURRENT-1] == --log.format ]]; then
  compadd logfmt json
elif [[ $words[CURRENT] == -* ]]; then
  flags=(${(f)"$(shmetrics-exporter --help | grep -oE '^ +(-h,)?--[a-z.[-]+\]?[a-z.-]*' |
    sed -E 's/^ +(-h,)?//; s/^--\[no-\](.*)/--\1\n--no-\1/')"})
  compadd -a flags
else
  _files
fi
