# What a part checks, written as ctest would. Sourced by parts.
#
#   junit_begin FILE         from here on
#   check NAME COMMAND...    a test: passed if COMMAND exits 0, skipped if it exits 77 (its last line says why)
#   junit_end                writes FILE; 1 if any failed or none ran

junit_begin() {
  junit_file=$1 junit_cases='' junit_failed=0 junit_ran=0
}

check() {
  local name=$1 output status=0 begin=$SECONDS result='status="run"/>' said
  shift
  output=$("$@" 2>&1) || status=$?
  if [ $status -eq 77 ]; then
    said=$(escape "${output##*$'\n'}")
    result="status=\"notrun\"><skipped message=\"SKIP\"/><system-out>skipped: $said</system-out></testcase>"
  else
    junit_ran=1
    [ $status -eq 0 ] || { junit_failed=1 && result='status="fail"><failure message=""/></testcase>'; }
  fi
  printf '%s: exit %d\n%s\n' "$name" $status "$output"
  junit_cases+="<testcase name=\"$(escape "$name")\" time=\"$((SECONDS - begin))\" $result"$'\n'
}

escape() {
  sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' <<<"$1"
}

junit_end() {
  printf '<testsuite>\n%s</testsuite>\n' "$junit_cases" >"$junit_file"
  [ $junit_failed -eq 0 ] && [ $junit_ran -eq 1 ]
}
