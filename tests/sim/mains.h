// mains: what the services' mains are called here, and what they ask the time and for chance. Included before each of
// the services' files (CMakeLists.txt).
#pragma once
#include <stdint.h>
#include <time.h>
int gateway_main(int argc, char **argv);
int call_manager_main(int argc, char **argv);
int region_allocator_main(int argc, char **argv);
int message_main(int argc, char **argv);
int voice_node_main(int argc, char **argv);
int sim_clock_gettime(clockid_t clock, struct timespec *out);
uint32_t sim_arc4random(void);
uint32_t sim_arc4random_uniform(uint32_t n);
