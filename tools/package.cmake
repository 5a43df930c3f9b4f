# What is installed, in components: the libraries that programs run with, what it takes to build programs, the exporter
# with its tools, and the packages for Python, Ruby and PHP. `cpack -G DEB` makes a Debian package of each.
include(CMakePackageConfigHelpers)
set(config_directory ${CMAKE_INSTALL_LIBDIR}/cmake/shmetrics)

install(TARGETS shmetrics_client_static shmetrics_client_shared shmetrics_c EXPORT shmetricsTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libraries NAMELINK_COMPONENT development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET shmetrics_reader)
  install(TARGETS shmetrics_reader EXPORT shmetricsTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libraries NAMELINK_COMPONENT development
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(DIRECTORY collector/c/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
  list(APPEND pkg_config_names shmetrics-reader)
endif()
install(EXPORT shmetricsTargets NAMESPACE shmetrics:: DESTINATION ${config_directory} COMPONENT development)
install(DIRECTORY client/include/ client/c/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
file(RELATIVE_PATH prefix_from_here /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)  # so that `--prefix` may name any place
foreach(name shmetrics shmetrics-c ${pkg_config_names})
  configure_file(client/package/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()
configure_package_config_file(client/package/shmetricsConfig.cmake.in ${PROJECT_BINARY_DIR}/shmetricsConfig.cmake
  INSTALL_DESTINATION ${config_directory} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# No release promises anything to the next before 1.0.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/shmetricsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/shmetricsConfig.cmake ${PROJECT_BINARY_DIR}/shmetricsConfigVersion.cmake
  DESTINATION ${config_directory} COMPONENT development)

if(TARGET shmetrics_testing)
  install(TARGETS shmetrics_testing EXPORT shmetricsTestingTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT shmetricsTestingTargets NAMESPACE shmetrics:: DESTINATION ${config_directory} COMPONENT development)
  install(DIRECTORY client/testing/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
endif()

if(NOT SHMETRICS_CLIENT_ONLY)
  install(TARGETS shmetrics shmetrics-exporter RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT programs)
  set(shells ${CMAKE_INSTALL_DATADIR})
  foreach(program tools/shmetrics exporter/shmetrics-exporter)
    get_filename_component(name ${program} NAME)
    install(FILES ${program}.bash DESTINATION ${shells}/bash-completion/completions RENAME ${name} COMPONENT programs)
    install(FILES ${program}.zsh DESTINATION ${shells}/zsh/vendor-completions RENAME _${name} COMPONENT programs)
  endforeach()
  install(DIRECTORY deploy/systemd/ DESTINATION lib/systemd/system COMPONENT programs
    FILES_MATCHING PATTERN "*.service" PATTERN "*.socket")
  # The unit starts the program that is beside it, wherever that was put.
  install(CODE [[
    set(unit $ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/shmetrics-exporter.service)
    file(READ ${unit} text)
    string(REPLACE "ExecStart=/usr/bin/" "ExecStart=${CMAKE_INSTALL_PREFIX}/bin/" text "${text}")
    # Where cpack puts a package together is not where it will lie.
    if(NOT CMAKE_INSTALL_PREFIX MATCHES "/_CPack_Packages/")
      file(WRITE ${unit} "${text}")
    endif()
  ]] COMPONENT programs)
  install(FILES README.md CHANGELOG.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
  install(DIRECTORY docs deploy DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)

  # The pages are what --help says, set by help2man: they cannot differ. Without help2man there are none.
  find_program(HELP2MAN help2man)
  function(man_page target page about)
    add_custom_command(OUTPUT ${page}.1
      COMMAND ${HELP2MAN} --no-info --section 1 --version-string ${PROJECT_VERSION} --name ${about}
              --output ${page}.1 "$<TARGET_FILE:${target}> ${ARGN}"
      DEPENDS ${target} VERBATIM)
    add_custom_target(${page}_man ALL DEPENDS ${page}.1)
    install(FILES ${PROJECT_BINARY_DIR}/${page}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT programs)
  endfunction()
  if(HELP2MAN)
    man_page(shmetrics-exporter shmetrics-exporter "serve the metrics of shmetrics segments to Prometheus")
    man_page(shmetrics shmetrics "look at a shmetrics segment")
    man_page(shmetrics shmetrics-dump "show the families, series and values of a segment" dump)
    man_page(shmetrics shmetrics-check "tell whether a segment is sound" check)
    man_page(shmetrics shmetrics-doctor "tell why a metric is missing, and what to do" doctor)
    man_page(shmetrics shmetrics-top "show how fast counters and histograms move" top)
    man_page(shmetrics shmetrics-diff "tell which series of two segments differ" diff)
  endif()
endif()

if(TARGET shmetrics_python)
  set(package lib/python3/dist-packages/shmetrics)  # where Debian's interpreters look below /usr
  install(TARGETS shmetrics_python LIBRARY DESTINATION ${package} COMPONENT python)
  install(DIRECTORY client/python/shmetrics/ DESTINATION ${package} COMPONENT python
    PATTERN "__pycache__" EXCLUDE)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-shmetrics)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/client/python/package/prerm)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.10)")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS ON)
  set(CPACK_COMPONENT_PYTHON_DESCRIPTION "Metrics of prefork servers in shared memory: package for Python")
endif()

if(TARGET shmetrics_ruby)
  # Where Debian's interpreter looks below /usr, for all versions and for the one that this was built for.
  set(package lib/ruby/vendor_ruby)
  install(TARGETS shmetrics_ruby LIBRARY DESTINATION lib/${SHMETRICS_RUBY_ARCH} COMPONENT ruby)
  install(DIRECTORY client/ruby/lib/ DESTINATION ${package} COMPONENT ruby)
  set(CPACK_DEBIAN_RUBY_PACKAGE_NAME ruby-shmetrics)
  set(CPACK_DEBIAN_RUBY_PACKAGE_SECTION ruby)
  set(CPACK_DEBIAN_RUBY_PACKAGE_DEPENDS "libruby${SHMETRICS_RUBY_VERSION}")
  set(CPACK_COMPONENT_RUBY_DESCRIPTION "Metrics of prefork servers in shared memory: gem for Ruby")
endif()

if(TARGET shmetrics_php)
  # Where Debian's interpreter looks below /usr, for the version that this was built for and for all.
  string(REGEX REPLACE "^.*/lib/" "lib/" directory ${SHMETRICS_PHP_DIRECTORY})
  install(TARGETS shmetrics_php LIBRARY DESTINATION ${directory} COMPONENT php)
  install(DIRECTORY client/php/lib/ DESTINATION share/php COMPONENT php)
  get_filename_component(api ${SHMETRICS_PHP_DIRECTORY} NAME)
  set(CPACK_DEBIAN_PHP_PACKAGE_NAME php-shmetrics)
  set(CPACK_DEBIAN_PHP_PACKAGE_SECTION php)
  set(CPACK_DEBIAN_PHP_PACKAGE_DEPENDS "phpapi-${api}")
  set(CPACK_COMPONENT_PHP_DESCRIPTION "Metrics of prefork servers in shared memory: extension for PHP")
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The shmetrics authors <shmetrics@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_NAME libshmetrics0)
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_CONTROL_EXTRA ${PROJECT_SOURCE_DIR}/client/package/triggers)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # so that packages of programs that link it can say so
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_COMPONENT_LIBRARIES_DESCRIPTION "Metrics of prefork servers in shared memory: libraries for C++ and C")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libshmetrics-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libshmetrics0 (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "Metrics of prefork servers in shared memory: headers and static library")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME shmetrics)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/tools/deb/postinst ${PROJECT_SOURCE_DIR}/tools/deb/postrm)
set(CPACK_COMPONENT_PROGRAMS_DESCRIPTION "Metrics of prefork servers in shared memory: exporter and tools")
include(CPack)
