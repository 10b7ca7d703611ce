foreach(name relay relay_media relay_map)
  sb_test(test_${name} test_${name}.c LINK voice_core)
endforeach()
