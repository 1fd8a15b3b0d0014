# SPDX-License-Identifier: Apache-2.0
#
# The conformance program against the facade; see README.md. Which thread sleeps
# in which system call is what it goes by, so it cannot run under
# ThreadSanitizer, whose own locks sleep, too.

set(BINDERLITE_TEST_SEEDS
    200
    CACHE STRING "How many generated conversations each discipline replays.")

# The conformance program against the facade, once for each discipline; it
# replays what was recorded on a kernel. scripts/conformance runs both sides.
file(GLOB conformance_sources CONFIGURE_DEPENDS conformance/*.cc)
list(FILTER conformance_sources EXCLUDE REGEX
     "_test\\.cc$|device_(kernel|facade)\\.cc$")
add_library(conformance OBJECT ${conformance_sources})
target_link_libraries(conformance PUBLIC binderlite::binderlite)
target_include_directories(conformance PUBLIC conformance .)
set_target_properties(conformance PROPERTIES UNITY_BUILD OFF)
foreach(_relock IN ITEMS "" Always UnlessKilled Interruptible)
  if(_relock STREQUAL "")
    set(_locking fine_grained)
  else()
    string(REGEX REPLACE "([a-z])([A-Z])" "\\1_\\2" _locking ${_relock})
    string(TOLOWER ${_locking} _locking)
  endif()
  set(_target conformance_${_locking})
  add_executable(${_target} conformance/device_facade.cc)
  target_link_libraries(${_target} PRIVATE conformance)
  if(_relock)
    target_compile_definitions(
      ${_target}
      PRIVATE
        "BINDERLITE_UAPI_LOCKING=::binderlite::BinderLock<::binderlite::Relock::k${_relock}>"
    )
  endif()
  add_test(
    NAME conformance.${_locking}
    COMMAND
      ${_target} replay-scenarios
      ${CMAKE_CURRENT_LIST_DIR}/golden/6.12
      ${CMAKE_CURRENT_LIST_DIR}/golden/facade.txt)
  add_test(NAME conformance_random.${_locking}
           COMMAND ${_target} replay-random
                   ${CMAKE_CURRENT_LIST_DIR}/golden/6.12
                   ${BINDERLITE_TEST_SEEDS})
  set_tests_properties(conformance.${_locking} conformance_random.${_locking}
                       PROPERTIES TIMEOUT 600)
endforeach()

option(BINDERLITE_TEST_PLANTED "Look for changes planted in the driver." ON)
if(BINDERLITE_TEST_PLANTED)
  include(conformance/planted.cmake)
endif()
