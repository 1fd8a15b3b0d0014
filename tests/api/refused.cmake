# SPDX-License-Identifier: Apache-2.0
#
# What cannot be sent does not compile, and the compiler says why in words of
# ours. Run as a script:
#
#   cmake -D CXX=... -D INCLUDE=... -D DIRECTORY=... -P refused.cmake
#
# Each case is a function that is called, with which type, and what is said.
set(cases
    "WriteValue|int*|pointers cannot be sent"
    "ReadValue|int*|pointers cannot be sent"
    "ReadValue|const char*|pointers cannot be sent"
    "WriteValue|std::vector<int*>|pointers cannot be sent"
    "WriteValue|WithPointer|pointers cannot be sent"
    "WriteValue|std::tuple<int&>|references cannot be sent"
    "WriteValue|int[3]|C arrays cannot be sent"
    "ReadValue|std::span<int>|this std::span cannot be sent"
    "ReadValue|std::span<const bool>|this std::span cannot be sent"
    "WriteValue|Constructed|this type cannot be sent: specialise"
    "ReadValue|std::map<int, Constructed>|this type cannot be sent: specialise"
    "ReadValue|Derived|this type cannot be sent, since it has a base class"
    "ReadValue|Large|more than 32 fields"
    "ReadValue|const int|nothing can be read into what is const"
    "ReadValue|OneWay|this type cannot be sent this way")

file(MAKE_DIRECTORY ${DIRECTORY})
set(source ${DIRECTORY}/refused.cc)
set(bad 0)
foreach(case IN LISTS cases)
  string(REPLACE "|" ";" case "${case}")
  list(GET case 0 function)
  list(GET case 1 type)
  list(GET case 2 words)
  if(function STREQUAL WriteValue)
    set(side Writer)
  else()
    set(side Reader)
  endif()
  file(
    WRITE ${source}
    "#include <map>
#include <tuple>
#include \"binderlite/api/codec.h\"
struct WithPointer { int a; std::vector<int*> b; };
class Constructed { public: Constructed() {} private: int a = 0; };
struct Base { int a; };
struct Derived : Base { int b; };
struct Large { int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t,
                   u, v, w, x, y, z, aa, ab, ac, ad, ae, af, ag; };
class OneWay {};
template <>
struct binderlite::Codec<OneWay> {
  static void Write(binderlite::Writer&, const OneWay&) {}
};
using T = ${type};
auto Call(binderlite::${side}& side, T& value) {
  return binderlite::${function}<T>(side, value);
}
")
  execute_process(
    COMMAND ${CXX} -std=c++20 -fsyntax-only -I${INCLUDE} ${source}
    RESULT_VARIABLE result
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  string(FIND "${output}" "binderlite: ${words}" at)
  if(result EQUAL 0 OR at EQUAL -1)
    message("${function}<${type}>: not refused with \"${words}\":\n${output}")
    set(bad 1)
  endif()
endforeach()
if(bad)
  message(FATAL_ERROR "not as expected")
endif()
