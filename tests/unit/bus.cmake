sb_test(test_bus_core test_bus_core.c LINK sb_base)
