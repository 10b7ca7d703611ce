// intents: what a bot has to have asked for to be sent an event. Pure; the table is intents.def.
#pragma once
#include "bytes.h"

uint64_t intents_of(struct bytes event, bool guild); // any of these bits lets it through; 0: not gated
