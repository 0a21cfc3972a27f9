# Package files for find_package(depickle) and pkg-config.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/depickle)
configure_package_config_file(cmake/depickle-config.cmake.in depickle-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(depickle-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/depickle-config.cmake ${PROJECT_BINARY_DIR}/depickle-config-version.cmake
        DESTINATION ${package_dir} COMPONENT library)
install(EXPORT depickle NAMESPACE depickle:: FILE depickle-targets.cmake DESTINATION ${package_dir} COMPONENT library)

set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pkgconfig /${pkgconfig_dir} /)
if(DEPICKLE_BUILD_HUB)
  set(hub_libraries "-ldepickle_sandbox -ldepickle_repo -ldepickle_hub ")
  set(hub_links "-lseccomp ")
endif()
configure_file(cmake/depickle.pc.in depickle.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/depickle.pc DESTINATION ${pkgconfig_dir} COMPONENT library)
