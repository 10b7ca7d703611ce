foreach(module http_head ws_frame)
  sb_test(test_${module} test_${module}.c LINK sb_base)
endforeach()
