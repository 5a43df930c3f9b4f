# bash completion of shmetrics-exporter: the flags are those of its own --help.
_shmetrics_exporter() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=
  case $previous in
    --log.level) words="debug info warn error" ;;
    --log.format) words="logfmt json" ;;
    *)
      [[ $current != -* ]] || words=$(shmetrics-exporter --help | grep -oE '^ +(-h,)?--[a-z.[-]+\]?[a-z.-]*' |
        sed -E 's/^ +(-h,)?//; s/^--\[no-\](.*)/--\1\n--no-\1/')
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _shmetrics_exporter shmetrics-exporter
