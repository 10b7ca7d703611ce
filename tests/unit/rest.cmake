foreach(module route form rest admin)
  sb_test(test_${module} test_${module}.c LINK gateway_core)
endforeach()
