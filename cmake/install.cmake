# SPDX-License-Identifier: Apache-2.0
#
# What is installed: headers, a CMake package and a pkg-config file, all of them
# independent of the architecture and of where the prefix ends up.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/binderlite)

install(TARGETS binderlite EXPORT binderlite-targets FILE_SET HEADERS)
install(
  EXPORT binderlite-targets
  NAMESPACE binderlite::
  DESTINATION ${_package_dir})

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/binderlite-config.cmake.in
  ${PROJECT_BINARY_DIR}/binderlite-config.cmake
  INSTALL_DESTINATION ${_package_dir})
# While the major version is 0, each minor version may break the API.
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/binderlite-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/binderlite-config.cmake
              ${PROJECT_BINARY_DIR}/binderlite-config-version.cmake
        DESTINATION ${_package_dir})

configure_file(${CMAKE_CURRENT_LIST_DIR}/binderlite.pc.in
               ${PROJECT_BINARY_DIR}/binderlite.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/binderlite.pc
        DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(FILES ${PROJECT_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(
  DIRECTORY ${PROJECT_SOURCE_DIR}/docs
  DESTINATION ${CMAKE_INSTALL_DOCDIR}
  FILES_MATCHING
  PATTERN "*.md"
  PATTERN "*.svg")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/binderlite)
