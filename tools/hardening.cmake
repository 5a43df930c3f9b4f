# shmetrics_hardened: what makes a fault of memory in the exporter or a tool an end, and not a way in. Each of it where
# compiler, C library and processor take it. The client has none: its updates cost a nanosecond.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)
include(CheckLinkerFlag)
include(CheckPIESupported)

check_pie_supported(LANGUAGES CXX)
add_library(shmetrics_hardened INTERFACE)
set(shmetrics_hardening)  # what the test of the programs asks for
target_compile_definitions(shmetrics_hardened INTERFACE _GLIBCXX_ASSERTIONS)

# shmetrics_harden(NAME FLAG): NAME stands in the list if the compiler takes FLAG, and does not warn of it either.
function(shmetrics_harden name flag)
  set(CMAKE_REQUIRED_FLAGS -Werror)
  check_cxx_compiler_flag(${flag} SHMETRICS_HAS_${name})
  if(SHMETRICS_HAS_${name})
    target_compile_options(shmetrics_hardened INTERFACE ${flag})
    set(shmetrics_hardening ${shmetrics_hardening} ${name} PARENT_SCOPE)
  endif()
endfunction()
shmetrics_harden(STACK_PROTECTOR -fstack-protector-strong)
shmetrics_harden(STACK_CLASH -fstack-clash-protection)
shmetrics_harden(CONTROL_FLOW -fcf-protection)          # x86
shmetrics_harden(BRANCH -mbranch-protection=standard)  # arm64

# Checked calls need to know sizes, which only an optimiser does; sanitizers want to see the plain ones.
string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
set(flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}")
if(flags MATCHES "-O([1-3sz]|fast)" AND NOT flags MATCHES "-fsanitize=")
  foreach(level 3 2)
    set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level}")
    check_cxx_source_compiles("#include <cstring>\nint main() {}" SHMETRICS_HAS_FORTIFY_${level})
    if(SHMETRICS_HAS_FORTIFY_${level})
      # First undefined: some compilers come with a level of their own.
      target_compile_options(shmetrics_hardened INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
      list(APPEND shmetrics_hardening FORTIFY)
      break()
    endif()
  endforeach()
  unset(CMAKE_REQUIRED_FLAGS)
endif()

check_linker_flag(CXX -Wl,-z,relro,-z,now SHMETRICS_HAS_FULL_RELRO)
if(SHMETRICS_HAS_FULL_RELRO)
  target_link_options(shmetrics_hardened INTERFACE -Wl,-z,relro,-z,now)
  list(APPEND shmetrics_hardening FULL_RELRO)
endif()
