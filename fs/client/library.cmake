# libmapping: the library, and what others find it by once it is installed. BUILD_SHARED_LIBS decides
# between a shared and a static one; both are complete in themselves (libc only).
include(CMakePackageConfigHelpers)

# Once as objects, so that unit tests and the build's own programs can link single files of it.
add_library(mapping_objects OBJECT ${client_sources} fs/fdpass.c)
target_compile_options(mapping_objects PRIVATE -fvisibility=hidden)
add_library(mapping_parts STATIC $<TARGET_OBJECTS:mapping_objects>)

add_library(mapping $<TARGET_OBJECTS:mapping_objects>)
add_library(mapping::mapping ALIAS mapping)
target_include_directories(mapping INTERFACE
	$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/fs/client>
	$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# Before 1.0 each minor version may have another interface.
set_target_properties(mapping PROPERTIES VERSION ${PROJECT_VERSION}
	SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

install(TARGETS mapping EXPORT mapping-targets
	LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
	ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES fs/client/mapping.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# --- CMake: find_package(mapping), mapping::mapping ---

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mapping)
configure_package_config_file(fs/client/mapping-config.cmake.in
	${PROJECT_BINARY_DIR}/mapping-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/mapping-config-version.cmake
	COMPATIBILITY SameMinorVersion)
install(EXPORT mapping-targets NAMESPACE mapping:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/mapping-config.cmake
	${PROJECT_BINARY_DIR}/mapping-config-version.cmake DESTINATION ${package_dir})

# --- pkg-config: relative to itself, so that the tree can be installed anywhere and moved ---

set(MAPPING_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
	file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
	string(REGEX REPLACE "/$" "" MAPPING_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(kind LIBDIR INCLUDEDIR)
	set(MAPPING_PC_${kind} ${CMAKE_INSTALL_${kind}})
	if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_${kind}})
		set(MAPPING_PC_${kind} "\${prefix}/${CMAKE_INSTALL_${kind}}")
	endif()
endforeach()
configure_file(fs/client/mapping.pc.in ${PROJECT_BINARY_DIR}/mapping.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/mapping.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# --- Python: one file; a directory of sys.path makes it importable at once ---

set(MAPPINGFS_PYTHON_DIR ${CMAKE_INSTALL_DATADIR}/mappingfs/python CACHE PATH
	"where mappingfs.py is installed, such as lib/python3/dist-packages")
install(FILES fs/client/python/mappingfs.py DESTINATION ${MAPPINGFS_PYTHON_DIR})
