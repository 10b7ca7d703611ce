foreach(module bytes arena table trim debt wheel window snowflake log config)
  sb_test(test_${module} test_${module}.c LINK sb_base)
endforeach()
