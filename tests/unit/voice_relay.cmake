foreach(name relay relay_media relay_map)
  sb_test(test_${name} test_${name}.c LINK voice_core)
endforeach()
sb_test(test_relay_model test_relay_model.c ../relay_world.c LINK voice_core)
