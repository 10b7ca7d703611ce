sb_test(test_admit test_admit.c LINK voice_core)
