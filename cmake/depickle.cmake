# Settings and functions for all targets.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(depickle_options INTERFACE)
target_compile_features(depickle_options INTERFACE cxx_std_20)
target_compile_options(depickle_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
  $<$<BOOL:${DEPICKLE_WERROR}>:-Werror>)
# g++ 12 warns of overlapping copies in any `"text" + std::string` (GCC bug 105651).
target_compile_options(depickle_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# In a unity build g++ warns of types in anonymous namespaces of .cpp files.
target_compile_options(depickle_options INTERFACE
  $<$<AND:$<BOOL:${CMAKE_UNITY_BUILD}>,$<CXX_COMPILER_ID:GNU>>:-Wno-subobject-linkage>)
# clang 19 warns of a deprecated function inside the std::stable_sort of libstdc++ 12.
target_compile_options(depickle_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
if(DEPICKLE_SANITIZE)
  add_compile_options(-fsanitize=${DEPICKLE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DEPICKLE_SANITIZE})
  # The check vptr probes memory through a pipe, and the sandbox kills a process that makes one. The fuzz preset, whose
  # targets are not sandboxed, has it.
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fno-sanitize=vptr>)
  # Checks what no sanitizer sees: an index inside the capacity of a vector, an empty optional.
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(DEPICKLE_BUILD_FUZZERS AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Instruments all code for the fuzzers.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# depickle_precompile(TARGET header... | TARGET REUSE_FROM other): precompiles headers that most files of the target
# include, in the presets with sanitizers and for tests. The release build of the library and the programs does not: it
# detects missing includes, and at -O3 g++ 12 warns of memcpy inside a precompiled std::string.
function(depickle_precompile target)
  if(NOT DEPICKLE_PRECOMPILE OR CMAKE_DISABLE_PRECOMPILE_HEADERS)
    return()
  elseif(ARGV1 STREQUAL REUSE_FROM)
    target_precompile_headers(${target} REUSE_FROM ${ARGV2})
    # g++ rejects a precompiled header if its definitions are missing: that of depickle_base has those of simdjson.
    target_compile_definitions(${target} PRIVATE $<TARGET_PROPERTY:simdjson::simdjson,INTERFACE_COMPILE_DEFINITIONS>)
  else()
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
set(kCommonHeaders
  <algorithm> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector> <fmt/format.h>)

# depickle_module(NAME [INTERNAL] [PUBLIC header...] SOURCES file... [USES module...] [LINKS library...])
# Adds the static library depickle::NAME of this folder. PUBLIC headers are installed and documented, other headers are
# internal. USES are modules that its headers include; LINKS are third-party libraries that only its .cpp files include.
# An INTERNAL module is part of the program only and is not installed.
function(depickle_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INTERNAL" "" "PUBLIC;SOURCES;USES;LINKS")
  add_library(depickle_${name} STATIC ${arg_SOURCES})
  add_library(depickle::${name} ALIAS depickle_${name})
  set_target_properties(depickle_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_compile_features(depickle_${name} PUBLIC cxx_std_20)
  target_include_directories(depickle_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(depickle_${name} PRIVATE $<BUILD_INTERFACE:depickle_options> ${arg_LINKS})
  if(name STREQUAL base)
    depickle_precompile(depickle_base ${kCommonHeaders})
  else()
    depickle_precompile(depickle_${name} REUSE_FROM depickle_base)
  endif()
  foreach(used IN LISTS arg_USES)
    target_link_libraries(depickle_${name} PUBLIC depickle::${used})
  endforeach()
  if(arg_INTERNAL)
    return()
  endif()
  install(TARGETS depickle_${name} EXPORT depickle ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  install(FILES ${arg_PUBLIC} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder} COMPONENT library)
endfunction()
