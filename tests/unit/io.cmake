# The parts of sb_io that need no server. Those that need Redis are in tests/io.
sb_test(test_loop test_loop.c LINK sb_io PkgConfig::libuv)
sb_test(test_store_address test_store_address.c LINK sb_io)
