foreach(module token rates quota etf backlog ops session ledger subs audience ready intents)
  sb_test(test_${module} test_${module}.c LINK gateway_core)
endforeach()
sb_test(test_squeeze test_squeeze.c LINK gateway_core PkgConfig::zlib PkgConfig::libzstd)
