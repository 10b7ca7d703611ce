foreach(module packet gcm seal seal_wear)
  sb_test(test_${module} test_${module}.c LINK voice_core)
endforeach()

# Not a test of its own: what tests/services/test_voice_packets.py asks.
if(SB_TESTS)
  add_executable(voice_packets voice_packets.c)
  target_link_libraries(voice_packets PRIVATE voice_core)
endif()
