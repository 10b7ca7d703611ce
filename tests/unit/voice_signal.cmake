foreach(name vop vroom vsession)
  sb_test(test_${name} test_${name}.c LINK voice_core)
endforeach()
