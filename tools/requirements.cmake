# What CMake looks for: name | least version | package of Debian and Ubuntu | package of Fedora. The least versions are
# the oldest that were tried, those of Debian 12. tools/install-dependencies.sh prints these lines.
set(shmetrics_requirements
  "CMake|3.22|cmake|cmake"
  "Ninja|1.10|ninja-build|ninja-build"
  "GCC|11|g++|gcc-c++"
  "Clang|14|clang|clang"
  "Boost|1.81|libboost-dev, on Debian 12 libboost1.81-dev|boost-devel"
  "xxHash|0.8|libxxhash-dev|xxhash-devel"
  "OpenSSL|3.0|libssl-dev|openssl-devel"
  "crypt|4.4|libcrypt-dev|libxcrypt-devel"
  "spdlog|1.10|libspdlog-dev|spdlog-devel"
  "fmt|9.1|libfmt-dev|fmt-devel"
  "CLI11|2.1|libcli11-dev|cli11-devel"
  "yaml-cpp|0.7|libyaml-cpp-dev|yaml-cpp-devel"
  "nlohmann_json|3.11|nlohmann-json3-dev|json-devel"
  "protozero|1.7|libprotozero-dev|protozero-devel"
  "ZLIB|1.2|zlib1g-dev|zlib-devel"
  "GTest|1.12|libgtest-dev libgmock-dev|gtest-devel gmock-devel"
  "benchmark|1.7|libbenchmark-dev|google-benchmark-devel"
  "SQLite3|3.40|libsqlite3-dev|sqlite-devel"
)

# shmetrics_requirement(NAME VERSION_VARIABLE ADVICE_VARIABLE): of the line above.
function(shmetrics_requirement name version_variable advice_variable)
  foreach(requirement IN LISTS shmetrics_requirements)
    string(REPLACE "|" ";" requirement "${requirement}")
    list(POP_FRONT requirement found version debian fedora)
    if(found STREQUAL name)
      set(${version_variable} ${version} PARENT_SCOPE)
      set(${advice_variable} "on Debian and Ubuntu: ${debian}; on Fedora: ${fedora}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "tools/requirements.cmake has no line for ${name}")
endfunction()

# shmetrics_require(NAME [VERSION least] [HEADER file] [COMPONENTS component...]): find_package, or the folder of a
# header in NAME_INCLUDE_DIRECTORY; and if it is missing, an error that says what to install. VERSION: where less than
# the line above is enough.
function(shmetrics_require name)
  cmake_parse_arguments(arg "" "VERSION;HEADER" "COMPONENTS" ${ARGN})
  shmetrics_requirement(${name} version advice)
  if(arg_VERSION)
    set(version ${arg_VERSION})
  endif()
  if(arg_HEADER)
    find_path(${name}_INCLUDE_DIRECTORY ${arg_HEADER})
    set(found ${${name}_INCLUDE_DIRECTORY})
  elseif(arg_COMPONENTS)
    find_package(${name} ${version} QUIET COMPONENTS ${arg_COMPONENTS})
    set(found ${${name}_FOUND})
  else()
    find_package(${name} ${version} QUIET)
    set(found ${${name}_FOUND})
  endif()
  if(NOT found)
    message(FATAL_ERROR "${name} ${version} or later is missing (${advice})")
  endif()
endfunction()

# The standard library of an older compiler lacks what the headers include.
function(shmetrics_require_compiler)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    set(name GCC)
  elseif(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    set(name Clang)
  else()
    return()
  endif()
  shmetrics_requirement(${name} version advice)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS version)
    message(FATAL_ERROR "${name} ${version} or later is missing (${advice}); this is ${CMAKE_CXX_COMPILER_VERSION}")
  endif()
endfunction()
