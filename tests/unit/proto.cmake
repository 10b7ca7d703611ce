foreach(module wire schema schema_json text)
  sb_test(test_${module} test_${module}.c LINK sb_proto)
endforeach()
