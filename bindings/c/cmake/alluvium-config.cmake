# find_package(alluvium) gives the targets alluvium::alluvium, the shared library, and alluvium::static.
get_filename_component(alluvium_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_package(Threads REQUIRED)

if(NOT TARGET alluvium::alluvium)
  add_library(alluvium::alluvium SHARED IMPORTED)
  set_target_properties(alluvium::alluvium PROPERTIES
    IMPORTED_LOCATION "${alluvium_prefix}/lib/liballuvium.so"
    INTERFACE_INCLUDE_DIRECTORIES "${alluvium_prefix}/include")

  add_library(alluvium::static STATIC IMPORTED)
  set_target_properties(alluvium::static PROPERTIES
    IMPORTED_LOCATION "${alluvium_prefix}/lib/liballuvium.a"
    INTERFACE_INCLUDE_DIRECTORIES "${alluvium_prefix}/include"
    INTERFACE_LINK_LIBRARIES "gcc_s;Threads::Threads;m;${CMAKE_DL_LIBS}")
endif()
