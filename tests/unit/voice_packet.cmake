foreach(module packet gcm seal seal_wear)
  sb_test(test_${module} test_${module}.c LINK voice_core)
endforeach()
