# SPDX-License-Identifier: Apache-2.0
#
# Runs PROGRAM with LIBRARY preloaded and the variables ENVIRONMENT; fails
# unless it succeeds and writes what the file EXPECT says.
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env LD_PRELOAD=${LIBRARY} ${ENVIRONMENT}
          ${PROGRAM}
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output
  RESULT_VARIABLE result)
file(READ ${EXPECT} expected)
if(NOT result STREQUAL "0" OR NOT output STREQUAL expected)
  message("--- expected:\n${expected}--- written (${result}):\n${output}")
  message(FATAL_ERROR "differs")
endif()
