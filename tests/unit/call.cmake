foreach(module call call_record flow region_list)
  sb_test(test_${module} test_${module}.c LINK call_core)
endforeach()
