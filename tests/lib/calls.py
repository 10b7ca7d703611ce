"""calls: the steps of a private call as all its members see them, for tests that need a call to stand.
Each step checks the exact order of events at everybody who is passed in (spec: start, ring, join, leave)."""
from dataclasses import dataclass


@dataclass
class Call:
    """What the steps learned about a call; `servers` is the last VOICE_SERVER_UPDATE by client."""
    channel: str
    message: dict
    region: str
    servers: dict


async def start(starter, *others, channel, **options):
    """The first one in: message, call, state to all; the server to the one who joined."""
    await starter.join(channel, **options)
    message = created = None
    for client in (starter, *others):
        message = await client.next("MESSAGE_CREATE", channel_id=channel, type=3)
        created = await client.next("CALL_CREATE", channel_id=channel, message_id=message["id"], ringing=[],
                                    voice_states=[])
        await joined(client, starter, channel)
    server = await starter.next("VOICE_SERVER_UPDATE", channel_id=channel, guild_id=None)
    return Call(channel, message, created["region"], {starter: server})


async def joined(client, joiner, channel):
    """The joiner's state, as the client sees it."""
    return await client.next("VOICE_STATE_UPDATE", channel_id=channel, guild_id=None, user_id=joiner.id,
                             session_id=joiner.session_id)


async def left(client, leaver):
    """The end of the leaver's state, as the client sees it."""
    return await client.next("VOICE_STATE_UPDATE", channel_id=None, guild_id=None, user_id=leaver.id)


async def ringing(client, channel, rung, ringer=None):
    """One CALL_UPDATE with exactly these users being rung."""
    update = await client.next("CALL_UPDATE", channel_id=channel)
    assert sorted(update["ringing"]) == sorted(u.id for u in rung), update
    assert sorted(update["ongoing_rings"]) == sorted(u.id for u in rung), update
    if ringer is not None:
        assert set(update["ongoing_rings"].values()) <= {ringer.id}, update
    return update


async def join(joiner, *others, call, rung=None, first_time=True):
    """A further one in. `rung`: who is still being rung afterwards, when the joiner was being rung."""
    await joiner.join(call.channel)
    for client in (joiner, *others):
        if rung is not None:
            await ringing(client, call.channel, rung)
        if first_time:
            update = await client.next("MESSAGE_UPDATE", id=call.message["id"], channel_id=call.channel)
            assert joiner.id in update["call"]["participants"], update
            assert update["call"]["ended_timestamp"] is None, update
        await joined(client, joiner, call.channel)
    call.servers[joiner] = await joiner.next("VOICE_SERVER_UPDATE", channel_id=call.channel, guild_id=None)


async def leave(leaver, *others):
    """One out, others stay in."""
    await leaver.leave()
    for client in (leaver, *others):
        await left(client, leaver)


async def ended(*clients, call):
    """What follows the last one's leaving. Returns the call message as it stands then."""
    update = None
    for client in clients:
        update = await client.next("MESSAGE_UPDATE", id=call.message["id"], channel_id=call.channel)
        assert update["call"]["ended_timestamp"] is not None, update
        await client.next("CALL_DELETE", channel_id=call.channel)
    return update


async def leave_last(leaver, *others, call):
    """The last one out ends the call."""
    await leave(leaver, *others)
    return await ended(leaver, *others, call=call)
