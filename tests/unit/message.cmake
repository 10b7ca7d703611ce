sb_test(test_present test_present.c LINK sb_proto)
foreach(module message page channel directory world)
  sb_test(test_${module} test_${module}.c LINK message_core)
endforeach()
