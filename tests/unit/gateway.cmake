foreach(module token rates backlog ops session ledger subs audience ready intents)
  sb_test(test_${module} test_${module}.c LINK gateway_core)
endforeach()
