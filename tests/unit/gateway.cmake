foreach(module token rates quota etf backlog ops session ledger subs ready intents)
  sb_test(test_${module} test_${module}.c LINK gateway_core)
endforeach()
