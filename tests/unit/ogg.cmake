foreach(module opus_packet recording player)
  sb_test(test_${module} test_${module}.c LINK ogg_core)
endforeach()
