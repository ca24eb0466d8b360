# Warnings and sanitizers for host code. An interface target rather than CMAKE_CXX_FLAGS, so that none of it
# reaches the freestanding guest.
add_library(twofold_options INTERFACE)
target_include_directories(twofold_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(twofold_options INTERFACE -Wall -Wextra -Werror -Wshadow)
if(TWOFOLD_SANITIZE)
  target_compile_options(twofold_options INTERFACE -fsanitize=${TWOFOLD_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=all)
  target_link_options(twofold_options INTERFACE -fsanitize=${TWOFOLD_SANITIZE})
endif()

if(TWOFOLD_BUILD_FUZZERS)
  # Coverage in the libraries too, or a fuzzer sees no further than its own file.
  target_compile_options(twofold_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# twofold_library(NAME SOURCES… [LINK libs…]): one component of the project as a static library.
function(twofold_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC twofold_options ${ARG_LINK})
endfunction()
