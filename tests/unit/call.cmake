foreach(module call call_record flow flow_guild guild_form guild_change guild_voice region_list)
  sb_test(test_${module} test_${module}.c LINK call_core)
endforeach()
