# SPDX-License-Identifier: Apache-2.0
#
# Changes planted in the driver, each small and wrong, to see that the
# generated conversations notice. Each makes a facade of its own, which has to
# differ from the golden traces within their seeds.

# binderlite_plant(<name> <header> <text> <changed text>)
#
# Makes conformance_planted_<name>, with that change in include/<header>. The
# text must be there once.
function(binderlite_plant name header text changed)
  set(original ${PROJECT_SOURCE_DIR}/include/${header})
  set_property(
    DIRECTORY
    APPEND
    PROPERTY CMAKE_CONFIGURE_DEPENDS ${original})
  file(READ ${original} content)
  string(REPLACE "${text}" "${changed}" planted "${content}")
  string(REPLACE "${text}" "" without "${content}")
  string(LENGTH "${content}" length)
  string(LENGTH "${without}" length_without)
  string(LENGTH "${text}" length_of_text)
  math(EXPR missing "${length} - ${length_without}")
  if(NOT missing EQUAL length_of_text)
    message(FATAL_ERROR "planted ${name}: not once in ${header}: ${text}")
  endif()
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/planted/${name})
  # A build tree may have a copy of the header that it was planted in before.
  file(GLOB_RECURSE outdated ${directory}/*)
  list(REMOVE_ITEM outdated ${directory}/${header})
  if(outdated)
    file(REMOVE ${outdated})
  endif()
  file(CONFIGURE OUTPUT ${directory}/${header} CONTENT "${planted}" @ONLY)
  set(target conformance_planted_${name})
  add_executable(${target} conformance/device_facade.cc)
  target_link_libraries(${target} PRIVATE conformance)
  target_include_directories(${target} BEFORE PRIVATE ${directory})
  add_test(NAME conformance.planted_${name}
           COMMAND ${target} find-difference
                   ${CMAKE_CURRENT_SOURCE_DIR}/conformance/golden/6.12)
  set_tests_properties(conformance.planted_${name} PROPERTIES TIMEOUT 600)
endfunction()

# DN-12: a looper reads itself that it has cleared a death notification.
binderlite_plant(
  cleared_death binderlite/driver/notify.h
  "if (self.is_looper() && !self.is_dead) {" "if (self.is_dead) {")

# RF: a handle that is held weakly only cannot be passed on as a strong one.
binderlite_plant(
  weak_is_enough binderlite/driver/refcount.h
  "if (strength == Strength::kStrong && ref->strong == 0) return {};"
  "if (strength == Strength::kStrong && ref->strong < 0) return {};")

# FZ: an update replaces what waits for a frozen Proc, and nothing else.
binderlite_plant(
  eager_update binderlite/driver/oneway.h
  "    if (to_frozen) {
      outdated" "    {
      outdated")
