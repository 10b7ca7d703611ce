"""The voice node alone: the real process and a real redis-server; calls, guilds and the bus are played by hand."""
import asyncio
import json
import os
import signal
import time

import pytest
import pytest_asyncio

from certificates import Certificate
from harness import STOP_S
from media_peer import MODES, SILENCE, discovered_old, discovery_old
from voice_client import (BACKEND, CLIENTS, CODECS, DESCRIPTION, FLAGS, GONE, IDENTIFY, PLATFORM, READY, RESUME, SELECT,
                          SPEAKING, VIDEO, WANTS, Closed, Media)
from voice_house import EVERYTHING, PRIORITY, VoiceHouse, Voices, new_id, until

LEAVE_S = 2.9  # three seconds, of two clocks, after which who has to go is closed
UDP = {"protocol": "udp", "data": {"address": "127.0.0.1", "port": 9, "mode": MODES[0]}}
FRAMES_A_MINUTE = 600


@pytest.fixture(scope="module")
def node():
    house = VoiceHouse()
    yield house
    house.close()


@pytest_asyncio.fixture
async def voices(node):
    made = Voices(node)
    yield made
    await made.close()
    node.system.check_alive()


@pytest_asyncio.fixture
async def own():
    """Builds a node of the test's own: (house, voices)."""
    built = []

    def build(certificate=None, **env):
        house = VoiceHouse(certificate, **env)
        built.append((house, Voices(house)))
        return built[-1]

    yield build
    for house, made in built:
        await made.close()
        await asyncio.to_thread(house.close)


# --- from Hello to op 5 ---

@pytest.mark.parametrize("v", range(4, 10))
async def test_the_handshake_of_each_version(node, voices, v):
    call = node.call()
    client = await voices.open(v)
    assert client.hello == {"v": v, "heartbeat_interval": 13750}
    await client.beat(1501184119561)  # before it has identified, too
    ready = await client.identify(call.sit())
    assert set(ready) == {"ssrc", "ip", "port", "modes", "experiments", "streams"}
    assert (ready["ip"], ready["port"]) == ("127.0.0.1", node.ports["media"])
    assert ready["modes"] == list(MODES) and ready["experiments"] == [] and ready["streams"] == []
    assert 0 < ready["ssrc"] < 1 << 31
    await client.discover()
    description = await client.select()
    assert set(description) == {"mode", "secret_key", "audio_codec", "video_codec", "media_session_id",
                                "dave_protocol_version", "keyframe_interval"}
    assert (description["audio_codec"], description["video_codec"]) == ("opus", "H264")
    assert description["dave_protocol_version"] == 0
    assert await client.expect(WANTS) == {"any": 100}
    assert client.last_seq == (2 if v >= 8 else -1)  # op 15 and op 4


async def test_numbers_begin_with_1_and_count_what_is_numbered(node, voices):
    call = node.call()
    first, second = await voices.join(call.sit()), await voices.join(call.sit())
    await voices.settle()
    for client in (first, second):
        await client.send(BACKEND, {})
        await client.expect(BACKEND)
    numbers = [frame["seq"] for frame in second.messages if "seq" in frame]
    assert second.last_seq == len(numbers) + 1 and set(numbers) < set(range(1, second.last_seq + 1))


@pytest.mark.parametrize("nonce", [0, -1, 1.5, "beat", 2 ** 62, None])
async def test_a_heartbeat_comes_back_as_it_was(voices, nonce):
    old, new = await voices.open(4), await voices.open(8)
    await old.beat(nonce)
    await new.beat(nonce, ack=-1)
    await old.send(3, {"t": nonce})  # a form of another version is answered in that form
    assert await old.expect(6) == {"t": nonce}
    await new.send(3, nonce)
    assert await new.expect(6) == nonce


async def test_clients_write_ids_and_flags_as_they_like(node, voices):
    call = node.call()
    listener = await voices.join(call.sit())
    grant = call.sit()
    whole = grant | {"server_id": int(grant["server_id"]), "user_id": int(grant["user_id"])}
    talker = await voices.open(4)
    ready = await talker.identify(whole)
    await talker.send(SELECT, {"protocol": "udp", "address": "127.0.0.1", "port": 9, "mode": MODES[1]})
    assert (await talker.expect(DESCRIPTION))["mode"] == MODES[1]
    await talker.send(SPEAKING, {"speaking": True, "delay": 0})  # without ssrc, and not as a number
    assert await listener.expect(SPEAKING) == {"user_id": grant["user_id"], "ssrc": ready["ssrc"], "speaking": 1}
    await talker.send(SPEAKING, {"speaking": 0, "ssrc": 1})  # somebody else's is not believed
    assert await listener.expect(SPEAKING) == {"user_id": grant["user_id"], "ssrc": ready["ssrc"], "speaking": 0}


async def test_the_old_discovery_works_too(node, voices):
    client = await voices.open()
    await client.identify(node.call().sit())
    media = await Media.to(("127.0.0.1", node.ports["media"]))
    try:
        media.send(discovery_old(client.ssrc))
        found = await media.take(lambda data: discovered_old(data, client.ssrc), "answer")
        assert found == media.address
    finally:
        media.close()


async def test_a_discovery_is_answered_when_who_asked_has_had_time_to_listen(node, voices):
    client = await voices.open()
    await client.identify(node.call().sit())
    asked = time.monotonic()
    await client.discover()
    assert time.monotonic() - asked >= 0.02


async def test_streams_that_are_offered_get_ssrcs(node, voices):
    client = await voices.open()
    offered = [{"type": "screen", "rid": "100", "quality": 100}, {"type": "video", "rid": "50", "quality": 50}]
    ready = await client.identify(node.call().sit(), video=True, streams=offered)
    ssrc = ready["ssrc"]
    assert ready["streams"] == [
        {"type": "video", "rid": "100", "ssrc": ssrc + 1, "rtx_ssrc": ssrc + 2, "quality": 100, "active": False},
        {"type": "video", "rid": "50", "ssrc": ssrc + 3, "rtx_ssrc": ssrc + 4, "quality": 50, "active": False}]


async def test_the_backend_says_its_version_at_any_time(node, voices):
    client = await voices.open(9)
    for _ in range(2):
        await client.send(BACKEND, {})
        assert set(await client.expect(BACKEND)) == {"voice", "rtc_worker"}
        if client.ready is None:
            await client.identify(node.call().sit())


async def test_whoever_talks_of_video_before_ready_is_forgiven(node, voices):
    grant = node.call().sit()
    client = await voices.open()
    await client.send(IDENTIFY, client._claims(grant))
    await client.send(VIDEO, {"audio_ssrc": 0, "video_ssrc": 0, "rtx_ssrc": 0, "streams": []})
    await client.expect(READY)
    await client.settle()


async def test_opcodes_that_are_not_known_yet_are_passed_over(node, voices):
    client = await voices.join(node.call().sit())
    for op in (*range(17, 41), 2, 4, 6, 8, 9, 10, 11, 13):
        await client.send(op, {"anything": [1]})
    await client.ws.send_bytes(b"\x1a" + bytes(40))  # of end-to-end encryption
    await client.settle()
    assert client.code is None


async def test_it_speaks_tls_and_plain_and_renews_its_certificate(own, tmp_path):
    certificate = Certificate(tmp_path)
    house, voices = own(certificate)
    call = house.call()
    client = await voices.open(ssl=certificate.trust())
    await client.join(call.sit())
    before = certificate.trust()
    certificate.issue("second")
    os.kill(house.service.proc.pid, signal.SIGHUP)
    after = certificate.trust()

    async def shown():
        try:
            return await voices.open(ssl=after)
        except Exception:  # it is still the first one
            return None

    for _ in range(200):
        if await shown():
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the second certificate is never shown")
    assert before is not after
    await client.settle()  # who was there stays


# --- close codes ---

async def test_4001_an_opcode_that_nobody_knows(node, voices):
    for op in (41, 255, -1, 2 ** 40):
        assert await voices.refused(op, None) == 4001
    client = await voices.join(node.call().sit())
    await client.send(99)
    assert await client.closed() == 4001


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"d":{}}', '{"op":"0"}', '{"op":1.5}', '{"op":0}',
                                  '{"op":0,"d":[]}', '{"op":0,"d":{"server_id":{}}}', '{"op":3,"d":[]}',
                                  '{"op":3,"d":"%s"}' % ("x" * 100), '{"op":7,"d":null}',
                                  '{"op":7,"d":{"server_id":"1","session_id":"a","token":"b","seq_ack":"1"}}',
                                  '{"op":0,"d":{"server_id":"%s"}}' % ("9" * 60)])
async def test_4002_what_cannot_be_read(voices, text):
    client = await voices.open()
    await client.ws.send_str(text)
    assert await client.closed() == 4002


@pytest.mark.parametrize("frame", [(SPEAKING, None), (SPEAKING, {"speaking": "yes"}), (SELECT, {}), (SELECT, {"protocol": 1}),
                                   (VIDEO, []), (VIDEO, {"streams": [{"ssrc": -1}]}), (CODECS, 1), (WANTS, {"any": 101}),
                                   (WANTS, {"5": "much"}), (WANTS, {"pixelCounts": {"5": -1}}),
                                   (SELECT, {"protocol": "udp", "codecs": {}, "data": {"mode": MODES[0]}})])
async def test_4002_of_whoever_is_in(node, voices, frame):
    client = await voices.join(node.call().sit())
    await client.send(*frame)
    assert await client.closed() == 4002


async def test_4002_a_frame_that_is_too_large(voices):
    client = await voices.open()
    await client.ws.send_str(json.dumps({"op": 3, "d": "x" * 17000}))
    assert await client.closed() == 4002


@pytest.mark.parametrize("op, d", [(SELECT, UDP), (SPEAKING, {"speaking": 1}), (VIDEO, {}), (CODECS, {"codecs": []}),
                                   (WANTS, {"any": 1}), (17, {}), (40, {})])
async def test_4003_anything_before_identify(voices, op, d):
    assert await voices.refused(op, d) == 4003


async def test_4004_claims_that_do_not_fit(node, voices):
    call = node.call()
    other = node.call()
    user = int((grant := call.sit())["user_id"])
    assert await voices.refused(IDENTIFY, grant | {"token": "0" * 16}) == 4004
    assert await voices.refused(IDENTIFY, grant | {"token": ""}) == 4004
    assert await voices.refused(IDENTIFY, grant | {"token": "a" * 64}) == 4004
    assert await voices.refused(IDENTIFY, grant | {"user_id": str(new_id())}) == 4004
    assert await voices.refused(IDENTIFY, grant | {"user_id": "0"}) == 4004
    assert await voices.refused(IDENTIFY, grant | {"channel_id": str(other.channel)}, v=9) == 4004
    assert await voices.refused(IDENTIFY, call.grant(user, node="node-2")) == 4004
    assert await voices.refused(IDENTIFY, call.grant(user, channel=1) | {"channel_id": str(call.channel)}, v=9) == 4004
    # below version 9 nobody names a channel, and after all that he may still come in
    await (await voices.open()).identify(call.grant(user) | {"channel_id": "1"})


async def test_4005_a_second_identify(node, voices):
    grant = node.call().sit()
    for op in (IDENTIFY, RESUME):
        client = await voices.open()
        await client.identify(grant)
        await client.send(op, client._claims(grant) | {"seq_ack": -1})
        assert await client.closed() == 4005
    client = await voices.open()
    for _ in range(2):  # the first is still being looked up
        await client.send(IDENTIFY, client._claims(grant))
    assert await client.closed() == 4005


async def test_4006_a_session_that_nobody_knows(node, voices):
    grant = node.call().sit()
    assert await voices.refused(IDENTIFY, grant | {"session_id": "0" * 32}) == 4006
    assert await voices.refused(IDENTIFY, grant | {"session_id": "*"}) == 4006
    assert await voices.refused(IDENTIFY, grant | {"server_id": str(new_id())}) == 4006
    assert await voices.refused(RESUME, grant | {"seq_ack": -1}) == 4006


async def test_4009_no_heartbeat_and_no_identify(own):
    house, voices = own(SB_VOICE_HEARTBEAT_MS="1500", SB_IDENTIFY_MS="6000")
    call = house.call()
    silent, beating = await voices.open(), await voices.open()
    inside = await voices.join(call.sit())
    while beating.code is None:
        await beating.send(3, {"t": 1, "seq_ack": -1})
        await asyncio.sleep(0.05)
    assert beating.code == 4009  # it beats, and does not identify
    assert await silent.closed() == 4009 and await inside.closed() == 4009
    assert house.metrics()["sessions_timed_out"] == 3
    await inside.resume()  # it may have been its network
    assert inside.description


async def test_4011_no_server(node, voices):
    assert await voices.refused(IDENTIFY, node.call().sit() | {"server_id": "0"}) == 4011


async def test_4012_a_protocol_that_is_not_there(node, voices):
    for protocol in ("webrtc", "webrtc-p2p", ""):
        client = await voices.open()
        await client.identify(node.call().sit())
        await client.send(SELECT, {"protocol": protocol, "data": "v=0"})
        assert await client.closed() == 4012


async def test_4014_who_has_left(node, voices):
    channel = node.channel()
    gone, stays = await voices.join(channel.sit()), await voices.join(channel.sit())
    channel.rise(int(gone.grant["user_id"]))
    await stays.expect(GONE, user_id=gone.grant["user_id"])  # at once; the socket is left to its client for a moment
    assert await gone.closed() == 4014
    with pytest.raises(Closed) as closed:
        await gone.resume()
    assert closed.value.code == 4006


async def test_4014_another_client_of_his_takes_over(node, voices):
    call = node.call()
    first = await voices.join(call.sit())
    user = int(first.grant["user_id"])
    second = await voices.join(call.sit(user, "f" * 32))
    assert await first.closed() == 4014
    await second.settle()


async def test_4015_the_node_stops_and_nobody_took_him_elsewhere(own):
    house, voices = own()
    client = await voices.join(house.call().sit())
    fresh = await voices.open()
    house.service.proc.terminate()
    assert await client.closed() == 4015 and await fresh.closed() == 4015
    assert await asyncio.to_thread(house.service.proc.wait, STOP_S) == 0
    house.system.services.clear()


async def test_a_node_that_stops_waits_for_those_who_are_moved(own):
    house, voices = own(SB_DRAIN_MS="60000")
    call = house.call()
    client, other = await voices.join(call.sit()), await voices.join(call.sit())
    house.service.proc.terminate()

    def draining():
        name, said = house.allocator.take_event("node_announce")
        return said["draining"]

    while not await asyncio.to_thread(draining):
        pass
    late = await voices.join(call.sit())  # until they are sent elsewhere all goes on, and who was sent here comes in
    late.say(b"still")
    assert (await other.hear(late.ssrc)).payload == b"still"
    call.node = "node-2"  # where all have been told to go, from now on
    for member in (client, other, late):
        call.change(int(member.grant["user_id"]))
    await client.leave()  # as libraries do
    assert await other.closed() == 4022 and await late.closed() == 4022
    assert await asyncio.to_thread(house.service.proc.wait, STOP_S) == 0
    house.system.services.clear()


async def test_4016_a_mode_that_is_not_offered(node, voices):
    for mode in ("aead_aes256_gcm", "", "xsalsa20_poly1305_lite_rtpsize", MODES[0].upper()):
        client = await voices.open()
        await client.identify(node.call().sit())
        await client.send(SELECT, {"protocol": "udp", "data": {"address": "", "port": 1, "mode": mode}})
        assert await client.closed() == 4016


async def test_4016_the_old_modes_may_be_left_out(own):
    house, voices = own(SB_VOICE_MODES_OLD="0")
    client = await voices.open()
    assert (await client.identify(house.call().sit()))["modes"] == list(MODES[:2])
    await client.send(SELECT, {"protocol": "udp", "data": {"address": "", "port": 1, "mode": MODES[2]}})
    assert await client.closed() == 4016


@pytest.mark.parametrize("query", ["", "?v=", "?v=3", "?v=10", "?v=8x", "?v=-4", "?encoding=json", "?v=4294967304"])
async def test_4020_a_version_that_is_not_spoken(node, query):
    import aiohttp
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{node.url}/{query}") as ws:
        message = await ws.receive(timeout=10)
        assert message.type == aiohttp.WSMsgType.CLOSE and message.data == 4020


async def test_the_query_may_say_more(node):
    import aiohttp
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{node.url}?encoding=json&v=8&x") as ws:
        assert json.loads((await ws.receive(timeout=10)).data)["d"]["v"] == 8


async def test_4021_too_many_frames(node, voices):
    client = await voices.join(node.call().sit())
    bystander = await voices.join(node.call().sit())
    before = node.metrics()["client_floods"]
    for _ in range(FRAMES_A_MINUTE):
        await client.send(17)
    assert await client.closed() == 4021
    assert node.metrics()["client_floods"] == before + 1
    await bystander.settle()


async def test_4021_a_node_that_is_full(own):
    house, voices = own(SB_CAPACITY="2")
    call = house.call()
    first, _ = [await voices.join(call.sit()) for _ in range(2)]
    grant = call.sit()
    assert await voices.refused(IDENTIFY, grant) == 4021
    await first.leave()  # its place is free, whatever becomes of its seat
    await until(lambda: house.metrics()["voice_sessions_detached"] == 1, "the first to be gone")
    await voices.join(grant)


async def test_4022_the_call_is_over(node, voices):
    call = node.call()
    clients = [await voices.join(call.sit()) for _ in range(2)]
    call.end()
    assert [await client.closed() for client in clients] == [4022, 4022]


async def test_a_client_may_go_by_itself_meanwhile(node, voices):
    async def goes():
        """Whether it was it that went; if not, it was given its time."""
        call = node.call()
        client = await voices.join(call.sit())
        begun = time.monotonic()
        call.end()
        await until(lambda: node.metrics()["voice_rooms"] == 0, "the room to be empty")
        try:
            await client.settle()
        except Closed:
            pass
        await client.leave(4014)
        assert client.ws.close_code in (4014, 1006) or client.ws.close_code == 4022 and time.monotonic() - begun >= LEAVE_S
        return client.ws.close_code != 4022

    assert await goes() or await goes() or await goes()


# --- who is told of whom ---

async def test_a_joiner_hears_of_all_and_all_of_him(node, voices):
    call = node.call()
    first = await voices.join(call.sit(flags=2))
    silent = await voices.join(call.sit(), speaking=None)
    await voices.settle()
    assert [m["op"] for m in first.messages] == [WANTS, CLIENTS, FLAGS, PLATFORM]
    joiner = await voices.join(call.sit(flags=1), speaking=None)
    await voices.settle()
    users = {first.grant["user_id"], silent.grant["user_id"]}
    assert set((await joiner.expect(CLIENTS))["user_ids"]) == users
    assert await joiner.expect(FLAGS, user_id=first.grant["user_id"]) == {"user_id": first.grant["user_id"], "flags": 2}
    assert len(joiner.told(FLAGS)) == 1 and len(joiner.told(PLATFORM)) == 2
    # who has spoken, is told to who comes later; who has not, not
    assert joiner.told(SPEAKING) == [{"user_id": first.grant["user_id"], "ssrc": first.ssrc, "speaking": 1}]
    for client in (first, silent):
        assert await client.expect(CLIENTS, user_ids=[joiner.grant["user_id"]])
        assert await client.expect(FLAGS, user_id=joiner.grant["user_id"], flags=1)
    await joiner.leave()
    for client in (first, silent):
        assert await client.expect(GONE) == {"user_id": joiner.grant["user_id"]}


async def test_nobody_hears_of_another_channel(node, voices):
    one, other = node.channel(), node.channel()
    third = one.other()
    inside = await voices.join(one.sit())
    for place in (other, third, node.call()):
        client = await voices.join(place.sit())
        await client.speaking(2)
        client.say(b"not for you")
        await client.fence()
    await voices.settle()
    assert [m["op"] for m in inside.messages] == [WANTS] and await inside.heard() == []


async def test_who_has_a_token_and_no_seat_is_shown_to_nobody(node, voices):
    channel = node.channel()
    inside = await voices.join(channel.sit())
    user = new_id()
    channel.seats[user] = {"session": "e" * 32}  # the row is not written
    other = await voices.open()
    await other.identify(channel.grant(user))
    await other.speaking()
    assert await other.closed() == 4014
    await voices.settle(inside)
    assert [m["op"] for m in inside.messages] == [WANTS] and await inside.heard() == []


async def test_video_is_told_with_the_ssrcs_that_were_given(node, voices):
    channel = node.channel()
    watcher = await voices.join(channel.sit())
    sender = await voices.join(channel.sit(self_video=True), streams=[{"type": "video", "rid": "100", "quality": 100}])
    user, ssrc = sender.grant["user_id"], sender.ssrc
    await sender.send(VIDEO, {"audio_ssrc": 0, "video_ssrc": 0, "rtx_ssrc": 0, "streams": []})
    assert await watcher.expect(VIDEO) == {"user_id": user, "audio_ssrc": ssrc, "video_ssrc": 0, "streams": []}
    stream = {"type": "video", "rid": "100", "ssrc": ssrc + 1, "rtx_ssrc": ssrc + 2, "active": True, "quality": 100,
              "max_bitrate": 2500000, "max_framerate": 30, "max_resolution": {"type": "fixed", "width": 1280, "height": 720}}
    told = {"user_id": user, "audio_ssrc": ssrc, "video_ssrc": ssrc + 1,
            "streams": [{key: value for key, value in stream.items() if key != "max_bitrate"}]}
    await sender.send(VIDEO, {"audio_ssrc": ssrc, "video_ssrc": ssrc + 1, "rtx_ssrc": ssrc + 2, "streams": [stream]})
    assert await watcher.expect(VIDEO) == told
    late = await voices.join(channel.sit())
    assert await late.expect(VIDEO) == told
    # another's SSRC is not believed, and rid is never missing
    await sender.send(VIDEO, {"audio_ssrc": 1, "video_ssrc": 2, "streams": [{"ssrc": watcher.ssrc + 1, "active": True}]})
    stolen = await watcher.expect(VIDEO)
    assert (stolen["audio_ssrc"], stolen["video_ssrc"], stolen["streams"][0]["rid"]) == (ssrc, ssrc + 1, "100")
    # whoever may not any more sends none, as others see it
    channel.change(int(user), self_video=False)
    assert (await watcher.expect(VIDEO))["streams"] == []
    channel.change(int(user), self_video=True)
    assert (await watcher.expect(VIDEO))["video_ssrc"] == ssrc + 1


async def test_what_is_wanted_of_video_is_the_most_of_all(node, voices):
    channel = node.channel()
    sender = await voices.join(channel.sit(self_video=True), streams=[{"type": "video", "rid": "100", "quality": 100}])
    ssrc = sender.ssrc + 1
    await sender.expect(WANTS)
    await sender.send(VIDEO, {"audio_ssrc": sender.ssrc, "video_ssrc": ssrc, "rtx_ssrc": ssrc + 1,
                              "streams": [{"type": "video", "rid": "100", "ssrc": ssrc, "active": True}]})
    assert await sender.expect(WANTS) == {"any": 100, str(ssrc): 0}  # nobody is there
    first = await voices.join(channel.sit())
    assert await sender.expect(WANTS) == {"any": 100, str(ssrc): 100}
    await first.send(WANTS, {"any": 0, str(ssrc): 20, "pixelCounts": {str(ssrc): 921600.0}})
    assert await sender.expect(WANTS) == {"any": 100, str(ssrc): 20, "pixelCounts": {str(ssrc): 921600.0}}
    second = await voices.join(channel.sit())
    assert (await sender.expect(WANTS))[str(ssrc)] == 100
    await second.send(WANTS, {"any": 10})
    assert (await sender.expect(WANTS))[str(ssrc)] == 20
    await first.leave()
    assert await sender.expect(WANTS) == {"any": 100, str(ssrc): 10}


async def test_a_codec_that_all_can_decode_is_chosen(node, voices):
    def video(name, priority, **more):
        return {"name": name, "type": "video", "priority": priority, "payload_type": 101, "rtx_payload_type": 102} | more

    channel = node.channel()
    everything = [video("AV1", 1000), video("H264", 2000), video("VP8", 3000)]
    first, second = await voices.open(), await voices.open()
    await first.identify(channel.sit())
    assert (await first.select(codecs=everything))["video_codec"] == "AV1"
    await second.identify(channel.sit())
    few = [video("VP8", 1000), video("H264", 2000, encode=False), {"name": "opus", "type": "audio", "priority": 1}]
    assert (await second.select(codecs=few))["video_codec"] == "VP8"
    assert await first.expect(CODECS) == {"audio_codec": "opus", "video_codec": "H264"}
    bot = await voices.join(channel.sit())  # says nothing of video, and does not count
    assert bot.description["video_codec"] == "H264"
    await second.send(CODECS, {"codecs": everything})
    assert (await first.expect(CODECS))["video_codec"] == "AV1"
    assert (await second.expect(CODECS))["video_codec"] == "AV1"
    await voices.settle()
    assert not bot.told(CODECS)


async def test_flags_that_change_are_told(node, voices):
    call = node.call()
    watcher, client = await voices.join(call.sit()), await voices.join(call.sit())
    await watcher.expect(FLAGS, flags=0)
    call.change(int(client.grant["user_id"]), flags=3)
    assert await watcher.expect(FLAGS) == {"user_id": client.grant["user_id"], "flags": 3}


# --- what is heard ---

@pytest.mark.parametrize("theirs", MODES)
@pytest.mark.parametrize("ours", MODES)
async def test_what_is_said_in_one_mode_is_heard_in_another(node, voices, ours, theirs):
    call = node.call()
    talker, listener = await voices.join(call.sit(), ours), await voices.join(call.sit(), theirs, v=4)
    extension = (0xBEDE, b"\x10\x7f\0\0") if ours.endswith("_rtpsize") else None
    said = [talker.say(os.urandom(n), marker=n == 1, extension=extension) for n in (1, 3, 160, 1275)]
    for packet in said:
        heard = await listener.hear()
        assert (heard.ssrc, heard.sequence, heard.timestamp, heard.payload, heard.pt, heard.marker) == (
            packet.ssrc, packet.sequence, packet.timestamp, packet.payload, 120, packet.marker)
        if theirs.endswith("_rtpsize"):
            assert heard.extension == packet.extension
        else:
            assert heard.extension is None
    assert await talker.heard() == []  # not what he said himself


async def test_all_hear_all_in_their_own_modes(node, voices):
    channel = node.channel()
    clients = [await voices.join(channel.sit(), mode) for mode in MODES]
    for round in range(20):
        for client in clients:
            client.say(bytes([round]) * 100)
    for client in clients:
        for other in clients:
            if other is not client:
                heard = [await client.hear(other.ssrc) for _ in range(20)]
                assert [packet.payload for packet in heard] == [bytes([round]) * 100 for round in range(20)]


async def test_who_has_not_announced_that_he_speaks_is_not_heard(node, voices):
    call = node.call()
    talker, listener = await voices.join(call.sit(), speaking=None), await voices.join(call.sit())
    talker.say(b"first")
    await talker.fence()
    await talker.speaking(0)
    await talker.settle()
    talker.say(b"second")
    assert (await listener.hear()).payload == b"second"


async def muted_and_back(node, voices, place, off, on, row):
    talker, listener = await voices.join(place.sit(**row)), await voices.join(place.sit())
    user = int(talker.grant["user_id"])
    await listener.expect(SPEAKING, speaking=1)
    talker.say(b"before")
    assert (await listener.hear()).payload == b"before"
    off(user)
    assert await listener.expect(SPEAKING, user_id=str(user)) == {"user_id": str(user), "ssrc": talker.ssrc, "speaking": 0}
    await talker.speaking(1)  # is not passed on
    await talker.settle()
    for _ in range(10):
        talker.say(b"while")
    await talker.fence()
    heard = await listener.heard()
    assert {packet.payload for packet in heard} <= {SILENCE}, heard
    assert not listener.told(SPEAKING)
    on(user)
    assert (await listener.expect(SPEAKING))["speaking"] == 1
    talker.say(b"after")
    assert await listener.hear() is not None
    heard = [SILENCE]
    talker.say(b"last")
    while heard[-1] != b"last":
        heard.append((await listener.hear()).payload)
    assert set(heard) <= {SILENCE, b"after", b"last"}


async def test_who_mutes_himself_is_not_heard(node, voices):
    call = node.call()
    await muted_and_back(node, voices, call, lambda user: call.change(user, self_mute=True),
                         lambda user: call.change(user, self_mute=False), {})


@pytest.mark.parametrize("what", ["mute", "suppress", "self_mute"])
async def test_who_is_silenced_in_a_guild_is_not_heard(node, voices, what):
    channel = node.channel()
    await muted_and_back(node, voices, channel, lambda user: channel.change(user, **{what: True}),
                         lambda user: channel.change(user, **{what: False}), {})


@pytest.mark.parametrize("what", ["deaf", "self_deaf"])
async def test_who_is_deaf_hears_nothing(node, voices, what):
    channel = node.channel()
    talker, listener, other = [await voices.join(channel.sit()) for _ in range(3)]
    user = int(listener.grant["user_id"])
    talker.say(b"before")
    assert (await listener.hear()).payload == b"before"
    channel.change(user, **{what: True}, flags=1)
    await talker.expect(FLAGS, user_id=str(user), flags=1)  # it is known to the node
    talker.say(b"while")
    await talker.fence()
    assert await listener.heard() == []
    listener.say(b"he may still speak")
    assert (await talker.hear(listener.ssrc)).payload == b"he may still speak"
    assert (await other.hear(talker.ssrc)).payload == b"before"
    channel.change(user, **{what: False}, flags=2)
    await talker.expect(FLAGS, user_id=str(user), flags=2)
    talker.say(b"after")
    assert (await listener.hear()).payload == b"after"


async def test_priority_is_told_only_with_the_right_to_it(node, voices):
    channel = node.channel()
    listener, talker = await voices.join(channel.sit()), await voices.join(channel.sit(), speaking=None)
    await talker.speaking(5)
    assert (await listener.expect(SPEAKING))["speaking"] == 5
    channel.allow(EVERYTHING & ~PRIORITY)
    assert (await listener.expect(SPEAKING))["speaking"] == 1
    await talker.speaking(7)
    assert (await listener.expect(SPEAKING))["speaking"] == 3
    channel.allow(EVERYTHING)
    assert (await listener.expect(SPEAKING))["speaking"] == 7


async def test_who_is_moved_is_heard_there_and_no_more_here(node, voices):
    here = node.channel()
    there = here.other()
    moved, stays = await voices.join(here.sit()), await voices.join(here.sit())
    waits = await voices.join(there.sit())
    user = moved.grant["user_id"]
    moved.say(b"here")
    assert (await stays.hear()).payload == b"here"
    grant = here.move(int(user), there)
    await stays.expect(GONE, user_id=user)
    moved.say(b"neither")
    assert await stays.heard() == [] and await waits.heard() == []
    again = await voices.join(grant)
    assert await moved.closed() == 4014 or again  # the newer one wins at once
    again.say(b"there")
    assert (await waits.hear()).payload == b"there"
    assert await stays.heard() == []


# --- used from one place at a time ---

@pytest.mark.parametrize("same_token", [True, False])
async def test_a_newer_identify_wins(node, voices, same_token):
    call = node.call()
    watcher = await voices.join(call.sit())
    first = await voices.join(call.sit())
    user = first.grant["user_id"]
    await watcher.expect(CLIENTS, user_ids=[user])
    before = node.metrics()["voice_replaced"]
    second = await voices.join(first.grant if same_token else call.grant(int(user)))
    assert await first.closed() == 4006
    assert await watcher.expect(GONE) == {"user_id": user}
    assert await watcher.expect(CLIENTS) == {"user_ids": [user]}
    assert second.ssrc != first.ssrc and second.description["secret_key"] != first.description["secret_key"]
    first.say(b"from the past")
    second.say(b"from now")
    assert (await watcher.hear()).payload == b"from now"
    assert node.metrics()["voice_replaced"] == before + 1
    if not same_token:  # what could be resumed with that was the first
        assert await voices.refused(RESUME, first.grant | {"seq_ack": -1}) == 4006
    await second.settle()


# --- lost sockets ---

@pytest.mark.parametrize("v", [8, 9])
async def test_a_resumed_session_is_told_what_it_missed_under_the_old_numbers(node, voices, v):
    call = node.call()
    client, other = await voices.join(call.sit(), v=v), await voices.join(call.sit())
    await voices.settle()
    client.messages.clear()
    seen = client.last_seq
    await client.lose()
    other.say(b"to one who is not there")  # media goes on
    assert (await client.hear()).payload == b"to one who is not there"
    client.say(b"by one who is not there")
    assert (await other.hear()).payload == b"by one who is not there"
    await other.speaking(2)
    third = await voices.join(call.sit())
    assert client.grant["user_id"] in (await third.expect(CLIENTS))["user_ids"]
    await client.resume()
    await client.settle()
    assert [m["op"] for m in client.messages] == [SPEAKING, CLIENTS, FLAGS, PLATFORM, SPEAKING]
    assert [m["seq"] for m in client.messages] == list(range(seen + 1, seen + 6))
    await other.speaking(1)
    assert (await client.expect_frame(SPEAKING, speaking=1, user_id=other.grant["user_id"]))["seq"] == seen + 6
    assert not other.told(GONE)


async def test_without_a_number_all_that_is_kept_is_told_again(node, voices):
    call = node.call()
    await voices.join(call.sit())
    client = await voices.open()
    await client.identify(call.sit())
    await client.select()
    first = client.last_seq
    await client.lose()
    client.messages.clear()
    await client.resume(ack=-1)
    description = await client.expect(DESCRIPTION)  # it has acknowledged nothing, so this is among it
    assert description == client.description and client.last_seq == first


async def test_what_was_acknowledged_is_not_told_again(node, voices):
    call = node.call()
    client, other = await voices.join(call.sit()), await voices.join(call.sit())
    await voices.settle()
    await client.beat(7)  # acknowledges all
    await other.speaking(3)
    await client.expect(SPEAKING, speaking=3)
    last = client.last_seq
    client.messages.clear()
    await client.lose()
    await client.resume(ack=-1)
    await client.settle()
    assert [m["seq"] for m in client.messages] == [last]


async def test_versions_without_numbers_resume_without_replay(node, voices):
    call = node.call()
    client, other = await voices.join(call.sit(), v=4), await voices.join(call.sit())
    await voices.settle()
    await client.lose()
    await other.speaking(2)
    await other.settle()
    client.messages.clear()
    await client.resume()
    await client.settle()
    assert client.messages == []
    await other.speaking(1)
    assert (await client.expect(SPEAKING))["speaking"] == 1


async def test_a_resume_while_the_old_socket_stands_takes_it_over(node, voices):
    call = node.call()
    client = await voices.join(call.sit())
    old = client.ws
    await client.resume()
    message = await asyncio.wait_for(old.receive(), 10) if not old.closed else None
    assert old.close_code == 4006 or message.data == 4006
    await client.settle()


@pytest.mark.parametrize("wrong", [{"token": "0" * 16}, {"session_id": "0" * 32}, {"server_id": "1"}, {"channel_id": "1"}])
async def test_a_resume_that_does_not_fit_is_refused(node, voices, wrong):
    client = await voices.join(node.call().sit(), v=9)
    await client.lose()
    assert await voices.refused(RESUME, client.grant | {"seq_ack": -1} | wrong, v=9) == 4006
    await client.resume()  # nothing has happened to it


async def test_too_much_was_missed(node, voices):
    call = node.call()
    client, other = await voices.join(call.sit()), await voices.join(call.sit())
    await voices.settle()
    await client.lose()
    for i in range(550):
        await other.speaking(1 + i % 2)
    more = await voices.join(call.sit())
    for i in range(550):
        await more.speaking(1 + i % 2)
    await more.settle()
    with pytest.raises(Closed) as closed:
        await client.resume()
    assert closed.value.code == 4006
    again = await voices.open()
    await again.join(client.grant)


async def test_who_says_goodbye_is_gone_at_once_and_may_come_again(node, voices):
    call = node.call()
    client, other = await voices.join(call.sit()), await voices.join(call.sit())
    await client.leave(1000)
    assert await other.expect(GONE) == {"user_id": client.grant["user_id"]}
    assert await voices.refused(RESUME, client.grant | {"seq_ack": -1}) == 4006
    again = await voices.join(client.grant)
    again.say(b"back")
    assert (await other.hear()).payload == b"back"


async def test_who_does_not_come_back_is_gone_and_then_taken_out(own):
    house, voices = own(SB_VOICE_RESUME_MS="400", SB_VOICE_GRACE_MS="3000")
    channel = house.channel()
    client, other = await voices.join(channel.sit()), await voices.join(channel.sit())
    begun = time.monotonic()
    await client.lose()
    assert await other.expect(GONE) == {"user_id": client.grant["user_id"]}
    command = await asyncio.to_thread(house.manager.take_command, "voice_gone")
    assert time.monotonic() - begun >= 2.9
    grant = client.grant
    assert command.fields == {"user": int(grant["user_id"]), "session": grant["session_id"], "node": house.node,
                              "server": int(grant["server_id"]), "channel": int(grant["channel_id"])}
    command.reply()
    await until(lambda: house.metrics()["voice_sessions"] == 1, "it to be forgotten")


async def test_who_comes_back_in_time_is_not_taken_out(own):
    house, voices = own(SB_VOICE_RESUME_MS="300", SB_VOICE_GRACE_MS="4000")
    call = house.call()
    client, other = await voices.join(call.sit()), await voices.join(call.sit())
    await client.lose()
    await other.expect(GONE)
    again = await voices.join(client.grant)
    left = await voices.join(call.sit())
    await left.leave()
    command = await asyncio.to_thread(house.manager.take_command, "voice_gone")
    assert command.fields["user"] == int(left.grant["user_id"])  # whose time began later
    command.reply()
    await again.settle()


async def test_a_seat_that_goes_ends_who_has_no_socket(node, voices):
    call = node.call()
    client, other = await voices.join(call.sit()), await voices.join(call.sit())
    await client.lose()
    call.rise(int(client.grant["user_id"]))
    await other.expect(GONE, user_id=client.grant["user_id"])
    assert await voices.refused(RESUME, client.grant | {"seq_ack": -1}) == 4006


async def test_nothing_is_left_of_anybody(own):
    house, voices = own()
    calls = [house.call() for _ in range(3)]
    for _ in range(5):
        clients = [await voices.join(call.sit()) for call in calls for _ in range(3)]
        for client in clients:
            await client.leave(1001)
        for call in calls:
            call.seats.clear()
            call.end()
    left = ("voice_sessions", "voice_sessions_detached", "voice_rooms", "seats_followed", "ws_connections")
    await until(lambda: not any(house.metrics()[name] for name in left), "nothing to be left")
    assert house.metrics()["voice_admissions"] == 45
