"""voice_check: joins a voice channel as a client would, by the addresses that clients are told, and says what is wrong.

deploy/admin check runs it. Nothing but Python's own library; what a client does with a key (audio) is not tried.
"""
import base64
import contextlib
import http.client
import ipaddress
import json
import os
import secrets
import socket
import ssl
import struct
import time
import urllib.parse

CONNECT_S, WAIT_S, NULL_S, UDP_S, UDP_TRIES = 5, 10, 5, 1, 4
FRAME_MAX = 64 << 20
USER, GUILD = "switchboard-check", "Switchboard check"
# GUILDS, GUILD_VOICE_STATES
INTENTS = 1 << 0 | 1 << 7
# https://docs.discord.com/developers/topics/opcodes-and-status-codes
GATEWAY_CLOSES = {
    4004: ("the gateway does not accept the token",
           "take one that `deploy/admin token NAME` prints now; if all gateways are to accept it, they need the same "
           "SB_TOKEN_SECRET"),
    4008: ("the gateway counts too many frames", "wait a minute and try again"),
    4013: ("the gateway does not know an intent", "use the check that belongs to this version of Switchboard"),
}
AGAIN = "try again; if it stays so, look into the logs of the node and the call-manager"
VOICE_CLOSES = {
    4004: ("it says that the token was made for another node, user or channel",
           "see that no two nodes and no balancer share this endpoint: each node needs an SB_ENDPOINT, and an SB_INSTANCE, "
           "that is its alone"),
    4006: ("it knows nothing of this session, though we were told of a token for it just now",
           "see that the node has the REDIS_URL of the other services, and that all clocks agree"),
    4011: ("it does not know the server", "see that the node has the REDIS_URL of the other services"),
    4014: ("it says that we have left the channel", AGAIN),
    4016: ("it does not know the encryption mode that it offered itself", "use nodes and check of one version"),
    4020: ("it does not accept the version of the protocol", "use nodes and check of one version"),
    4022: ("it says that the call is over", AGAIN),
}
CERTIFICATE_FAULTS = {
    9: ("the certificate of {who} is not good yet", "set the clocks of both machines right"),
    10: ("the certificate of {who} has expired",
         "renew it and send the process SIGHUP ({tls}; deploy/certificates makes a private one anew)"),
    18: ("the certificate of {who} is signed by itself, and nobody trusts it",
         "get a real one, or sign one with deploy/certificates, and give its authority with --ca"),
    19: ("the certificate of {who} comes from an authority that is not trusted here",
         "give that authority's file with --ca, as clients need it too; or get a certificate that everybody trusts"),
    20: ("the certificate of {who} comes from an authority that is not trusted here, or its chain is not complete",
         "give a private authority's file with --ca, as clients need it too; a real certificate has to be the whole "
         "fullchain.pem ({tls})"),
    62: ("the certificate of {who} is for another name than {host}",
         "make one for {host} ({tls}; deploy/certificates DIR NAME {host}), or tell clients the name that it has ({name})"),
    64: ("the certificate of {who} is for another address than {host}",
         "make one for {host} ({tls}; deploy/certificates DIR NAME {host}), or tell clients the name that it has ({name})"),
}
CERTIFICATE_FAULTS[21] = CERTIFICATE_FAULTS[20]


class Wrong(Exception):
    """What is wrong, in one sentence, and what to do about it, in another."""

    def __init__(self, cause, advice):
        super().__init__(cause)
        self.cause, self.advice = cause, advice


class Place:
    """An address that clients are told, and how sentences name it. name: the setting it comes from; tls: those of its
    certificate; process: who should be there."""

    def __init__(self, who, host, port, secure, name, tls, process):
        self.who, self.host, self.port, self.secure = who, host, port, secure
        self.name, self.tls, self.process = name, tls, process

    def __str__(self):
        return f"{self.who} ({self.host}:{self.port})"

    def reach(self, trust):
        """A connection to it, with TLS where it should have some; Wrong says at which step it ends."""
        plain = self._connect()
        try:
            link = trust.wrap_socket(plain, server_hostname=self.host) if self.secure else plain
            link.settimeout(WAIT_S)
            return link
        except ssl.SSLCertVerificationError as error:
            plain.close()
            cause, advice = CERTIFICATE_FAULTS.get(error.verify_code, (
                "the certificate of {who} is refused: " + error.verify_message, "make another one ({tls})"))
            words = {"who": self, "host": self.host, "tls": self.tls, "name": self.name}
            raise Wrong(cause.format(**words), advice.format(**words)) from None
        except (OSError, ssl.SSLError) as error:
            plain.close()
            why = getattr(error, "reason", None) or error.strerror or error
            raise Wrong(f"{self} is there, but speaks no TLS that we understand ({why})",
                        f"set {self.tls}, or put something that speaks TLS in front of it; if another program has the port, "
                        f"correct {self.name}") from None

    def _connect(self):
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Wrong(f"the name {self.host} of {self.who} does not resolve ({getattr(error, 'strerror', error)})",
                        f"make a DNS record for it, or correct {self.name}") from None
        trouble = None
        for family, _, _, _, address in found:
            link = socket.socket(family, socket.SOCK_STREAM)
            link.settimeout(CONNECT_S)
            try:
                link.connect(address)
                return link
            except OSError as error:
                link.close()
                trouble = trouble or self._no_way(address[0], error)
        raise trouble

    def _no_way(self, address, error):
        at = f"TCP port {self.port} of {address}"
        if isinstance(error, ConnectionRefusedError):
            return Wrong(f"nobody listens on {at}, where {self.who} should be",
                         f"start {self.process}, or correct the port in {self.name}")
        if isinstance(error, TimeoutError):
            return Wrong(f"{at}, where {self.who} should be, does not answer within {CONNECT_S} s",
                         f"open the port in the firewall and forward it in the NAT, or correct {self.name}")
        return Wrong(f"{at}, where {self.who} should be, cannot be reached ({error.strerror or error})",
                     f"see to the network between here and there, or correct {self.name}")


def place_of(url, who, name):
    """The Place of an http(s) or ws(s) URL of the gateway."""
    parts = urllib.parse.urlsplit(url)
    try:
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
            raise ValueError
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    except ValueError:
        raise Wrong(f"'{url}' is no address of {who}",
                    f"correct {name}: it is like wss://chat.example or http://127.0.0.1:8080/api") from None
    return Place(who, parts.hostname, port, parts.scheme in ("https", "wss"), name,
                 "SB_TLS_CERTIFICATE and SB_TLS_KEY of the gateway", "the gateway")


class Closed(Exception):
    """The other side ended the websocket. code: None without a close frame."""

    def __init__(self, code, reason=""):
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """A websocket of JSON texts; what is wrong with the opening handshake is said by Wrong."""

    def __init__(self, place, path, trust):
        self.place, self.link, self.rest = place, place.reach(trust), b""
        key = base64.b64encode(os.urandom(16)).decode()
        try:
            self.link.sendall((f"GET {path} HTTP/1.1\r\nHost: {place.host}:{place.port}\r\nUpgrade: websocket\r\n"
                               f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
            while b"\r\n\r\n" not in self.rest and len(self.rest) < 65536:
                self._more()
        except (Closed, OSError):
            self.close()
            raise Wrong(f"{place} hangs up when a websocket is asked for", silent(place)) from None
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        status = head.split(b"\r\n")[0].decode(errors="replace").split(" ", 1)[-1]
        if not status.startswith("101"):
            self.close()
            raise Wrong(f"{place} answers a websocket's opening with '{status}'",
                        f"if there is a proxy in front, have it pass on Upgrade and Connection; else correct {place.name}: another "
                        "program has that address")

    def _more(self):
        got = self.link.recv(65536)
        if not got:
            raise Closed(None)
        self.rest += got

    def _take(self, count):
        while len(self.rest) < count:
            self._more()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def send(self, op, d):
        self._frame(1, json.dumps({"op": op, "d": d}).encode())

    def _frame(self, kind, data):
        mask = secrets.token_bytes(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.link.sendall(bytes([0x80 | kind]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def receive(self, until):
        """The next message, or None at that time."""
        whole = b""
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return None
            self.link.settimeout(left)
            try:
                first, size = self._take(2)
                if size > 125:
                    size, = struct.unpack(">H" if size == 126 else ">Q", self._take(2 if size == 126 else 8))
                if size > FRAME_MAX:
                    raise Closed(None)
                data = self._take(size)
            except TimeoutError:
                return None
            except OSError as error:
                raise Closed(None, str(error)) from None
            kind = first & 0x0F
            if kind == 8:
                raise Closed(struct.unpack(">H", data[:2])[0] if len(data) > 1 else None, data[2:].decode(errors="replace"))
            if kind == 9:
                self._frame(10, data)
            elif kind < 2:
                whole += data
                if first & 0x80:
                    return json.loads(whole)

    def wait(self, wanted, seconds=WAIT_S):
        """The first message for which wanted() is true; None: none came in time."""
        until = time.monotonic() + seconds
        while (message := self.receive(until)) is not None:
            if wanted(message):
                return message
        return None

    def close(self):
        with contextlib.suppress(OSError):
            self.link.close()


def silent(place):
    return (f"look into the log of {place.process}, or correct {place.name}: another program may have that address"
            + ("" if place.secure else "; if TLS is spoken there, it has to begin with https or wss"))


def closed_because(place, closed, known, asked):
    reason = f", \"{closed.reason}\"" if closed.reason else ""
    cause, advice = known.get(closed.code, (f"it closes with {closed.code or 'no code at all'}{reason}",
                                            f"look into the log of {place.process}"))
    return Wrong(f"{place} answers {asked} with its end: {cause}", advice)


class Client:
    """One account's gateway session."""

    def __init__(self, url, token, bot, trust):
        self.place, self.bot, self.token, self.events = place_of(url, "the gateway", "SB_PUBLIC_URL"), bot, token, []
        path = urllib.parse.urlsplit(url).path or "/"
        self.ws = Socket(self.place, f"{path}?v=9&encoding=json", trust)

    def log_in(self):
        properties = {"os": "linux", "browser": "deploy/admin check", "device": ""}
        try:
            if not self.ws.wait(lambda m: m.get("op") == 10):
                raise Wrong(f"{self.place} speaks websocket, but says no Hello",
                            f"correct {self.place.name}: it is not a Switchboard's")
            self.ws.send(2, {"token": self.token, "properties": properties, **({"intents": INTENTS} if self.bot else {})})
            ready = self.until("READY")
        except Closed as closed:
            raise closed_because(self.place, closed, GATEWAY_CLOSES, "Identify") from None
        except ValueError:
            raise Wrong(f"{self.place} does not speak JSON", f"correct {self.place.name}: it is not a Switchboard's") from None
        if not ready:
            raise Wrong(f"{self.place} does not answer Identify within {WAIT_S} s",
                        "ask /readyz of the gateway and of the message service: Redis or the bus may be away")
        return ready

    def until(self, name, fits=lambda d: True, seconds=WAIT_S):
        """The data of the next such dispatch; None: none came."""
        message = self.ws.wait(lambda m: m.get("t") == name and fits(m["d"]), seconds)
        return message and message["d"]

    def voice(self, guild, channel):
        self.ws.send(1, None)       # a heartbeat: with many regions this takes its time
        self.ws.send(4, {"guild_id": guild, "channel_id": channel, "self_mute": True, "self_deaf": False, "self_video": False})


def parse_endpoint(endpoint):
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise Wrong(f"the endpoint that clients are told is '{endpoint}'",
                    "set SB_ENDPOINT of that node to host:port, without scheme or path")
    return Place("the voice node", host.strip("[]"), int(port), True, "SB_ENDPOINT of the node",
                 "SB_TLS_CERTIFICATE and SB_TLS_KEY of the node", "the voice node")


def discover(place, ssrc, ip, port):
    """IP discovery (https://docs.discord.food/topics/voice-connections, "IP Discovery"): (our address there, our own)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(UDP_S)
        refused = False
        try:
            link.connect((ip, port))
            for _ in range(UDP_TRIES):
                try:
                    link.send(struct.pack(">HHI66x", 1, 70, ssrc))
                    answer = link.recv(2048)
                except ConnectionRefusedError:
                    refused = True
                    continue
                except TimeoutError:
                    continue
                if len(answer) == 74 and struct.unpack(">HHI", answer[:8]) == (2, 70, ssrc):
                    seen = answer[8:72].split(b"\0")[0].decode(errors="replace"), struct.unpack(">H", answer[72:])[0]
                    return seen, link.getsockname()
        except OSError as error:
            raise Wrong(f"UDP {ip}:{port}, where audio should go, cannot be reached ({error.strerror or error})",
                        "set SB_MEDIA_IP of the node to the IPv4 address by which clients reach it") from None
    raise no_discovery(place, ip, port, refused)


def no_discovery(place, ip, port, refused):
    cause = f"UDP port {port} of {ip}, where audio should go, {'is closed' if refused else 'does not answer'}"
    with contextlib.suppress(OSError):
        at = {found[4][0] for found in socket.getaddrinfo(place.host, None, socket.AF_INET)}
        if ip not in at:
            return Wrong(f"{cause}; the node's websocket is on another machine's address, {', '.join(sorted(at))}",
                         f"set SB_MEDIA_IP of the node to the IPv4 address by which clients reach it, and open UDP port {port} "
                         "there")
    return Wrong(cause, f"open UDP port {port} in the firewall and forward it in the NAT or the container engine, under the same "
                 "number (SB_UDP_PORT of the node); if that is another machine's address, correct SB_MEDIA_IP")


def plausible(seen, own):
    """A remark on what the node sees us as, or None."""
    try:
        address = ipaddress.IPv4Address(seen[0])
    except ValueError:
        address = None
    if not address or address.is_unspecified or not seen[1]:
        raise Wrong(f"the node says that it sees us as '{seen[0]}' port {seen[1]}, which is no address",
                    "look into the log of the voice node")
    if seen[0] == own[0]:
        return None
    if address.is_private and not ipaddress.IPv4Address(own[0]).is_private:
        return (f"the node sees us as {seen[0]}:{seen[1]}, a private address: something in front of it hides clients from it, "
                "which are then bounded as if they were one")
    return f"the node sees us as {seen[0]}:{seen[1]}, and we are {own[0]}:{own[1]}: a NAT is in between, and lets audio through"


class Check:
    """say(kind, text): what is found, in order; kind: ok, mind or WRONG."""

    def __init__(self, say, trust):
        self.say, self.trust, self.faults = say, trust, 0
        self.user = None        # the id of whom we are logged in as

    def step(self, text, action):
        """Does it and says so; None when it did not work out, which is said as well."""
        try:
            found = action()
        except Wrong as wrong:
            self.faults += 1
            self.say("WRONG", f"{text}: {wrong.cause}.", f"{wrong.advice[0].upper()}{wrong.advice[1:]}.")
            return None
        return found if found is not None else True

    def rest(self, base, method, path, token=None):
        """(status, body) of a request to the public API."""
        place = place_of(base, "the API", "the --api given here")
        link = place.reach(self.trust)
        connection = http.client.HTTPConnection(place.host, place.port)
        connection.sock = link
        try:
            connection.request(method, urllib.parse.urlsplit(base).path.rstrip("/") + path,
                               headers={"Authorization": token} if token else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException):
            raise Wrong(f"{place} hangs up on a request", silent(place)) from None
        except ValueError:
            raise Wrong(f"{place} answers a request with HTTP {answer.status} and no JSON",
                        f"correct {place.name}: another program has that address, or a proxy in front does not reach the gateway"
                        ) from None
        finally:
            connection.close()

    def gateway_url(self, base):
        status, body = self.rest(base, "GET", "/v9/gateway")
        if status != 200 or not isinstance(body, dict) or not isinstance(body.get("url"), str):
            raise Wrong(f"{base}/v9/gateway answers with HTTP {status}, and names no gateway",
                        "correct the --api given here: it ends with /api and belongs to a Switchboard")
        self.say("ok", f"{base} answers, and sends clients to {body['url']}")
        return body["url"]

    def whose(self, base, token):
        """(who has this token, is it a bot's?)"""
        for bot in (False, True):
            status, body = self.rest(base, "GET", "/v9/users/@me", f"Bot {token}" if bot else token)
            if status == 200:
                return body["username"], bool(body.get("bot"))
        raise Wrong(f"the token is not accepted (HTTP {status})", GATEWAY_CLOSES[4004][1])

    def log_in(self, base, token):
        url = self.step("REST", lambda: self.gateway_url(base))
        account = url and self.step("login", lambda: self.whose(base, token))
        client = account and self.step("gateway", lambda: Client(url, token, account[1], self.trust))
        ready = client and self.step("login", client.log_in)
        if ready:
            self.say("ok", f"{client.place}: logged in as {account[0]}")
        return (client, ready) if ready else (None, None)

    def region(self, client, label, guild, channel):
        """Whether one can talk there."""
        text = f"voice, {label}"
        good = self.step(text, lambda: self.talk(client, text, guild, channel))
        with contextlib.suppress(Closed, OSError):
            client.voice(guild, None)
            client.until("VOICE_STATE_UPDATE", lambda d: d["user_id"] == self.user and d["channel_id"] is None)
        return good

    def talk(self, client, text, guild, channel):
        state, server = self.sent(client, label_of(text), guild, channel)
        place = parse_endpoint(server["endpoint"])
        if place.port != 443:
            self.say("mind", f"{text}: clients are told port {place.port}; several libraries use 443 whatever they are told")
        ws = Socket(place, "/?v=8", self.trust)
        try:
            seen, own, ready = self.identify(ws, place, state, server, guild or channel)
        except Closed as closed:
            raise closed_because(place, closed, VOICE_CLOSES, "Identify") from None
        except ValueError:
            raise Wrong(f"{place} does not speak JSON", f"correct {place.name}: it is no voice node") from None
        finally:
            ws.close()
        remark = plausible(seen, own)
        self.say("ok", f"{text}: {place.host}:{place.port} lets us in, and UDP {ready['ip']}:{ready['port']} answers")
        if remark:
            self.say("mind", f"{text}: {remark}")

    def sent(self, client, label, guild, channel):
        """What a client is told after op 4: its voice state and the server."""
        state = server = None
        try:
            client.voice(guild, channel)
            until = time.monotonic() + WAIT_S
            while not (state and server):
                message = client.ws.receive(until)
                if message is None:
                    break
                d = message["d"]
                if message.get("t") == "VOICE_STATE_UPDATE" and d["user_id"] == self.user and d["channel_id"] == channel:
                    state = d
                elif message.get("t") == "VOICE_SERVER_UPDATE":
                    if d["endpoint"]:
                        server = d
                    else:                   # one may have gone just now, and come back
                        until = min(until, time.monotonic() + NULL_S)
                        server = server or False
        except Closed as closed:
            raise closed_because(client.place, closed, GATEWAY_CLOSES, "a wish to join") from None
        if not state:
            raise Wrong("the wish to join (op 4) is not answered",
                        "ask /readyz of the call-manager and look into its log; with a token of your own: may it connect to that "
                        "channel, and is there room?")
        if server is False:
            raise Wrong(f"no voice node of {label} has announced itself, or all are full (clients are told a null endpoint)",
                        "start one with that SB_REGION; if it runs, ask its /readyz: it needs the same REDIS_URL, and an "
                        "SB_BUS_BIND that the other services reach")
        if not server:
            raise Wrong("nothing is said about a voice server", "ask /readyz of the region-allocator and look into its log")
        return state, server

    def identify(self, ws, place, state, server, where):
        """From Hello to the session's description: (what the node sees us as, what we are, Ready)."""
        if not ws.wait(lambda m: m.get("op") == 8):
            raise Wrong(f"{place} speaks websocket, but says no Hello", f"correct {place.name}: it is no voice node")
        ws.send(0, {"server_id": where, "user_id": self.user, "session_id": state["session_id"], "token": server["token"]})
        ready = ws.wait(lambda m: m.get("op") == 2)
        if not ready:
            raise Wrong(f"{place} does not answer Identify within {WAIT_S} s", "ask /readyz of the voice node: Redis may be away")
        ready = ready["d"]
        try:
            unusable = ipaddress.IPv4Address(ready["ip"]).is_unspecified
        except ValueError:
            unusable = True
        if unusable:
            raise Wrong(f"{place} tells clients to send audio to '{ready['ip']}', which is no address",
                        "set SB_MEDIA_IP of the node to the IPv4 address by which clients reach it")
        seen, own = discover(place, ready["ssrc"], ready["ip"], ready["port"])
        data = {"address": seen[0], "port": seen[1], "mode": ready["modes"][0]}
        ws.send(1, {"protocol": "udp", "data": data})
        if not ws.wait(lambda m: m.get("op") == 4):
            raise Wrong(f"{place} does not answer Select Protocol within {WAIT_S} s", "look into the log of the voice node")
        return seen, own, ready


def label_of(text):
    return text.removeprefix("voice, ")


def first_voice_channel(client, ready, wanted):
    """(guild, channel, its name) in which an account of the operator's shall be tried."""
    if any(channel["id"] == wanted for channel in ready.get("private_channels", [])):
        return None, wanted, wanted
    guilds, missing = [], len(ready["guilds"])
    for guild in ready["guilds"]:
        if not guild.get("unavailable"):
            guilds.append(guild)
            missing -= 1
    while missing and (guild := client.until("GUILD_CREATE")):
        guilds.append(guild)
        missing -= 1
    for guild in guilds:
        for channel in guild["channels"]:
            if channel["id"] == wanted or (not wanted and channel["type"] == 2):
                return guild["id"], channel["id"], channel["name"]
    raise Wrong(f"this account sees no channel {wanted}" if wanted else "this account sees no voice channel",
                "name one that it may connect to with --channel, or leave --user-token away: then a channel is made for it")


def trust_of(ca):
    """The public authorities, and this one."""
    trust = ssl.create_default_context()
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca:
        trust.load_verify_locations(cafile=ca)
    return trust


def check_as(check, base, token, channel):
    """With an account of the operator's, in one channel."""
    client, ready = check.log_in(base, token)
    if not client:
        return
    check.user = ready["user"]["id"]
    where = check.step("channel", lambda: first_voice_channel(client, ready, channel))
    if where:
        check.region(client, f"channel {where[2]}", where[0], where[1])
    client.ws.close()


def check_all(check, admin, base, wanted):
    """With a user and a guild made for it by the admin API `admin(method, path, body)`, in each region; both are of no
    use to anybody afterwards: the guild is removed, the user's tokens are void."""
    try:
        token = admin("POST", "/admin/users", {"username": USER})["token"]
    except admin.refused:
        token = admin("POST", f"/admin/users/{USER}/token")["token"]
    guild = None
    try:
        client, ready = check.log_in(base, token)
        if not client:
            return
        check.user = ready["user"]["id"]
        status, regions = check.rest(base, "GET", "/v9/voice/regions", token)
        names = [region["id"] for region in regions] if status == 200 else []
        for region in wanted:
            if region not in names:
                check.step(f"voice, region {region}", lambda region=region: unknown_region(region, names))
        names = [name for name in names if not wanted or name in wanted]
        if not names and not wanted:
            check.step("voice", no_regions)
        for left in admin("GET", "/admin/guilds"):      # of a check that was killed
            path = f"/admin/guilds/{left['id']}"
            if left["name"] == GUILD and admin("GET", path)["owner_id"] == check.user:
                admin("DELETE", path)
        guild = admin("POST", "/admin/guilds", {"name": GUILD, "owner": USER})["id"]
        for name in names:
            channel = admin("POST", f"/admin/guilds/{guild}/channels",
                            {"name": f"check {name}", "type": "voice", "rtc_region": name})
            check.region(client, f"region {name}", guild, channel["id"])
        client.ws.close()
    finally:
        if guild:
            admin("DELETE", f"/admin/guilds/{guild}")
        admin("DELETE", f"/admin/users/{USER}/tokens")


def unknown_region(region, names):
    raise Wrong(f"there is no region '{region}', only {', '.join(names) or 'none at all'}",
                "name it in the file of SB_REGIONS_FILE, or start a voice node with that SB_REGION")


def no_regions():
    raise Wrong("there is no region at all",
                "name some in the file of SB_REGIONS_FILE, or start a voice node: it brings its own")
