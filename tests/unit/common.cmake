foreach(module bytes arena table trim debt wheel window snowflake log config address)
  sb_test(test_${module} test_${module}.c LINK sb_base)
endforeach()
