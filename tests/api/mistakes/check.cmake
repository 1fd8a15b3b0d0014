# SPDX-License-Identifier: Apache-2.0
#
# Compiles SOURCE, which has a mistake in it, and checks that the first error
# says so in the words of the line "// expect: ..." in it.
#
#   cmake -DCOMPILER=g++ -DFLAGS="..." -DSOURCE=file.cc -P check.cmake
file(STRINGS ${SOURCE} expected REGEX "^// expect: ")
string(REPLACE "// expect: " "" expected "${expected}")
if(expected STREQUAL "")
  message(FATAL_ERROR "${SOURCE} does not say what it expects")
endif()
separate_arguments(flags UNIX_COMMAND "${FLAGS}")
execute_process(
  COMMAND ${COMPILER} ${flags} -std=c++20 -fsyntax-only ${SOURCE}
  RESULT_VARIABLE status
  ERROR_VARIABLE diagnostics)
if(status EQUAL 0)
  message(FATAL_ERROR "${SOURCE} compiles")
endif()
string(REGEX MATCH "[^\n]*error:[^\n]*" first "${diagnostics}")
string(FIND "${first}" "${expected}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "the first error is not '${expected}' but\n${first}")
endif()
