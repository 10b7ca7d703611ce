// world: the people of the simulated world, what their clients see of it, and what must hold. See sim.h.
#pragma once
#include "sim.h"

// Ends the run: an invariant does not hold. Prints the seed, the time and the reason, once.
void world_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
bool world_failed(void);
// One line of the story, when it is to be told (-v).
void world_tell(const char *fmt, ...) PRINTF_LIKE(1, 2);

#define USERS_MAX 8u
#define PLACES_MAX 16u
#define CLIENTS_MAX 12u
#define ROOMS_MAX 6u
#define ROLES_MAX 4u
struct people { // made once, before the first seed
    uint32_t n_users, n_places, n_rooms, n_roles;
    uint64_t users[USERS_MAX], places[PLACES_MAX]; // places: private channels
    uint64_t guild, rooms[ROOMS_MAX], roles[ROLES_MAX];
    char tokens[USERS_MAX][128];
    struct bytes guild_document; // puts all who shall be in the guild into it
};
#define ADMIN_TOKEN "an admin token of the simulated world"
#define ADMIN_AUTHORIZATION "Bearer " ADMIN_TOKEN
extern struct people people;
uint32_t user_index(uint64_t id);  // n_users: none of ours
uint32_t place_index(uint64_t id); // n_places: none of ours

#define RESUME_WINDOW_MS 1000u
#define RING_MS 700u

// --- client.c ---
void clients_begin(void);
void clients_end(void);
void clients_act(void);            // one of them does something
void clients_calm(void);           // all of them see to it that they are connected, and do nothing else
bool clients_there(void);          // every one of them is
void clients_compare(void);        // with the truth: at rest
uint64_t clients_dispatches(void); // how many they have been given, in all
uint64_t clients_deeds(void);      // and have done
uint64_t clients_resumes(void);

// --- truth.c: what stands in Redis ---
void truth_begin(void);
void truth_end(void);
void truth_look(void);    // after each event: what has changed is checked
void truth_at_rest(void); // and all of it
struct call_place;
const struct call_place *truth_place(uint32_t place);
uint64_t truth_last_message(uint32_t place);
// When that user was last seen rung in, seated in, or no recipient of, that place (us); 0: never.
uint64_t truth_rung_at(uint32_t place, uint64_t user);
uint64_t truth_seated_at(uint32_t place, uint64_t user);
uint64_t truth_absent_at(uint32_t place, uint64_t user);
struct message_rec;
struct arena;
bool truth_message(struct arena *a, uint64_t place, uint64_t id, struct message_rec *out);
