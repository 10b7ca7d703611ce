foreach(module route form rest rest_changes admin admin_guilds admin_voice origin)
  sb_test(test_${module} test_${module}.c LINK gateway_core)
endforeach()
