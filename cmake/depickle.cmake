# What every target of the project has in common.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(depickle_options INTERFACE)
target_compile_features(depickle_options INTERFACE cxx_std_20)
target_compile_options(depickle_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers $<$<BOOL:${DEPICKLE_WERROR}>:-Werror>)
# g++ 12 sees overlapping copies in any `"text" + std::string` (its bug 105651).
target_compile_options(depickle_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# In a unity build g++ sees types of one .cpp file as if others could include them.
target_compile_options(depickle_options INTERFACE $<$<AND:$<BOOL:${CMAKE_UNITY_BUILD}>,$<CXX_COMPILER_ID:GNU>>:-Wno-subobject-linkage>)
# clang 19 warns of a deprecated function inside the std::stable_sort of libstdc++ 12.
target_compile_options(depickle_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
if(DEPICKLE_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  if(DEPICKLE_SANITIZE_EXCEPT)
    add_compile_options(-fno-sanitize=${DEPICKLE_SANITIZE_EXCEPT})
  endif()
endif()
if(DEPICKLE_BUILD_FUZZERS)
  # What the fuzzers run: every branch counted, every index and iterator of the standard library checked.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()

# depickle_precompile(TARGET header... | TARGET REUSE_FROM other): what most files of the target include is parsed once. Only the dev
# preset does: a file that forgets an include is found by the others, and at -O3 g++ 12 warns of memcpy inside a precompiled std::string.
function(depickle_precompile target)
  if(DEPICKLE_PRECOMPILE AND ARGV1 STREQUAL REUSE_FROM)
    target_precompile_headers(${target} REUSE_FROM ${ARGV2})
  elseif(DEPICKLE_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
set(kCommonHeaders <algorithm> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector> <fmt/format.h>)

# depickle_module(NAME [INTERNAL] [PUBLIC header...] SOURCES file... [USES module...] [LINKS library...])
# One folder, one static library: depickle::NAME. PUBLIC headers are installed and documented; the others are the module's own. USES are other modules, seen by whoever includes this one's headers;
# LINKS are third-party libraries, which its headers do not mention. An INTERNAL module is part of the program only and not installed.
function(depickle_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "INTERNAL" "" "PUBLIC;SOURCES;USES;LINKS")
  add_library(depickle_${name} STATIC ${arg_SOURCES})
  add_library(depickle::${name} ALIAS depickle_${name})
  set_target_properties(depickle_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_compile_features(depickle_${name} PUBLIC cxx_std_20)
  target_include_directories(depickle_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
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
