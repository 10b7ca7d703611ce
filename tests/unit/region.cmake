foreach(module fleet pick regions place)
  sb_test(test_${module} test_${module}.c LINK region_core)
endforeach()
