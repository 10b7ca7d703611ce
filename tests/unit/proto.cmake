foreach(module wire schema schema_json text permissions)
  sb_test(test_${module} test_${module}.c LINK sb_proto)
endforeach()
