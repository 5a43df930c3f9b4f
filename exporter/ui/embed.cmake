cmake_minimum_required(VERSION 3.25)
# cmake -D OUTPUT=ui_files.cpp -D FILES="NAME|CONTENT TYPE|source[+source...];..." -P embed.cmake
# Writes the files of the live page as arrays of bytes, plain and compressed, for exporter/http/ui.hpp.
find_program(GZIP gzip REQUIRED)
set(arrays "")
set(table "")
set(number 0)
foreach(file IN LISTS FILES)
  string(REPLACE "|" ";" parts "${file}")
  list(GET parts 0 name)
  list(GET parts 1 type)
  if(type MATCHES "^text/")
    string(APPEND type "; charset=utf-8")
  endif()
  list(GET parts 2 sources)
  string(REPLACE "+" ";" sources "${sources}")
  set(whole ${OUTPUT}.${number})
  execute_process(COMMAND ${CMAKE_COMMAND} -E cat ${sources} OUTPUT_FILE ${whole} COMMAND_ERROR_IS_FATAL ANY)
  # Neither a name nor a time goes into the header, so that the same sources give the same program.
  execute_process(COMMAND ${GZIP} -9 -n -c ${whole} OUTPUT_FILE ${whole}.gz COMMAND_ERROR_IS_FATAL ANY)
  file(SHA256 ${whole} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  foreach(form "" .gz)
    file(READ ${whole}${form} bytes HEX)
    string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
    string(MAKE_C_IDENTIFIER "k${number}${form}" array)
    string(APPEND arrays "constexpr char ${array}[] = {${bytes}};\n")
  endforeach()
  string(APPEND table
    "    {\"${name}\", \"${type}\", {k${number}, sizeof k${number}},"
    " {k${number}_gz, sizeof k${number}_gz}, \"${hash}\"},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "#include \"exporter/http/ui.hpp\"

namespace shmetrics::exporter {
namespace {

${arrays}
constexpr UiFile kFiles[] = {
${table}};

}  // namespace

std::span<const UiFile> ui_files() {
  return kFiles;
}

}  // namespace shmetrics::exporter
")
