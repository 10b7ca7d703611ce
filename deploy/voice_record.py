"""deploy/admin record and play: what is said in a channel to files of Ogg Opus, and such a file said there."""
import os
import pathlib
import re
import signal
import sys
import threading
import urllib.parse

VOICE, STAGE = 2, 13
PIECE = 4 * 1024 * 1024     # of a recorded file, in one request
EVERY_S = 0.3               # how often it is asked how things are
FILE_MAX = 8 * 1024 * 1024  # that /admin/…/plays takes


class Asked:
    """Whether somebody has asked to stop: Ctrl-C, or TERM."""

    def __init__(self):
        self.event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.event.set())

    def wait(self):
        """True: it is so; by then, or after a moment."""
        return self.event.wait(EVERY_S)


def say(text):
    print(text, file=sys.stderr, flush=True)


def channel_of(api, name, failure):
    """The id of a channel: an id, GUILD/CHANNEL, or the name of a voice channel that only one has."""
    if name.isdecimal():
        return name
    found = [channel["id"] for guild in api.call("GET", "/admin/guilds") for channel in guild["channels"]
             if channel["type"] in (VOICE, STAGE) and name in (channel["name"], f"{guild['name']}/{channel['name']}")]
    if len(found) != 1:
        raise failure(1, f"{'several voice channels are' if found else 'no voice channel is'} called {name}; its id is always "
                         "good, and GUILD/CHANNEL (deploy/admin list)")
    return found[0]


def names_of(api, users):
    """{id: username}"""
    names = {}
    for user in users:
        found = api.call("GET", f"/admin/users?after={int(user) - 1}&limit=1")
        names[user] = found[0]["username"] if found and found[0]["id"] == user else user
    return names


# -- record --

def done(args, shown, asked):
    """Whether that is enough, as the options say."""
    silent = args.until_silent is not None and shown["speakers"] and shown["silent_seconds"] >= args.until_silent
    return asked or shown["state"] != "running" or silent or (args.seconds is not None and shown["seconds"] >= args.seconds)


def file_of(api, path):
    whole = b""
    while piece := api.raw(f"{path}?offset={len(whole)}&limit={PIECE}"):
        whole += piece
    return whole


def write(path, data):
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    os.replace(beside, path)


def record(api, args, failure):
    asked, out = Asked(), pathlib.Path(args.out)
    if not out.parent.is_dir():
        raise failure(2, f"there is no directory {out.parent}")
    channel = channel_of(api, args.channel, failure)
    shown = api.call("POST", f"/admin/channels/{channel}/recordings")
    path = f"/admin/recordings/{shown['id']}"
    try:
        say(f"recording {args.channel}" + ("" if args.seconds is not None or args.until_silent is not None
                                           else "; Ctrl-C ends it"))
        while not done(args, shown, asked.wait()):
            shown = api.call("GET", path)
        shown = api.call("POST", path + "/stop")
        if shown["state"] != "stopped":
            say(f"it has ended by itself: {shown['why']}")
        names = names_of(api, [speaker["user_id"] for speaker in shown["speakers"]])
        lines = [f"{shown['seconds']:.2f} s were recorded"]
        for speaker in shown["speakers"]:
            name = re.sub(r"[^\w.-]", "_", names[speaker["user_id"]])
            file = out if len(names) == 1 else out.with_name(f"{out.stem}-{name}{out.suffix}")
            write(file, file_of(api, f"{path}/{speaker['user_id']}.ogg"))
            speaker.update(username=name, file=str(file))
            lines.append(f"{file}: {name}, who spoke for {speaker['seconds']:.2f} s of them ({speaker['packets']} packets)")
    finally:
        api.call("DELETE", path)
    if not shown["speakers"]:
        raise failure(1, f"nobody said anything in {shown['seconds']:.2f} s")
    return shown, lines


# -- play --

def play(api, args, failure):
    asked = Asked()
    try:
        data = pathlib.Path(args.file).read_bytes()
    except OSError as error:
        raise failure(2, f"cannot read {args.file}: {error.strerror or error}") from None
    if len(data) > FILE_MAX:
        raise failure(2, f"{args.file} is larger than {FILE_MAX // 1024 // 1024} MiB")
    channel = channel_of(api, args.channel, failure)
    who = urllib.parse.quote(args.user, safe="")
    shown = api.call("POST", f"/admin/channels/{channel}/plays?user={who}", data, kind="audio/ogg")
    path = f"/admin/plays/{shown['id']}"
    say(f"{args.user} plays {args.file} in {args.channel}, {shown['length_seconds']:.2f} s; Ctrl-C ends it")
    muted = False
    while not shown["over"]:
        if asked.wait():
            api.call("DELETE", path)
            asked.event.clear()
        shown = api.call("GET", path)
        if shown["muted"] and not muted:
            muted = True
            say(f"nobody hears it: {args.user} may not speak there")
    if shown["state"] == "failed":
        raise failure(1, f"it was not played to the end ({shown['packets']} packets were): {shown['why']}")
    return shown, [f"{shown['packets']} packets were {'played' if shown['state'] == 'played' else 'played, then it was stopped'}"]


def add_commands(command, areas, failure):
    sub = command(areas, "record", lambda api, args: record(api, args, failure),
                  "write what is said in a channel to Ogg Opus, each speaker to a file of his own, as it was sent. All files "
                  "begin when the recording began and end when it ended. CHANNEL: an id, GUILD/CHANNEL or a voice channel's name",
                  "channel")
    sub.add_argument("--out", metavar="FILE.ogg", required=True,
                     help="of one speaker; where several spoke: FILE-USERNAME.ogg, each")
    sub.add_argument("--seconds", metavar="N", type=float, help="end it after so long")
    sub.add_argument("--until-silent", metavar="N", type=float, help="end it when nobody has spoken for so long, once somebody has")
    sub = command(areas, "play", lambda api, args: play(api, args, failure),
                  "speak a file of Ogg Opus in a channel; returns when all of it has been said. Somebody comes for it and goes "
                  "afterwards: a bot that is made if need be, and a member of the guild from then on", "channel", "file")
    sub.add_argument("--user", metavar="NAME", default="player", help="who speaks; in a private channel one of those in it")
