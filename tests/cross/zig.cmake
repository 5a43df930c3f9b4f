# A compiler of C and C++ with the C libraries of other systems, as the npm package of tests/package/zig brings it.
# SHMETRICS_ZIG: the program; SHMETRICS_TARGET: x86_64-linux-musl, or x86_64-linux-gnu.2.28 and other versions of glibc.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SHMETRICS_ZIG SHMETRICS_TARGET)
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER ${SHMETRICS_ZIG} cc -target ${SHMETRICS_TARGET})
set(CMAKE_CXX_COMPILER ${SHMETRICS_ZIG} c++ -target ${SHMETRICS_TARGET})
foreach(tool AR RANLIB)
  string(TOLOWER ${tool} name)
  file(WRITE ${CMAKE_BINARY_DIR}/zig-${name} "#!/bin/sh\nexec ${SHMETRICS_ZIG} ${name} \"$@\"\n")
  file(CHMOD ${CMAKE_BINARY_DIR}/zig-${name} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  set(CMAKE_${tool} ${CMAKE_BINARY_DIR}/zig-${name})
endforeach()
